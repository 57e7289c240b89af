"""Checks for the exercises of 01_what_vgg_sees."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from .framework import Wrong, call, close, exercise, expect_gradient, expect_tensor


@exercise
def normalize_image(answer: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
    """(image - mean) / std per channel, of an image (B, 3, H, W) with mean and std (3,)."""
    generator = torch.Generator().manual_seed(1)
    image = torch.rand(2, 3, 5, 7, generator=generator)
    mean, std = torch.tensor([0.3, 0.5, 0.8]), torch.tensor([0.15, 0.4, 0.65])  # channels that cannot be confused
    x, m, s = image.double(), mean.double().view(1, 3, 1, 1), std.double().view(1, 3, 1, 1)
    wanted = (x - m) / s
    result = expect_tensor(call(answer, image, mean, std), tuple(image.shape))
    if not close(result, wanted):
        own = (x - x.mean((2, 3), keepdim=True)) / x.std((2, 3), keepdim=True)
        named = {
            "it does not subtract the mean": x / s,
            "it does not divide by the standard deviation": x - m,
            "it divides first and subtracts then: subtract the mean first": x / s - m,
            "it multiplies by the standard deviation: divide by it": (x - m) * s,
            "it undoes a normalization: subtract the mean and divide, here it is the other way round": x * s + m,
            "it adds the mean: subtract it": (x + m) / s,
            "it divides by the variance: by the standard deviation, without a square": (x - m) / s.square(),
            "it takes the picture's own mean and deviation: use those that are given": own,
            "it takes the channels of mean and std in the wrong order": (x - m.flip(1)) / s.flip(1),
            "it turns the channels round, to blue, green, red": wanted.flip(1),
            "it multiplies the picture by 255: the mean is meant for [0, 1]": (255 * x - m) / s,
        }
        otherwise = "it is not (image - mean) / std, channel by channel"
        raise Wrong(next((name for name, value in named.items() if close(result, value)), otherwise))
    source = image.clone().requires_grad_()
    expect_gradient(answer(source, mean, std), source)


@exercise
def conv_cost(answer: Callable[[int, int, int, int, int], tuple[int, int]]) -> None:
    """(parameters, multiply-adds) of a convolution from kernel, channels in and out, and the output's height, width."""
    for case in ((3, 5, 7, 11, 13), (5, 7, 4, 3, 17), (1, 6, 10, 8, 9)):
        _expect_conv_cost(call(answer, *case), *case)


def _expect_conv_cost(result: object, k: int, n: int, m: int, h: int, w: int) -> None:
    """Wrong, with the likeliest cause, unless `result` is the cost of that convolution."""
    parameters, cost = _numbers(result)
    weights = k * k * n * m
    named = {
        "it forgets the biases, one per output channel": weights,
        "it counts a bias per input channel: there is one per output channel": weights + n,
        "it counts a single bias: there is one per output channel": weights + 1,
        "it counts a bias per pair of channels: there is one per output channel": weights + n * m,
        "it takes kernel places in a window: a window has kernel x kernel": k * n * m + m,
        "it forgets the input channels: each output channel looks at all of them": k * k * m + m,
        "it multiplies by the positions: the same weights serve everywhere": (weights + m) * h * w,
    }
    _expect("parameters", parameters, weights + m, named)
    named = {
        "it forgets the positions: every weight is used once per position": weights,
        "it counts flops, two per multiply-add: count each once": 2 * weights * h * w,
        "it counts the biases: leave them out here": (weights + m) * h * w,
        "it multiplies by the height only: there are height x width positions": weights * h,
        "it multiplies by the width only: there are height x width positions": weights * w,
        "it forgets the input channels: each output channel looks at all of them": k * k * m * h * w,
        "it forgets the output channels": k * k * n * h * w,
        "it takes kernel places in a window: a window has kernel x kernel": k * n * m * h * w,
    }
    _expect("multiply_adds", cost, weights * h * w, named)


def _numbers(result: object) -> tuple[float, float]:
    """The two numbers of an answer, else Wrong."""
    if not isinstance(result, Sequence) or len(result) != 2:
        raise Wrong("it does not return two numbers: return parameters, multiply_adds")
    return float(result[0]), float(result[1])


def _expect(what: str, number: float, wanted: int, named: Mapping[str, int]) -> None:
    """Wrong, with the name of the known mistake that gives `number`, unless it is the one wanted."""
    if number != wanted:
        otherwise = f"{number:g} where {wanted} is right"
        raise Wrong(f"{what}: " + next((name for name, value in named.items() if number == value), otherwise))


@exercise
def receptive_field(answer: Callable[[list[tuple[int, int]]], int]) -> None:
    """The pixels across that one output depends on, from the (kernel, stride) of the layers, first to last."""
    vgg = [(3, 1), (3, 1), (2, 2), (3, 1), (3, 1), (2, 2), (3, 1)]
    for layers in ([(7, 2), (3, 2), (5, 1), (2, 3), (3, 1)], vgg, [(5, 1)], [(4, 4), (1, 1), (3, 2)], []):
        given = list(layers)
        result = call(answer, given)
        if given != layers:
            raise Wrong("it modifies its input: leave the list of layers as it is")
        if isinstance(result, Sequence):
            raise Wrong(f"it returns a {type(result).__name__}: return the field alone")
        wanted = _field(layers)
        if float(result) != wanted:
            raise Wrong(_explain_field(float(result), layers, wanted))


def _field(layers: Sequence[tuple[int, int]]) -> int:
    """Computed from the last layer to the first, unlike in the lesson: a window of r outputs needs (r - 1) s + k."""
    field = 1
    for kernel, stride in reversed(layers):
        field = (field - 1) * stride + kernel
    return field


def _explain_field(number: float, layers: Sequence[tuple[int, int]], wanted: int) -> str:
    """The name of the known mistake that gives `number`, or else the two numbers."""
    kernels, strides = [k for k, _ in layers], [s for _, s in layers]
    jumps = [math.prod(strides[:i]) for i in range(len(layers) + 1)]
    added = [1 + sum(strides[:i]) for i in range(len(layers))]  # jump + stride instead of jump * stride
    named = {
        "it ignores the strides: after a stride of 2, neighbors are two pixels apart": 1 + sum(kernels) - len(kernels),
        "it updates the jump first: a layer's stride counts only for the layers after it": 1
        + sum((k - 1) * j for k, j in zip(kernels, jumps[1:], strict=True)),
        "it adds kernel times jump: the first of the kernel positions is there already, so kernel - 1": 1
        + sum(k * j for k, j in zip(kernels, jumps, strict=False)),
        "it starts from 0: without any layer, a number sees one pixel": wanted - 1,
        "it returns the jump, the product of the strides": jumps[-1],
        "it adds the strides: the jump is multiplied by each": 1
        + sum((k - 1) * j for k, j in zip(kernels, added, strict=True)),
        "it multiplies by this layer's stride only: the jump is the product of all strides before it": 1
        + sum((k - 1) * s for k, s in layers),
        "it takes the layers from last to first: the first is the one next to the picture": _field(layers[::-1]),
        "it multiplies the kernels": math.prod(kernels),
    }
    otherwise = f"{number:g} where {wanted} is right"
    reason = next((name for name, value in named.items() if number == value), otherwise)
    return f"{reason} (layers {list(layers)})"


@exercise
def features_at(answer: Callable[[nn.Sequential, Tensor, list[int]], dict[int, Tensor]]) -> None:
    """{index: output} of the wanted layers of a network whose ReLUs work in place, and no layer run after the last."""
    x = torch.rand(1, 3, 6, 10, generator=torch.Generator().manual_seed(3)) - 0.5
    for wanted in ([2, 1], [3, 0], [4]):
        network, after = _network(inplace=True)
        result = call(answer, network, x, wanted)
        if not isinstance(result, Mapping):
            raise Wrong(f"it returns a {type(result).__name__}: return a dictionary, index -> output")
        if set(result) != set(wanted):
            raise Wrong(f"for the layers {wanted} its keys are {list(result)}")
        for index in wanted:
            _expect_output(result[index], index, x)
        if after.calls:
            raise Wrong(f"it runs on after layer {max(wanted)}, the deepest one wanted: stop there")
    source = x.clone().requires_grad_()
    expect_gradient(answer(_network(inplace=True)[0], source, [3])[3], source)


class _Counted(nn.Identity):
    """A layer that counts how often it runs."""

    calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return x


def _network(inplace: bool) -> tuple[nn.Sequential, _Counted]:
    """Five layers as in torchvision's VGG, the same at each call, and a last one that nobody needs."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        first, second = (nn.Conv2d(*channels, 3, padding=1).requires_grad_(False) for channels in ((3, 4), (4, 5)))
    last = _Counted()
    return nn.Sequential(first, nn.ReLU(inplace), nn.MaxPool2d(2), second, nn.ReLU(inplace), last), last


def _expect_output(result: object, index: int, x: Tensor) -> None:
    """Wrong, with the likeliest cause, unless `result` is the output of that layer for x."""
    outputs = [x]  # outputs[i] goes into layer i
    for module in _network(inplace=False)[0]:
        outputs.append(module(outputs[-1]))
    wanted = outputs[index + 1]
    if isinstance(result, Tensor) and result.shape == wanted.shape and close(result, wanted):
        return
    if isinstance(result, Tensor) and result.shape == wanted.shape and close(result, wanted.relu()):
        raise Wrong(f"the ReLU after layer {index} has overwritten its output: keep a copy of it (clone)")
    for other, what in ((index, "what goes into"), (index + 2, "the output of the layer after")):
        if other < len(outputs) and isinstance(result, Tensor) and result.shape == outputs[other].shape:
            if close(result, outputs[other]):
                raise Wrong(f"for layer {index} it gives {what} layer {index}")
    expect_tensor(result, tuple(wanted.shape))
    raise Wrong(f"the output of layer {index} has the right shape and wrong values")
