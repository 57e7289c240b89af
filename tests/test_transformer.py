"""The transformation network: its size and shapes, any picture, tiles without seams, and its files."""

import pytest
import torch
from torch import nn

from nst_lesson.errors import LessonError, ParameterError
from nst_lesson.networks import transformer
from nst_lesson.networks.models import load_model, save_model
from nst_lesson.networks.transformer import TransformationNetwork, stylize
from nst_lesson.networks.upsampling import UpsampledConvolution
from nst_lesson.pictures.images import load_image


@pytest.fixture(scope="module")
def network():
    """A narrow network with the weights of seed 0, its contrast that of a trained one (an untrained one is wilder)."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return TransformationNetwork(0.25).eval()


def picture(height, width, seed=0):
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))


def test_the_full_width_has_the_known_number_of_weights():
    weights = sum(p.numel() for p in TransformationNetwork().parameters())
    # convolutions 3>32 (9x9), 32>64, 64>128, ten 128>128, 128>64, 64>32 (3x3), 32>3 (9x9), each with its bias, and two
    # numbers for each channel of the fifteen normalizations
    pairs = [(3, 32, 81), (32, 64, 9), (64, 128, 9), *[(128, 128, 9)] * 10, (128, 64, 9), (64, 32, 9), (32, 3, 81)]
    assert weights == sum(a * b * k + b for a, b, k in pairs) + 2 * (32 + 64 + 128 + 10 * 128 + 64 + 32)
    assert round(weights / 1e6, 2) == 1.68


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_instance_normalization_is_torchs_in_either_layout(batch, layout):
    mine = transformer.InstanceNorm(5)
    nn.init.normal_(mine.weight)
    nn.init.normal_(mine.bias)
    x = 3 * torch.randn(batch, 5, 6, 9) + 1
    wanted = nn.functional.instance_norm(x, weight=mine.weight, bias=mine.bias)
    torch.testing.assert_close(mine(x.to(memory_format=layout)), wanted)


def test_no_transposed_convolution_and_no_zero_padding(network):
    convolutions = [m for m in network.modules() if isinstance(m, nn.modules.conv._ConvNd)]
    upsampled = [m for m in convolutions if isinstance(m, UpsampledConvolution)]  # with a border of their own
    assert len(convolutions) == 16 and len(upsampled) == 2
    assert all(m.padding_mode == "reflect" for m in convolutions if m not in upsampled)
    assert not any(isinstance(m, nn.modules.conv._ConvTransposeNd) for m in convolutions)


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (7, 5), (16, 16), (33, 50), (64, 101)])
def test_any_size_comes_back_at_its_own_size_and_in_range(network, size):
    with torch.no_grad():
        result = network(picture(*size))
    assert result.shape == (1, 3, *size)
    assert result.min() >= 0 and result.max() <= 1 and result.isfinite().all()


def test_instance_normalization_makes_a_picture_independent_of_its_batch(network):
    """Batch normalization in training does not: that is the difference that lesson 06 shows."""
    a, b = picture(32, 32), picture(32, 32, seed=1) ** 3
    with torch.no_grad():
        # float32 sums in batches of one and two are rounded differently
        torch.testing.assert_close(network(torch.cat([a, b]))[:1], network(a), atol=1e-4, rtol=0)
        batch = TransformationNetwork(0.25, "batch").train()
        assert (batch(torch.cat([a, b]))[:1] - batch(a)).abs().mean() > 1e-3


def test_an_unknown_normalization():
    with pytest.raises(ParameterError, match="unknown normalization 'layer' .choose one of instance, batch"):
        TransformationNetwork(normalization="layer")


# ---- tiles


def test_a_small_picture_goes_through_whole_with_mirrored_borders(network):
    image, margin = picture(48, 64), transformer.MARGIN
    mirrored = torch.cat([image[:, :, 1 : margin + 1].flip(2), image, image[:, :, -margin - 1 : -1].flip(2)], dim=2)
    sides = mirrored[..., 1 : margin + 1].flip(3), mirrored[..., -margin - 1 : -1].flip(3)
    mirrored = torch.cat([sides[0], mirrored, sides[1]], dim=3)
    with torch.no_grad():
        inside = transformer.unweave(network(mirrored))[:, :, margin:-margin, margin:-margin]
        assert torch.equal(stylize(network, image), inside)


def test_with_the_same_statistics_tiles_are_exactly_the_whole(network):
    """The overlap is wider than the network's reach, so with the picture's own statistics no pixel differs."""
    image = load_image("rocket")
    shared = transformer._with_statistics_of(network, [image])
    with torch.no_grad():
        whole, pieces = transformer.unweave(shared(image)), transformer._in_tiles(shared, image, 384)
    # float32 sums over tiles of another shape are rounded differently
    torch.testing.assert_close(pieces, whole, atol=2e-4, rtol=0)


def test_tiles_leave_no_seam_and_stay_near_the_whole(network):
    image = load_image("rocket")  # bright flames below, dark sky above: tiles of their own contrast would show
    with torch.no_grad():
        whole, pieces = stylize(network, image), stylize(network, image, tile=384)
    assert (whole - pieces).abs().mean() < 4 / 255
    step = transformer._spans(image.shape[3], 384)[0][1]
    jumps = (pieces[..., 1:] - pieces[..., :-1]).abs().mean((0, 1, 2))
    own = (whole[..., 1:] - whole[..., :-1]).abs().mean((0, 1, 2))
    # across the border of two tiles, compared with the same place in the untiled picture
    assert jumps[step - 1] <= 1.1 * own[step - 1]


@pytest.mark.parametrize("tile", [1, 16])
def test_a_picture_narrower_than_a_grid_of_crops_goes_through_in_tiles(network, tile):
    image = torch.rand(1, 3, 3, 60)
    assert stylize(network, image, tile=tile).shape == image.shape


@pytest.mark.parametrize(("side", "tile"), [(1000, 512), (513, 512), (4096, 1024), (300, 256)])
def test_spans_cover_a_side_once(side, tile):
    spans = transformer._spans(side, tile)
    assert [p for a, b in spans for p in range(a, b)] == list(range(side))
    assert all(a % transformer.STRIDE == 0 for a, _ in spans)
    assert all(b - a + 2 * transformer.OVERLAP <= tile for a, b in spans)


# ---- the weave


@pytest.mark.parametrize("size", [(64, 96), (41, 67)])
def test_a_weave_goes_and_what_has_another_period_stays(size):
    height, width = size
    rows, columns = torch.arange(height).view(-1, 1), torch.arange(width)
    smooth = (0.5 + 0.2 * torch.sin(rows / 9.0) * torch.cos(columns / 13.0)).expand(1, 3, height, width)
    strokes = smooth + 0.1 * torch.sin((rows + 2 * columns) * 2 * torch.pi / 7)
    for image in (smooth, strokes):
        assert (transformer.unweave(image) - image).abs().mean() < 0.02
    weave = torch.rand(4, 4, generator=torch.Generator().manual_seed(0)).repeat(25, 25)[:height, :width]
    woven = smooth + 0.1 * weave
    left = (transformer.unweave(woven) - smooth).diff(dim=3).abs().mean()
    assert left < 0.25 * (woven - smooth).diff(dim=3).abs().mean()


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (7, 2)])
def test_a_tiny_picture_has_its_size_and_range_without_a_weave(size):
    result = transformer.unweave(picture(*size))
    assert result.shape == (1, 3, *size) and result.min() >= 0 and result.max() <= 1


# ---- files


def test_a_model_comes_back_from_its_file_to_half_precision(network, tmp_path):
    save_model(network, tmp_path / "mine.safetensors")
    again = load_model(tmp_path / "mine.safetensors")
    assert again.settings == network.settings and not again.training
    image = picture(32, 48)
    with torch.no_grad():
        # weights keep 11 bits; two gray levels of 255 at most on an untrained network
        assert (again(image) - network(image)).abs().max() < 2 / 255
    assert (tmp_path / "mine.safetensors").stat().st_size < 2.2 * sum(p.numel() for p in network.parameters()) + 8000


def test_a_model_with_batch_normalization_comes_back_too_and_its_tiles_use_its_own_statistics(tmp_path):
    torch.manual_seed(0)
    trained = TransformationNetwork(0.1, "batch")
    with torch.no_grad():
        trained(torch.cat([picture(64, 64, seed) for seed in range(4)]))  # statistics of its training
    save_model(trained, tmp_path / "batch.safetensors")
    again = load_model(tmp_path / "batch.safetensors")
    image = picture(200, 300)
    torch.testing.assert_close(stylize(again, image, tile=192), stylize(again, image), atol=1e-5, rtol=0)


@pytest.mark.parametrize("content", [b"", b"not safetensors", b"\x08\0\0\0\0\0\0\0{}      "])
def test_a_damaged_or_foreign_file_is_one_line(tmp_path, content):
    path = tmp_path / "bad.safetensors"
    path.write_bytes(content)
    with pytest.raises(LessonError, match="bad.safetensors is not a model of this course: ") as caught:
        load_model(path)
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_an_unknown_name():
    with pytest.raises(ParameterError, match="there is no model file nowhere.safetensors"):
        load_model("nowhere.safetensors")
    with pytest.raises(ParameterError, match="unknown model 'nocturn': did you mean 'nocturne'"):
        load_model("nocturn")


@pytest.mark.parametrize("name", ["m.pt", "m", "deep/er/m.safetensors"])
def test_a_model_comes_back_whatever_its_file_is_called(network, tmp_path, name, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_model(network, name)
    assert load_model(name).settings == network.settings


def test_home_is_understood_in_both_directions(network, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    save_model(network, "~/mine.safetensors")
    assert (tmp_path / "mine.safetensors").is_file()
    assert load_model("~/mine.safetensors").settings == network.settings


def test_a_place_that_cannot_be_written_is_one_line(network, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(LessonError, match="cannot write .*m.safetensors") as caught:
        save_model(network, tmp_path / "file" / "m.safetensors")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("tile", [48, 1024], ids=["tiles", "whole"])
def test_a_batch_is_its_pictures_one_by_one(network, tile):
    pictures = torch.cat([picture(70, 90), picture(70, 90, 1) ** 3])
    alone = torch.cat([stylize(network, one, tile=tile) for one in pictures.split(1)])
    # float32 sums in batches of one and two are rounded differently
    torch.testing.assert_close(stylize(network, pictures, tile=tile), alone, atol=1e-4, rtol=0)


@pytest.mark.parametrize("tile", [48, 1024], ids=["tiles", "whole"])
def test_stylizing_trains_nothing(tile):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = TransformationNetwork(0.1, "batch").train()
        network(picture(64, 64))
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    painted = stylize(network, picture(70, 90), tile=tile)
    assert network.training and all(torch.equal(before[name], now) for name, now in network.state_dict().items())
    assert torch.equal(painted, stylize(network.eval(), picture(70, 90), tile=tile))
