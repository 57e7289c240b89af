"""The exercises of lesson 00: right answers in other styles pass, and each classic mistake is named."""

from __future__ import annotations

import pytest
import torch
from exercises import verdict

import nst_lesson as nst


@pytest.mark.parametrize(
    "answer",
    [
        lambda image: torch.stack([channel.mean() for channel in image[0]]),
        lambda image: image.flatten(2).mean(2).squeeze(0),
        lambda image: image[0].double().mean((1, 2)),
    ],
)
def test_other_ways_to_the_mean_color_pass(answer):
    assert verdict(nst.check.mean_color, answer) == "mean_color: correct"


@pytest.mark.parametrize(
    "answer",
    [
        lambda image: (image[0].permute(1, 2, 0) * 255 + 0.5).clamp(0, 255).to(torch.uint8),
        lambda image: image.squeeze(0).movedim(0, 2).mul(255).round().clamp(0, 255).byte(),
        lambda image: torch.from_numpy(__import__("numpy").array(nst.to_pil(image))),
    ],
)
def test_other_ways_to_bytes_pass(answer):
    assert verdict(nst.check.to_bytes, answer) == "to_bytes: correct"


def test_lerp_is_a_blend():
    assert verdict(nst.check.blend, torch.lerp) == "blend: correct"


def scaled_in_place(image):
    image *= 255
    return image.mean((0, 2, 3))


def added_in_place(a, b, alpha):
    a.mul_(1 - alpha).add_(alpha * b)
    return a


WRONG = {
    "mean_color": [
        (lambda x: x.mean((2, 3)), "returns the shape (1, 3)"),
        (lambda x: x.mean(), "returns the shape ()"),
        (lambda x: x.mean((0, 2, 3)).tolist(), "returns a list"),
        (lambda x: x.flip(1).mean((0, 2, 3)), "blue, green, red"),
        (lambda x: 255 * x.mean((0, 2, 3)), "between 0 and 255"),
        (lambda x: x.sum((0, 2, 3)), "sums the pixels"),
        (lambda x: x.mean().expand(3), "mixes the channels"),
        (lambda x: x[..., :5].mean((0, 2, 3)), "not the mean over all the pixels"),
        (lambda x: x.reshape(-1, 3).mean(0), "not the mean over all the pixels"),
        (lambda x: x.mean((0, 2, 4)), "raised IndexError in line"),
        (scaled_in_place, "modifies its input"),
        (lambda x: None, "it returns None: is its `return` missing?"),
    ],
    "blend": [
        (lambda a, b, alpha: alpha * a + (1 - alpha) * b, "swapped"),
        (lambda a, b, alpha: (a + b) / 2, "ignores alpha"),
        (lambda a, b, alpha: a + alpha * b, "add up to 1"),
        (lambda a, b, alpha: (a + alpha * b).clamp(0, 1), "add up to 1"),
        (lambda a, b, alpha: (1 - alpha) * a, "at alpha = 0.25"),
        (lambda a, b, alpha: a if alpha < 0.5 else b, "at alpha = 0.25"),
        (lambda a, b, alpha: torch.cat([a, b], 3), "returns the shape (1, 3, 5, 14)"),
        (added_in_place, "modifies its input"),
    ],
    "to_bytes": [
        (lambda x: (x[0].flip(0).clamp(0, 1) * 255).round().permute(1, 2, 0).to(torch.uint8), "blue, green, red"),
        (lambda x: (x[0].clamp(0, 1) * 255).permute(1, 2, 0).to(torch.uint8), "cuts the decimals off"),
        (lambda x: (x[0] * 255).round().to(torch.int16).permute(1, 2, 0).to(torch.uint8), "clamp before"),
        (lambda x: (x[0].clamp(0, 1) * 255).round().to(torch.uint8), "channels come first"),
        (lambda x: (x.clamp(0, 1) * 255).round().to(torch.uint8).reshape(*x.shape[2:], 3), "wrong places"),
        (lambda x: (x[0].clamp(0, 1) * 255).round().permute(1, 2, 0), "torch.uint8"),
        (lambda x: (x[0] * 256).floor().clamp(0, 255).permute(1, 2, 0).to(torch.uint8), "times 255, rounded"),
        (lambda x: (x.clamp(0, 1) * 255).round().permute(0, 2, 3, 1).to(torch.uint8), "returns the shape (1, 5, 7, 3)"),
        (lambda x: (x.clamp_(0, 1).mul_(255))[0].round().permute(1, 2, 0).to(torch.uint8), "modifies its input"),
    ],
}


CASES = [(name, *case) for name, cases in WRONG.items() for case in cases]


@pytest.mark.parametrize(("name", "answer", "message"), CASES)
def test_each_mistake_is_named(name, answer, message):
    assert message in verdict(getattr(nst.check, name), answer)
