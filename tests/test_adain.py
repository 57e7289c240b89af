"""Any style in one pass: statistics, what each switch does, the loss by hand, files, and training by the one loop."""

import copy
import subprocess
import sys

import pytest
import torch
from torch.nn import functional as F

import nst_lesson as nst
from nst_lesson.cli.main import main
from nst_lesson.errors import LessonError, ParameterError
from nst_lesson.methods.any_style import LOSS_LAYERS, any_style_loss
from nst_lesson.methods.training import train
from nst_lesson.networks.adain import (
    COLORS,
    SCALES,
    AnyStyleNetwork,
    adain,
    fuse,
    moments,
    stylize_any,
)
from nst_lesson.networks.models import load_model, save_model
from nst_lesson.pictures.photographs import Pairs, Photographs


def picture(height, width, seed=0):
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))


def gaussian(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def network():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return AnyStyleNetwork(blocks=1, width=0.25).eval()


# ---- the statistics


def test_adain_gives_content_the_moments_of_style():
    content, style = gaussian(2, 5, 6, 9), 3 * gaussian(2, 5, 4, 7, seed=1) + 1
    for mine, wanted in zip(moments(adain(content, moments(style))), moments(style), strict=True):
        torch.testing.assert_close(mine, wanted, atol=1e-4, rtol=1e-3)  # epsilon stands in both deviations


def test_adain_undoes_contrast_and_brightness_of_the_content():
    content, style = gaussian(1, 5, 6, 9), moments(gaussian(1, 5, 4, 7, seed=1))
    torch.testing.assert_close(adain(3 * content + 2, style), adain(content, style), atol=1e-3, rtol=1e-3)


def test_a_constant_channel_is_no_division_by_zero():
    assert adain(torch.ones(1, 2, 4, 4), moments(gaussian(1, 2, 4, 4))).isfinite().all()


# ---- the network and its switches


@pytest.mark.parametrize("size", [(64, 96), (67, 45)])
def test_the_picture_has_the_size_of_the_content(network, size):
    painted = network(picture(*size), picture(80, 50, 1))
    assert painted.shape == (1, 3, *size) and painted.min() >= 0 and painted.max() <= 1


def test_strength_zero_leaves_the_content_and_one_is_adain(network):
    content = network.encode(picture(64, 64))
    manner = {name: moments(f) for name, f in network.encode(picture(64, 64, 1)).items()}
    unchanged, changed = fuse(content, manner, 0.0), fuse(content, manner, 1.0)
    for name in (COLORS, *SCALES):
        assert torch.equal(unchanged[name], content[name])
        torch.testing.assert_close(changed[name], adain(content[name], manner[name]))


def test_each_scale_can_be_switched(network):
    content, style = picture(64, 64), picture(64, 64, 1)
    everything = stylize_any(network, content, style)
    parts = (COLORS, *SCALES)
    for name in parts:
        without = stylize_any(network, content, style, strength={k: 1.0 for k in parts if k != name})
        assert not torch.equal(without, everything)
    torch.testing.assert_close(stylize_any(network, content, style, strength=dict.fromkeys(parts, 1.0)), everything)


def test_the_network_sees_the_colors_matched_first(network):
    content, style = picture(64, 64), picture(64, 64, 1) ** 2
    by_hand = network.decode(
        fuse(
            network.encode(nst.match_colors(content, style)),
            {name: moments(f) for name, f in network.encode(style).items()},
        ),
        (64, 64),
    )
    torch.testing.assert_close(stylize_any(network, content, style), by_hand)
    torch.testing.assert_close(network(content, style), by_hand)


def test_a_blend_of_one_painting_is_that_painting(network):
    content, one, two = (picture(64, 64, seed) for seed in range(3))
    torch.testing.assert_close(
        stylize_any(network, content, [one, two], weights=[2, 0]), stylize_any(network, content, one)
    )
    torch.testing.assert_close(stylize_any(network, content, [one, one]), stylize_any(network, content, one))


@pytest.mark.parametrize("weights", [[1], [1, -1], [0, 0], [1, 1, 1]])
def test_bad_weights_are_one_line(network, weights):
    with pytest.raises(ParameterError, match="for 2 paintings"):
        stylize_any(network, picture(64, 64), [picture(64, 64)] * 2, weights=weights)


@pytest.mark.parametrize("fine_tune", [False, True])
def test_an_encoder_is_trained_only_when_asked(fine_tune):
    network = AnyStyleNetwork(width=0.25, fine_tune=fine_tune)
    network(picture(64, 64), picture(64, 64, 1)).mean().backward()
    gradients = [weight.grad for weight in network.encoder.parameters()]
    assert any(g is not None and g.abs().sum() > 0 for g in gradients) == fine_tune


def test_it_works_in_double_precision(network):
    double, content, style = copy.deepcopy(network).double(), picture(64, 64), picture(64, 64, 1)
    painted = stylize_any(double, content.double(), style.double())
    assert painted.dtype == torch.float64
    torch.testing.assert_close(painted.float(), stylize_any(network, content, style), rtol=0, atol=1e-3)


@pytest.mark.parametrize("of_features", [torch.bfloat16, torch.float16, torch.float32], ids=str)
@pytest.mark.parametrize("of_moments", [torch.bfloat16, torch.float32], ids=str)
def test_features_and_moments_of_other_precisions_are_fused(of_features, of_moments):
    """Under autocast on a GPU a deviation has 32 bits where the features have 16."""
    content = {"x": gaussian(1, 4, 6, 6).to(of_features)}
    style = {"x": tuple(m.to(of_moments) for m in moments(gaussian(1, 4, 6, 6, seed=1)))}
    fused = fuse(content, style)["x"]
    assert fused.dtype == of_features
    exact = adain(content["x"].float(), tuple(m.float() for m in style["x"]))
    torch.testing.assert_close(fused.float(), exact, rtol=0.02, atol=0.05)  # bfloat16 keeps 8 bits


def test_fewer_scales_and_other_depths():
    network = AnyStyleNetwork(scales=["relu3_1"], blocks=3, width=0.25)
    assert network(picture(64, 64), picture(64, 64, 1)).shape == (1, 3, 64, 64)
    with pytest.raises(ParameterError, match="none may be empty"):
        AnyStyleNetwork(scales=[])


# ---- the loss


@pytest.mark.parametrize("statistics", ["moments", "gram"])
def test_the_loss_is_the_one_by_hand(network, statistics):
    vgg, pairs = nst.load_backbone("pocket"), torch.cat([picture(64, 64, n) for n in range(4)]).view(2, 6, 64, 64)
    weights = {"style_weight": 2.0, "identity_weight": 5.0, "tv_weight": 3.0}
    terms = any_style_loss(vgg, statistics=statistics, **weights)(network, pairs)
    content = style = smooth = identity = 0.0
    for number, pair in enumerate(pairs):
        photo, painting = pair[None, :3], pair[None, 3:]
        painted = network(photo, painting)
        f, s, p = (vgg(x, LOSS_LAYERS) for x in (painted, painting, photo))
        target = adain(p["relu4_1"], moments(s["relu4_1"]))
        content += ((f["relu4_1"] - target).square().sum() / target.square().sum()) / 2
        for layer in LOSS_LAYERS:
            describe = nst.gram_matrix if statistics == "gram" else lambda features: torch.cat(moments(features))
            mine, wanted = describe(f[layer]), describe(s[layer])
            style += 2 * ((mine - wanted).square().sum() / wanted.square().sum()) / len(LOSS_LAYERS) / 2
        smooth += 3 * sum(painted.diff(dim=d).square().mean() for d in (2, 3)) / 2
        own = painting if number else photo
        identity += 5 * (network(own, own) - own).square().mean() / 2
    for name, wanted in {"content": content, "style": style, "tv": smooth, "identity": identity}.items():
        torch.testing.assert_close(terms[name], wanted, rtol=1e-4, atol=0)


def test_other_statistics_are_one_line():
    with pytest.raises(ParameterError, match="choose one of moments, gram"):
        any_style_loss(nst.load_backbone("pocket"), statistics="mean")


# ---- training by the one loop


def pairs():
    return Pairs(Photographs(size=32, crops=6), Photographs(size=32, crops=6, bundled=["wave", "cubist"], recolor=True))


def test_pairs_are_drawn_by_epoch_and_index_alone():
    data = pairs()
    assert len(data) == 6 and data[0, 0][0].shape == (6, 32, 32)
    assert torch.equal(data[1, 3][0], pairs()[1, 3][0])
    assert torch.equal(data[0, 3][0][:3], data[1, 3][0][:3])  # bundled crops are fixed, the painting is drawn anew
    assert not all(torch.equal(data[0, i][0][3:], data[1, i][0][3:]) for i in range(6))


def test_a_stopped_training_goes_on_bit_for_bit(tmp_path):
    def trained(steps, path):
        torch.manual_seed(1)
        network = AnyStyleNetwork(blocks=1, width=0.1)
        loss = any_style_loss(nst.load_backbone("pocket"))
        steps = train(network, loss, pairs(), steps=steps, batch_size=2, checkpoint=tmp_path / path)
        losses = [step.loss for step in steps]
        return network, losses

    whole, losses = trained(4, "a.safetensors")
    trained(2, "b.safetensors")
    resumed, rest = trained(4, "b.safetensors")
    assert rest == losses[2:]
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), resumed.parameters(), strict=True))


def command(folder, *more, steps=3):
    options = [
        "train",
        "any",
        "--out",
        folder,
        "--size",
        32,
        "--steps",
        steps,
        "--width",
        0.2,
        "--blocks",
        1,
        "--device",
        "cpu",
    ]
    return [*map(str, options), "--report-every", "1", "--workers", "0", *more]


def test_the_command_trains_goes_on_and_writes_a_network(tmp_path, capsys):
    assert main(command(tmp_path)) == 0
    network = nst.load_model(tmp_path / "model.safetensors")
    assert network.settings["width"] == 0.2
    assert main(command(tmp_path, steps=5)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines if line.startswith("step")] == ["1", "2", "3", "4", "5"]


def test_a_checkpoint_of_other_settings_is_one_line(tmp_path, capsys):
    assert main(command(tmp_path)) == 0
    assert main(command(tmp_path, "--style-weight", "1", steps=5)) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "style_weight" in line


def test_bad_input_to_the_command_is_one_line(tmp_path, capsys):
    assert main(command(tmp_path, "--styles", str(tmp_path / "nowhere"))) == 2
    assert main(command(tmp_path, "--encoder", "resnet")) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert "no images" in first and "resnet" in second and not list(tmp_path.iterdir())


def test_two_processes_follow_one_with_twice_the_batch(tmp_path):
    one = [sys.executable, "-m", "nst_lesson", *command(tmp_path / "one", "--batch-size", "4", steps=4)]
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone"]
    two = [*launcher, "-m", "nst_lesson", *command(tmp_path / "two", "--batch-size", "2", steps=4)]
    runs = [subprocess.run(words, capture_output=True, text=True) for words in (one, two)]
    losses = [[float(line.split()[3]) for line in run.stdout.splitlines() if "loss" in line] for run in runs]
    assert len(losses[0]) == 4, runs[0].stderr[-2000:] + runs[1].stderr[-2000:]
    # gradients are summed in another order, and Adam's first steps take the sign of the smallest of them
    assert losses[1] == pytest.approx(losses[0], rel=5e-3)


# ---- files


@pytest.mark.parametrize("fine_tune", [False, True])
def test_a_network_comes_back_from_its_file(tmp_path, fine_tune):
    network = AnyStyleNetwork(scales=["relu2_1", "relu3_1"], blocks=1, width=0.25, fine_tune=fine_tune).eval()
    nst.save_model(network, tmp_path / "mine.safetensors")
    again = nst.load_model(tmp_path / "mine.safetensors")
    assert again.settings == network.settings and again.scales == network.scales
    content, style = picture(48, 64), picture(64, 48, 1)
    with torch.no_grad():  # weights keep 11 bits
        assert F.l1_loss(again(content, style), network(content, style)) < 1 / 255


@pytest.mark.parametrize("content", [b"", b"\x08\0\0\0\0\0\0\0{}      "])
def test_a_damaged_or_foreign_file_is_one_line(tmp_path, content):
    (tmp_path / "bad.safetensors").write_bytes(content)
    with pytest.raises(LessonError, match="bad.safetensors is not a model of this course: "):
        nst.load_model(tmp_path / "bad.safetensors")


def test_an_encoder_of_its_own_comes_with_the_file(tmp_path):
    own = {"channels": [[4], [4], [6], [6]], "metric_layers": ["relu2_1"]}
    network = AnyStyleNetwork(own, ("relu2_1", "relu4_1"), blocks=1)
    save_model(network, tmp_path / "own.safetensors")
    again = load_model(tmp_path / "own.safetensors")
    for mine, kept in zip(again.parameters(), network.parameters(), strict=True):
        assert torch.equal(mine, kept.half().float())
