"""The exercises of lesson 01: folded solutions pass, stubs are not attempted, and each classic mistake is named."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from exercises import define, exercises, printed, verdict

import nst_lesson as nst

NAMES = ("normalize_image", "conv_cost", "receptive_field", "features_at")
EXERCISES = dict(zip(NAMES, exercises("01_what_vgg_sees"), strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_the_folded_solution_passes(name):
    answer = define(EXERCISES[name].solution)[name]
    assert verdict(getattr(nst.check, name), answer) == f"{name}: correct"


@pytest.mark.parametrize("name", NAMES)
def test_the_stub_is_not_attempted_yet(name):
    assert printed(EXERCISES[name].stub) == f"{name}: not attempted yet"


def view(x):
    return x.view(1, 3, 1, 1)


def in_place(image, mean, std):
    image -= view(mean)
    return image.div_(view(std))


def cost(k, n, m, h, w):
    """(weights, multiply-adds)"""
    return k * k * n * m, k * k * n * m * h * w


def field(layers, *, start=1, off=1, grow=lambda jump, stride: jump * stride, first=False):
    """The recurrence with a place for each mistake."""
    result, jump = start, 1
    for kernel, stride in layers:
        if first:
            jump = grow(jump, stride)
        result += (kernel - off) * jump
        if not first:
            jump = grow(jump, stride)
    return result


def emptied(layers):
    result = field(layers)
    layers.clear()
    return result


def walked(network, x, wanted, *, keep=lambda before, after: after.clone(), stop=True):
    found = {}
    for index, module in enumerate(network):
        before, x = x, module(x)
        if index in wanted:
            found[index] = keep(before, x)
        if stop and index == max(wanted):
            break
    return found


def later_outputs(network, x, wanted):
    outputs = walked(network, x, range(len(network)), stop=False)
    return {index: outputs[index + 1] for index in wanted}


# Right answers in another style: float64, another order of the sums, plain numbers of other types.
RIGHT = [
    ("normalize_image", lambda i, m, s: i.double() / view(s) - view(m).double() / view(s)),
    ("normalize_image", lambda i, m, s: ((i.permute(0, 2, 3, 1) - m) / s).permute(0, 3, 1, 2)),
    ("conv_cost", lambda k, n, m, h, w: [m * (k * k * n + 1.0), np.int64(k**2 * n * m * h * w)]),
    ("conv_cost", lambda k, n, m, h, w: (sum(p.numel() for p in torch.nn.Conv2d(n, m, k).parameters()),
                                         cost(k, n, m, h, w)[1])),
    ("receptive_field", lambda layers: torch.tensor(field(layers))),
    ("receptive_field", lambda layers: float(1 + sum(
        (k - 1) * math.prod(s for _, s in layers[:i]) for i, (k, _) in enumerate(layers)))),
    ("features_at", lambda n, x, wanted: {i: n[: i + 1](x) for i in wanted}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "answer"), RIGHT)
def test_a_right_answer_in_another_style_passes(name, answer):
    assert verdict(getattr(nst.check, name), answer) == f"{name}: correct"


WRONG = [
    ("normalize_image", lambda i, m, s: i / view(s), "does not subtract the mean"),
    ("normalize_image", lambda i, m, s: i - view(m), "does not divide by the standard deviation"),
    ("normalize_image", lambda i, m, s: i / view(s) - view(m), "divides first"),
    ("normalize_image", lambda i, m, s: (i - view(m)) * view(s), "multiplies by the standard deviation"),
    ("normalize_image", lambda i, m, s: i * view(s) + view(m), "undoes a normalization"),
    ("normalize_image", lambda i, m, s: (i + view(m)) / view(s), "adds the mean"),
    ("normalize_image", lambda i, m, s: (i - view(m)) / view(s) ** 2, "divides by the variance"),
    (
        "normalize_image",
        lambda i, m, s: (i - i.mean((2, 3), keepdim=True)) / i.std((2, 3), keepdim=True),
        "the picture's own mean",
    ),
    ("normalize_image", lambda i, m, s: (i - view(m.flip(0))) / view(s.flip(0)), "in the wrong order"),
    ("normalize_image", lambda i, m, s: ((i - view(m)) / view(s)).flip(1), "blue, green, red"),
    ("normalize_image", lambda i, m, s: (255 * i - view(m)) / view(s), "by 255"),
    ("normalize_image", lambda i, m, s: (i - m) / s, "raised RuntimeError: The size of tensor"),
    ("normalize_image", lambda i, m, s: ((i - view(m)) / view(s))[:1], "returns the shape (1, 3, 5, 7)"),
    ("normalize_image", in_place, "modifies its input"),
    ("normalize_image", lambda i, m, s: ((i - view(m)) / view(s)).detach(), "detaches the graph"),
    ("conv_cost", lambda k, n, m, h, w: cost(k, n, m, h, w), "parameters: it forgets the biases"),
    ("conv_cost", lambda k, n, m, h, w: (k * k * n * m + n, 0), "bias per input channel"),
    ("conv_cost", lambda k, n, m, h, w: (k * k * n * m + 1, 0), "a single bias"),
    ("conv_cost", lambda k, n, m, h, w: (k * n * m + m, 0), "kernel x kernel"),
    ("conv_cost", lambda k, n, m, h, w: (k * k * m + m, 0), "forgets the input channels"),
    ("conv_cost", lambda k, n, m, h, w: ((k * k * n + 1) * m * h * w, 0), "the same weights serve everywhere"),
    ("conv_cost", lambda k, n, m, h, w: (k * k * n * m + m, k * k * n * m), "forgets the positions"),
    ("conv_cost", lambda k, n, m, h, w: (k * k * n * m + m, 2 * cost(k, n, m, h, w)[1]), "counts flops"),
    ("conv_cost", lambda k, n, m, h, w: ((k * k * n + 1) * m, (k * k * n + 1) * m * h * w), "counts the biases"),
    ("conv_cost", lambda k, n, m, h, w: ((k * k * n + 1) * m, k * k * n * m * h), "by the height only"),
    ("conv_cost", lambda k, n, m, h, w: ((k * k * n + 1) * m, k * k * m * h * w), "adds: it forgets the input"),
    ("conv_cost", lambda k, n, m, h, w: ((k * k * n + 1) * m, k * k * n * h * w), "forgets the output channels"),
    ("conv_cost", lambda k, n, m, h, w: k * k * n * m + m, "does not return two numbers"),
    ("receptive_field", lambda layers: field(layers, grow=lambda jump, stride: 1), "ignores the strides"),
    ("receptive_field", lambda layers: field(layers, first=True), "updates the jump first"),
    ("receptive_field", lambda layers: field(layers, off=0), "adds kernel times jump"),
    ("receptive_field", lambda layers: field(layers, start=0), "starts from 0"),
    ("receptive_field", lambda layers: math.prod(s for _, s in layers), "returns the jump"),
    ("receptive_field", lambda layers: field(layers, grow=lambda jump, stride: jump + stride), "adds the strides"),
    ("receptive_field", lambda layers: 1 + sum((k - 1) * s for k, s in layers), "this layer's stride only"),
    ("receptive_field", lambda layers: field(layers[::-1]), "from last to first"),
    ("receptive_field", lambda layers: math.prod(k for k, _ in layers), "multiplies the kernels"),
    ("receptive_field", lambda layers: (field(layers), 1), "returns a tuple"),
    ("receptive_field", lambda layers: 1000, "1000 where 55 is right"),
    ("receptive_field", lambda layers: field(layers) if layers else 0, "without any layer"),
    ("receptive_field", emptied, "modifies its input"),
    ("features_at", lambda *a: walked(*a, keep=lambda before, after: after), "overwritten its output"),
    ("features_at", lambda *a: walked(*a, keep=lambda before, after: before.clone()), "what goes into layer"),
    ("features_at", later_outputs, "the output of the layer after"),
    ("features_at", lambda *a: walked(*a, stop=False), "runs on after layer 2"),
    ("features_at", lambda *a: list(walked(*a).values()), "returns a list"),
    ("features_at", lambda n, x, wanted: walked(n, x, range(max(wanted) + 1)), "its keys are [0, 1, 2]"),
    ("features_at", lambda *a: walked(*a, keep=lambda before, after: after.detach().clone()), "detaches the graph"),
    ("features_at", lambda *a: walked(*a, keep=lambda before, after: after[0].clone()), "returns the shape"),
    ("features_at", lambda *a: walked(*a, keep=lambda before, after: 2 * after), "wrong values"),
]


@pytest.mark.parametrize(("name", "answer", "reason"), WRONG)
def test_a_wrong_answer_is_named(name, answer, reason):
    line = verdict(getattr(nst.check, name), answer)
    assert line.startswith(f"{name}: not yet") and reason in line


def test_a_check_leaves_the_random_numbers_alone():
    torch.manual_seed(0)
    wanted = torch.rand(3)
    torch.manual_seed(0)
    verdict(nst.check.features_at, walked)
    assert torch.equal(torch.rand(3), wanted)
