"""Checks for the exercises of 03_gram_matrices."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..methods.losses import gram_matrix
from .framework import Wrong, call, call_without_autograd, close, exercise, expect_gradient, expect_tensor, expect_value

SHAPE = (2, 4, 5, 7)  # pictures, channels, height and width all differ, so that no two can be confused


@exercise(otherwise=gram_matrix)
def gram(answer: Callable[[Tensor], Tensor]) -> None:
    """F F' / M of each picture of a batch of features (B, N, H, W): (B, N, N)."""
    features = (_random(SHAPE, seed=1) - 0.3).requires_grad_()  # of both signs, as pocket's style layers are
    x = features.double()
    f = x.flatten(2)
    batch, n, m = f.shape
    wanted = f @ f.mT / m
    try:
        result = call(answer, features)
    except RuntimeError as error:
        if isinstance(error, NotImplementedError) or "must match" not in str(error) and "batch" not in str(error):
            raise
        raise Wrong(
            "the shapes of its two factors do not fit: (B, N, M) times (B, M, N). The transpose of each picture's F is "
            "F.mT; F.T turns around all three dimensions"
        ) from error
    shape = tuple(result.shape) if isinstance(result, Tensor) else None
    if shape == (n, n):
        raise Wrong("it returns one matrix for the whole batch: each picture has its own, (B, N, N)")
    if shape == (batch, m, m):
        raise Wrong("it multiplies positions with positions: F has one row per channel, and F F' is (N, N)")
    result = expect_tensor(result, (batch, n, n))
    if not close(result, result.mT):
        raise Wrong("the matrix is not symmetric: multiply F by its own transpose")
    centered, scrambled = f - f.mean(2, keepdim=True), x.reshape(batch, m, n)
    summed = (f @ f.mT).sum(0).expand(batch, n, n)
    positive, size = f.relu(), f.abs()
    named = {
        "it drops the negative values: F takes the features as they are": positive @ positive.mT / m,
        "it takes absolute values: F takes the features as they are": size @ size.mT / m,
        "it divides by nothing: divide by the number of positions, M = H W": wanted * m,
        "it divides by H only: M is H times W": wanted * m / SHAPE[2],
        "it divides by W only: M is H times W": wanted * m / SHAPE[3],
        "it divides by N, the number of channels: divide by the number of positions": wanted * m / n,
        "it divides by N M: divide by the number of positions only": wanted / n,
        "it divides by all the numbers of the batch: divide by the number of positions only": wanted / (batch * n),
        "it removes the mean of each channel, which gives the covariance": centered @ centered.mT / m,
        "it reshapes to (B, M, N), which moves no numbers: flatten(2) keeps channels": scrambled.mT @ scrambled / m,
        "it averages over the batch: each picture has its own matrix": summed / (batch * m),
        "it sums over the batch: each picture has its own matrix": summed / m,
    }
    expect_value(result, wanted, named, "it is not F F' / M, with one row of F for each channel")
    expect_gradient(result, wanted, features)


def _covariance(gram: Tensor, mean: Tensor) -> Tensor:
    return gram - mean[:, :, None] * mean[:, None, :]


@exercise(otherwise=_covariance)
def covariance(answer: Callable[[Tensor, Tensor], Tensor]) -> None:
    """G - mu mu' from Gram matrices (B, N, N), divided by M, and means (B, N): (B, N, N)."""
    points = _random(SHAPE, seed=2).double().flatten(2) + torch.tensor([1.0, -1.0, 0.5, 2.0]).view(1, 4, 1)
    batch, n, m = points.shape
    grams, mean = points @ points.mT / m, points.mean(2)
    product = mean[:, :, None] * mean[:, None, :]
    wanted = grams - product
    try:
        result = expect_tensor(call(answer, grams.float(), mean.float()), (batch, n, n))
    except NotImplementedError:  # a RuntimeError, too
        raise
    except RuntimeError:  # torch's own, about shapes
        raise Wrong("its shapes do not fit: a column (B, N, 1) of means times a row (B, 1, N) is (B, N, N)") from None
    if not close(result, result.mT):
        raise Wrong("it is not symmetric: at (i, j) subtract mean i times mean j, a column of means times a row")
    of_all = mean.mean(0)
    named = {
        "it adds the product of the means: subtract it": grams + product,
        "its sign is wrong: subtract the product of the means from the Gram matrix": -wanted,
        "it is the product of the means: subtract that from the Gram matrix": product,
        "it changes only the diagonal: at (i, j) subtract mean i times mean j": grams - torch.diag_embed(mean.square()),
        "it subtracts one number, the sum of squared means": grams - mean.square().sum(1)[:, None, None],
        "it subtracts M times too much: the Gram matrix is divided by M": grams - m * product,
        "it also multiplies by M / (M - 1): only subtract": wanted * m / (m - 1),
        "it takes one mean for the whole batch: each picture has its own": grams - of_all[:, None] * of_all,
        "it adds up the products of all pictures of the batch: each picture has its own": grams - mean.T @ mean,
        "it takes the means of the first picture for all of the batch: each picture has its own": grams - product[:1],
    }
    expect_value(result, wanted, named, "entry (i, j) is not that of the Gram matrix less mean i times mean j")


def _style_gradient(features: Tensor, target: Tensor) -> Tensor:
    f = features.flatten(2)
    gradient = (f @ f.mT - target) @ f / f[0].numel() ** 2
    return (gradient * (f > 0)).view_as(features)


@exercise(otherwise=_style_gradient)
def style_gradient(answer: Callable[[Tensor, Tensor], Tensor]) -> None:
    """(G - A) F / (N^2 M^2) where F > 0, else 0, of features (1, N, H, W) and an undivided target A (1, N, N)."""
    shape = (1, 6, 5, 7)  # with N = 4 a missing square would look like the missing 1/4
    features = (_random(shape, seed=3) - 0.4).relu()
    f, a = (x.double().flatten(2) for x in (features, (_random(shape, seed=4) - 0.4).relu()))  # G - A of both signs
    (_, n, m), target = f.shape, a @ a.mT
    share, mask = n**2 * m**2, features > 0
    wanted = ((f @ f.mT - target) @ f / share).reshape(shape) * mask
    result = call_without_autograd(answer, features, target.float())
    if isinstance(result, Tensor) and tuple(result.shape) in {(1, n, m), (n, m)}:
        raise Wrong(f"it returns the shape {tuple(result.shape)}: bring it back to that of the features, {shape}")
    result = expect_tensor(result, shape).detach()
    inside = result * mask  # the ReLU's part is judged after the rest
    named = {
        "its sign is wrong: it is G - A, not A - G": -wanted,
        "it takes absolute values: the sign says whether a feature is turned up or down": wanted.abs(),
        "it is F'(G - A), which has positions in its rows: transpose it back before you reshape": (
            ((f @ f.mT - target) @ f).mT.reshape(shape) / share * mask
        ),
        "it divides by nothing: put 1/(N^2 M^2) in front": wanted * share,
        "it divides by N and M, not by their squares": wanted * n * m,
        "it divides by N, not by its square": wanted * n,
        "it divides by M, not by its square": wanted * m,
        "it leaves out N^2, the square of the number of channels": wanted * n**2,
        "it leaves out M^2, the square of the number of positions": wanted * m**2,
        "it is a quarter of the gradient: the 1/4 cancels, with 2 of the square and 2 of F F'": wanted / 4,
        "it is half of the gradient: F occurs twice in F F'": wanted / 2,
        "it is four times the gradient: the loss has 1/4 in front": wanted * 4,
        "it is twice the gradient: 2 of the square and 2 of F F' cancel the 1/4": wanted * 2,
        "it leaves out the target: take G - A": (f @ f.mT @ f / share).reshape(shape) * mask,
        "it divides G by M: here G and A are undivided": ((f @ f.mT / m - target) @ f / share).reshape(shape) * mask,
    }
    expect_value(inside, wanted, named, "it is not (G - A) F / (N^2 M^2) where F > 0")
    expect_value(result, wanted, {}, "it is not zero where the feature is zero: the ReLU lets nothing through there")


def _mean_std_distance(features: Tensor, target: Tensor) -> Tensor:
    mine, wanted = (torch.cat([x.mean((2, 3)), x.std((2, 3), correction=0)]) for x in (features, target))
    return (mine - wanted).square().sum() / wanted.square().sum()


@exercise(otherwise=_mean_std_distance)
def mean_std_distance(answer: Callable[[Tensor, Tensor], Tensor]) -> None:
    """Relative squared distance of means and deviations of features (1, N, H, W) and target (1, N, h, w): a scalar."""
    features = (_random((1, 4, 3, 5), seed=5) - 0.3).requires_grad_()
    target = 2 * _random((1, 4, 4, 2), seed=6) + torch.arange(-1.0, 3).view(1, 4, 1, 1)  # each channel's mean differs
    f, t = features.double().flatten(2)[0], target.double().flatten(2)[0]
    apart, energy, own = _moments_apart(f, t)
    wanted = apart.sum() / energy.sum()
    result = expect_tensor(call(answer, features, target), ())
    unbiased, its_energy, _ = _moments_apart(f, t, correction=1)
    of_all, energy_of_all, _ = _moments_apart(f.reshape(1, -1), t.reshape(1, -1))
    variances = (f.var(1, correction=0) - t.var(1, correction=0)).square().sum()
    variance_energy = t.var(1, correction=0).square().sum()
    positive, size = (
        (a.sum() / e.sum())
        for a, e, _ in (_moments_apart(*pair) for pair in ((f.relu(), t.relu()), (f.abs(), t.abs())))
    )
    named = {
        "it drops the negative values: take the features as they are": positive,
        "it takes absolute values: take the features as they are": size,
        "it divides the variance by M - 1: pass correction=0": unbiased.sum() / its_energy.sum(),
        "it compares variances: take their square roots": (apart[0] + variances) / (energy[0] + variance_energy),
        "it is not relative: divide by the target's own sum of squares": apart.sum(),
        "it compares the means only: add the deviations": apart[0] / energy[0],
        "it leaves the deviations out above the fraction line": apart[0] / energy.sum(),
        "it compares the deviations only: add the means": apart[1] / energy[1],
        "it leaves the means out above the fraction line": apart[1] / energy.sum(),
        "it adds two ratios: add above and below the fraction line, then divide": (apart / energy).sum(),
        "it averages two ratios: add above and below the fraction line, then divide": (apart / energy).mean(),
        "it divides by the features' sum of squares: divide by the target's": apart.sum() / own.sum(),
        "it takes one mean for all channels: each channel has its own": of_all.sum() / energy_of_all.sum(),
        "it takes a square root at the end: leave the distance squared": wanted.sqrt(),
    }
    formula = "it is not |m - m'|^2 + |s - s'|^2 over |m'|^2 + |s'|^2, of means m and deviations s"
    expect_value(result, wanted, named, formula)
    expect_gradient(result, wanted, features)


def _random(shape: tuple[int, ...], seed: int) -> Tensor:
    """Values from 0 to 1, the same in every run."""
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def _moments_apart(f: Tensor, t: Tensor, correction: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Of the means and of the deviations of the rows of f and t, as (2,): |f - t|^2, |t|^2 and |f|^2."""
    mine, wanted = (torch.stack([x.mean(1), x.std(1, correction=correction)]) for x in (f, t))
    return (mine - wanted).square().sum(1), wanted.square().sum(1), mine.square().sum(1)
