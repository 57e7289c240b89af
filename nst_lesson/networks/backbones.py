"""Frozen convolutional networks whose layers are asked for by name: VGG-19, VGG-16, pocket, random, and others."""

from __future__ import annotations

import math
import re
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

import torch
from torch import Tensor, nn

from ..errors import ParameterError, unknown
from ..paths import data_dir
from ..pictures.images import load_image, photo_names
from .weights import Published, fetch, load_weights, read_weights, shapes_of

if TYPE_CHECKING:  # elsewhere where it is needed: torchvision takes a third of the seconds of `import nst_lesson`
    from torchvision.models import WeightsEnum

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

CHANNELS = {  # of each convolution, block by block
    "vgg16": ((64,) * 2, (128,) * 2, (256,) * 3, (512,) * 3, (512,) * 3),
    "vgg19": ((64,) * 2, (128,) * 2, (256,) * 4, (512,) * 4, (512,) * 4),
    # What is judged is wide, what lies between narrow: a Gram matrix sees no more than the channels of its layer.
    "pocket": ((16, 16), (64, 64), (128, 96, 96, 64), (256, 192, 96, 96), (384,)),
}
CONTENT_LAYERS = ("relu4_2",)
STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")

POOLS = {"max": nn.MaxPool2d, "avg": nn.AvgPool2d}
VGG_WEIGHTS = {  # as torchvision names them
    "vgg19": "VGG19_Weights.IMAGENET1K_V1",
    "vgg16": "VGG16_Weights.IMAGENET1K_V1",
    "vgg16-caffe": "VGG16_Weights.IMAGENET1K_FEATURES",
}
RANDOM_SHAPES = {"random": "pocket", "random-vgg19": "vgg19", "random-vgg16": "vgg16"}
BACKBONES = ("pocket", *VGG_WEIGHTS, *RANDOM_SHAPES)
OTHER_LAYOUTS = ("convnext*", "maxvit*", "swin*", "vit*")  # their features are not (B, C, H, W) throughout


def layer_names(layers: str | Iterable[str]) -> tuple[str, ...]:
    """The names of layers as a tuple, whether one came alone or several came in any collection."""
    return (layers,) if isinstance(layers, str) else tuple(layers)


class Backbone(nn.Module):
    """A frozen network: backbone(image, layers) gives {layer: features}. `layers` are its names, in order of depth.

    A subclass sets `layers` and has `_smallest(layers)`, the least height and width in pixels that reaches them, and
    `_features(x, layers)` of an image x that is normalized.
    """

    name: str = "backbone"
    layers: tuple[str, ...]
    activation_scale: float = 1.0  # what every feature is multiplied by on the way out
    mean: Tensor
    std: Tensor
    _features: Callable[[Tensor, set[str]], dict[str, Tensor]]
    _smallest: Callable[[set[str]], int]

    def __init__(self) -> None:
        super().__init__()
        self.normalize_with(IMAGENET_MEAN, IMAGENET_STD)

    def normalize_with(self, mean: Sequence[float], std: Sequence[float]) -> None:
        """The network sees (image - mean) / std, per channel."""
        for name, values in (("mean", mean), ("std", std)):
            buffer = torch.tensor(values, dtype=torch.float32, device="cpu").view(1, 3, 1, 1)
            self.register_buffer(name, buffer, persistent=False)

    def train(self, mode: bool = True) -> Self:
        """Stay in evaluation mode, also as a part of a network that is trained: the statistics are frozen, too."""
        return super().train(False)

    def forward(self, image: Tensor, layers: str | Iterable[str]) -> dict[str, Tensor]:
        """Features of `image` (B, 3, H, W), RGB in [0, 1], at the named `layers`: {name: (B, C, H', W')}.

        Nothing deeper than the deepest asked for is computed; gradients flow to the image. Raises ParameterError for
        an unknown layer, and for an image of another form or too small for the depth.
        """
        wanted = set(layer_names(layers))
        if missing := wanted.difference(self.layers):
            raise unknown(f"layer of {self.name}", min(missing, key=str), self.layers)
        if image.ndim != 4 or image.shape[1] != 3 or not image.is_floating_point():
            form = f"{tuple(image.shape)} of {str(image.dtype).removeprefix('torch.')}"
            raise ParameterError(f"{self.name} takes images (B, 3, H, W) of floats in [0, 1], not {form}")
        if image.device != self.mean.device:
            raise ParameterError(f"the image is on {image.device}, {self.name} on {self.mean.device}: move one of them")
        if not wanted:
            return {}
        if min(image.shape[2:]) < (least := self._smallest(wanted)):
            size, depth = f"{image.shape[2]}x{image.shape[3]}", max(wanted, key=self.layers.index)
            raise ParameterError(f"an image of {size} pixels is too small for {depth} of {self.name}: it needs {least}")
        features = self._features((image.to(self.mean.dtype) - self.mean) / self.std, wanted)
        if self.activation_scale == 1:
            return features
        return {layer: self.activation_scale * f for layer, f in features.items()}


class VGG(Backbone):
    """A VGG-shaped feature extractor with the layers conv1_1, relu1_1, ..., pool1, ... (Simonyan & Zisserman 2014).

    `channels` has a tuple for each block: the channels of its convolutions. `metric_layers` names the layers that get
    a square 1x1 map on the way out (see `pocket` in `load_backbone`); the next layer sees the unmapped features.
    Raises ParameterError for an unknown pooling.
    """

    def __init__(
        self,
        channels: Sequence[Sequence[int]],
        *,
        pooling: str = "max",
        padding_mode: Literal["zeros", "reflect"] = "zeros",
        metric_layers: Iterable[str] = (),
    ) -> None:
        super().__init__()
        if pooling not in POOLS:
            raise unknown("pooling", pooling, tuple(POOLS))
        body: OrderedDict[str, nn.Module] = OrderedDict()
        widths = {"image": 3}
        for block, block_channels in enumerate(channels, start=1):
            for index, width in enumerate(block_channels, start=1):
                before, name = list(widths.values())[-1], f"{block}_{index}"
                body[f"conv{name}"] = nn.Conv2d(before, width, 3, padding=1, padding_mode=padding_mode)
                body[f"relu{name}"] = nn.ReLU()  # out of place: stored features stay what they were
                widths[f"relu{name}"] = width
            body[f"pool{block}"] = POOLS[pooling](2)
        self.layers = tuple(body)
        self.body = nn.Sequential(body)
        self.padding_mode = padding_mode
        maps = {name: nn.Conv2d(widths[name], widths[name], 1, bias=False) for name in metric_layers}
        self.metric = nn.ModuleDict(maps)

    def _smallest(self, layers: set[str]) -> int:
        deepest = max(layers, key=self.layers.index)  # each pooling halves; it and reflection padding need two pixels
        pair = deepest.startswith("pool") or self.padding_mode == "reflect"
        return 2 ** (int(deepest[4]) - 1 + pair)

    def _features(self, x: Tensor, layers: set[str]) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}
        for name, module in self.body.named_children():
            if len(found) == len(layers):
                break
            x = module(x)
            if name in layers:
                found[name] = self.metric[name](x) if name in self.metric else x
        return found


class NodeNetwork(Backbone):
    """A torchvision network with the nodes of its traced graph as layers, as named by torchvision.feature_extraction.

    A module's name, such as `layer2`, stands for its last node. `least` is the smallest image side, in pixels.
    """

    def __init__(self, model: nn.Module, least: int) -> None:
        super().__init__()
        self.model, self.least = model.eval(), least
        for module in model.modules():
            if hasattr(module, "inplace"):
                setattr(module, "inplace", False)  # noqa: B010 (a type checker knows no such attribute)
        self.nodes = self._find_nodes(max(64, least))
        self.layers = tuple(self.nodes)
        self.extractors: dict[frozenset[str], nn.Module] = {}

    def _find_nodes(self, size: int) -> dict[str, str]:
        """{layer: node} of each node, and of each module by its last node, whose output is (B, C, H, W)."""
        from torchvision.models.feature_extraction import get_graph_node_names

        _, names = get_graph_node_names(self.model, suppress_diff_warning=True)
        with torch.no_grad():
            outputs = self._extractor(names[1:])(torch.zeros(1, 3, size, size))  # the first node is the input
        nodes: dict[str, str] = {}
        for node in reversed([n for n in outputs if isinstance(outputs[n], Tensor) and outputs[n].ndim == 4]):
            parts = node.split(".")
            for depth in range(1, len(parts) + 1):
                nodes.setdefault(".".join(parts[:depth]), node)
        return dict(reversed(nodes.items()))

    def _extractor(self, nodes: Iterable[str]) -> nn.Module:
        """The network cut after the deepest of `nodes`; no node overwrites another's output."""
        from torchvision.models.feature_extraction import create_feature_extractor

        extractor = create_feature_extractor(self.model, {n: n for n in nodes}, suppress_diff_warning=True)
        for node in extractor.graph.nodes:
            if node.kwargs.get("inplace"):
                node.update_kwarg("inplace", False)
        extractor.recompile()
        return extractor

    def _smallest(self, layers: set[str]) -> int:
        return self.least

    def _features(self, x: Tensor, layers: set[str]) -> dict[str, Tensor]:
        nodes = frozenset(self.nodes[layer] for layer in layers)
        if nodes not in self.extractors:
            self.extractors[nodes] = self._extractor(nodes)
        found = self.extractors[nodes](x)
        return {layer: found[self.nodes[layer]] for layer in self.layers if layer in layers}


def load_backbone(
    name: str = "pocket",
    *,
    pooling: str = "max",
    normalized: bool = False,
    activation_scale: float = 1.0,
    seed: int = 0,
    device: str | torch.device = "cpu",
) -> Backbone:
    """A frozen feature extractor: backbone(image, layers) -> {layer: (B, C, H', W')}, image RGB in [0, 1].

    `name` is one of
    - "pocket": a slim VGG-19 up to relu5_1, distilled, embedded. It has VGG-19's layers and Oxford's VGG-16's judgment:
      at the five style layers, relu3_3 and relu4_2 distances of its features, and of their Gram matrices, approximate
      those of "vgg16-caffe", each layer divided by its mean activation.
    - "vgg19", "vgg16": torchvision's weights, trained from scratch on ImageNet (Simonyan & Zisserman 2014).
    - "vgg16-caffe": Oxford's own VGG-16, as the method's authors used it. It takes RGB times 255 minus the mean, so
      that its activations are about 57 times torchvision's, and weights from a paper fit it.
    - "random", "random-vgg19", "random-vgg16": untrained (He et al. 2015 initialization, no bias) from `seed`, in the
      shape of pocket, VGG-19 or VGG-16.
    - any other convolutional classification network of torchvision by its function's name ("squeezenet1_1"), with
      its default weights and graph nodes or modules as layers.

    `pooling` "max" or "avg" (Gatys et al. 2016) and `normalized` apply to VGG shapes. `normalized` scales filters so
    that the mean activation of each channel over the bundled photographs is 1 (Gatys et al. 2016, section 2); pocket
    stays as it is: in its training each layer was scaled as a whole. Features are multiplied by `activation_scale`: 57,
    which is 255 times ImageNet's mean deviation, brings torchvision's to the size of Caffe's, for which many published
    weights of losses were chosen. Weights that are not here are downloaded: see `fetch_weights`.

    Raises ParameterError for an unknown name, pooling, scale or device, and WeightsError where the weights cannot be
    had.
    """
    device = resolve_device(device)
    if not isinstance(activation_scale, Real) or not 0 < activation_scale < math.inf:
        raise ParameterError(f"activation_scale is {activation_scale!r}; give a number above 0")
    if not isinstance(seed, Integral):
        raise ParameterError(f"seed is {seed!r}; give a whole number")
    backbone: Backbone
    if name == "pocket":
        backbone = _load_pocket(pooling)
    elif name in RANDOM_SHAPES:
        backbone = _random_vgg(name, pooling, seed)
    elif name in VGG_WEIGHTS:
        backbone = _load_published_vgg(name, pooling)
    else:
        backbone = _load_node_network(name, pooling, normalized)
    backbone.name = name
    backbone.requires_grad_(False).eval()
    if normalized and name != "pocket" and isinstance(backbone, VGG):
        normalize_filters(backbone, [load_image(photo, 256) for photo in photo_names()])
    backbone.activation_scale = activation_scale  # after the filters: their mean activation is 1 before this
    # On a CPU, float32 convolutions with channels last take 1.15 to 1.3 times less time, forward and backward.
    layout = torch.channels_last if device == "cpu" else torch.contiguous_format
    return backbone.to(device).to(memory_format=layout)


def stand_ins(backbone: Backbone, layers: str | Iterable[str]) -> dict[str, str]:
    """{layer asked for: layer to use}: relu5_1 where a layer of VGG-19 lies deeper than a pocket-shaped network goes.

    Any other layer stands for itself; an unknown one too: using it is an error of the backbone.
    """
    ends_early = backbone.layers[-2:] == ("relu5_1", "pool5")
    return {
        name: "relu5_1" if ends_early and re.fullmatch("(conv|relu)5_[2-4]", name) else name
        for name in layer_names(layers)
    }


def fetch_weights(name: str) -> Path:
    """Make sure, ahead of class, that the weights of a backbone are on this disk, and return where.

    Found, downloaded and checked as the module `weights` says, and loaded once. Raises ParameterError for a name that
    is not one of `published_names`, WeightsError where the weights cannot be had.
    """
    if name in BACKBONES and name not in VGG_WEIGHTS:
        raise ParameterError(f"{name!r} needs no download")
    path = fetch(_source(name))
    load_backbone(name)  # a file of that name that was there may be damaged, or of another network
    return path


def resolve_device(device: str | torch.device = "auto") -> str:
    """`device`, or for "auto" an NVIDIA GPU where there is one, else the CPU.

    Apple's "mps" only when asked: lessons 08 and 09 need eigenvalues and averages over uneven areas, which many
    versions of torch lack there. Raises ParameterError for a device that is unknown or absent.
    """
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if device == "auto":
        return "cuda" if present["cuda"] else "cpu"
    kind = str(device).split(":")[0]
    if kind not in present:
        raise unknown("device", str(device), ("auto", *present))
    if not present[kind]:
        raise ParameterError(f"this machine has no {kind!r} device; choose 'auto' or 'cpu'")
    return str(device)


def normalize_filters(vgg: VGG, images: Iterable[Tensor]) -> None:
    """Scale the filters of `vgg` in place so that each channel's mean activation over `images` (1, 3, H, W) is 1.

    Scaling a channel by s and what the next layer makes of it by 1/s changes nothing else, as convolution, ReLU and
    pooling are positively homogeneous. A channel whose mean is under 1/20 of its layer's median is taken to have
    that mean: it would be blown up where another image makes it fire. Channels of a silent layer are left alone.
    """
    relus = [name for name in vgg.layers if name.startswith("relu")]
    with torch.no_grad():
        means = [[f.mean((0, 2, 3)) for f in vgg(image, relus).values()] for image in images]
        before = torch.ones(3)
        for relu, *per_image in zip(relus, *means, strict=True):
            mean = torch.stack(per_image).mean(0)
            scale = mean.clamp_min(0.05 * mean.median())
            scale = torch.where(scale > 0, scale, 1.0)
            conv = relu.replace("relu", "conv")
            vgg.body.get_parameter(f"{conv}.weight").mul_(before.view(1, -1, 1, 1) / scale.view(-1, 1, 1, 1))
            vgg.body.get_parameter(f"{conv}.bias").div_(scale)
            before = scale


def published_names() -> tuple[str, ...]:
    """The backbones whose weights are downloaded: those in VGG_WEIGHTS, and others of torchvision."""
    from torchvision import models

    return (*VGG_WEIGHTS, *models.list_models(module=models, exclude=[*OTHER_LAYOUTS, *VGG_WEIGHTS]))


def _published(name: str) -> WeightsEnum:
    """torchvision's entry for a backbone's weights. Raises ParameterError for a name that has none."""
    from torchvision import models

    if name in VGG_WEIGHTS:
        return models.get_weight(VGG_WEIGHTS[name])
    names = published_names()
    if name not in names:
        raise unknown("backbone", name, dict.fromkeys((*BACKBONES, *names)))
    return models.get_model_weights(name).DEFAULT


def _source(name: str) -> Published:
    """Where a backbone's weights are published, and what of them is kept: of VGG the convolutions."""
    weights = _published(name)
    most = int(1.1 * 2**20 * weights.meta["_file_size"])  # which torchvision gives in MiB, rounded
    return Published(name, weights.url, "features." if name in VGG_WEIGHTS else "", most)


def _hollow_vgg(shape: str, pooling: str, metric_layers: Iterable[str] = ()) -> VGG:
    """A VGG that takes its weights from `_fill`: no time and no global random numbers are spent on others."""
    with torch.device("meta"):
        return VGG(CHANNELS[shape], pooling=pooling, metric_layers=metric_layers)


def _fill(vgg: VGG, state: dict[str, Tensor]) -> VGG:
    vgg.load_state_dict({key: tensor.float() for key, tensor in state.items()}, assign=True)
    return vgg


def _load_pocket(pooling: str) -> VGG:
    path = data_dir() / "weights" / "pocket.safetensors"
    metric_layers = [key.split(".")[1] for key in read_weights(path) if key.startswith("metric.")]
    vgg = _hollow_vgg("pocket", pooling, metric_layers)
    return _fill(vgg, read_weights(path, shapes_of(vgg.state_dict())))


def _random_vgg(name: str, pooling: str, seed: int) -> VGG:
    """Weights from N(0, 2 / fan-in), which keeps the size of activations under ReLU (He et al. 2015), zero bias."""
    vgg, generator = _hollow_vgg(RANDOM_SHAPES[name], pooling), torch.Generator().manual_seed(seed)
    state = {key: torch.zeros(tensor.shape) for key, tensor in vgg.state_dict().items()}
    for tensor in state.values():
        if tensor.ndim == 4:
            tensor.normal_(0, (2 / tensor[0].numel()) ** 0.5, generator=generator)
    return _fill(vgg, state)


def _load_published_vgg(name: str, pooling: str) -> VGG:
    vgg, transforms = _hollow_vgg(name.removesuffix("-caffe"), pooling), _published(name).transforms()
    vgg.normalize_with(transforms.mean, transforms.std)
    ours, names = vgg.state_dict(), _torchvision_names(vgg)
    state = load_weights(_source(name), {theirs: ours[key].shape for theirs, key in names.items()})
    return _fill(vgg, {names[theirs]: tensor for theirs, tensor in state.items()})


def _torchvision_names(vgg: VGG) -> dict[str, str]:
    """{torchvision's name: ours} of the weights and biases: {"features.0.weight": "body.conv1_1.weight", ...}."""
    convs = [(index, layer) for index, layer in enumerate(vgg.layers) if layer.startswith("conv")]
    return {f"features.{i}.{kind}": f"body.{layer}.{kind}" for i, layer in convs for kind in ("weight", "bias")}


def _load_node_network(name: str, pooling: str, normalized: bool) -> NodeNetwork:
    from torchvision import models

    weights = _published(name)
    if pooling != "max" or normalized:
        raise ParameterError(f"pooling and normalized apply to {', '.join(BACKBONES)}, not to {name!r}")
    # These two convert ImageNet's normalization to their own, if told so.
    own_input = {"transform_input": True, "init_weights": False} if name in ("googlenet", "inception_v3") else {}
    with torch.random.fork_rng(devices=[]):
        model = models.get_model(name, weights=None, **own_input)
    state = model.state_dict()  # keeps what `_cut` leaves out: the version of each module, and step counters
    shapes = {key: tensor.shape for key, tensor in state.items() if not key.endswith("num_batches_tracked")}
    state.update(load_weights(_source(name), shapes))
    model.load_state_dict(state)
    network = NodeNetwork(model, max(weights.meta["min_size"]))
    network.normalize_with(weights.transforms().mean, weights.transforms().std)
    return network
