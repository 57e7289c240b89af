"""Checks for the exercises of 04_gatys_style_transfer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress

import torch
from torch import Tensor

from ..methods.gatys import optimize, solver
from ..methods.losses import gram_matrix, style_loss
from ..methods.losses import total_variation as package_total_variation
from .framework import Wrong, call, exercise, expect_gradient, expect_tensor, expect_value
from .loops import call_loop, expect_motion, projected_adam, reasons_unwatched


def _paint(start: Tensor, objective: Callable[[Tensor], Tensor], steps: int, lr: float) -> Tensor:
    """What exercise 3 asks for, by the package's own loop."""
    *_, last = optimize(start, objective, steps, solver("adam", lr))
    return last.image


def _style_term(features: Mapping[str, Tensor], grams: Mapping[str, Tensor], shares: Mapping[str, float]) -> Tensor:
    """What exercise 1 asks for, by the package's own formula."""
    terms = [share * style_loss(gram_matrix(features[layer]), grams[layer]) for layer, share in shares.items()]
    return torch.stack(terms).sum()


def _paper_term(features: Tensor, target: Tensor) -> Tensor:
    """What exercise 4 asks for, by the package's own formula."""
    return style_loss(gram_matrix(features), gram_matrix(target), "gatys")


@exercise(otherwise=_style_term)
def style_term(answer: Callable[[Mapping[str, Tensor], Mapping[str, Tensor], Mapping[str, float]], Tensor]) -> None:
    """The sum over layers of share |G - A|^2 / |A|^2, of features (1, N, H, W) and the painting's A (1, N, N)."""
    generator = torch.Generator().manual_seed(3)
    sizes = {"first": (3, 8, 9), "second": (5, 4, 6)}
    features = {k: torch.randn(1, *size, generator=generator).requires_grad_() for k, size in sizes.items()}
    painting = {
        k: scale * torch.randn(1, *sizes[k], generator=generator) for k, scale in zip(sizes, (1, 3), strict=True)
    }
    shares, both = {"first": 0.7, "second": 0.3}, (features, painting)
    sums, targets = ({k: (f := x[k].double().flatten(2)) @ f.mT for k in x} for x in both)
    counts = {k: h * w for k, (_, h, w) in sizes.items()}
    grams = {k: targets[k] / counts[k] for k in sizes}
    wanted = {k: gram.float() for k, gram in grams.items()}
    content = torch.randn(1, 4, 3, 3, generator=generator)
    with_content = {"first": features["first"], "content": content, "second": features["second"]}
    turned = dict(reversed(wanted.items()))  # in another order than the shares
    every = "it goes through all the features, of which one may belong to the content term: take the layers of shares"
    order = "it pairs layers by the order in which they come: take the three of a layer by its name"
    try:
        reply = call(answer, with_content, turned, shares)
    except (KeyError, RuntimeError):
        for reason, found, grams_of in (
            (every, features, turned),
            (order, with_content, wanted),
            (every, features, wanted),
        ):
            with suppress(KeyError, RuntimeError):
                call(answer, found, grams_of, shares)
                raise Wrong(reason) from None
        raise  # something else is wrong
    result = expect_tensor(reply, ())

    def total(distance: Callable[[Tensor, Tensor], Tensor], given: Mapping[str, float] = shares) -> Tensor:
        return torch.stack([share * distance(sums[k] / counts[k], grams[k]) for k, share in given.items()]).sum()

    def relative(gram: Tensor, wanted: Tensor) -> Tensor:
        return (gram - wanted).square().sum() / wanted.square().sum()

    right, alike = total(relative), dict.fromkeys(shares, 0.5)
    undivided = [share * relative(sums[k], grams[k]) for k, share in shares.items()]
    named = {
        "it leaves out the shares: each layer counts by its own": (total(relative, alike), 2 * total(relative, alike)),
        "it divides by the number of layers: the shares add up to 1 already": right / 2,
        "it takes one layer only: add them all": tuple(total(relative, {k: share}) for k, share in shares.items()),
        "it does not divide by the painting's sum of squares, so a loud layer drowns the others": total(
            lambda gram, wanted: (gram - wanted).square().sum()
        ),
        "it takes means of squares: divide by the sum of squares of the painting's Gram matrix": total(
            lambda gram, wanted: (gram - wanted).square().mean()
        ),
        "it divides by the picture's sum of squares: divide by the painting's": total(lambda g, a: relative(a, g)),
        "the picture's Gram matrix is not divided by H W, the number of positions": torch.stack(undivided).sum(),
        "it compares lengths, not their squares": total(lambda gram, wanted: relative(gram, wanted).sqrt()),
        "it takes absolute differences: square them": total(lambda g, a: (g - a).abs().sum() / a.abs().sum()),
        "it squares the shares: multiply by a share after squaring": sum(
            share**2 * relative(sums[k] / counts[k], grams[k]) for k, share in shares.items()
        ),
    }
    expect_value(result, right, named, "it is not the sum of share |G - A|^2 / |A|^2")
    expect_gradient(result, right, *features.values())


@exercise(otherwise=package_total_variation)
def total_variation(answer: Callable[[Tensor], Tensor]) -> None:
    """The mean squared difference of neighboring pixels of an image (1, 3, H, W), down plus across."""
    generator = torch.Generator().manual_seed(1)
    rows, grain = (torch.rand(1, 3, 7, width, generator=generator) for width in (1, 11))
    loud = torch.tensor([0.2, 0.6, 1.0]).view(3, 1, 1)  # rows, columns and channels do not differ by the same
    image = (loud * (0.6 * rows + 0.4 * grain)).requires_grad_()
    pixels = image.double()
    down, across, channels = (pixels.diff(dim=dim) for dim in (2, 3, 1))
    squares = [d.square() for d in (down, across)]
    right = squares[0].mean() + squares[1].mean()
    result = expect_tensor(call(answer, image), ())
    named = {
        "it takes differences down the picture only: add those across": squares[0].mean(),
        "it takes differences across the picture only: add those down": squares[1].mean(),
        "it adds the same differences twice: one goes down, the other across": tuple(2 * d.mean() for d in squares),
        "it takes absolute differences: square them": down.abs().mean() + across.abs().mean(),
        "it takes sums: take the mean, so that the size of the picture does not count": sum(d.sum() for d in squares),
        "it takes sums of absolute values: take means of squares": down.abs().sum() + across.abs().sum(),
        "its differences keep their sign, so they cancel: square them": down.mean() + across.mean(),
        "it squares the mean: take the mean of the squares": down.mean().square() + across.mean().square(),
        "it compares color channels (dimension 1): compare rows and columns (2 and 3)": (
            channels.square().mean(),
            *(channels.square().mean() + d.mean() for d in squares),
        ),
        "it is half of it: down plus across, not their mean": right / 2,
        "it divides both by the number of pixels: each has its own number of differences": sum(
            d.sum() / image.numel() for d in squares
        ),
        "it takes the mean over all differences together: take two means, and add them": torch.cat(
            [d.flatten() for d in squares]
        ).mean(),
    }
    expect_value(
        result, right, named, "it is not the mean of (difference down)^2 plus the mean of (difference across)^2"
    )
    expect_gradient(result, right, image)


@exercise(otherwise=_paper_term)
def gatys_style_term(answer: Callable[[Tensor, Tensor], Tensor]) -> None:
    """1/(4 N^2 M^2) sum (F F' - A A')^2 of features and target features, both (1, N, H, W)."""
    generator = torch.Generator().manual_seed(2)
    features = torch.randn(1, 5, 6, 9, generator=generator, requires_grad=True)  # pocket's have signs, too
    target = torch.randn(1, 5, 6, 9, generator=generator)
    f, a = (x.double().flatten(2)[0] for x in (features, target))

    def of_changed(change: Callable[[Tensor], Tensor]) -> Tensor:
        """The same of other features."""
        return (change(f) @ change(f).T - change(a) @ change(a).T).square().sum() / (4 * n**2 * m**2)

    (n, m), squares = f.shape, (f @ f.T - a @ a.T).square().sum()
    wanted = squares / (4 * n**2 * m**2)
    result = expect_tensor(call(answer, features, target), ())
    named = {
        "it leaves out the factor 1/4": 4 * wanted,
        "it leaves out N^2, the square of the number of channels": wanted * n**2,
        "it leaves out M^2, the square of the number of positions": wanted * m**2,
        "it divides by nothing: put 1/(4 N^2 M^2) in front": squares,
        "it divides by H only: M is H times W": squares / (4 * n**2 * 6**2),
        "its Gram matrices are divided by M already, and it divides by M^2 once more": wanted / m**2,
        "it divides by N, not by its square": wanted * n,
        "it divides by M, not by its square": wanted * m,
        "it is relative to the painting's Gram matrix: the paper's term divides by 4 N^2 M^2 alone": squares
        / (a @ a.T).square().sum(),
        "it takes the mean instead of the sum, so it divides by N^2 twice": wanted / n**2,
        "it divides by N and M, not by their squares": squares / (4 * n * m),
        "it multiplies by N^2 M^2: put the whole denominator in brackets": squares / 4 * n**2 * m**2,
        "it does not square the differences": (f @ f.T - a @ a.T).sum() / (4 * n**2 * m**2),
        "it takes F' F, positions times positions: take F F'": (f.T @ f - a.T @ a).square().sum() / (4 * n**2 * m**2),
        "it compares the features themselves: compare their Gram matrices": (f - a).square().sum() / (4 * n**2 * m**2),
        "it takes the features' absolute values: leave their signs": of_changed(torch.abs),
        "it leaves out what is negative in the features: leave their signs": of_changed(torch.relu),
    }
    expect_value(result, wanted, named, "it is not 1/(4 N^2 M^2) sum (F F' - A A')^2")
    expect_gradient(result, wanted, features)


@exercise(otherwise=_paint)
def paint(answer: Callable[[Tensor, Callable, int, float], Tensor]) -> None:
    """Projected Adam: `steps` steps on objective(image) -> scalar from `start` (1, 3, H, W), whose shape it returns."""
    start = torch.rand(1, 3, 5, 8, generator=torch.Generator().manual_seed(4))
    goal = torch.linspace(-0.5, 1.5, start.numel()).view_as(start)  # partly outside [0, 1]: the clamp must act
    calls, unwatched = list[Tensor](), list[str]()

    def objective(image: Tensor) -> Tensor:
        unwatched.extend(reasons_unwatched(image, first=not calls))
        calls.append(image.detach().clone())
        return (image - goal).square().sum()

    result = call_loop(answer, start, objective, 12, 0.1, unwatched=unwatched)
    if len(calls) < 12:
        raise Wrong(f"it evaluates the objective {len(calls)} times when 12 steps are asked for: that is too few")
    if len(calls) > 12:
        raise Wrong(f"it evaluates the objective {len(calls)} times for 12 steps: once per step is enough")
    if not torch.equal(calls[0], start):
        raise Wrong("it does not start from the picture it was given")
    expect_motion(calls, result, unwatched)
    named = {
        "it makes a new Adam in every step, which forgets what it has learned: make it once, before the loop": (
            projected_adam(start, objective, anew=True)
        ),
        "the objective sees a clamped copy, which gives no gradient beyond 0 and 1: clamp the picture itself": (
            projected_adam(start, lambda image: objective(image.clamp(0, 1)), every=False)
        ),
        "it clamps only once, at the end: clamp after every step": projected_adam(start, objective, every=False),
        "it never clears the gradient: call optimizer.zero_grad() in every step": projected_adam(
            start, objective, clear=False
        ),
        "it climbs: the loss must fall": projected_adam(start, lambda x: -objective(x)),
        "it is gradient descent without Adam": _descent(start, objective),
        "it returns the picture of an earlier step, such as the best one: return that after the last": tuple(calls),
    }
    if torch.equal(result, call(answer, start, objective, 12, 0.03)):
        raise Wrong("it ignores the learning rate that it was given")
    otherwise = "the picture is not the one that Adam with its default betas gives"
    expect_value(result, projected_adam(start, objective), named, otherwise)


def _descent(start: Tensor, objective: Callable[[Tensor], Tensor], steps: int = 12, rate: float = 0.1) -> Tensor:
    image = start.clone().requires_grad_()
    for _ in range(steps):
        (gradient,) = torch.autograd.grad(objective(image), image)
        image = (image - rate * gradient).clamp(0, 1).detach().requires_grad_()
    return image.detach()
