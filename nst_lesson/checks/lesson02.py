"""Checks for the exercises of 02_feature_reconstruction."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ..methods.gatys import optimize, solver
from ..methods.losses import content_loss
from .framework import Wrong, call, call_without_autograd, close, exercise, expect_tensor, expect_value
from .loops import GraphOfEarlierStep, call_loop, expect_motion, projected_adam, reasons_unwatched

LEAST_CHANGE = 0.1  # mean absolute difference; four equal maxima in each block of uniform noise give about 0.3


def _psnr(image: Tensor, target: Tensor) -> Tensor:
    return -10 * (image - target).square().mean().log10()


@exercise(otherwise=_psnr)
def psnr(answer: Callable[[Tensor, Tensor], Tensor]) -> None:
    """10 log10(1 / mean squared difference) of two pictures (1, 3, H, W) in [0, 1], in decibels."""
    generator = torch.Generator().manual_seed(1)
    image, target = (brightness * torch.rand(1, 3, 7, 11, generator=generator) for brightness in (1, 0.6))
    d = (image - target).double()
    error = d.square().mean()
    wanted = -10 * error.log10()
    result = expect_tensor(call(answer, image, target), ())
    named = {
        "its sign is wrong: nearer pictures must give more decibels": -wanted,
        "it takes the natural logarithm: use the one to base 10": -10 * error.log(),
        "it takes the logarithm to base 2: use the one to base 10": -10 * error.log2(),
        "it leaves out the logarithm": 1 / error,
        "it leaves out the factor 10": -error.log10(),
        "it takes the root of the error: with the factor 10 the error stays squared": wanted / 2,
        "its factor is 20, which belongs to the root of the error: take 10": 2 * wanted,
        "it divides by H W alone: the mean is over the three channels too": -10 * (3 * error).log10(),
        "it takes the mean of three PSNRs: first the mean of the squares, over everything": -10
        * d.square().mean((0, 2, 3)).log10().mean(),
        "it sums the squares: take their mean": -10 * d.square().sum().log10(),
        "it takes the variance of the difference, which leaves out its mean": (
            -10 * d.var(correction=0).log10(),
            -10 * d.var().log10(),
        ),
        "it takes absolute differences: square them": -10 * d.abs().mean().log10(),
        "it takes 255 for the brightest value: here it is 1": wanted + 20 * torch.tensor(255.0).log10(),
        "it returns the mean squared difference itself": error,
    }
    expect_value(result, wanted, named, "it is not 10 log10(1 / mean squared difference)")


def _content_loss_gradient(z: Tensor, target: Tensor) -> Tensor:
    return (z.relu() - target) * (z > 0)


@exercise(otherwise=_content_loss_gradient)
def content_loss_gradient(answer: Callable[[Tensor, Tensor], Tensor]) -> None:
    """The gradient of 1/2 sum (max(z, 0) - P)^2 at z, for z before and P after the ReLU, both (B, C, H, W)."""
    generator = torch.Generator().manual_seed(2)
    z, other = (torch.randn(3, 5, 4, 7, generator=generator) for _ in range(2))
    z[0, 0, 0] = 0  # the border between the two cases
    target = other.relu()
    result = expect_tensor(call_without_autograd(answer, z, target), tuple(z.shape))
    zd, p = z.double(), target.double()
    f = zd.relu()
    wanted = (f - p) * (zd > 0)
    named = {
        "it leaves out the second case: where F = 0 the ReLU is closed and the gradient is 0": f - p,
        "it forgets the ReLU: compare max(z, 0) with P, and let nothing pass where z < 0": zd - p,
        "its cases ask where P > 0: it is F, the features of the picture in hand, that must be positive": (f - p)
        * (p > 0),
        "its cases ask where z > P: the ReLU is open where z > 0": (f - p) * (zd > p),
        "it returns the terms of the loss: return their derivative, F - P": (f - p).square() / 2,
        "its cases are swapped: the gradient is 0 where F = 0, and F - P elsewhere": (f - p) * (zd <= 0),
        "its sign is wrong: it is F - P, not P - F": -wanted,
        "it lets something pass where z is exactly 0: there F = 0, which is the second case (z > 0, not z >= 0)": (
            f - p
        )
        * (zd >= 0),
        "it is twice too large: the 1/2 in front of the sum cancels the 2 of the square": 2 * wanted,
        "it is half of it: the 1/2 in front of the sum cancels the 2 of the square": wanted / 2,
        "it divides by the number of values: the loss is a sum": wanted / z.numel(),
        "it divides by the batch size: the loss is a sum over all pictures": wanted / len(z),
        "it keeps only the sign of F - P: keep its size too": wanted.sign(),
    }
    expect_value(result, wanted, named, "the values are not those that autograd gives")


def _same_to_max_pooling(image: Tensor) -> Tensor:
    return F.max_pool2d(image, 2).repeat_interleave(2, 2).repeat_interleave(2, 3)


@exercise(otherwise=_same_to_max_pooling)
def same_to_max_pooling(answer: Callable[[Tensor], Tensor]) -> None:
    """A picture that differs from (1, 3, H, W), H and W even, but has the same 2 x 2 max pooling. Many are right."""
    image = torch.rand(1, 3, 8, 14, generator=torch.Generator().manual_seed(3))
    result = expect_tensor(call(answer, image), tuple(image.shape)).detach().double()
    if not result.isfinite().all() or result.min() < 0 or result.max() > 1:
        raise Wrong("its values leave [0, 1]: make a picture")
    wanted, pooled = (F.max_pool2d(x, 2) for x in (image.double(), result))
    tiled = F.max_pool2d(wanted.repeat(1, 1, 2, 2), 2)
    named = {
        "it keeps the averages of the blocks: keep their maxima": F.avg_pool2d(image.double(), 2),
        "it lays copies of the small picture side by side: repeat_interleave, not repeat": tiled,
        "it keeps the minima of the blocks: keep their maxima": -F.max_pool2d(-image.double(), 2),
    }
    otherwise = "its 2 x 2 max pooling differs from that of the picture it was given"
    if close(pooled.flatten().sort().values, wanted.flatten().sort().values, 1e-6):
        otherwise = "it has the right maxima in the wrong blocks: each must stay where it was"
    expect_value(pooled, wanted, named, otherwise, 1e-6)  # copies are exact; a step through arithmetic is not
    change = (result - image.double()).abs().mean().item()
    if change < LEAST_CHANGE:
        raise Wrong(f"it is right but hardly differs: by {change:.3f} on average; change more of the pixels")


def _reconstruct(start: Tensor, target: Tensor, features: Callable[[Tensor], Tensor], steps: int, lr: float) -> Tensor:
    with torch.no_grad():
        wanted = features(target)
    *_, last = optimize(start, lambda image: content_loss(features(image), wanted), steps, solver("adam", lr))
    return last.image


@exercise(otherwise=_reconstruct)
def reconstruct(answer: Callable[[Tensor, Tensor, Callable, int, float], Tensor]) -> None:
    """Projected Adam from `start` toward the features of `target`, both (1, 3, H, W); returns that shape.

    A loss that is a multiple of the relative one gives the same picture: Adam does not see a constant factor.
    """
    generator = torch.Generator().manual_seed(4)
    start = torch.rand(1, 3, 5, 8, generator=generator)
    target = torch.linspace(-0.5, 1.5, start.numel()).view_as(start)  # partly outside [0, 1]: the clamp must act
    weight = torch.randn(4, 3, 1, 1, generator=generator).requires_grad_()
    seen, unwatched = list[Tensor](), list[str]()

    def features(image: Tensor) -> Tensor:
        if not torch.equal(image, target):
            unwatched.extend(reasons_unwatched(image, first=all(torch.equal(other, target) for other in seen)))
        seen.append(image.detach().clone())
        return F.conv2d(image, weight)

    inputs = (start, target, features, 12, 0.1)
    try:
        result = call_loop(answer, *inputs, unwatched=unwatched)
    except GraphOfEarlierStep:
        weight.requires_grad_(False)  # so that the target's features have no graph
        call_loop(answer, *inputs, unwatched=unwatched)
        raise Wrong("the target's features carry a graph: compute them under torch.no_grad()") from None
    _expect_course(result, seen, start, target, unwatched)
    exact, pixels = weight.detach(), torch.eye(3).view(3, 3, 1, 1)

    def loss(image: Tensor, kernel: Tensor = exact) -> Tensor:
        wanted = F.conv2d(target, kernel)
        return (F.conv2d(image, kernel) - wanted).square().sum() / wanted.square().sum()

    named = {
        "start and target are swapped: the picture begins as start, and gets the features of target": projected_adam(
            target, lambda image: (F.conv2d(image, exact) - F.conv2d(start, exact)).square().sum()
        ),
        "it clamps only once, at the end: clamp after every step": projected_adam(start, loss, every=False),
        "it never clears the gradient: call zero_grad() in every step": projected_adam(start, loss, clear=False),
        "it climbs: the loss must fall": projected_adam(start, lambda image: -loss(image)),
        "it makes a new Adam in every step, which forgets what it has learned: make it once, before the loop": (
            projected_adam(start, loss, anew=True)
        ),
        "it ignores the learning rate that it was given": (
            projected_adam(start, loss, rate=1e-3),  # Adam's own
            projected_adam(start, loss, rate=0.05),  # the lesson's
        ),
        "it compares pixels: compare features": projected_adam(start, lambda image: loss(image, pixels)),
    }
    otherwise = "the picture is not the one that the relative loss and Adam with its default betas give"
    # Adam carries the last digits of small gradients on.
    expect_value(result, projected_adam(start, loss), named, otherwise, tolerance=1e-3)


def _expect_course(result: Tensor, seen: list[Tensor], start: Tensor, target: Tensor, unwatched: Sequence[str]) -> None:
    """Wrong unless `seen`, the pictures asked about, are the target and 12 others on the way from `start`."""
    own = [image for image in seen if not torch.equal(image, target)]
    targets = len(seen) - len(own)
    if targets == 0:
        raise Wrong("it never asks for the features of the target")
    if own and not torch.equal(own[0], start):
        raise Wrong("it does not start from the picture it was given")
    if len(own) != 12:
        raise Wrong(f"it asks for the picture's features {len(own)} times in 12 steps: once per step is right")
    if targets > 1:
        raise Wrong(f"it computes the target's features {targets} times: once, before the loop, is enough")
    expect_motion(own, result, unwatched)
