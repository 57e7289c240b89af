"""Checks for the exercises of 04_gatys_style_transfer."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .framework import Wrong, call, exercise, expect_gradient, expect_tensor, expect_value
from .lesson02 import projected_adam


@exercise
def total_variation_l1(answer: Callable[[Tensor], Tensor]) -> None:
    """The sum of |differences| of neighboring pixels of an image (1, 3, H, W), down plus across."""
    image = torch.rand(1, 3, 7, 11, generator=torch.Generator().manual_seed(1), requires_grad=True)
    pixels = image.double()
    down, across, channels = (pixels.diff(dim=dim) for dim in (2, 3, 1))
    wanted = down.abs().sum() + across.abs().sum()
    result = expect_tensor(call(answer, image), ())
    named = {
        "it takes differences down the picture only: add those across": down.abs().sum(),
        "it takes differences across the picture only: add those down": across.abs().sum(),
        "it squares the differences: take their absolute value": down.square().sum() + across.square().sum(),
        "it takes means: this variant is a sum": down.abs().mean() + across.abs().mean(),
        "its differences keep their sign, so they cancel: take the absolute value": down.sum() + across.sum(),
        "it compares color channels (dimension 1): compare rows and columns (2 and 3)": channels.abs().sum(),
    }
    expect_value(result, wanted, named)
    expect_gradient(result, wanted, image)


@exercise
def gatys_style_term(answer: Callable[[Tensor, Tensor], Tensor]) -> None:
    """1/(4 N^2 M^2) sum (F F' - A A')^2 of features and target features, both (1, N, H, W)."""
    generator = torch.Generator().manual_seed(2)
    features = torch.rand(1, 5, 6, 9, generator=generator, requires_grad=True)
    target = torch.rand(1, 5, 6, 9, generator=generator)
    f, a = (x.double().flatten(2)[0] for x in (features, target))
    (n, m), squares = f.shape, (f @ f.T - a @ a.T).square().sum()
    wanted = squares / (4 * n**2 * m**2)
    result = expect_tensor(call(answer, features, target), ())
    named = {
        "it leaves out the factor 1/4": 4 * wanted,
        "it leaves out N^2, the square of the number of channels": wanted * n**2,
        "it leaves out M^2, the square of the number of positions": wanted * m**2,
        "it divides by nothing: put 1/(4 N^2 M^2) in front": squares,
        "it divides by H only: M is H times W": squares / (4 * n**2 * 6**2),
        "it takes the mean instead of the sum, so it divides by N^2 twice": wanted / n**2,
        "it divides by N and M, not by their squares": squares / (4 * n * m),
        "it compares the features themselves: compare their Gram matrices": (f - a).square().sum() / (4 * n**2 * m**2),
    }
    expect_value(result, wanted, named)
    expect_gradient(result, wanted, features)


@exercise
def paint(answer: Callable[[Tensor, Callable, int, float], Tensor]) -> None:
    """Projected Adam: `steps` steps on objective(image) -> scalar from `start` (1, 3, H, W), whose shape it returns."""
    start = torch.rand(1, 3, 5, 8, generator=torch.Generator().manual_seed(4))
    goal = torch.linspace(-0.5, 1.5, start.numel()).view_as(start)  # partly outside [0, 1]: the clamp must act
    calls = []

    def objective(image: Tensor) -> Tensor:
        calls.append(image.detach().clone())
        return (image - goal).square().sum()

    result = expect_tensor(call(answer, start, objective, 12, 0.1), tuple(start.shape))
    if result.requires_grad:
        raise Wrong("the picture that it returns still requires a gradient: return image.detach()")
    if len(calls) != 12:
        raise Wrong(f"it evaluates the objective {len(calls)} times for 12 steps: once per step is enough")
    if not torch.equal(calls[0], start):
        raise Wrong("it does not start from the picture it was given")
    if result.min() < 0 or result.max() > 1:
        raise Wrong("the picture leaves [0, 1]: clamp it after every step")
    named = {
        "it clamps only once, at the end: clamp after every step": projected_adam(start, objective, every=False),
        "it never clears the gradient: call optimizer.zero_grad() in every step": projected_adam(
            start, objective, clear=False
        ),
        "it climbs: the loss must fall": projected_adam(start, lambda x: -objective(x)),
        "it ignores the learning rate that it was given": projected_adam(start, objective, rate=1e-3),
        "it is gradient descent without Adam": _descent(start, objective),
    }
    otherwise = "the picture is not the one that Adam with its default betas gives"
    expect_value(result, projected_adam(start, objective), named, otherwise)


def _descent(start: Tensor, objective: Callable[[Tensor], Tensor], steps: int = 12, rate: float = 0.1) -> Tensor:
    image = start.clone().requires_grad_()
    for _ in range(steps):
        (gradient,) = torch.autograd.grad(objective(image), image)
        image = (image - rate * gradient).clamp(0, 1).detach().requires_grad_()
    return image.detach()
