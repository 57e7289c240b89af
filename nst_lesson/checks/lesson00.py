"""Checks for the exercises of lesson 00: a picture as a tensor."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ..pictures.images import to_pil
from .framework import Wrong, call, exercise, expect_tensor, expect_value

SHAPE = (1, 3, 5, 7)  # not square, so that mixing up height and width shows


def _mean_color(image: Tensor) -> Tensor:
    return image.mean((0, 2, 3))


def _to_bytes(image: Tensor) -> Tensor:
    return torch.from_numpy(np.array(to_pil(image)))


@exercise(otherwise=_mean_color)
def mean_color(answer: Callable[[Tensor], Tensor]) -> None:
    """answer(image) must be the mean red, green and blue, shape (3,), of an image (1, 3, H, W)."""
    image = _random(seed=1) * torch.tensor([0.3, 0.6, 0.9]).view(1, 3, 1, 1)  # channels that cannot be confused
    pixels = image.double().flatten(2)[0]
    wanted = pixels.mean(1)
    mistakes = {
        "the channels come out in the order blue, green, red; keep red, green, blue": wanted.flip(0),
        "the values are between 0 and 255; the image is in [0, 1], and so is its mean color": wanted * 255,
        "it sums the pixels; divide by their number, or use mean": pixels.sum(1),
        "it mixes the channels: average over height and width only": wanted.mean().expand(3),
    }
    otherwise = "it is not the mean over all the pixels of each channel: average over height and width"
    expect_value(expect_tensor(call(answer, image), (3,)), wanted, mistakes, otherwise)


@exercise(otherwise=torch.lerp)
def blend(answer: Callable[[Tensor, Tensor, float], Tensor]) -> None:
    """answer(a, b, alpha) must be (1 - alpha) a + alpha b for two images of one shape."""
    a, b = _random(seed=2), _random(seed=3)
    for alpha in (0.25, 0.0, 1.0):
        wanted = (1 - alpha) * a.double() + alpha * b.double()
        swapped, whole = alpha * a + (1 - alpha) * b, a + alpha * b
        mistakes = {
            "the two pictures are swapped: alpha = 0 must give a, and alpha = 1 must give b": swapped,
            "it ignores alpha: it always takes half of each picture": (a + b) / 2,
            "the shares of a and b do not add up to 1: take 1 - alpha of a": (whole, whole.clamp(0, 1)),
        }
        result = expect_tensor(call(answer, a, b, alpha), SHAPE)
        expect_value(result, wanted, mistakes, f"at alpha = {alpha} it is not (1 - alpha) of a plus alpha of b")


@exercise(otherwise=_to_bytes)
def to_bytes(answer: Callable[[Tensor], Tensor]) -> None:
    """answer(image) must be the image (1, 3, H, W) as uint8 (H, W, 3), clamped to [0, 1] and rounded."""
    _, _, height, width = SHAPE
    levels = _random(seed=4).double().mul(256).floor()
    levels[0, :, 0, :2] = torch.tensor([0.0, 255.0])
    # Not too near a tie, where float32 could round either way.
    nearby = levels + torch.where(_random(seed=5) < 0.5, 0.4, -0.4)
    inside = (nearby / 255).clamp(0, 1).float()
    wanted = levels[0].permute(1, 2, 0)
    result = call(answer, inside)
    if isinstance(result, Tensor) and tuple(result.shape) == (3, height, width):
        raise Wrong(f"the channels come first, {tuple(result.shape)}; bring them last, {tuple(wanted.shape)}")
    result = expect_tensor(result, wanted.shape)
    if result.dtype != torch.uint8:
        raise Wrong(f"it returns {result.dtype}; whole numbers of one byte, torch.uint8, are expected")
    otherwise = "the values are not those of the picture times 255, rounded"
    if torch.equal(result.flatten().sort().values.double(), wanted.flatten().sort().values):
        otherwise = "the right values in the wrong places: move the channels with permute (reshape only regroups them)"
    cut = inside.double().mul(255).floor()[0].permute(1, 2, 0)
    mistakes = {
        "it cuts the decimals off, so nearly every value is too dark: round before you turn it into bytes": cut,
        "the channels come out in the order blue, green, red; keep red, green, blue": wanted.flip(2),
    }
    expect_value(result, wanted, mistakes, otherwise, tolerance=0)

    outside = torch.tensor([-0.5, -0.002, 1.002, 1.5]).repeat(1, 3, height, 1)
    result = call(answer, outside)
    if not torch.equal(result.double(), (outside[0].permute(1, 2, 0) > 0.5) * 255.0):
        raise Wrong("a value below 0 must give 0 and one above 1 must give 255: clamp before you turn it into bytes")


def _random(seed: int) -> Tensor:
    """An image of values from 0 to 1, the same in every run."""
    return torch.rand(SHAPE, generator=torch.Generator().manual_seed(seed))
