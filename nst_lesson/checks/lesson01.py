"""Checks for the exercises of 01_what_vgg_sees."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn

from .framework import Changed, Wrong, call, close, exercise, expect_gradient, expect_tensor, expect_value

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's
INPUTS = {
    "right": "normalized",
    "forgotten": "not normalized",
    "twice": "normalized twice",
    "0 to 255": "normalized from values up to 255",
}


def _name_the_mistake(x: Tensor) -> str:
    if x.max() > 100:
        return "0 to 255"
    if x.min() < -3:
        return "twice"
    return "right" if x.min() < 0 else "forgotten"


@exercise(otherwise=_name_the_mistake)
def name_the_mistake(answer: Callable[[Tensor], str]) -> None:
    """Which of INPUTS a tensor (1, 3, H, W) is, by its numbers alone."""
    generator = torch.Generator().manual_seed(1)
    kinds = {"ordinary": (0, 1), "dark": (0, 0.55), "bright": (0.15, 1), "dull": (0.1, 0.6), "night": (0, 0.25)}
    kinds |= {"foggy": (0.2, 0.35)}  # little contrast: its normalized range is less than 1
    kinds |= {"pale": (0.27, 0.8)}  # normalized twice it goes no lower than -6.2
    for kind, (least, most) in kinds.items():
        photo = least + (most - least) * torch.rand(1, 3, 5, 7, generator=generator)
        photo[0, 0, 0, 0] = least  # most pictures have a pixel of exactly 0
        once = _normalized(photo)
        cases = {"right": once, "forgotten": photo, "twice": _normalized(once), "0 to 255": _normalized(255 * photo)}
        for wanted, x in cases.items():
            said = call(answer, x)
            if not isinstance(said, str) or said not in INPUTS:
                raise Wrong(f"it returns {said!r}: return one of {', '.join(map(repr, INPUTS))}")
            if said != wanted:
                numbers = f"from {x.min().item():.1f} to {x.max().item():.1f}"
                what = f"an {kind}" if kind == "ordinary" else f"a {kind}"
                raise Wrong(
                    f"{what} photograph, {INPUTS[wanted]}, ranges {numbers}, and it says {said!r}: "
                    + _how_to_tell({said, wanted})
                )


def _normalized(x: Tensor) -> Tensor:
    mean, std = (torch.tensor(numbers).view(1, 3, 1, 1) for numbers in (MEAN, STD))
    return (x - mean) / std


def _how_to_tell(pair: set[str]) -> str:
    """What distinguishes two of INPUTS."""
    if "0 to 255" in pair:
        return "only values up to 255 reach the hundreds; look at the largest"
    if "twice" in pair:
        return "normalized once, no picture goes below (0 - 0.485) / 0.229 = -2.1; look at the smallest"
    return "a picture in [0, 1] has no value below 0 (0 itself may be one), a normalized one has; look at the smallest"


COLUMNS = ("channels", "side", "parameters", "multiply_adds", "field")
BLOCKS = ((2, 64), (2, 128), (4, 256), (4, 512), (4, 512))  # convolutions, channels


def _vgg19(size: int) -> dict[str, tuple[int, int, int, int, int]]:
    """The right answer."""
    table, before, field = {}, 3, 1
    for block, (count, channels) in enumerate(BLOCKS):
        jump = 2**block
        for i in range(count):
            side, weights, field = size // jump, 9 * before * channels, field + 2 * jump
            table[f"conv{block + 1}_{i + 1}"] = channels, side, weights + channels, weights * side**2, field
            before = channels
        field += jump
    return table


@exercise(otherwise=_vgg19)
def vgg_table(answer: Callable[[int], dict[str, tuple[int, ...]]]) -> None:
    """{layer: its COLUMNS} of the sixteen convolutions of VGG-19, for a square picture."""
    for size in (224, 100, 108):
        result, right = call(answer, size), _vgg19(size)
        if not isinstance(result, Mapping):
            raise Wrong(f"it returns a {type(result).__name__}: return a dictionary, layer -> its numbers")
        _expect_layers(result, right)
        before = 3
        for layer, wanted in right.items():
            row = result[layer]
            if not isinstance(row, Sequence) or len(row) != len(COLUMNS):
                raise Wrong(f"{layer} needs {len(COLUMNS)} numbers: {', '.join(COLUMNS)}")
            named = _likely(layer, size, before, dict(zip(COLUMNS, wanted, strict=True)))
            for column, number, value in zip(COLUMNS, map(float, row), wanted, strict=True):
                where = f"{column} of {layer} at size {size}: "
                mistakes = {where + sentence: x for sentence, x in named[column].items()}
                expect_value(number, value, mistakes, f"{where}{number:,.15g} where {value:,} is right", tolerance=0)
            before = wanted[0]


def _expect_layers(result: Iterable[str], right: Iterable[str]) -> None:
    """Wrong unless the two name the same layers."""
    missing, extra = [name for name in right if name not in result], [name for name in result if name not in right]
    if missing == ["conv3_4", "conv4_4", "conv5_4"] and not extra:
        raise Wrong("these are the convolutions of VGG-16: blocks 3, 4 and 5 of VGG-19 have one more")
    if missing:
        raise Wrong(f"there is no {missing[0]!r}: name the convolutions conv1_1 ... conv5_4, 2, 2, 4, 4, 4 in a block")
    if extra:
        raise Wrong(f"VGG-19 has no convolution {extra[0]!r}: list its sixteen convolutions only")


def _likely(layer: str, size: int, n: int, row: Mapping[str, int]) -> dict[str, dict[str, float]]:
    """{column: {mistake: the number that it gives}} of a layer with n channels in, and the right numbers in `row`."""
    m, side, weights = row["channels"], row["side"], 9 * n * row["channels"]
    block, place = int(layer[4]) - 1, int(layer[6])
    jump, poolings = 2**block, 2**block - 1  # the poolings' share of the field: 1 + 2 + 4 + ...
    convolutions = sum(count for count, _ in BLOCKS[:block]) + place
    origin = f"{layer} gets the three colors" if n == 3 else f"{layer} gets the {n} channels of the layer before"
    # Three jumps per convolution show at conv1_1; where the field is a jump too large later, a pooling came too early.
    too_large = "it adds a block's pooling before the block's last convolution: the pooling comes after it"
    if layer == "conv1_1":
        too_large = "it adds 3 jumps per convolution: one of the 3 positions is there already, so 2"
    # Of conv1_1, where both mistakes show first, they give the same number: 3 channels come in.
    missing = (
        "it forgets the input channels, or counts 3 positions per window: 3 x 3 weights for each channel that comes in"
    )
    return {
        "channels": {"the channels double from block to block, but not from 4 to 5: both have 512": 1024},
        "side": {
            "a pooling takes whole positions: the side is a whole number, rounded down": size / jump,
            "a pooling rounds down": (math.ceil(size / jump), round(size / jump)),
            "it halves once too often: the first pooling comes after block 1": side // 2,
            "it does not halve often enough: a pooling comes after every block": 2 * side,
        },
        "parameters": {
            "it forgets the biases, one per output channel": weights,
            "it counts a bias per input channel: there is one per output channel": weights + n,
            "it counts a single bias: there is one per output channel": weights + 1,
            f"{origin}; your number is that of {m} channels in": 9 * m * m + m,
            missing: 3 * n * m + m,
            "it multiplies by the positions: the same weights serve everywhere": (weights + m) * side**2,
        },
        "multiply_adds": {
            "it forgets the positions: every weight is used once per position": weights,
            "it counts flops, two per multiply-add: count each once": 2 * weights * side**2,
            "it counts the biases: leave them out here": (weights + m) * side**2,
            "it multiplies by one side only: there are side x side positions": weights * side,
            f"{origin}; your number is that of {m} channels in": 9 * m * m * side**2,
            missing: 3 * n * m * side**2,
        },
        "field": {
            "it forgets the poolings: a pooling's window of 2 adds one jump, and then the jump doubles": row["field"]
            - poolings,
            "a pooling adds one jump, that before it: its window is 2, and the jump doubles afterwards": row["field"]
            + poolings,
            "the jump does not grow, or is not added: a convolution adds 2 jumps, and each pooling doubles the jump": (
                1 + 2 * convolutions + block
            ),
            "the jump does not grow, and the poolings' own windows are forgotten": 1 + 2 * convolutions,
            too_large: row["field"] + jump,
            "it starts from 0, or adds 1 jump per convolution: without any layers a position sees one pixel, and each "
            "convolution adds 2 jumps": row["field"] - 1,
        },
    }


def _pixels(layers: Sequence[tuple[int, int, int]], position: int) -> list[int]:
    """Computed from the last layer to the first, unlike in the solution: what a window of outputs reads."""
    first = last = position
    for kernel, stride, padding in reversed(layers):
        first, last = first * stride - padding, last * stride - padding + kernel - 1
    return [first, last]


@exercise(otherwise=_pixels)
def pixels_seen(answer: Callable[[list[tuple[int, int, int]], int], tuple[int, int]]) -> None:
    """The first and the last pixel that a position sees, from the (kernel, stride, padding) of the layers."""
    vgg = [(3, 1, 1), (3, 1, 1), (2, 2, 0), (3, 1, 1)]
    odd = [(7, 2, 3), (3, 2, 0), (5, 1, 1), (2, 3, 1), (3, 1, 1)]
    wide, nothing = [(4, 4, 0), (1, 1, 0)], list[tuple[int, int, int]]()
    for layers, position in ((odd, 4), (odd, 0), (vgg, 5), (vgg, 0), ([(5, 1, 1)], 2), (wide, 3), (nothing, 3)):
        given = list(layers)
        result = call(answer, given, position)
        if given != layers:
            raise Wrong("it modifies its input: leave the list of layers as it is")
        if not isinstance(result, Sequence | Tensor) or len(result) != 2:
            raise Wrong(f"it returns {result!r}: return two numbers, the first pixel and the last")
        seen, right = [float(result[0]), float(result[1])], _pixels(layers, position)
        where = f" (layers {list(layers)}, position {position})"
        mistakes = {sentence + where: value for sentence, value in _pixel_mistakes(layers, position).items()}
        otherwise = f"{seen[0]:g}, {seen[1]:g} where {right[0]}, {right[1]} is right{where}"
        expect_value(seen, right, mistakes, otherwise, tolerance=0)


def _pixel_mistakes(layers: Sequence[tuple[int, int, int]], position: int) -> dict[str, list[float]]:
    """What the known mistakes give."""
    first, last = _pixels(layers, position)
    kernels, strides, paddings = zip(*layers, strict=True) if layers else ((), (), ())
    jumps = [math.prod(strides[:i]) for i in range(len(layers) + 1)]  # before each layer, and at the end
    begin, field = position * jumps[-1], last - first + 1

    def window(start: float, width: int) -> list[float]:
        return [start, start + width - 1]

    frame = sum(p * j for p, j in zip(paddings, jumps, strict=False))
    late = sum(p * j for p, j in zip(paddings, jumps[1:], strict=True))
    wide = 1 + sum((k - 1) * j for k, j in zip(kernels, jumps[1:], strict=True))
    flat = 1 + sum(k - 1 for k in kernels)
    return {
        "it leaves out the padding, which shifts everything": window(begin, field),
        "it counts the padding in pixels: padding is counted in positions, each one jump wide": window(
            begin - sum(paddings), field
        ),
        "it multiplies the padding by the jump after the layer: take the one before it": window(begin - late, field),
        "it shifts to the wrong side: padding lies before pixel 0, so subtract it": window(begin + frame, field),
        "the two are swapped: first the first pixel, then the last": [last, first],
        "its second number is the width of the field: give the last pixel": [first, field],
        "it cuts off at 0: pixels of the padding have negative numbers": [max(first, 0), last],
        "its last pixel is one too far: give the last that it sees, not the next": [first, last + 1],
        "it starts from a field of 0: without any layers, a position sees one pixel": [first, last - 1],
        "it updates the jump first: a layer's stride counts only for the layers after it": window(first, wide),
        "it updates the jump first: a layer's stride counts only after its own window and padding": window(
            begin - late, wide
        ),
        "it ignores the strides: after a stride of 2, neighbors are two pixels apart": window(
            position - sum(paddings), flat
        ),
        "its field ignores the strides: after a stride of 2, neighbors are two pixels apart": window(first, flat),
        "it begins at the position itself: each position is one jump of pixels wide": window(position - frame, field),
        "it assumes that the field is centered on the position: that needs VGG's padding": window(
            begin - (field - jumps[-1]) / 2, field
        ),
        "it goes through the layers in the wrong order: the first of the list is the one next to the picture": [
            *_pixels(layers[::-1], position)
        ],
    }


def _features_at(network: nn.Sequential, x: Tensor, wanted: Sequence[int]) -> dict[int, Tensor]:
    found = {}
    for index, module in enumerate(network[: max(wanted) + 1]):
        x = module(x)
        if index in wanted:
            found[index] = x.clone()
    return found


@exercise(otherwise=_features_at)
def features_at(answer: Callable[[nn.Sequential, Tensor, list[int]], dict[int, Tensor]]) -> None:
    """{index: output} of the wanted layers of a network whose ReLUs work in place, and no layer run after the last."""
    x = torch.rand(1, 3, 6, 10, generator=torch.Generator().manual_seed(3)) - 0.5
    for wanted in ([1, 2], [2, 1], [3, 0], [4]):
        network, after = _network(inplace=True)
        given = list(wanted)
        try:
            result = call(answer, network, x, given)
        except Changed:
            untouched = _network(inplace=False)[0]
            if isinstance(reply := answer(untouched, x.clone(), list(wanted)), Mapping) and 1 in reply:
                _expect_output(reply[1], 1, x)  # only the layers that are wanted, each on the picture itself
            raise
        if given != wanted:
            raise Wrong("it modifies the list of wanted layers, which belongs to the caller: leave it as it is")
        if not isinstance(result, Mapping):
            raise Wrong(f"it returns a {type(result).__name__}: return a dictionary, index -> output")
        _expect_indices(list(result), wanted)
        for index in wanted:
            _expect_output(result[index], index, x)
        if after.calls:
            raise Wrong(f"it runs on after layer {max(wanted)}, the deepest one wanted: stop there")
        _expect_untouched(network)
    source = x.clone().requires_grad_()
    expect_gradient(answer(_network(inplace=True)[0], source, [3])[3], _network(inplace=False)[0][:4](source), source)


def _expect_indices(keys: list[object], wanted: list[int]) -> None:
    """Wrong unless the keys are those wanted, in any order."""
    if set(keys) == set(wanted):
        return
    if max(wanted) == wanted[-1] and set(keys) == set(wanted[:-1]):
        raise Wrong(
            f"of {wanted} it gives {keys}: layer {max(wanted)}, the deepest one wanted, has to run before it stops"
        )
    if set(keys) == {i for i in wanted if i <= wanted[-1]}:
        raise Wrong(
            f"wanted is not sorted: of {wanted} it gives {keys}; it stops too early, as one does that stops at "
            f"{wanted[-1]}, the last named"
        )
    raise Wrong(f"for the layers {wanted} its keys are {keys}")


def _expect_untouched(network: nn.Sequential) -> None:
    """Wrong unless the network is what the caller gave: its ReLUs in place, no hooks left on it."""
    if not all(module.inplace for module in network if isinstance(module, nn.ReLU)):
        raise Wrong("it switches inplace off in a network that belongs to the caller: keep copies of outputs instead")
    if not all(weight.requires_grad for weight in network[-1].parameters()):
        raise Wrong("it freezes weights of a network that belongs to the caller: leave them as they are")
    if not all(module.training for module in network.modules()):
        raise Wrong("it switches the network, which belongs to the caller, to eval mode: leave its mode as it is")
    if any(module._forward_hooks or module._forward_pre_hooks for module in network.modules()):
        raise Wrong("it leaves its hooks on the network, which belongs to the caller: remove them at the end")


class _Counted(nn.Identity):
    """A layer that counts how often it runs, with a weight that learns."""

    calls = 0

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

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
        raise Wrong(
            f"the ReLU after layer {index} has overwritten its output: clone it at once, before the next layer runs"
        )
    alone = _network(inplace=False)[0][index]
    if index and isinstance(result, Tensor) and isinstance(alone, nn.ReLU) and result.shape == x.shape:
        if close(result, alone(x)):
            raise Wrong(f"it runs only the layers that are wanted: layer {index} needs all those before it")
    for other, what in ((index, "what goes into"), (index + 2, "the output of the layer after")):
        if other < len(outputs) and isinstance(result, Tensor) and result.shape == outputs[other].shape:
            if close(result, outputs[other]):
                raise Wrong(f"for layer {index} it gives {what} layer {index}")
    expect_tensor(result, tuple(wanted.shape))
    raise Wrong(f"the output of layer {index} has the right shape and wrong values")
