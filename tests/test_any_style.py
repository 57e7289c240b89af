"""Any style in one pass: moments, what each switch does, the loss by hand, files, and training by the one loop."""

import copy

import pytest
import torch
from torch.nn import functional as F

import nst_lesson as nst
from nst_lesson.cli.main import main
from nst_lesson.errors import LessonError, ParameterError
from nst_lesson.methods.any_style import reconstruction_loss
from nst_lesson.methods.training import train
from nst_lesson.networks.any_style import COLORS, LAYERS, AnyStyleNetwork, stylize_any, transport
from nst_lesson.networks.models import load_model
from nst_lesson.pictures.colors import moments
from nst_lesson.pictures.photographs import Photographs


def picture(height, width, seed=0):
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))


def gaussian(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def mixed(channels, positions, seed):
    """Features (1, C, 8, positions / 8) whose channels depend on each other."""
    features = gaussian(channels, channels, seed=seed) @ gaussian(channels, positions, seed=seed + 1)
    return (features + seed).view(1, channels, 8, -1)


@pytest.fixture(scope="module")
def network():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return AnyStyleNetwork(width=0.25).eval()


@pytest.fixture(scope="module")
def shipped():
    return nst.load_model("any_style")


# ---- the moments


def moved(content, style):
    """Features with the map of `transport` and the style's mean."""
    mine, theirs = moments(content), moments(style)
    pixels = transport(mine, theirs) @ (content.flatten(2).double() - mine[0]) + theirs[0]
    return pixels.view_as(content)


def test_moments_are_mean_and_covariance_over_the_positions():
    features = mixed(5, 80, 3)
    mean, covariance = moments(features)
    torch.testing.assert_close(mean[0, :, 0], features[0].flatten(1).double().mean(1))
    torch.testing.assert_close(covariance[0], torch.cov(features[0].flatten(1).double(), correction=0))


def test_moments_of_32_bits_are_those_of_64_also_beside_a_large_mean():
    # many positions, over which 32 bits alone would lose digits
    features = 0.01 * gaussian(2, 4, 1500, 1000) + 7
    for found, wanted in zip(moments(features), moments(features.double()), strict=True):
        assert found.dtype == torch.float64 and (found - wanted).norm() < 1e-5 * wanted.norm()


def test_transport_gives_the_moments_of_the_style():
    content, style = mixed(5, 400, 3), mixed(5, 640, 7)
    for found, wanted in zip(moments(moved(content, style)), moments(style), strict=True):
        # EPSILON is a thousandth of the mean variance, and counts most where the content has least
        assert (found - wanted).norm() < 0.05 * wanted.norm()


def test_transport_moves_features_less_than_whitening_and_coloring():
    content, style = mixed(5, 400, 3), mixed(5, 640, 7)

    def power(matrix, exponent):
        values, vectors = torch.linalg.eigh(matrix)
        return vectors @ torch.diag_embed(values**exponent) @ vectors.mT

    (mean, covariance), (new_mean, new_covariance) = moments(content), moments(style)
    whitening = power(new_covariance, 0.5) @ power(covariance, -0.5)
    colored = (whitening @ (content.flatten(2).double() - mean) + new_mean).view_as(content)
    torch.testing.assert_close(moments(colored)[1], new_covariance, rtol=1e-5, atol=1e-5)  # it was summed in 32 bits
    shift = (new_mean - mean).square().mean()  # is the same for both
    by_transport, by_coloring = ((x - content).square().mean() - shift for x in (moved(content, style), colored))
    assert by_transport < 0.95 * by_coloring


def test_features_with_their_own_moments_stay():
    content = mixed(5, 400, 3)
    assert (moved(content, content) - content).norm() < 0.01 * content.norm()


def test_constant_channels_are_no_division_by_zero():
    assert moved(torch.ones(1, 3, 8, 8), gaussian(1, 3, 8, 8)).isfinite().all()
    assert moved(gaussian(1, 3, 8, 8), torch.ones(1, 3, 8, 8)).isfinite().all()


# ---- the network and its switches


@pytest.mark.parametrize("size", [(64, 96), (67, 45), (20, 30)])
def test_the_picture_has_the_size_of_the_content(network, size):
    painted = stylize_any(network, picture(*size), picture(80, 50, 1))
    assert painted.shape == (1, 3, *size) and painted.min() >= 0 and painted.max() <= 1


def test_a_picture_is_the_same_each_time(network):
    once, again = (stylize_any(network, picture(64, 64), picture(64, 64, 1)) for _ in range(2))
    assert torch.equal(once, again)


def test_the_colors_are_the_paintings(shipped):
    photo, painting = (nst.load_image(name, 160) for name in ("coffee", "stained_glass"))
    painted = shipped(photo, painting)
    for found, wanted in zip(moments(painted), moments(painting), strict=True):
        assert (found - wanted).norm() < 0.02 * wanted.norm()


def test_each_layer_can_be_switched(network):
    content, style = picture(64, 64), picture(64, 64, 1)
    everything = stylize_any(network, content, style)
    parts = (COLORS, *LAYERS)
    for name in parts:
        without = stylize_any(network, content, style, strength={k: 1.0 for k in parts if k != name})
        assert not torch.equal(without, everything)
    torch.testing.assert_close(stylize_any(network, content, style, strength=dict.fromkeys(parts, 1.0)), everything)


def test_without_any_part_the_photograph_stays_but_for_the_grain(network):
    photo = 0.2 + 0.6 * picture(64, 64)
    assert (stylize_any(network, photo, picture(64, 64, 1), strength={}) - photo).abs().mean() < 0.05


def test_the_stronger_the_nearer_to_the_painting(shipped):
    photo, painting = (nst.load_image(name, 160) for name in ("coffee", "wave"))
    vgg = nst.load_backbone("pocket")

    def distance(strength):
        painted = stylize_any(shipped, photo, painting, strength=strength)
        return nst.style_distance(painted, painting, vgg)["relu2_1"]

    assert distance(1.0) < distance(0.5) < distance(0.0)


def test_a_blend_of_one_painting_is_that_painting(network):
    content, one, two = (picture(64, 64, seed) for seed in range(3))
    alone = stylize_any(network, content, one)
    torch.testing.assert_close(stylize_any(network, content, [one, two], weights=[2, 0]), alone)
    torch.testing.assert_close(stylize_any(network, content, [one, one]), alone)
    assert not torch.allclose(stylize_any(network, content, [one, two]), alone, atol=1e-3)


@pytest.mark.parametrize("weights", [[1], [1, -1], [0, 0], [1, 1, 1]])
def test_bad_weights_are_one_line(network, weights):
    with pytest.raises(ParameterError, match="paintings 2"):
        stylize_any(network, picture(64, 64), [picture(64, 64)] * 2, weights=weights)


def test_a_strength_of_another_layer_is_one_line(network):
    with pytest.raises(ParameterError, match="relu3_2"):
        stylize_any(network, picture(64, 64), picture(64, 64, 1), strength={"relu3_2": 1.0})


def test_each_pair_of_a_batch_is_painted_alone(network):
    photos, paintings = (torch.cat([picture(64, 64, seed) for seed in seeds]) for seeds in ((0, 1), (2, 3)))
    with torch.no_grad():
        together = network(photos, paintings)
        for number in range(2):
            alone = network(photos[number : number + 1], paintings[number : number + 1])
            # eigenvectors of a batch are found in another order of operations
            torch.testing.assert_close(together[number : number + 1], alone, rtol=0, atol=1e-3)


def test_the_decoders_alone_are_trained():
    network = AnyStyleNetwork(width=0.25)
    network(picture(64, 64), picture(64, 64, 1)).mean().backward()
    assert all(weight.grad is None for weight in network.encoder.parameters())
    assert all(weight.grad is not None for weight in network.decoders.parameters())


def test_it_works_in_double_precision(network):
    double, content, style = copy.deepcopy(network).double(), picture(64, 64), picture(64, 64, 1)
    painted = stylize_any(double, content.double(), style.double())
    assert painted.dtype == torch.float64
    torch.testing.assert_close(painted.float(), stylize_any(network, content, style), rtol=0, atol=1e-2)


def test_other_layers_and_what_is_refused():
    network = AnyStyleNetwork(layers=["relu2_1", "relu5_1"], width=0.1)
    assert network.layers == ["relu5_1", "relu2_1"]
    assert stylize_any(network, picture(70, 64), picture(64, 64, 1)).shape == (1, 3, 70, 64)
    with pytest.raises(ParameterError, match="neither may be empty or zero"):
        AnyStyleNetwork(layers=[])
    with pytest.raises(ParameterError, match="pool5 is reduced more than 16 times"):
        AnyStyleNetwork(layers="pool5")


# ---- the loss


def test_the_loss_is_the_one_by_hand(network):
    vgg, pictures = nst.load_backbone("pocket"), torch.cat([picture(64, 64, seed) for seed in (0, 1)])
    terms = reconstruction_loss(vgg, features_weight=2.0)(network, pictures)
    pixels = features = 0.0
    for one in pictures.split(1):
        wanted = vgg(one, LAYERS)
        for layer in LAYERS:
            decoded = network.decode(layer, wanted[layer])
            pixels += (decoded - one).square().sum() / one.square().sum() / 6
            found = vgg(decoded, LAYERS)
            for name in LAYERS:
                share = (found[name] - wanted[name]).square().sum() / wanted[name].square().sum()
                features += 2.0 * share / len(LAYERS) / 6
    torch.testing.assert_close(terms["pixels"], pixels, rtol=1e-4, atol=0)
    torch.testing.assert_close(terms["features"], features, rtol=1e-4, atol=0)


def test_pixels_alone_are_a_loss_and_all_that_is_frozen_stays_so(network):
    vgg, pictures = nst.load_backbone("pocket"), picture(64, 64)
    assert list(reconstruction_loss(vgg, features_weight=0)(network, pictures)) == ["pixels"]
    network.train()
    assert network.decoders.training and not any(part.training for part in network.encoder.modules())
    network.eval()


# ---- training by the one loop


def test_a_stopped_training_goes_on_bit_for_bit(tmp_path):
    def trained(steps, path):
        torch.manual_seed(1)
        network, loss = AnyStyleNetwork(width=0.1), reconstruction_loss(nst.load_backbone("pocket"))
        photographs = Photographs(size=32, crops=6)
        steps = train(network, loss, photographs, steps=steps, batch_size=2, checkpoint=tmp_path / path)
        return network, [step.loss for step in steps]

    whole, losses = trained(4, "a.safetensors")
    trained(2, "b.safetensors")
    resumed, rest = trained(4, "b.safetensors")
    assert rest == losses[2:]
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), resumed.parameters(), strict=True))


def command(folder, *more, steps=3):
    options = {"out": folder, "size": 32, "steps": steps, "device": "cpu", "report-every": 1, "workers": 0}
    return ["train", "any", *(str(word) for k, v in options.items() for word in (f"--{k}", v)), *more]


def test_the_command_trains_goes_on_and_writes_a_network(tmp_path, capsys):
    assert main(command(tmp_path, "--width", "0.2")) == 0
    network = nst.load_model(tmp_path / "model.safetensors")
    assert network.settings["width"] == 0.2
    assert main(command(tmp_path, "--width", "0.2", steps=5)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines if line.startswith("step")] == ["1", "2", "3", "4", "5"]
    assert "--style PAINTING" in lines[-1]


def test_the_command_begins_with_a_trained_network(tmp_path, capsys):
    assert main(command(tmp_path / "new", "--width", "0.2")) == 0
    first = capsys.readouterr().out.splitlines()[0]
    assert main(command(tmp_path / "begun", "--start", str(tmp_path / "new" / "model.safetensors"))) == 0
    begun = capsys.readouterr().out.splitlines()[0]
    assert float(begun.split()[3]) < float(first.split()[3])
    assert main(command(tmp_path / "other", "--start", "wave")) == 2
    assert "wave is not a network for any painting" in capsys.readouterr().err
    model = str(tmp_path / "new" / "model.safetensors")
    assert main(command(tmp_path / "other", "--start", model, "--encoder", "random")) == 2
    assert "--encoder is random" in capsys.readouterr().err


def test_a_checkpoint_of_other_settings_is_one_line(tmp_path, capsys):
    assert main(command(tmp_path, "--width", "0.2")) == 0
    assert main(command(tmp_path, "--width", "0.2", "--features-weight", "3", steps=5)) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "features_weight" in line


def test_bad_input_to_the_command_is_one_line(tmp_path, capsys):
    assert main(command(tmp_path, "--images", str(tmp_path / "nowhere"))) == 2
    assert main(command(tmp_path, "--encoder", "resnet")) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert "there is no folder" in first and "resnet" in second and not list(tmp_path.iterdir())


# ---- files


def test_a_network_comes_back_from_its_file(tmp_path):
    network = AnyStyleNetwork(layers=["relu2_1", "relu3_1"], width=0.25).eval()
    nst.save_model(network, tmp_path / "mine.safetensors")
    again = load_model(tmp_path / "mine.safetensors")
    assert again.settings == network.settings and again.layers == network.layers
    content, style = picture(48, 64), picture(64, 48, 1)
    # weights keep 11 bits
    assert F.l1_loss(stylize_any(again, content, style), stylize_any(network, content, style)) < 1 / 255


@pytest.mark.parametrize("content", [b"", b"\x08\0\0\0\0\0\0\0{}      "])
def test_a_damaged_or_foreign_file_is_one_line(tmp_path, content):
    (tmp_path / "bad.safetensors").write_bytes(content)
    with pytest.raises(LessonError, match="bad.safetensors is not a model of this course: "):
        load_model(tmp_path / "bad.safetensors")
