"""Checks for the exercises of 08_any_style."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ..networks.any_style import transport
from ..pictures.colors import moments
from .framework import (
    Mistakes,
    ReturnedNone,
    Wrong,
    call,
    close,
    exercise,
    expect_gradient,
    expect_in_all_cases,
    expect_tensor,
    expect_value,
)

Moments = tuple[Tensor, Tensor]
EPSILON = 1e-5  # added to every variance, so that a channel without any does not divide by zero


def _moments(x: Tensor, over: tuple[int, ...] = (2, 3), unbiased: int = 0) -> Moments:
    mean = x.mean(over, keepdim=True)
    return mean, (x.var(over, keepdim=True, correction=unbiased) + EPSILON).sqrt()


def _adain(content: Tensor, style: Tensor, over: tuple[int, ...] = (2, 3), unbiased: int = 0) -> Tensor:
    (mean, deviation), (new_mean, new_deviation) = (_moments(x, over, unbiased) for x in (content, style))
    return new_deviation * (content - mean) / deviation + new_mean


def _mean(x: Tensor) -> Tensor:
    return x[0].flatten(1).mean(1, keepdim=True)


def _covariance(x: Tensor, less: int = 0) -> Tensor:
    centered = x[0].flatten(1) - _mean(x)
    return centered @ centered.T / (centered.shape[1] - less)


def _power(matrix: Tensor, exponent: float) -> Tensor:
    values, vectors = torch.linalg.eigh(matrix)
    return vectors @ torch.diag(values.clamp_min(EPSILON) ** exponent) @ vectors.T


def _wct(content: Tensor, style: Tensor, white: float = -0.5, colored: float = 0.5, less: int = 0) -> Tensor:
    centered = content[0].flatten(1) - _mean(content)
    turned = _power(_covariance(style, less), colored) @ _power(_covariance(content, less), white) @ centered
    return (turned + _mean(style)).view_as(content)


def _stop(losses: Sequence[float], patience: int, ties: bool = False) -> int:
    """The look at which training ends."""
    best = 0
    for index, loss in enumerate(losses):
        if loss < losses[best] or (ties and loss == losses[best]):
            best = index
        if index - best >= patience:
            return index
    return len(losses) - 1


def _kept(losses: Sequence[float], patience: int, ties: bool = False) -> int:
    """The look whose weights are kept."""
    seen = losses[: _stop(losses, patience, ties) + 1]
    least = min(seen)
    places = [index for index, loss in enumerate(seen) if loss == least]
    return places[-1] if ties else places[0]


def _blended(moments: Sequence[Moments], weights: Sequence[float]) -> Moments:
    """What exercise 4 asks for."""
    shares = [weight / sum(weights) for weight in weights]
    mean, deviation = (
        torch.stack([share * x for share, x in zip(shares, parts, strict=True)]).sum(0)
        for parts in zip(*moments, strict=True)
    )
    return mean, deviation


def _whitened_colored(content: Tensor, style: Tensor) -> Tensor:
    """What exercise 3 asks for, in 64 bits: small eigenvalues want them."""
    return _wct(content.double(), style.double()).to(content)


@exercise(otherwise=_adain)
def adain(answer: Callable[[Tensor, Tensor], Tensor]) -> None:
    """answer(content, style): features (B, C, H, W) with the channel means and deviations of those of a painting."""
    generator = torch.Generator().manual_seed(4)
    content = 2 * torch.randn(2, 3, 5, 7, generator=generator) * torch.tensor([1.0, 0.3, 2.0]).view(3, 1, 1) - 1
    style = 1.5 * torch.randn(2, 3, 4, 6, generator=generator) + torch.tensor([3.0, -2.0, 1.0]).view(3, 1, 1)
    source = content.clone().requires_grad_()
    result = call(answer, source, style)
    if isinstance(result, Tensor) and result.shape == style.shape:
        raise Wrong("content and style are swapped: the content is normalized, and gets the style's moments")
    result = expect_tensor(result, content.shape)
    wanted = _adain(source.double(), style.double())
    formula = "the style's deviation * (content - its mean) / its deviation + the style's mean, channel by channel"
    _expect_features(result, wanted, _adain_mistakes(content.double(), style.double()), formula)
    if not close(result, wanted, 5e-4):
        raise Wrong("what it adds against a division by zero is too large: 1e-5 is asked for")
    expect_gradient(result, wanted, source)
    flat = call(answer, torch.ones(1, 2, 4, 4), style[:1, :2])
    if not flat.isfinite().all():
        raise Wrong("a channel without any variance gives NaN or inf: add a little, such as 1e-5, to the variance")


@exercise(otherwise=_whitened_colored)
def whiten_color(answer: Callable[[Tensor, Tensor], Tensor]) -> None:
    """answer(content, style): features (1, C, H, W) with the channel means and the covariance of the painting's."""
    generator = torch.Generator().manual_seed(5)
    mix, other = (torch.randn(3, 3, generator=generator) for _ in range(2))
    content = (mix @ torch.randn(3, 40, generator=generator) + 2).view(1, 3, 5, 8)
    style = (other @ torch.randn(3, 63, generator=generator) - 1).view(1, 3, 7, 9)
    result = expect_tensor(call(answer, content, style), content.shape)
    wanted = _wct(content.double(), style.double())
    mistakes = _wct_mistakes(content.double(), style.double())
    spread = _covariance(style.double())
    if close(_covariance(result.double()), spread, 1e-3) and close(_mean(result.double()), _mean(style.double()), 1e-3):
        another = "mean and covariance are the painting's, but the map is another one: take the symmetric roots"
        mistakes = {f"{another}, E D^(1/2) E', for both": result}
    formula = "root of the style's covariance @ inverse root of the content's @ (content - its mean) + the style's mean"
    _expect_features(result, wanted, mistakes, formula)
    if not call(answer, torch.ones(1, 3, 4, 4), style).isfinite().all():
        raise Wrong("features without any variance give NaN: raise the eigenvalues to 1e-5 before they get a power")
    faint = content * torch.tensor([1.0, 1.0, 2e-3]).view(1, 3, 1, 1)  # its least eigenvalue is below the floor
    otherwise = "features with hardly any variance come out wrong: divide covariances by the number of positions "
    otherwise += "alone, and raise eigenvalues below 1e-5 to that (.clamp_min(1e-5)), before they get a power"
    expect_value(call(answer, faint, style), _wct(faint.double(), style.double()), {}, otherwise, 1e-3)
    wide, small = torch.randn(1, 24, 6, 8, generator=generator), torch.randn(1, 24, 2, 3, generator=generator)
    if not call(answer, wide, small).isfinite().all():  # rounding takes some of its eigenvalues of 0 below
        raise Wrong("a painting with fewer positions than channels gives NaN: raise its eigenvalues to 1e-5 as well")


@exercise(otherwise=_blended)
def blend_moments(answer: Callable[[Sequence[Moments], Sequence[float]], Moments]) -> None:
    """answer(moments, weights): the weighted mean of several (mean, deviation); weights may have any sum."""
    generator = torch.Generator().manual_seed(6)
    given = [
        (torch.randn(1, 4, 1, 1, generator=generator), torch.rand(1, 4, 1, 1, generator=generator) + 0.2)
        for _ in range(3)
    ]
    weights = [2.0, 1.0, 5.0]
    copies = [(mean.clone(), deviation.clone()) for mean, deviation in given]
    reply = call(answer, copies, handed := list(weights))
    same = all(torch.equal(a, b) for m, n in zip(copies, given, strict=True) for a, b in zip(m, n, strict=True))
    if not same:
        raise Wrong("it modifies the moments that it was given: build new tensors")
    if handed != weights:
        raise Wrong("it modifies the list of weights that it was given: build a new one")
    if not isinstance(reply, (tuple, list)) or len(reply) != 2:
        raise Wrong(f"it returns a {type(reply).__name__}; two tensors, mean and deviation, are expected")
    result = torch.cat([expect_tensor(part, (1, 4, 1, 1)) for part in reply])
    means, deviations = (torch.cat(parts).double() for parts in zip(*given, strict=True))  # (3, 4, 1, 1) both
    share = torch.tensor(weights, dtype=torch.float64).view(3, 1, 1, 1)
    wanted = torch.stack([(share * part).sum(0) / share.sum() for part in (means, deviations)])
    variances = ((share * deviations**2).sum(0) / share.sum()).sqrt()
    named = {
        "the weights are not divided by their sum": wanted * share.sum(),
        "it divides by the number of paintings: divide by the sum of the weights": wanted * share.sum() / len(given),
        "it takes a softmax of the weights: divide them by their sum": torch.stack(
            [(share.softmax(0) * part).sum(0) for part in (means, deviations)]
        ),
        "it treats all paintings alike: use the weights": torch.stack([means.mean(0), deviations.mean(0)]),
        "it blends variances: blend the deviations, as adain is linear in them": torch.stack([wanted[0], variances]),
        "it blends the means only": torch.stack([wanted[0], deviations[0]]),
        "it blends the deviations only": torch.stack([means[0], wanted[1]]),
        "deviation and mean are swapped: mean comes first": wanted.flip(0),
        "it takes only the painting with the largest weight": torch.stack([means[2], deviations[2]]),
    }
    _expect_features(
        result, wanted, named, "the sum of share * mean, and of share * deviation, where the shares add to 1"
    )


@exercise(otherwise=_kept)
def stop_early(answer: Callable[[Sequence[float], int], int]) -> None:
    """answer(losses, patience): which weights to keep when training ends after `patience` looks without a new best."""
    cases = [
        ([5.0, 4.0, 3.0, 3.5, 3.6, 1.0, 4.0, 4.0, 4.0, 0.5], 2),
        ([5.0, 4.0, 3.0, 3.5, 2.0, 2.5, 1.0], 2),
        ([3.0, 3.0, 3.0, 1.0], 2),
        ([3.0, 2.0, 1.0], 2),
        ([1.0, 2.0, 0.5], 1),
        ([3.0, 5.0, 4.0, 5.0, 4.0, 1.0], 3),
        ([3.0, 1.0, 2.0], 3),
        ([5.0, 4.0, 3.0, 2.0, 2.5, 1.0], 2),
    ]
    replies = [call(answer, list(losses), patience) for losses, patience in cases]
    try:
        numbers = [int(reply) for reply in replies]
    except (TypeError, ValueError):
        raise Wrong(f"it returns {replies[0]!r}; the index of a look, counted from 0, is expected") from None
    wanted = [_kept(*case) for case in cases]
    expect_in_all_cases(
        cases,
        numbers,
        wanted,
        [_stop_mistakes(*case) for case in cases],
        lambda case, said, right: f"for losses {case[0]} and patience {case[1]} it says {said} where {right} is right",
    )
    try:
        call(answer, [2.0, 3.0], 5)
    except ReturnedNone:
        raise Wrong("it returns None where training ends before patience does: return the best so far") from None


def _expect_features(result: Tensor, wanted: Tensor, mistakes: Mistakes, formula: str) -> None:
    """Wrong, with the likeliest cause or the formula and how far it is off, unless `result` is about `wanted`."""
    if not result.isfinite().all():
        raise Wrong("some of its values are NaN or inf: is a root taken of a number below 0?")
    off = (result.double() - wanted).abs().max() / wanted.abs().max()
    otherwise = f"it is not {formula} (values are off by up to {off:.1%} of the largest one)"
    expect_value(result, wanted, mistakes, otherwise, 1e-3)  # where to add the epsilon is a matter of taste


def _adain_mistakes(content: Tensor, style: Tensor) -> dict[str, Tensor]:
    """What the known mistakes give, in float64."""
    (mean, deviation), (new_mean, new_deviation) = _moments(content), _moments(style)
    normal = (content - mean) / deviation
    return {
        "it only normalizes: multiply by the style's deviation and add its mean": normal,
        "it does not add the style's mean": normal * new_deviation,
        "it does not multiply by the style's deviation": normal + new_mean,
        "it adds the style's mean before it multiplies: scale first": (normal + new_mean) * new_deviation,
        "it gives the style's means and leaves the deviations: divide by the one, multiply by the other": content
        - mean
        + new_mean,
        "it does not divide by the content's deviation": new_deviation * (content - mean) + new_mean,
        "it does not subtract the content's mean": new_deviation * content / deviation + new_mean,
        "it uses variances where deviations belong: take the root": new_deviation**2 * (content - mean) / deviation**2
        + new_mean,
        "it uses the batch dimension: each picture has its own moments": _adain(content, style, over=(0, 2, 3)),
        "it mixes the channels: each channel has its own moments": _adain(content, style, over=(1, 2, 3)),
        "it divides by N - 1, which is torch's default: pass correction=0 (or unbiased=False)": _adain(
            content, style, unbiased=1
        ),
    }


def _wct_mistakes(content: Tensor, style: Tensor) -> Mistakes:
    """What the known mistakes give, in float64."""
    flat, right = content[0].flatten(1), _wct(content, style)
    whitened = (_power(_covariance(content), -0.5) @ (flat - _mean(content))).view_as(content)
    shift = _mean(style).view(1, -1, 1, 1)
    covariance, wanted = _covariance(content), _covariance(style)
    root, inverse = _power(wanted, 0.5), _power(covariance, -0.5)
    nearest = transport(moments(content), moments(style))[0]
    (mean, deviation), (new_mean, new_deviation) = _moments(content), _moments(style)
    return {
        "it only whitens: color it with the root of the style's covariance and add the style's mean": whitened,
        "it whitens and adds the mean: color it with the root of the style's covariance first": whitened + shift,
        "it does not add the style's mean": right - shift,
        "it adds the content's mean: the result gets the style's": right - shift + _mean(content).view(1, -1, 1, 1),
        "it does not divide each covariance by the number of its own positions": (right - shift)
        * (style[0, 0].numel() / content[0, 0].numel()) ** 0.5
        + shift,
        "it does not subtract the content's mean first": (root @ inverse @ flat + _mean(style)).view_as(content),
        "it colors, but does not whiten first": _wct(content, style, white=0.0),
        "the powers are not -1/2 and 1/2: it takes the inverse and the covariance themselves": _wct(
            content, style, -1.0, 1.0
        ),
        "the first power is not -1/2: whitening divides by the root of the covariance": _wct(content, style, 0.5, 0.5),
        "it colors first and whitens afterwards: do it the other way round": (
            inverse @ root @ (flat - _mean(content)) + _mean(style)
        ).view_as(content),
        "a power is E D E', where the eigenvectors are the columns of E and only the last E is transposed": tuple(
            _mapped(matrix, content, style) for matrix in _misbuilt(covariance, wanted)
        ),
        "it takes powers of the entries: a power of a matrix is one of its eigenvalues (torch.linalg.eigh)": _mapped(
            wanted.clamp_min(EPSILON) ** 0.5 @ covariance.clamp_min(EPSILON) ** -0.5, content, style
        ),
        "that is the nearest map of section 3.1: whiten first, then color": _mapped(nearest, content, style),
        "that is adain, which scales each channel on its own; here the channels are mixed": new_deviation
        * (content - mean)
        / deviation
        + new_mean,
        "it divides by N - 1: divide both covariances by the number of positions": _wct(content, style, less=1),
        "its second-moment matrices are not centered: subtract the means before you multiply": _uncentered(
            content, style
        ),
    }


def _mapped(matrix: Tensor, content: Tensor, style: Tensor) -> Tensor:
    return (matrix @ (content[0].flatten(1) - _mean(content)) + _mean(style)).view_as(content)


def _misbuilt(covariance: Tensor, wanted: Tensor) -> list[Tensor]:
    """The maps of a student who forgets an E, or transposes the wrong one."""
    maps = []
    for dtype in (torch.float64, torch.float32):  # which sign an eigenvector has may differ
        (d, e), (new_d, new_e) = (torch.linalg.eigh(matrix.to(dtype)) for matrix in (covariance, wanted))
        white, colored = (d.clamp_min(EPSILON) ** -0.5).diag(), (new_d.clamp_min(EPSILON) ** 0.5).diag()
        maps += [
            new_e.T @ colored @ new_e @ e.T @ white @ e,
            new_e @ colored @ new_e @ e @ white @ e,
            colored @ new_e.T @ white @ e.T,
            new_e @ colored @ e @ white,
        ]
    return [matrix.double() for matrix in maps]


def _uncentered(content: Tensor, style: Tensor) -> tuple[Tensor, ...]:
    """With second moments for covariances, and means subtracted and added, only added, or neither."""
    mine, theirs = (x[0].flatten(1) for x in (content, style))
    root, inverse = _power(theirs @ theirs.T / theirs.shape[1], 0.5), _power(mine @ mine.T / mine.shape[1], -0.5)
    turned = root @ inverse @ mine
    moved = turned - root @ inverse @ _mean(content) + _mean(style)
    return tuple(x.view_as(content) for x in (moved, turned + _mean(style), turned))


def _against_the_last_look(losses: Sequence[float], patience: int) -> int:
    """The best look where a loss below the one before it, not below all before it, starts the waiting anew."""
    waited = 0
    for index in range(1, len(losses)):
        waited = 0 if losses[index] < losses[index - 1] else waited + 1
        if waited == patience:
            return losses.index(min(losses[: index + 1]))
    return losses.index(min(losses))


def _without_a_new_start(losses: Sequence[float], patience: int) -> int:
    """The best look where looks without a new best are counted over the whole training."""
    best = worse = 0
    for index in range(1, len(losses)):
        if losses[index] < losses[best]:
            best = index
        else:
            worse += 1
        if worse == patience:
            break
    return best


def _before_the_first_rise(losses: Sequence[float]) -> int:
    return next((n for n in range(len(losses) - 1) if losses[n + 1] > losses[n]), len(losses) - 1)


def _stop_mistakes(losses: Sequence[float], patience: int) -> dict[str, float]:
    """What the known mistakes give."""
    right, last = _kept(losses, patience), len(losses) - 1
    return {
        "where the looks end before the patience does, it returns the last one: return the best so far": (
            right if _stop(losses, patience) - right >= patience else last
        ),
        "it looks at losses that come after the stop: training has ended by then": losses.index(min(losses)),
        "it compares with the look before: only a loss below all before it starts the waiting anew": (
            _against_the_last_look(losses, patience)
        ),
        "it stops at the first rise: wait for `patience` looks without a new best": _before_the_first_rise(losses),
        "its count of looks without a new best never starts anew: set it to 0 at each new best": (
            _without_a_new_start(losses, patience)
        ),
        "it counts from the first look: wait for `patience` looks after the best": losses.index(
            min(losses[: patience + 1])
        ),
        "it returns where training stops: the best weights are older": _stop(losses, patience),
        "it waits one look too long": _kept(losses, patience + 1),
        "it stops one look too early": _kept(losses, max(1, patience) - 1),
        "it counts looks from 1": right + 1,
        "it returns the loss: return which look it was": int(losses[right]),
        "an equal loss is not a new best: keep the older weights, and go on counting": _kept(
            losses, patience, ties=True
        ),
    }
