"""Checks for the exercises of 09_control."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from .framework import Mistakes, Wrong, call, close, exercise, expect_gradient, expect_tensor, expect_value

LUMA = (0.299, 0.587, 0.114)  # as the exercise states it
HDTV = (0.2126, 0.7152, 0.0722)  # those of Rec. 709, which the web has as well

Painter = Callable[[Tensor, Tensor, Tensor], Tensor]  # of a photo, a painting and a start


def _clamped_swap(painted: Tensor, photo: Tensor) -> Tensor:
    return (photo + _luminance(painted) - _luminance(photo)).clamp(0, 1)


def _matched(pixels: Tensor, reference: Tensor) -> Tensor:
    """By Cholesky's roots; the small number lets a gray picture have one."""
    root, new_root = (torch.linalg.cholesky(x.cov() + 1e-6 * torch.eye(3).to(x)) for x in (pixels, reference))
    centered = pixels - pixels.mean(1, keepdim=True)
    return new_root @ torch.linalg.inv(root) @ centered + reference.mean(1, keepdim=True)


def _weighted_gram(features: Tensor, mask: Tensor) -> Tensor:
    f, m = features[0].flatten(1), mask.flatten()
    return ((f * m) @ f.T / m.sum())[None]


def _nearest(mine: Tensor, patches: Tensor) -> Tensor:
    return (mine @ (patches / patches.norm(dim=1, keepdim=True)).T).argmax(1)


def _level_by_level(paint: Painter, photos: Sequence[Tensor], paintings: Sequence[Tensor]) -> Tensor:
    result = photos[0]
    for photo, painting in zip(photos, paintings, strict=True):
        start = F.interpolate(result, photo.shape[2:], mode="bicubic", antialias=True).clamp(0, 1)
        result = paint(photo, painting, start)
    return result


@exercise(otherwise=_clamped_swap)
def swap_luminance(answer: Callable[[Tensor, Tensor], Tensor]) -> None:
    """The luminance of `painted` with the color of `photo`, (1, 3, H, W) both, clamped to [0, 1]."""
    generator = torch.Generator().manual_seed(9)
    painted, photo = (0.3 + 0.4 * torch.rand(1, 3, 5, 8, generator=generator) for _ in range(2))
    result = expect_tensor(call(answer, painted, photo), (1, 3, 5, 8))
    otherwise = "it is not painted's luminance plus what photo has beyond its own luminance"
    expect_value(result, _swapped(painted, photo), _luminance_mistakes(painted, photo), otherwise)
    bright, vivid = 0.6 + 0.4 * painted, torch.rand(1, 3, 5, 8, generator=generator)
    result = expect_tensor(call(answer, bright, vivid), (1, 3, 5, 8))
    if result.min() < 0 or result.max() > 1:
        raise Wrong("a vivid color on a bright spot leaves [0, 1]: clamp the result")
    otherwise = "where colors leave [0, 1] it does something other than clamp the sum"
    expect_value(result, _swapped(bright, vivid).clamp(0, 1), {}, otherwise)


@exercise(otherwise=_weighted_gram)
def masked_gram(answer: Callable[[Tensor, Tensor], Tensor]) -> None:
    """sum_p m(p) f(p) f(p)' / sum_p m(p) of features (1, C, H, W) and a mask (1, 1, H, W): (1, C, C)."""
    generator = torch.Generator().manual_seed(10)
    features = torch.randn(1, 4, 6, 9, generator=generator, requires_grad=True)
    mask = torch.rand(1, 1, 6, 9, generator=generator) * (torch.rand(1, 1, 6, 9, generator=generator) > 0.4)
    result = expect_tensor(call(answer, features, mask), (1, 4, 4))
    f, m = features.double()[0].flatten(1), mask.double().flatten()
    right = ((f * m) @ f.T / m.sum())[None]
    hard, whole, squared = (m > 0).double(), right * m.sum(), ((f * m) @ (f * m).T)[None]
    named = {
        "it divides by nothing: a larger region counts more; divide by the sum of the mask": whole,
        "it divides by all H W positions: divide by the sum of the mask": whole / m.numel(),
        "it divides by the number of positions that are not 0: in a soft mask each counts by its value": whole
        / hard.sum(),
        "the mask is in both factors, so it counts squared: multiply one of them": squared / m.sum(),
        "the mask is in both factors: divided by the sum of its squares the weights are still squared": squared
        / m.square().sum(),
        "it makes the mask hard: a position at 0.3 counts 0.3 times": tuple(
            ((f * x) @ f.T / x.sum())[None] for x in (hard, m.round())
        ),
        "it subtracts the mean of the features: a Gram matrix is not centered": tuple(
            ((f - x) * m @ (f - x).T / m.sum())[None]
            for x in ((f * m).sum(1, keepdim=True) / m.sum(), f.mean(1, keepdim=True))
        ),
        "it ignores the mask": (f @ f.T / m.numel())[None],
        "it divides by the number of channels, too": right / 4,
        "it takes the region where the mask is 0": ((f * (1 - m)) @ f.T / (1 - m).sum())[None],
    }
    otherwise = "it is not the sum of m f f' over the positions, divided by the sum of m"
    expect_value(result, right, named, otherwise)
    expect_gradient(result, right, features)


@exercise(otherwise=_matched)
def match_mean_and_covariance(answer: Callable[[Tensor, Tensor], Tensor]) -> None:
    """A linear map of pixels (3, N) that gives them the mean and covariance of reference (3, M): (3, N)."""
    generator = torch.Generator().manual_seed(11)
    pixels = _colors(generator, 300, [[0.20, 0.00, 0.00], [0.12, 0.10, 0.00], [0.02, 0.05, 0.06]], [0.5, 0.4, 0.3])
    # Spread so wide that mapped colors leave [0, 1]: a clamp shows.
    reference = _colors(generator, 401, [[0.20, 0.00, 0.00], [-0.15, 0.35, 0.00], [0.12, 0.10, 0.30]], [0.3, 0.5, 0.6])
    result = call(answer, pixels, reference)
    if isinstance(result, Tensor) and result.shape == reference.shape:
        raise Wrong("pixels and reference are swapped: the pixels get the reference's mean and covariance")
    result = expect_tensor(result, (3, 300)).detach().double()
    if not result.isfinite().all():
        raise Wrong("some of its colors are not numbers")
    if ((result == 0) | (result == 1)).float().mean() > 0.01:
        raise Wrong("it clamps: colors beyond [0, 1] are wanted as they are, or the covariance is not the reference's")
    x, wanted = pixels.double(), reference.double()
    _expect_linear(result, x)
    cov, own, cov_wanted = (colors.cov(correction=0) for colors in (result, x, wanted))
    otherwise = "the covariance is not that of the reference"
    if close(cov.diagonal(), cov_wanted.diagonal(), 0.02):
        otherwise = "each channel has the right deviation, but the channels do not vary together as the reference's do"
    # N - 1 in place of N, and a small number against division by 0, may pass.
    means = x.mean(1, keepdim=True), wanted.mean(1, keepdim=True)
    expect_value(cov, cov_wanted, _color_mistakes(own, cov_wanted, *means), otherwise, 0.02)
    if not close(result.mean(1), wanted.mean(1), 1e-3):
        if close(result.mean(1), x.mean(1), 1e-3):
            raise Wrong("the mean is still that of the pixels: add the reference's mean at the end")
        if result.mean(1).abs().max() < 1e-3:
            raise Wrong("the mean is 0: add the reference's mean at the end")
        raise Wrong("the covariance is right, the mean is not: subtract the pixels' mean first, add the other last")


@exercise(otherwise=_nearest)
def nearest_patch(answer: Callable[[Tensor, Tensor], Tensor]) -> None:
    """For each row of mine (M, D) the index of the row of patches (N, D) with the largest normalized correlation."""
    generator = torch.Generator().manual_seed(12)
    mine = 0.5 + torch.randn(60, 12, generator=generator)
    patches = (0.5 + torch.randn(11, 12, generator=generator)) * torch.linspace(0.2, 4, 11)[:, None]
    result = call(answer, mine, patches)
    if isinstance(result, tuple):
        raise Wrong("it returns a pair: .max(dim) gives values and places; the places are wanted (.argmax)")
    if isinstance(result, Tensor) and tuple(result.shape) == (len(patches),):
        raise Wrong("it gives a number for each patch of the painting: give one for each of mine")
    result = expect_tensor(result, (len(mine),))
    if result.is_floating_point():
        if torch.equal(result, result.round()):
            raise Wrong(
                f"its indices are {result.dtype}, which cannot index: leave them whole numbers, as .argmax does"
            )
        raise Wrong("it returns correlations: the places of the best ones are wanted (.argmax)")
    right, named = _most_similar(mine.double(), patches.double())
    expect_value(result, right, named, "some of the patches that it names are not the most similar ones", tolerance=0)


@exercise(otherwise=_level_by_level)
def from_coarse_to_fine(answer: Callable[[Painter, Sequence[Tensor], Sequence[Tensor]], Tensor]) -> None:
    """answer(paint, photos, paintings) must call paint(photo, painting, start) from small to large, and chain it."""
    generator = torch.Generator().manual_seed(13)
    photos, paintings = (
        [torch.rand(1, 3, *size, generator=generator) for size in sizes]
        for sizes in (((4, 6), (8, 12), (15, 24)), ((5, 6), (9, 12), (18, 24)))
    )
    given: list[tuple[Tensor, Tensor, Tensor]] = []
    results: list[Tensor] = []

    def paint(photo: Tensor, painting: Tensor, start: Tensor) -> Tensor:
        expect_tensor(start, tuple(start.shape))
        if any(photo.shape == other.shape and torch.equal(photo, other) for other in paintings):
            raise Wrong("photo and painting are swapped: call paint(photo, painting, start)")
        if start.shape != photo.shape:
            told = f"{tuple(start.shape[2:])} where the photo has {tuple(photo.shape[2:])}"
            raise Wrong(f"a level starts from a picture of {told}: enlarge the result to the size of the next photo")
        given.append((photo, painting, start.detach().clone()))
        results.append((torch.rand(photo.shape, generator=generator) > 0.5).float())  # hard edges: bicubic overshoots
        return results[-1].clone()

    final = call(answer, paint, list(photos), list(paintings))
    if not given:
        raise Wrong("it never paints: call paint(photo, painting, start) at each level")
    _expect_levels(given, photos, paintings)
    if not torch.equal(given[0][2], photos[0]):
        raise Wrong("the first level does not start from its photo")
    for level in (1, 2):
        _expect_start(given[level][2], results[level - 1], photos[level])
    if isinstance(final, (list, tuple)):
        raise Wrong(f"it returns a {type(final).__name__}: the picture of the last level alone is wanted")
    if not isinstance(final, Tensor) or not torch.equal(final, results[-1]):
        raise Wrong("it does not return the picture of the last level, as `paint` gave it")


def _expect_levels(
    given: Sequence[tuple[Tensor, Tensor, Tensor]], photos: Sequence[Tensor], paintings: Sequence[Tensor]
) -> None:
    """Wrong unless every level was painted once, from small to large, each photo with the painting of its level."""
    shapes = [tuple(photo.shape) for photo, _, _ in given]
    wanted = [tuple(photo.shape) for photo in photos]
    if shapes == wanted[::-1]:
        raise Wrong("it goes from the largest to the smallest: begin with the smallest")
    if len(given) != len(photos):
        raise Wrong(f"it paints {len(given)} times for {len(photos)} levels: once at each")
    for number, ((photo, painting, _), right, its) in enumerate(zip(given, photos, paintings, strict=True), start=1):
        if not torch.equal(photo, right):
            raise Wrong(f"the photo of level {number} is not the one it was given")
        if not torch.equal(painting, its):
            raise Wrong(f"the painting of level {number} is not the one of that level")


def _expect_start(start: Tensor, before: Tensor, photo: Tensor) -> None:
    """Wrong unless a level starts from the enlarged result of the one before, in [0, 1], by any interpolation."""
    if torch.equal(start, photo):
        raise Wrong("each level starts from its photo again: start from the enlarged result of the level before")
    if start.min() < 0 or start.max() > 1:
        raise Wrong("a start leaves [0, 1]: bicubic enlarging overshoots, so clamp it")
    small = F.interpolate(start, before.shape[2:], mode="area")
    alike = torch.stack([small.flatten(), before.flatten()]).corrcoef()[0, 1]
    if not alike > 0.5:  # by any interpolation at least 0.8; by another picture about 0
        raise Wrong("a level does not start from the enlarged result of the level before")
    added = start - F.interpolate(before, photo.shape[2:], mode="bicubic")
    alike = torch.stack([added.flatten(), photo.flatten()]).corrcoef()[0, 1]
    if alike > 0.3:  # half of the photo: 0.5; none: 0, with a deviation of 0.06
        raise Wrong("a start has some of its photo in it: take the enlarged result of the level before alone")


def _luminance(image: Tensor) -> Tensor:
    return (image * image.new_tensor(LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True)


def _swapped(painted: Tensor, photo: Tensor) -> Tensor:
    painted, photo = painted.double(), photo.double()
    return photo + _luminance(painted) - _luminance(photo)


def _luminance_mistakes(painted: Tensor, photo: Tensor) -> dict[str, Tensor]:
    """What the known mistakes give, on pictures in float64."""
    a, b = painted.double(), photo.double()
    mean_a, mean_b = (x.mean(1, keepdim=True) for x in (a, b))
    hdtv_a, hdtv_b = (torch.einsum("c,bchw->bhw", x.new_tensor(HDTV), x)[:, None] for x in (a, b))
    bgr_a, bgr_b = (_luminance(x.flip(1)) for x in (a, b))
    shifted = b + _luminance(a)
    return {
        "it keeps the luminance of the photo and the color of the painted picture: do it the other way round": _swapped(
            b, a
        ),
        "it takes the mean of the channels for the luminance: green counts most, by 0.587": b + mean_a - mean_b,
        "it weights blue like red: the channels are in the order red, green, blue": b + bgr_a - bgr_b,
        "its weights are not the text's: 0.299, 0.587 and 0.114 for red, green and blue": b + hdtv_a - hdtv_b,
        "it adds the photo's luminance and takes painted's away: do it the other way round": 2 * b - _swapped(a, b),
        "it returns the photo": b,
        "it returns the painted picture": a,
        "it is gray: add what the photo has beyond its own luminance": _luminance(a).expand_as(b),
        "it adds the luminance without taking the photo's own away": shifted,
        "it adds the luminance without taking the photo's own away, and clamps": shifted.clamp(0, 1),
        "it scales the photo to the luminance, which changes the size of the color: add the difference": b
        * _luminance(a)
        / _luminance(b),
        "it takes the luminance away and never gives the painted one back": b - _luminance(b),
    }


def _colors(generator: torch.Generator, count: int, root: list[list[float]], mean: list[float]) -> Tensor:
    """Random colors (3, count) with about that mean, and the covariance root root'."""
    return torch.tensor(root) @ torch.randn(3, count, generator=generator) + torch.tensor(mean)[:, None]


def _expect_linear(result: Tensor, pixels: Tensor) -> None:
    """Wrong unless the colors are a linear map of the pixels, and a constant."""
    given = torch.cat([pixels, torch.ones_like(pixels[:1])]).T
    residual = result.T - given @ torch.linalg.lstsq(given, result.T).solution
    if residual.square().mean() > 1e-4 * result.var():
        raise Wrong("its colors are not a linear map of the pixels' (clamp later, and do not draw from the reference)")


def _color_mistakes(own: Tensor, other: Tensor, mean: Tensor, new_mean: Tensor) -> dict[str, tuple[Tensor, ...]]:
    """The covariances that the known mistakes give, from those of the pixels and of the reference, and the means."""
    maps: dict[str, list[Tensor]] = {}
    for root in (torch.linalg.cholesky, _symmetric_root):
        uncentered = root(other + new_mean @ new_mean.T) @ torch.linalg.inv(root(own + mean @ mean.T))
        named = _color_maps(root(own), root(other))
        named["its covariances are not centered: subtract the means before you multiply, as torch.cov does"] = (
            uncentered
        )
        for sentence, matrix in named.items():
            maps.setdefault(sentence, []).append(matrix)
    return {
        "the covariance is still that of the pixels: only their mean was changed": (own,),
        "its covariance is the identity: color it with the root of the reference's covariance": (torch.eye(3),),
    } | {sentence: tuple(matrix @ own @ matrix.T for matrix in found) for sentence, found in maps.items()}


def _color_maps(root: Tensor, new_root: Tensor) -> dict[str, Tensor]:
    """The maps of the known mistakes, of roots of the pixels' covariance and of the reference's."""
    return {
        "it multiplies by covariances: take their roots": new_root @ new_root.T @ torch.linalg.inv(root @ root.T),
        "it does not take out the pixels' own covariance first: multiply by the inverse of its root": new_root,
        "it goes the wrong way: the pixels are to look like the reference": root @ torch.linalg.inv(new_root),
        "its roots stand on the wrong side: L L' is the covariance, so multiply by L": new_root.T
        @ torch.linalg.inv(root.T),
        "it multiplies by both roots: the root of the pixels' covariance is to be inverted": new_root @ root,
        "it goes in the wrong order: first the inverse of the pixels' root, then the reference's root on its left": (
            torch.linalg.inv(root) @ new_root
        ),
        "it takes the inverse of the reference's root, too": torch.linalg.inv(new_root) @ torch.linalg.inv(root),
    }


def _symmetric_root(covariance: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(covariance)
    return vectors @ values.sqrt().diag() @ vectors.T


def _most_similar(a: Tensor, b: Tensor) -> tuple[Tensor, Mistakes]:
    """The right places, and those that the known mistakes give."""
    norm = b.norm(dim=1, keepdim=True)
    centered, centered_b = (x - x.mean(1, keepdim=True) for x in (a, b))
    scores: Mistakes = {
        "it does not normalize, so a patch with a large norm wins: divide each of `patches` by its norm": a @ b.T,
        "it takes the least Euclidean distance: take the largest normalized correlation": -torch.cdist(a, b),
        "it takes the least similar patch: argmax, not argmin": -a @ (b / norm).T,
        "it divides by the squared norm: then small patches win": a @ (b / norm**2).T,
        "it takes the absolute value: a patch with opposite signs is not similar": (a @ (b / norm).T).abs(),
        "it divides by the sum of absolute values: divide by the root of the sum of squares (.norm)": a
        @ (b / b.abs().sum(1, keepdim=True)).T,
        "it subtracts means: this correlation is taken without that": (
            centered @ (centered_b / centered_b.norm(dim=1, keepdim=True)).T,
            a @ (centered_b / centered_b.norm(dim=1, keepdim=True)).T,
            a @ (b / centered_b.norm(dim=1, keepdim=True)).T,
        ),
        "it normalizes each column, not each patch: the norm is over dimension 1": a @ (b / b.norm(dim=0)).T,
    }
    places = {
        name: tuple(x.argmax(1) for x in score) if isinstance(score, tuple) else score.argmax(1)
        for name, score in scores.items()
    }
    return (a @ (b / norm).T).argmax(1), places
