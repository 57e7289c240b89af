"""Backbones: the named VGGs equal torchvision's, everything is frozen, errors are one clear line."""

import hashlib
import http.server
import threading
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import nn
from torchvision import models

from nst_lesson.errors import LessonError, ParameterError, WeightsError
from nst_lesson.networks import backbones
from nst_lesson.networks.backbones import (
    CHANNELS,
    STYLE_LAYERS,
    VGG,
    VGG_WEIGHTS,
    fetch_weights,
    load_backbone,
    normalize_filters,
    resolve_device,
    stand_ins,
)
from nst_lesson.paths import data_dir
from nst_lesson.pictures.images import load_image

TEACHER = Path(__file__).parents[2] / "shared" / "teachers" / "vgg19_conv1_1_to_conv3_4.safetensors"


def seeded(shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def he_state(shapes, seed=0):
    """Random weights for a network's shapes under which its activations neither vanish nor explode."""
    generator = torch.Generator().manual_seed(seed)
    scale = {key: (2 / shape[1:].numel()) ** 0.5 if len(shape) > 1 else 0.1 for key, shape in shapes.items()}
    state = {key: torch.randn(shape, generator=generator) * scale[key] for key, shape in shapes.items()}
    return {key: tensor.abs() + 0.5 if key.endswith("running_var") else tensor for key, tensor in state.items()}


@pytest.fixture(autouse=True)
def classroom(tmp_path, monkeypatch):
    """A folder for weights, the only place where any are: an empty cache, and no internet."""
    (tmp_path / "stick").mkdir()
    monkeypatch.setenv("NST_LESSON_WEIGHTS", str(tmp_path / "stick"))
    monkeypatch.setenv("NST_LESSON_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    for scheme in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(scheme, "http://127.0.0.1:9")  # nobody listens there
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield tmp_path / "stick"
    for path in tmp_path.rglob("*.safetensors"):
        path.unlink()  # up to 80 MB each, and pytest keeps its folders


@pytest.mark.parametrize("content", ["junk", "of another network"])
def test_weights_that_are_there_are_tried_before_class(classroom, content):
    file = classroom / "vgg16-397923af.safetensors"
    if content == "junk":
        file.write_bytes(b"junk")
    else:
        save_file({"features.0.weight": torch.zeros(2)}, file)
    with pytest.raises(WeightsError, match=f"{file.name}.*delete it, then fetch"):
        fetch_weights("vgg16")


@pytest.fixture
def pocket(tmp_path, monkeypatch):
    """The pocket network that ships, or, in a clone where it is not trained yet, a random one of its form."""
    if not (data_dir() / "weights" / "pocket.safetensors").exists():
        vgg = VGG(CHANNELS["pocket"], metric_layers=STYLE_LAYERS)
        (tmp_path / "weights").mkdir()
        save_file(
            he_state({key: tensor.shape for key, tensor in vgg.state_dict().items()}),
            tmp_path / "weights" / "pocket.safetensors",
        )
        monkeypatch.setattr(backbones, "data_dir", lambda: tmp_path)
    return load_backbone("pocket")


def torchvision_vgg(name):
    """The convolutional part of torchvision's `name` with random weights, without its 468 MB of dense layers."""
    with torch.device("meta"):
        features = models.get_model(name, weights=None).features
    features.load_state_dict(he_state({k: v.shape for k, v in features.state_dict().items()}), assign=True)
    return features.eval()


@pytest.mark.parametrize("name", VGG_WEIGHTS)
@torch.no_grad()
def test_every_layer_equals_torchvisions(name, classroom):
    reference = torchvision_vgg(name.removesuffix("-caffe"))
    small = f"{name}-{models.get_weight(VGG_WEIGHTS[name]).url[-12:-4]}.safetensors"
    save_file({f"features.{k}": v.contiguous() for k, v in reference.state_dict().items()}, classroom / small)
    backbone, image = load_backbone(name), seeded((1, 3, 56, 40))
    features = backbone(image, backbone.layers)
    assert len(backbone.layers) == len(reference) == len(features)

    transforms = models.get_weight(VGG_WEIGHTS[name]).transforms()
    mean, std = transforms.mean, transforms.std
    x = (image - torch.tensor(mean).view(1, 3, 1, 1)) / torch.tensor(std).view(1, 3, 1, 1)
    kinds = {nn.Conv2d: "conv", nn.ReLU: "relu", nn.MaxPool2d: "pool"}
    for layer, module in zip(backbone.layers, reference, strict=True):
        assert layer.startswith(kinds[type(module)])
        x = module(x.clone())
        # channels-last convolutions add in another order: float32 rounding, relative to the layer's largest value
        torch.testing.assert_close(features[layer], x, rtol=0, atol=1e-5 * x.abs().max().item())


def test_vgg16_caffe_takes_pixels_up_to_255():
    """Its scale is what makes Caffe's activations about 57 (255 * 0.226) times those of torchvision's own weights."""
    transforms = models.get_weight(VGG_WEIGHTS["vgg16-caffe"]).transforms()
    vgg = VGG(((8,),))
    vgg.normalize_with(transforms.mean, transforms.std)
    assert torch.allclose(1 / vgg.std, torch.tensor(255.0))
    assert torch.allclose(vgg.mean.flatten() * 255, torch.tensor([123.0, 117.0, 104.0]), atol=0.01)  # Caffe's BGR mean


@pytest.fixture
def published(tmp_path, monkeypatch):
    """A VGG-19 of small widths, published on a server of this machine as torchvision publishes the real one."""
    monkeypatch.setitem(CHANNELS, "vgg19", ((4,) * 2, (4,) * 2, (4,) * 4, (8,) * 4, (8,) * 4))
    (tmp_path / "www").mkdir()
    vgg = VGG(CHANNELS["vgg19"])
    names = backbones._torchvision_names(vgg)
    state = he_state({theirs: vgg.state_dict()[ours].shape for theirs, ours in names.items()})
    torch.save(state | {"classifier.0.bias": torch.zeros(9)}, tmp_path / "www" / "new")
    digest = hashlib.sha256((tmp_path / "www" / "new").read_bytes()).hexdigest()[:8]
    (tmp_path / "www" / "new").rename(tmp_path / "www" / f"vgg19-{digest}.pth")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=tmp_path / "www"))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}/vgg19-{digest}.pth"
    real = models.VGG19_Weights.IMAGENET1K_V1
    entry = SimpleNamespace(url=url, transforms=real.transforms, meta=real.meta)
    monkeypatch.setattr(models, "get_weight", {VGG_WEIGHTS["vgg19"]: entry}.get)
    yield SimpleNamespace(state=state, small=f"vgg19-{digest}.safetensors")
    server.shutdown()
    thread.join()
    server.server_close()


def test_download_on_first_use_then_the_cache(published, tmp_path):
    first = load_backbone("vgg19")
    path = tmp_path / "cache" / "weights" / published.small
    assert load_file(path).keys() == published.state.keys()
    assert torch.equal(first.body.conv5_4.bias, published.state["features.34.bias"])
    (tmp_path / "www").rename(tmp_path / "gone")
    assert torch.equal(load_backbone("vgg19").body.conv1_1.weight, first.body.conv1_1.weight)
    assert fetch_weights("vgg19") == path


def test_normalizing_does_not_write_to_the_mapped_file(published):
    before = fetch_weights("vgg19").read_bytes()
    weight = load_backbone("vgg19").body.conv1_1.weight
    assert not torch.equal(load_backbone("vgg19", normalized=True).body.conv1_1.weight, weight)
    assert fetch_weights("vgg19").read_bytes() == before


def test_offline_vgg19_names_file_address_and_alternative():
    for get in (load_backbone, fetch_weights):
        with pytest.raises(WeightsError, match=r"cannot download https://.*vgg19-dcbb9e9d\.pth.*NST_LESSON.*pocket"):
            get("vgg19")


@pytest.mark.parametrize("name", ["pocket", "random", "random-vgg19"])
def test_fetch_needs_something_to_fetch(name):
    with pytest.raises(ParameterError, match=f"'{name}' needs no download"):
        fetch_weights(name)


@pytest.mark.skipif(not TEACHER.exists(), reason="the true first layers of VGG-19 are not beside this clone")
@torch.no_grad()
def test_true_first_layers_of_vgg19():
    vgg = VGG(CHANNELS["vgg19"])
    state = load_file(TEACHER)
    names = backbones._torchvision_names(vgg)
    result = vgg.load_state_dict({names[key]: tensor for key, tensor in state.items()}, strict=False)
    assert result.unexpected_keys == []
    assert {key.split(".")[1] for key in result.missing_keys} == {f"conv{b}_{i}" for b in (4, 5) for i in range(1, 5)}
    image = load_image("astronaut", 128)
    for features in vgg(image, ("relu1_1", "relu2_1", "relu3_1")).values():
        assert 10 < features.mean() < 1000  # Caffe's activations: tens to hundreds
    body = vgg.body[: vgg.layers.index("relu3_4") + 1]  # the rest is untrained
    vgg.layers, vgg.body = tuple(body._modules), body
    normalize_filters(vgg, [image])
    for features in vgg(image, ("relu1_1", "relu3_4")).values():
        assert features.mean() == pytest.approx(1, rel=0.2)  # channels that hardly fire stay under 1


@pytest.mark.parametrize("normalized", [False, True])
def test_activation_scale_multiplies_every_feature(normalized):
    image, layers = seeded((1, 3, 32, 32)), ("conv1_1", "relu4_1")
    plain = load_backbone("random", normalized=normalized)(image, layers)
    scaled = load_backbone("random", normalized=normalized, activation_scale=57.0)(image, layers)
    torch.testing.assert_close(scaled, {k: 57 * f for k, f in plain.items()})


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan"), float("inf")])
def test_an_activation_scale_without_sense(scale):
    with pytest.raises(ParameterError, match="activation_scale is .*; give a number above 0"):
        load_backbone("random", activation_scale=scale)


def test_relu5_1_stands_in_for_what_lies_deeper_only(pocket):
    asked = ("relu5_3", "conv5_2", "conv5_1", "relu4_2", "nonsense")
    used = ("relu5_1", "relu5_1", "conv5_1", "relu4_2", "nonsense")
    assert stand_ins(pocket, asked) == dict(zip(asked, used, strict=True))
    full = load_backbone("random-vgg16")
    assert stand_ins(full, ("relu5_3",)) == {"relu5_3": "relu5_3"}


# The pocket network


def test_pocket_is_the_default_and_ends_at_relu5_1(pocket):
    assert pocket.name == "pocket"
    assert pocket.layers[-3:] == ("conv5_1", "relu5_1", "pool5")
    features = pocket(seeded((2, 3, 64, 48)), STYLE_LAYERS)
    shapes = [tuple(f.shape) for f in features.values()]
    assert shapes == [(2, w, 64 >> i, 48 >> i) for i, w in enumerate((16, 64, 128, 256, 384))]
    with pytest.raises(ParameterError, match="unknown layer of pocket 'relu5_3': did you mean 'relu5_1'"):
        pocket(seeded((1, 3, 64, 64)), ("relu1_1", "relu5_3"))


def test_pocket_metric_maps_leave_the_trunk_alone(pocket):
    image = seeded((1, 3, 48, 48))
    assert set(STYLE_LAYERS) <= set(pocket.metric)
    features = pocket(image, ("conv1_1", "relu1_1", "conv1_2"))
    trunk = features["conv1_1"].relu()
    torch.testing.assert_close(features["relu1_1"], pocket.metric["relu1_1"](trunk))
    torch.testing.assert_close(features["conv1_2"], pocket.body.conv1_2(trunk))


def test_pocket_is_normalized_already(pocket):
    again = load_backbone("pocket", normalized=True)
    assert all(torch.equal(a, b) for a, b in zip(pocket.parameters(), again.parameters(), strict=True))


def test_a_missing_or_damaged_pocket_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(backbones, "data_dir", lambda: tmp_path)
    with pytest.raises(WeightsError, match=r"cannot read .*pocket\.safetensors.*install it again"):
        load_backbone()
    (tmp_path / "weights").mkdir()
    save_file({"body.conv1_1.bias": torch.zeros(16)}, tmp_path / "weights" / "pocket.safetensors")
    with pytest.raises(WeightsError, match=r"pocket\.safetensors holds the weights of another network"):
        load_backbone()


# Untrained networks


def test_random_is_seeded_and_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    one, same, other = load_backbone("random"), load_backbone("random", seed=0), load_backbone("random", seed=1)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(one.body.conv3_2.weight, same.body.conv3_2.weight)
    assert not torch.equal(one.body.conv3_2.weight, other.body.conv3_2.weight)
    assert all(not conv.bias.any() for conv in one.body if isinstance(conv, nn.Conv2d))


def test_random_keeps_the_size_of_activations():
    features = load_backbone("random")(load_image("chelsea", 96), STYLE_LAYERS)
    energies = [f.square().mean().item() for f in features.values()]
    assert max(energies) < 30 * min(energies)  # He et al. 2015: the same in expectation; at 16-384 channels, roughly


@pytest.mark.parametrize("shape", ["vgg19", "vgg16"])
def test_random_full_shapes(shape):
    vgg = load_backbone(f"random-{shape}")
    assert len(vgg.layers) == 2 * sum(len(block) for block in CHANNELS[shape]) + 5
    assert vgg.body.conv5_1.weight.shape == (512, 512, 3, 3)


# What holds for all


@pytest.mark.parametrize("pooling", ["max", "avg"])
def test_frozen_but_gradients_reach_the_image(pocket, pooling):
    for name in ("pocket", "random"):
        backbone = load_backbone(name, pooling=pooling)
        assert not backbone.training and not any(p.requires_grad for p in backbone.parameters())
        image = seeded((1, 3, 32, 32)).requires_grad_()
        backbone(image, ["relu5_1"])["relu5_1"].square().sum().backward()
        assert image.grad.isfinite().all() and image.grad.abs().sum() > 0


def test_average_pooling_averages():
    image = seeded((1, 3, 32, 48))
    features = load_backbone("random", pooling="avg")(image, ("relu1_2", "pool1"))
    expected = nn.functional.avg_pool2d(features["relu1_2"], 2)
    torch.testing.assert_close(features["pool1"], expected)
    largest = load_backbone("random")(image, ("relu1_2", "pool1"))
    torch.testing.assert_close(largest["pool1"], nn.functional.max_pool2d(largest["relu1_2"], 2))


def test_layers_in_any_order_repeated_or_single():
    backbone, image = load_backbone("random"), seeded((1, 3, 32, 32))
    several = backbone(image, ("relu3_1", "conv1_1", "relu3_1"))
    assert several.keys() == {"relu3_1", "conv1_1"}
    torch.testing.assert_close(backbone(image, iter(["conv1_1"]))["conv1_1"], several["conv1_1"])
    assert backbone(image, "relu3_1").keys() == {"relu3_1"}
    assert backbone(image, ()) == {}


def test_stored_features_are_not_overwritten():
    backbone, image = load_backbone("random"), seeded((1, 3, 32, 32))
    assert (backbone(image, ("conv2_1", "relu2_1"))["conv2_1"] < 0).any()


def test_nothing_deeper_than_asked_is_computed():
    backbone, reached = load_backbone("random"), []
    for name, module in backbone.body.named_children():
        module.register_forward_hook(lambda *args, name=name: reached.append(name))
    backbone(seeded((1, 3, 32, 32)), ("relu2_1", "relu1_1"))
    assert reached[-1] == "relu2_1"


def test_channels_last_on_a_cpu():
    backbone = load_backbone("random")
    features = backbone(seeded((1, 3, 32, 32)), ["relu3_1"])["relu3_1"]
    assert features.is_contiguous(memory_format=torch.channels_last)


# Normalized filters


@torch.no_grad()
def test_normalization_gives_mean_one_and_changes_only_the_scale_of_channels():
    plain, normal = load_backbone("random"), load_backbone("random")
    images = [load_image(name, 96) for name in ("astronaut", "chelsea")]
    normalize_filters(normal, images)
    layers = [*(f"relu{b}_1" for b in range(1, 6)), "relu4_4"]
    means = {k: torch.stack([normal(image, layers)[k].mean((0, 2, 3)) for image in images]).mean(0) for k in layers}
    before, after = plain(images[0], layers), normal(images[0], layers)
    for layer in layers:
        raw = torch.stack([plain(image, [layer])[layer].mean((0, 2, 3)) for image in images]).mean(0)
        fires = raw > 0.05 * raw.median()
        assert fires.sum() > len(fires) / 2  # untrained networks have silent channels
        torch.testing.assert_close(means[layer][fires], torch.ones(int(fires.sum())), rtol=1e-3, atol=0)
        expected = before[layer] / raw.clamp_min(0.05 * raw.median()).view(1, -1, 1, 1)
        # rescaled weights are rounded anew in each of up to 13 layers
        torch.testing.assert_close(after[layer], expected, rtol=1e-3, atol=1e-4 * expected.max().item())


@torch.no_grad()
def test_normalization_survives_silent_channels_and_layers():
    vgg = load_backbone("random")
    vgg.body.conv2_1.bias[3] = -1e6  # one silent channel
    vgg.body.conv5_1.bias.fill_(-1e6)  # a silent layer
    image = load_image("chelsea", 64)
    normalize_filters(vgg, [image])
    features = vgg(image, ("relu2_1", "relu4_1", "relu5_1"))
    assert all(f.isfinite().all() for f in features.values())
    assert not features["relu2_1"][:, 3].any() and not features["relu5_1"].any()
    assert features["relu4_1"].mean((0, 2, 3)).max() == pytest.approx(1, rel=1e-3)


@torch.no_grad()
def test_normalized_uses_the_bundled_photographs():
    features = load_backbone("random", normalized=True)(load_image("coffee", 128), STYLE_LAYERS)
    for layer in STYLE_LAYERS:
        assert 0.3 < features[layer].mean() < 3  # near 1, one photograph of the several


# Other torchvision networks


def serve(name, classroom):
    """Random weights of a torchvision network, laid into the classroom folder; a copy of the network with them."""
    with torch.random.fork_rng(devices=[]):
        model = models.get_model(name, weights=None).eval()
    state = model.state_dict()
    kept = {k: v.shape for k, v in state.items() if not k.endswith("num_batches_tracked")}
    kept = he_state(kept)
    state.update(kept)
    model.load_state_dict(state)
    save_file(kept, classroom / backbones._source(name).small_file)
    return model


@pytest.mark.parametrize("name", ["squeezenet1_1", "mnasnet0_5", "densenet121"])
@torch.no_grad()
def test_other_networks_equal_torchvisions(name, classroom):
    """At every module that is a layer; hooks copy the reference's outputs before in-place ReLUs overwrite them."""
    reference, before = serve(name, classroom), torch.get_rng_state()
    backbone, image = load_backbone(name), seeded((1, 3, 72, 64))
    assert torch.equal(torch.get_rng_state(), before)
    assert backbone.name == name and not any(p.requires_grad for p in backbone.parameters())
    expected = {}
    for path, module in reference.named_modules():
        if path in backbone.layers and not list(module.children()):
            module.register_forward_hook(lambda m, i, out, path=path: expected.__setitem__(path, out.clone()))
    mean, std = torch.tensor(backbones.IMAGENET_MEAN), torch.tensor(backbones.IMAGENET_STD)
    reference((image - mean.view(1, 3, 1, 1)) / std.view(1, 3, 1, 1))
    features = backbone(image, backbone.layers)
    assert features.keys() == set(backbone.layers) and len(expected) > 40
    for layer, value in expected.items():
        # channels-last convolutions add in another order; many layers of it
        torch.testing.assert_close(features[layer], value, rtol=0, atol=1e-4 * value.abs().max().item())


def test_squeezenet_modules_nodes_and_gradients(classroom):
    serve("squeezenet1_1", classroom)
    backbone, image = load_backbone("squeezenet1_1"), seeded((1, 3, 64, 48)).requires_grad_()
    features = backbone(image, ("features.3", "features.3.cat", "features.0"))
    assert torch.equal(features["features.3"], features["features.3.cat"])  # a module stands for its last node
    assert (features["features.0"] < 0).any()  # not overwritten by the ReLU that follows
    assert all(f.ndim == 4 for f in features.values())
    features["features.3"].sum().backward()
    assert image.grad.abs().sum() > 0
    assert "x" not in backbone.layers
    assert backbone(image, ()) == {}
    with pytest.raises(ParameterError, match=r"unknown layer of squeezenet1_1 'feature.3': did you mean 'features\.3"):
        backbone(image, ["feature.3"])
    with pytest.raises(ParameterError, match="8x64 pixels is too small for features.3 of squeezenet1_1: it needs 17"):
        backbone(seeded((1, 3, 8, 64)), ["features.3"])


@pytest.mark.parametrize("settings", [{"pooling": "avg"}, {"normalized": True}])
def test_vgg_settings_do_not_apply_to_other_networks(settings):
    with pytest.raises(ParameterError, match="apply to pocket, .*not to 'resnet18'"):
        load_backbone("resnet18", **settings)


# Errors


def test_unknown_backbone_lists_the_valid_ones():
    with pytest.raises(ParameterError, match="unknown backbone 'VGG-19': did you mean 'vgg19'") as caught:
        load_backbone("VGG-19")
    for name in ("pocket", "vgg16-caffe", "random", "squeezenet1_1"):
        assert name in str(caught.value)
    assert isinstance(caught.value, LessonError) and "\n" not in str(caught.value)
    with pytest.raises(ParameterError, match="unknown backbone 'vit_b_16'"):  # no (B, C, H, W) features
        fetch_weights("vit_b_16")


@pytest.mark.parametrize("name", ["random", "pocket"])
def test_unknown_pooling(name, pocket):
    with pytest.raises(ParameterError, match="unknown pooling 'average': did you mean 'avg'"):
        load_backbone(name, pooling="average")


@pytest.mark.parametrize(
    "image",
    [torch.zeros(3, 32, 32), torch.zeros(1, 1, 32, 32), torch.zeros(1, 3, 32, 32, dtype=torch.uint8)],
    ids=["no batch", "grey", "bytes"],
)
def test_images_of_another_form(image):
    with pytest.raises(ParameterError, match=r"random takes images \(B, 3, H, W\) of floats in \[0, 1\], not \("):
        load_backbone("random")(image, ["relu1_1"])


def test_image_on_another_device():
    with pytest.raises(ParameterError, match="the image is on meta, random on cpu: move one of them"):
        load_backbone("random")(torch.zeros(1, 3, 32, 32, device="meta"), ["relu1_1"])


def test_too_small_for_the_depth():
    with pytest.raises(ParameterError, match="8x8 pixels is too small for relu5_1 of random: it needs 16"):
        load_backbone("random")(seeded((1, 3, 8, 8)), STYLE_LAYERS)


NARROW = {mode: VGG(((2,), (2,), (2, 2)), padding_mode=mode) for mode in ("zeros", "reflect")}


@settings(deadline=None)
@given(st.sampled_from(sorted(NARROW)), st.sampled_from(NARROW["zeros"].layers), st.integers(0, 3))
def test_smallest_image_is_the_smallest(mode, layer, more):
    """Torch itself fails one pixel below the stated least size, and at no size above."""
    vgg = NARROW[mode]
    least = vgg._smallest({layer})
    assert vgg(torch.zeros(1, 3, least, least + more), [layer])[layer].numel() > 0
    if least > 1:
        with pytest.raises(RuntimeError):
            vgg._features(torch.zeros(1, 3, least - 1, least + more), {layer})


def test_devices(monkeypatch):
    assert resolve_device("cpu") == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert resolve_device("auto") == "cpu"
    with pytest.raises(ParameterError, match="no 'cuda' device; choose 'auto' or 'cpu'"):
        load_backbone("random", device="cuda")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert resolve_device("auto") == "cpu" and resolve_device("mps") == "mps"
    assert resolve_device(torch.device("cpu")) == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert resolve_device("auto") == "cuda" and resolve_device("cuda:1") == "cuda:1"
    with pytest.raises(ParameterError, match="unknown device 'gpu'.*choose one of auto, cuda, mps, cpu"):
        resolve_device("gpu")
