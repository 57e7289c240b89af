"""Checks for the exercises of 06_train_a_fast_network."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..methods.losses import content_loss, gram_matrix, style_loss, total_variation
from ..networks.backbones import layer_names
from .framework import Wrong, call, close, exercise, expect_gradient, expect_in_all_cases, expect_tensor, expect_value

SHAPE = (2, 3, 5, 7)  # pictures, channels, height and width all differ, so that no two can be confused
CONTENT_LAYER, CONTENT_WEIGHT, STYLE_WEIGHT = "relu3_3", 1, 10
LAYERS = ("relu1_1", "relu2_1", "relu3_1", CONTENT_LAYER, "relu4_1", "relu4_2", "relu5_1")  # of the check's backbone
USUAL_WEIGHT = 20  # of style, in lesson 04
FIXED = "no gradient reaches weight and bias, which training has to change"

Layer = Callable[[Tensor], Tensor]


def _instance_norm(x: Tensor, weight: Tensor, bias: Tensor, eps: float = 1e-5) -> Tensor:
    """What exercise 4 asks for, by torch's own function."""
    return F.instance_norm(x, weight=weight, bias=bias, eps=eps)


def _residual(x: Tensor, first: Layer, second: Layer) -> Tensor:
    """What exercise 2 asks for."""
    return x + second(first(x).relu())


def _resized(x: Tensor, weight: Tensor, bias: Tensor, *, mode: str = "nearest", padding: str = "reflect") -> Tensor:
    """What exercise 3 asks for, or a variant of it."""
    large = F.interpolate(x, scale_factor=2, mode=mode)
    return F.conv2d(F.pad(large, [weight.shape[-1] // 2] * 4, padding), weight, bias)


def _fast_loss(network: nn.Module, photographs: Tensor, vgg: Callable, grams: Mapping[str, Tensor]) -> Tensor:
    """What exercise 1 asks for, by the package's own formulas."""
    mine = vgg(network(photographs), [CONTENT_LAYER, *grams])
    with torch.no_grad():
        theirs = vgg(photographs, [CONTENT_LAYER])
    content = content_loss(mine[CONTENT_LAYER], theirs[CONTENT_LAYER])
    styles = [style_loss(gram_matrix(mine[name]), gram) for name, gram in grams.items()]
    return (CONTENT_WEIGHT * content + STYLE_WEIGHT * torch.stack(styles).mean()) / len(photographs)


def _draw(step: int, place: int, batch_size: int, photographs: int) -> tuple[int, int]:
    """What exercise 5 asks for."""
    return divmod((step - 1) * batch_size + place, photographs)


@exercise(otherwise=_instance_norm)
def instance_norm(answer: Callable[..., Tensor]) -> None:
    """Each channel of each picture (B, C, H, W) to mean 0 and variance 1, then times weight plus bias, both (C,)."""
    generator = torch.Generator().manual_seed(1)
    spread, middle = (torch.rand(2, 3, 1, 1, generator=generator) * 3 + 0.5 for _ in range(2))
    x = torch.randn(SHAPE, generator=generator) * spread + middle
    weight, bias = torch.tensor([0.5, 2.0, -1.5]), torch.tensor([1.0, -2.0, 0.3])
    result, wanted = expect_tensor(call(answer, x, weight, bias), SHAPE), _normalized(x, weight, bias)
    otherwise = "it is not (x - mean) / root(variance + eps) * weight + bias, mean and variance over height and width"
    expect_value(result, wanted, _norms(x, weight, bias), otherwise)

    flat = x.clone()
    flat[0, 0] = 0.5
    if not expect_tensor(call(answer, flat, weight, bias), SHAPE).isfinite().all():
        raise Wrong("a constant channel gives NaN: its variance is 0, so add eps to it before the division")
    eps, centered = 0.5, x - x.mean((2, 3), keepdim=True)
    variance, by = x.var((2, 3), correction=0, keepdim=True), weight.view(-1, 1, 1)
    named = {
        "it adds eps to the deviation: add it to the variance, under the root": variance.sqrt() + eps,
        "it ignores the eps that it is given": variance.sqrt(),
        "it takes the larger one of eps and the variance: add them": variance.clamp_min(eps).sqrt(),
        "it takes the larger one of eps and the deviation: add eps to the variance": variance.sqrt().clamp_min(eps),
    }
    named = {name: centered / root * by + bias.view(-1, 1, 1) for name, root in named.items()}
    result, wanted = expect_tensor(call(answer, x, weight, bias, eps), SHAPE), _normalized(x, weight, bias, eps=eps)
    expect_value(result, wanted, named, "its values are wrong for another eps: it belongs beside the variance")

    x, weight, bias = (t.requires_grad_() for t in (x, weight, bias))
    result, wanted = answer(x, weight, bias), _normalized(x, weight, bias)
    constants = "its gradient is wrong: mean and variance depend on the picture, too, so do not detach them"
    expect_gradient(result, wanted, x, different=constants)
    expect_gradient(result, wanted, weight, bias, missing=FIXED)


@exercise(otherwise=_residual)
def residual_block(answer: Callable[[Tensor, Layer, Layer], Tensor]) -> None:
    """x + second(ReLU(first(x))), of x (B, C, H, W) and two layers that keep its shape."""
    generator = torch.Generator().manual_seed(4)
    x = torch.randn(SHAPE, generator=generator)
    kernels = [torch.randn(3, 3, 3, 3, generator=generator).requires_grad_() for _ in range(2)]
    first, second = (lambda y, kernel=kernel: F.conv2d(y, kernel, padding=1) for kernel in kernels)
    result = expect_tensor(call(answer, x, first, second), SHAPE)
    expect_value(result, _residual(x, first, second), _blocks(x, first, second), "it is not x + second(ReLU(first(x)))")
    result, wanted = answer(x.requires_grad_(), first, second), _residual(x, first, second)
    missing = "no gradient reaches the input or the layers: call both layers, and detach nothing"
    expect_gradient(result, wanted, x, *kernels, missing=missing)


@exercise(otherwise=_resized)
def resize_convolution(answer: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
    """Nearest x2, reflection padding, convolution: x (B, C, H, W), weight (D, C, k, k), bias (D,) -> (B, D, 2H, 2W)."""
    generator = torch.Generator().manual_seed(2)
    x = torch.rand(SHAPE, generator=generator)
    for side in (5, 3, 7):  # with 3x3, repeating the border is the same as reflecting it
        weight, bias = torch.randn(4, 3, side, side, generator=generator), torch.randn(4, generator=generator)
        wanted = _resized(x.double(), weight.double(), bias.double())
        result = _upsampled(answer, x, weight, bias)
        shape = tuple(result.shape) if isinstance(result, Tensor) else ()
        if len(shape) == 4 and (reason := _size_mistake(result, wanted, side)):
            raise Wrong(f"{reason} (for a kernel of {side}x{side} it returns {shape}; {tuple(wanted.shape)} is right)")
        result = expect_tensor(result, wanted.shape)
        named = _resizings(x, weight, bias) if side == 5 else {}
        otherwise = "it is not the convolution of the picture made twice as large by its nearest pixels and then padded"
        expect_value(result, wanted, named, f"{otherwise} by reflection (kernel of {side}x{side})")
    x, weight, bias = (t.requires_grad_() for t in (x, weight, bias))
    result, wanted = answer(x, weight, bias), _resized(x, weight, bias)
    expect_gradient(result, wanted, x)
    expect_gradient(result, wanted, weight, bias, missing=FIXED)


@exercise(otherwise=_fast_loss)
def fast_loss(answer: Callable[[nn.Module, Tensor, Callable, Mapping[str, Tensor]], Tensor]) -> None:
    """content + 10 style of network(photographs), both relative, means over the batch, style over its layers, too."""
    generator = torch.Generator().manual_seed(3)
    vgg = _backbone(generator)
    for pictures, layers in ((3, ("relu1_1", "relu2_1", "relu4_1", "relu5_1")), (2, ("relu5_1", "relu1_1", "relu3_1"))):
        network = _Painter(generator)
        photographs = torch.rand(pictures, 3, 8, 12, generator=generator)
        painting = vgg(torch.rand(1, 3, 10, 9, generator=generator), layers)
        grams = {name: _gram(painting[name]).float() for name in layers}  # in the second case not the network's order
        _expect_loss(answer, network, photographs, vgg, grams)


def _expect_loss(
    answer: Callable, network: _Painter, photographs: Tensor, backbone: Callable, grams: Mapping[str, Tensor]
) -> None:
    """Wrong unless an answer has the right value and gradient, on a small network and backbone."""
    asked = set[str]()

    def vgg(images: Tensor, layers: str | Iterable[str]) -> dict[str, Tensor]:
        asked.update(layer_names(layers))
        return backbone(images, layers)

    try:
        result = expect_tensor(call(answer, network, photographs, vgg, _Grams(grams)), ())
    except KeyError as error:
        where = "in that call" if error.args[0] in asked else "for"
        raise Wrong(
            f"it looks for the layer {error}, which it has not asked vgg {where}: vgg(images, [layers])"
        ) from None
    except RuntimeError as error:
        if "must match" in str(error):
            names = "is each layer taken by its name, and are Gram matrices compared with Gram matrices?"
            raise Wrong(f"two tensors of different shapes meet ({error}): {names}") from error
        raise
    if not network.called:
        raise Wrong("it never calls the network: what is compared is what it paints, network(photographs)")
    exact = _Painter(torch.Generator()).double()
    exact.load_state_dict(network.state_dict())
    content, style, named = _fast_terms(exact, photographs.double(), vgg, grams)
    wanted = CONTENT_WEIGHT * content + STYLE_WEIGHT * style
    formula = f"{CONTENT_WEIGHT} content + {STYLE_WEIGHT} style, both relative, each the mean over the photographs"
    expect_value(result, wanted, named, f"it is not {formula}, style also over its layers")

    if network.weight.grad is not None:
        raise Wrong("it calls backward(): return the loss, the loop that trains goes backward")
    reached = result.requires_grad and torch.autograd.grad(result, network.weight, allow_unused=True)[0]
    if not isinstance(reached, Tensor):
        raise Wrong("no gradient reaches the network's weights: run it outside no_grad, and do not detach its pictures")
    parts = (CONTENT_WEIGHT * content, STYLE_WEIGHT * style)
    of_content, of_style = (torch.autograd.grad(part, exact.weight, retain_graph=True)[0] for part in parts)
    named = {
        "its content term gives the network no gradient": of_style,
        "its style term gives the network no gradient": of_content,
    }
    otherwise = "the network does not get the whole gradient: something is detached"
    expect_value(reached, of_content + of_style, named, otherwise, 1e-3)  # in float32, with terms of both signs


@exercise(otherwise=_draw)
def draw_of(answer: Callable[[int, int, int, int], tuple[int, int]]) -> None:
    """answer(step, place, batch_size, photographs) must be (epoch, position); no epoch waits for the next batch."""
    usual = [(1, 0, 4, 10), (1, 3, 4, 10), (3, 1, 4, 10), (3, 2, 4, 10), (3, 3, 4, 10), (6, 0, 4, 10)]
    usual += [(8, 2, 4, 12), (1000, 5, 16, 628)]
    wide = (2, 1, 8, 3)  # a step with more pictures than there are photographs
    for cases, mistakes in ((usual, [_draw_mistakes(*case) for case in usual]), ([wide], [])):
        replies = [_pair(call(answer, *case)) for case in cases]
        wanted = [divmod((step - 1) * size + place, number) for step, place, size, number in cases]
        expect_in_all_cases(cases, replies, wanted, mistakes, _wrong_draw)


def _wrong_draw(case: tuple[int, int, int, int], reply: tuple[int, int], right: tuple[int, int]) -> str:
    step, place, batch_size, photographs = case
    where = f"step {step}, place {place}, {batch_size} pictures a step, {photographs} photographs"
    number = (step - 1) * batch_size + place
    return f"for {where} it says {reply}: it is number {number} of all draws, so {right} is right"


def _normalized(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    over: tuple[int, ...] = (2, 3),
    *,
    eps: float = 1e-5,
    correction: int = 0,
    power: float = 0.5,
    centered: bool = True,
    about_zero: bool = False,
) -> Tensor:
    """Instance normalization in float64, or a variant of it."""
    x, weight, bias = x.double(), weight.double(), bias.double()
    mean = x.mean(over, keepdim=True)
    variance = x.square().mean(over, keepdim=True) if about_zero else x.var(over, correction=correction, keepdim=True)
    scaled = (x - mean if centered else x) / (variance + eps) ** power
    return scaled * weight.view(-1, 1, 1) + bias.view(-1, 1, 1)


def _norms(x: Tensor, weight: Tensor, bias: Tensor) -> dict[str, Any]:
    """What the known mistakes give."""
    whole, one, none = (x, weight, bias), torch.ones_like(weight), torch.zeros_like(bias)
    each = "each picture has its own mean and variance"
    return {
        f"it takes mean and variance over the batch, too, which is batch normalization: {each}": _normalized(
            *whole, (0, 2, 3)
        ),
        "it takes mean and variance over the channels, too, which is layer normalization: "
        "each channel has its own": _normalized(*whole, (1, 2, 3)),
        f"it takes mean and variance over everything: {each}, and each channel": _normalized(*whole, (0, 1, 2, 3)),
        "it normalizes each row: take mean and variance over height and width": _normalized(*whole, (3,)),
        "it normalizes each column: take mean and variance over height and width": _normalized(*whole, (2,)),
        "it normalizes each place over the channels: take height and width": _normalized(*whole, (1,)),
        "it uses the unbiased variance, which divides by H W - 1: divide by H W": _normalized(*whole, correction=1),
        "it divides by the variance: divide by its root": _normalized(*whole, power=1),
        "it takes the mean of x^2 for the variance: subtract the mean before you square": (
            _normalized(*whole, about_zero=True),
            _normalized(*whole, about_zero=True, centered=False),
        ),
        "it does not subtract the mean": _normalized(*whole, centered=False),
        "the affine part is missing: times weight, plus bias": _normalized(x, one, none),
        "it forgets the weight": _normalized(x, one, bias),
        "it forgets the bias": _normalized(x, weight, none),
        "weight and bias are exchanged: times weight, plus bias": _normalized(x, bias, weight),
        "it adds the bias before it multiplies by the weight": _normalized(x, weight, weight * bias),
    }


def _blocks(x: Tensor, first: Layer, second: Layer) -> dict[str, Any]:
    """What known mistakes give for a residual block."""
    inner, correction = first(x).relu(), second(first(x).relu())
    early = "it puts a ReLU before the first layer: x goes into it as it is, negative values too"
    return {
        "it leaves out x: a block adds a correction to what it gets": correction,
        "it leaves out the ReLU between the two layers, which then are one linear map": x + second(first(x)),
        "it puts the only ReLU after the second layer: it stands between the two": x + second(first(x)).relu(),
        "it puts a ReLU after the second layer, too: a correction must be able to subtract": x + correction.relu(),
        "it puts a ReLU after the sum: this block has none there": ((x + correction).relu(), (x + inner).relu()),
        early: (x + second(first(x.relu())), x + second(first(x.relu()).relu()), x + second(first(x.relu())).relu()),
        "it adds the ReLU of x: add x itself": x.relu() + correction,
        "it adds what the first layer made: add x": (inner + correction, first(x) + correction),
        "it adds x before the second layer: add it at the end": second(x + inner),
        "it adds x twice": (2 * x + correction, x + inner + second(x + inner)),
        "it uses the first layer twice": x + first(inner),
        "it uses the second layer twice": x + second(second(x).relu()),
        "the layers are exchanged: first, ReLU, second": x + first(second(x).relu()),
        "it uses one layer only": (x + inner, x + second(x).relu(), x + first(x), x + second(x)),
        "it subtracts: add the correction": x - correction,
        "it multiplies: add the correction": x * correction,
        "it takes the mean of the two: take their sum": (x + correction) / 2,
    }


def _resizings(x: Tensor, weight: Tensor, bias: Tensor) -> dict[str, Tensor]:
    """What known mistakes give, with a kernel of 5x5: those that keep the size."""
    x, weight, bias = x.double(), weight.double(), bias.double()
    small = F.conv2d(F.pad(x, [2] * 4, "reflect"), weight, bias)
    before = F.interpolate(F.pad(x, [1] * 4, "reflect"), scale_factor=2)
    swapped = weight.transpose(0, 1)
    return {
        "it upsamples bilinearly: take the nearest pixel": _resized(x, weight, bias, mode="bilinear"),
        "it pads with zeros, which draws a frame: reflect": _resized(x, weight, bias, padding="constant"),
        "it repeats the border: reflect it (with a 3x3 kernel the two are the same here)": _resized(
            x, weight, bias, padding="replicate"
        ),
        "it wraps around to the other side of the picture: reflect": _resized(x, weight, bias, padding="circular"),
        "it is a transposed convolution, which draws a checkerboard": F.conv_transpose2d(
            x, swapped, bias, stride=2, padding=2, output_padding=1
        ),
        "it convolves before it upsamples: first make the picture larger": F.interpolate(small, scale_factor=2),
        "it pads before it upsamples: the border is then reflected at another scale": F.conv2d(before, weight, bias),
        "it tiles four copies of the picture: repeat each pixel in its place": F.conv2d(
            F.pad(x.repeat(1, 1, 2, 2), [2] * 4, "reflect"), weight, bias
        ),
        "it forgets the bias": _resized(x, weight, torch.zeros_like(bias)),
        "it flips the kernel: a layer's convolution does not": _resized(x, weight.flip(2, 3), bias),
    }


def _upsampled(answer: Callable, x: Tensor, weight: Tensor, bias: Tensor) -> Any:
    """The reply; torch has no reflection of one axis of a batch, and says so without saying what to write."""
    try:
        return call(answer, x, weight, bias)
    except NotImplementedError as error:
        if "padding" in str(error):
            raise Wrong("pad takes four numbers here: left, right, top and bottom") from None
        raise


def _size_mistake(result: Tensor, wanted: Tensor, side: int) -> str:
    """Why a result has more or fewer rows than `wanted`, if that is known."""
    margin, more = side // 2, result.shape[2] - wanted.shape[2]
    inside = result[:, :, margin:-margin, margin:-margin]
    if more == 2 * margin and inside.shape == wanted.shape and close(inside, wanted):
        return "it pads twice as far as it should: once, by k // 2, with k = weight.shape[-1]"
    if result.shape == (every := wanted[:, :, ::2, ::2]).shape and close(result, every):
        return "its convolution takes every second position: leave its stride at 1"
    return {
        -SHAPE[2]: "it does not upsample",
        -2 * margin: "it does not pad, or not on all four sides",
        2 * (1 - margin): "it pads too little: k // 2 on each of the four sides, with k = weight.shape[-1]"
        if margin > 1
        else "",
        2 * margin: "it pads before it upsamples, which doubles the padding, too" if margin else "",
        -1: "its size is that of a transposed convolution",
        side - 2: "its size is that of a transposed convolution",
    }.get(more, "")


class _Grams(dict[str, Tensor]):
    """The Gram matrices of a painting, by layer."""

    def __missing__(self, name: str) -> Tensor:
        raise Wrong(f"grams has no {name!r}: the style term goes through the layers of grams alone")


class _Painter(nn.Module):
    """A network of one convolution: pictures (B, 3, H, W) to pictures of that shape."""

    called = False

    def __init__(self, generator: torch.Generator) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 3, 3, 3, generator=generator) / 2)

    def forward(self, x: Tensor) -> Tensor:
        self.called = True
        return torch.sigmoid(F.conv2d(x, self.weight, padding=1))


def _backbone(generator: torch.Generator) -> Callable[[Tensor, str | Iterable[str]], dict[str, Tensor]]:
    """A stand-in for a loss network: random convolutions, frozen, asked for by the names of their layers."""
    widths = dict(zip(LAYERS, itertools.pairwise((3, 5, 6, 4, 7, 3, 5, 4)), strict=True))
    weights = {k: torch.randn(out, of, 3, 3, generator=generator) for k, (of, out) in widths.items()}

    def vgg(images: Tensor, layers: str | Iterable[str]) -> dict[str, Tensor]:
        wanted, found, x = layer_names(layers), {}, images
        if unknown := [name for name in wanted if name not in weights]:
            raise ValueError(f"unknown layer {unknown[0]!r}; this backbone has {', '.join(weights)}")
        for name, weight in weights.items():
            x = found[name] = F.conv2d(x, weight.to(x.dtype), padding=1).relu()
        return {name: features for name, features in found.items() if name in wanted}  # in the network's order

    return vgg


def _fast_terms(
    network: nn.Module, photographs: Tensor, vgg: Callable, grams: Mapping[str, Tensor]
) -> tuple[Tensor, Tensor, dict[str, Any]]:
    """The two terms, unweighted, and the values that known mistakes give."""
    painted = network(photographs)
    mine, theirs = (vgg(images, LAYERS) for images in (painted, photographs))

    def content_of(found: Mapping[str, Tensor], target: Mapping[str, Tensor], layer: str = CONTENT_LAYER) -> Tensor:
        f, p = found[layer], target[layer]
        return ((f - p).square().sum((1, 2, 3)) / p.square().sum((1, 2, 3))).mean()

    def style_of(features: Mapping[str, Tensor], mixed: bool = False, turned: bool = False) -> Tensor:
        means = []
        for name, target in grams.items():
            gram, a = _gram(features[name]), target.double()
            gram = gram.mean(0, keepdim=True) if mixed else gram  # of pictures of one size laid side by side
            energy = (gram if turned else a).square().sum((1, 2))
            means.append(((gram - a).square().sum((1, 2)) / energy).mean())
        return torch.stack(means).mean()

    content, style, mixture = content_of(mine, theirs), style_of(mine), style_of(mine, mixed=True)
    n, layers = len(photographs), len(grams)

    def total(c: Tensor | float, s: Tensor | float) -> Tensor:
        return torch.as_tensor(CONTENT_WEIGHT * c + STYLE_WEIGHT * s).detach()

    batch = "it lays the batch side by side for one Gram matrix: each picture has its own"
    named: dict[str, Any] = {
        "its content term is missing or zero: its target is vgg(photographs), not the network's own output": total(
            0, style
        ),
        "its style term is missing": total(content, 0),
        "it sums over the batch: divide by the number of photographs": total(n * content, n * style),
        "it sums style over the batch: divide it by the number of photographs": total(content, n * style),
        "it sums content over the batch: divide it by the number of photographs": total(n * content, style),
        "it sums over the style layers: take their mean": total(content, layers * style),
        "it sums over the style layers and over the batch: take means": total(n * content, n * layers * style),
        "it takes the mean over the style layers twice": total(content, style / layers),
        "it divides by the number of photographs twice": total(content / n, style / n),
        f"it forgets the style weight, {STYLE_WEIGHT}": total(content, style / STYLE_WEIGHT),
        f"the weights are exchanged: {CONTENT_WEIGHT} for content, {STYLE_WEIGHT} for style": total(
            STYLE_WEIGHT * content, style / STYLE_WEIGHT
        ),
        f"the weight {STYLE_WEIGHT} is for style only": total(STYLE_WEIGHT * content, style),
        batch: total(content, mixture),
        f"{batch} (and then it divides by their number)": total(content, mixture / n),
        "content_loss(features, target) divides by the energy of the target, the second argument: that is "
        "the photograph": total(content_of(theirs, mine), style),
        "style_loss(gram, target) divides by the energy of the target, the second argument: that is the painting's": (
            total(content, style_of(mine, turned=True))
        ),
        f"its style weight is {USUAL_WEIGHT}, as in lesson 04: here it is {STYLE_WEIGHT}": total(
            content, style * USUAL_WEIGHT / STYLE_WEIGHT
        ),
        "it adds smoothness, which this loss leaves out": tuple(
            total(content, style) + weight * total_variation(painted).detach() / count
            for weight in (1, 5, 20)
            for count in (1, n)
        ),
        "it takes style from the photographs: take it from what the network makes of them": total(
            content, style_of(theirs)
        ),
    }
    for layer in (name for name in LAYERS if name != CONTENT_LAYER):
        sentence = f"it compares content at {layer}: {CONTENT_LAYER} is asked for"
        named[sentence] = total(content_of(mine, theirs, layer), style)
    for count in (2, 3, 4, 5):
        named[f"it divides style by {count}: there are {layers} layers"] = total(content, style * layers / count)
        named[f"it divides by {count}: there are {n} photographs"] = total(content * n / count, style * n / count)
    return content, style, named


def _gram(features: Tensor) -> Tensor:
    f = features.double().flatten(2)
    return f @ f.mT / f.shape[2]


def _restarted(step: int, place: int, batch_size: int, batches: int) -> tuple[int, int]:
    """A draw where every epoch has `batches` steps of its own."""
    epoch, batch = divmod(step - 1, batches)
    return epoch, batch * batch_size + place


def _draw_mistakes(step: int, place: int, batch_size: int, photographs: int) -> dict[str, list[int]]:
    """What the known mistakes say."""
    before = (step - 1) * batch_size
    number = before + place
    epoch, position = divmod(number, photographs)
    gap = "it starts every epoch with a new batch"
    short = _restarted(step, place, batch_size, math.ceil(photographs / batch_size))
    pairs = {
        "it counts steps from 0: the first step is step 1": divmod(number + batch_size, photographs),
        "it counts places from 1: the first place is 0": divmod(number - 1, photographs),
        "it forgets the place in the batch": divmod(before, photographs),
        "its position runs on: in each epoch it starts from 0 again": (epoch, number),
        "it counts epochs from 1: the first is 0": (epoch + 1, position),
        "it counts positions from 1: the first is 0": (epoch, position + 1),
        "the two are exchanged: epoch first": (position, epoch),
        "a batch can reach into the next epoch: each of its places has an epoch of its own": (
            before // photographs,
            position,
        ),
        f"{gap}: the batch that reaches over the end goes on in the next one": short,
        f"{gap} and wraps its last batch around: that batch goes on in the next one": (
            short[0],
            short[1] % photographs,
        ),
        f"{gap} and leaves out what does not fill a batch: here no photograph is left out": _restarted(
            step, place, batch_size, photographs // batch_size
        ),
    }
    return {sentence: list(pair) for sentence, pair in pairs.items()}


def _pair(reply: object) -> tuple[int, int]:
    """A reply (epoch, position) as two whole numbers."""
    if not isinstance(reply, (tuple, list)) or len(reply) != 2:
        raise Wrong(f"it returns {reply!r}; a pair (epoch, position) is expected")
    if any(float(value) != int(value) for value in reply):
        raise Wrong(f"it returns {reply!r}; both are whole numbers: divide with // instead of /")
    return int(reply[0]), int(reply[1])
