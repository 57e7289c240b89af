"""The exercises of lesson 09: right answers in other styles pass, and each classic mistake is named."""

from __future__ import annotations

import numpy
import pytest
import torch
from exercises import verdict
from torch.nn import functional as F

import nst_lesson as nst

LUMA = torch.tensor([0.299, 0.587, 0.114])
HDTV = torch.tensor([0.2126, 0.7152, 0.0722])


def bright(image, weights=LUMA):
    return (image * weights.to(image).view(1, 3, 1, 1)).sum(1, keepdim=True)


def swapped(painted, photo, bright=bright, low=0.0, high=1.0):
    return (photo + bright(painted) - bright(photo)).clamp(low, high)


def through_yiq(painted, photo):
    """By the matrix to YIQ and back, in float64."""
    matrix = torch.tensor([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]]).double()
    a, b = (torch.einsum("ij,bjhw->bihw", matrix, x.double()) for x in (painted, photo))
    mixed = torch.cat([a[:, :1], b[:, 1:]], dim=1)
    return torch.einsum("ij,bjhw->bihw", torch.linalg.inv(matrix), mixed).clamp(0, 1)


def brightens_in_place(painted, photo):
    photo += bright(painted) - bright(photo)
    return photo.clamp_(0, 1)


def gram_of(features, mask, area=None, power=1):
    f, m = features[0].flatten(1), mask.flatten() ** power
    return ((f * m) @ f.T / (mask.sum() if area is None else area))[None]


def by_einsum(features, mask):
    """With the root of the mask in both factors, in float64."""
    f = features.double() * mask.double().sqrt()
    return torch.einsum("bihw,bjhw->bij", f, f) / mask.sum()


def empties_the_mask(features, mask):
    result = gram_of(features, mask)
    mask.zero_()
    return result


def split(x):
    """Mean and covariance."""
    mean = x.mean(1, keepdim=True)
    return mean, (x - mean) @ (x - mean).T / x.shape[1]


def root(matrix):
    values, vectors = torch.linalg.eigh(matrix)
    return vectors @ torch.diag(values.sqrt()) @ vectors.T


def mapped(pixels, reference, matrix, keep_mean=False):
    mean, covariance = split(pixels)
    new_mean, new_covariance = split(reference)
    return matrix(covariance, new_covariance) @ (pixels - mean) + (mean if keep_mean else new_mean)


def symmetric(a, b):
    return root(b) @ torch.linalg.inv(root(a))


def cholesky(a, b):
    return torch.linalg.cholesky(b) @ torch.linalg.inv(torch.linalg.cholesky(a))


def optimal_transport(a, b):
    """The map of Monge between two normal distributions."""
    half, back = root(a), torch.linalg.inv(root(a))
    return back @ root(half @ b @ half) @ back


def in_the_wrong_order(pixels, reference):
    return mapped(pixels, reference, lambda a, b: torch.linalg.cholesky(a).inverse() @ torch.linalg.cholesky(b))


def from_second_moments(pixels, reference):
    a, b = (x @ x.T / x.shape[1] for x in (pixels, reference))
    return cholesky(a, b) @ (pixels - pixels.mean(1, keepdim=True)) + reference.mean(1, keepdim=True)


def numpy_cov(pixels, reference):
    """With N - 1, and a little added against division by zero."""
    a, b = (torch.from_numpy(numpy.cov(x.numpy())).float() + 1e-6 * torch.eye(3) for x in (pixels, reference))
    return cholesky(a, b) @ (pixels - pixels.mean(1, keepdim=True)) + reference.mean(1, keepdim=True)


def standardized(pixels, reference):
    shifted = (pixels - pixels.mean(1, keepdim=True)) / pixels.std(1, keepdim=True)
    return shifted * reference.std(1, keepdim=True) + reference.mean(1, keepdim=True)


def sorted_channels(pixels, reference):
    """Histogram matching: each channel gets the reference's distribution."""
    levels = torch.linspace(0, 1, pixels.shape[1])
    targets = torch.quantile(reference, levels, dim=1)
    return torch.stack([t[x.argsort().argsort()] for t, x in zip(targets.T, pixels, strict=True)])


def drawn(pixels, reference):
    return reference[:, torch.arange(pixels.shape[1]) % reference.shape[1]]


def most_similar(mine, patches):
    return (mine @ F.normalize(patches).T).argmax(1)


def by_convolution(mine, patches):
    kernels = F.normalize(patches.double())[:, :, None]
    return F.conv1d(mine.double()[:, :, None], kernels)[:, :, 0].argmax(1)


def one_by_one(mine, patches):
    return torch.tensor([max(range(len(patches)), key=lambda n: F.cosine_similarity(m, patches[n], 0)) for m in mine])


def larger(result, photo, mode="bicubic"):
    return F.interpolate(result, photo.shape[2:], mode=mode)


def inverted(result, photo):
    return result if result.shape == photo.shape else 1 - larger(result, photo)


def levels(paint, photos, paintings, *, first=None, again=False, enlarge=larger, low=0.0, high=1.0):
    """Exercise 4, with mistakes to choose from."""
    result = photos[0] if first is None else first
    for photo, painting in zip(photos, paintings, strict=True):
        start = photo if again else enlarge(result, photo).clamp(low, high)
        result = paint(photo, painting, start)
    return result


def to_the_paintings_size(paint, photos, paintings):
    result = photos[0]
    for number, (photo, painting) in enumerate(zip(photos, paintings, strict=True)):
        result = paint(photo, painting, larger(result, painting if number else photo).clamp(0, 1))
    return result


RIGHT = [
    ("swap_luminance", through_yiq),
    ("swap_luminance", lambda a, b: (bright(a) + (b - bright(b))).clamp(min=0, max=1)),
    ("masked_gram", by_einsum),
    ("masked_gram", lambda f, m: nst.gram_matrix(f * m.sqrt()) * m.numel() / m.sum()),
    ("match_mean_and_covariance", lambda p, r: mapped(p, r, cholesky)),
    ("match_mean_and_covariance", lambda p, r: mapped(p, r, optimal_transport)),
    ("match_mean_and_covariance", numpy_cov),
    ("from_coarse_to_fine", levels),
    ("from_coarse_to_fine", lambda *a: levels(*a, enlarge=lambda x, photo: larger(x, photo, "bilinear"))),
    ("from_coarse_to_fine", lambda *a: levels(*a, enlarge=lambda x, photo: larger(x, photo, "nearest"))),
    ("nearest_patch", by_convolution),
    ("nearest_patch", one_by_one),
    ("nearest_patch", lambda a, b: F.cosine_similarity(a[:, None], b[None], dim=2).argmax(1)),
]


@pytest.mark.parametrize(("name", "answer"), RIGHT)
def test_another_style_of_answer_is_right(name, answer):
    assert verdict(getattr(nst.check, name), answer) == f"{name}: correct"


WRONG = [
    ("swap_luminance", lambda a, b: swapped(b, a), "the other way round"),
    ("swap_luminance", lambda a, b: swapped(a, b, lambda x: x.mean(1, keepdim=True)), "mean of the channels"),
    ("swap_luminance", lambda a, b: swapped(a, b, lambda x: bright(x, LUMA.flip(0))), "order red, green, blue"),
    ("swap_luminance", lambda a, b: swapped(a, b, lambda x: -bright(x)), "takes painted's away"),
    ("swap_luminance", lambda a, b: swapped(a, b, lambda x: bright(x, HDTV)), "not the text's"),
    ("swap_luminance", lambda a, b: swapped(a, b, low=-9, high=9), "leaves [0, 1]"),
    ("swap_luminance", lambda a, b: swapped(a, b).sigmoid(), "it is not painted's luminance"),
    ("swap_luminance", lambda a, b: swapped(a, b, high=0.95), "something other than clamp"),
    ("swap_luminance", lambda a, b: bright(a), "the shape (1, 1, 5, 8)"),
    ("swap_luminance", lambda a, b: bright(a).expand(-1, 3, -1, -1), "it is gray"),
    ("swap_luminance", lambda a, b: b + bright(a), "without taking the photo's own away"),
    ("swap_luminance", lambda a, b: (b + bright(a)).clamp(0, 1), "without taking the photo's own away, and clamps"),
    ("swap_luminance", lambda a, b: b * bright(a) / bright(b), "it scales the photo"),
    ("swap_luminance", lambda a, b: b - bright(b), "never gives the painted one back"),
    ("swap_luminance", lambda a, b: b.clone(), "it returns the photo"),
    ("swap_luminance", brightens_in_place, "modifies its input"),
    ("masked_gram", lambda f, m: gram_of(f, m, area=1), "divides by nothing"),
    ("masked_gram", lambda f, m: gram_of(f, m, area=m.numel()), "all H W positions"),
    ("masked_gram", lambda f, m: gram_of(f, m, area=(m > 0).sum()), "positions that are not 0"),
    ("masked_gram", lambda f, m: gram_of(f, m, power=2), "counts squared"),
    ("masked_gram", lambda f, m: gram_of(f, m, area=m.square().sum(), power=2), "sum of its squares"),
    ("masked_gram", lambda f, m: gram_of(f, (m > 0).float()), "makes the mask hard"),
    ("masked_gram", lambda f, m: nst.gram_matrix(f), "ignores the mask"),
    ("masked_gram", lambda f, m: gram_of(f, 1 - m), "where the mask is 0"),
    ("masked_gram", lambda f, m: gram_of(f, m) / f.shape[1], "number of channels"),
    ("masked_gram", lambda f, m: gram_of(f, m)[0], "the shape (4, 4)"),
    ("masked_gram", lambda f, m: gram_of(f.detach(), m), "detaches the graph"),
    ("masked_gram", empties_the_mask, "modifies its input"),
    ("masked_gram", lambda f, m: gram_of(f, m.round()), "makes the mask hard"),
    ("masked_gram", lambda f, m: gram_of(f - f.mean((2, 3), keepdim=True), m), "not centered"),
    ("masked_gram", lambda f, m: gram_of(f - (f * m).sum((2, 3), keepdim=True) / m.sum(), m), "not centered"),
    ("masked_gram", lambda f, m: gram_of(f.relu(), m), "it is not the sum"),
    ("match_mean_and_covariance", lambda p, r: mapped(p, r, symmetric, True), "still that of the pixels: add"),
    ("match_mean_and_covariance", lambda p, r: mapped(p, r, symmetric) - split(r)[0], "the mean is 0"),
    ("match_mean_and_covariance", lambda p, r: symmetric(split(p)[1], split(r)[1]) @ p, "the mean is not"),
    ("match_mean_and_covariance", standardized, "each channel has the right deviation"),
    ("match_mean_and_covariance", lambda p, r: p - split(p)[0] + split(r)[0], "only their mean was changed"),
    ("match_mean_and_covariance", lambda p, r: mapped(p, r, lambda a, b: b @ a.inverse()), "take their roots"),
    ("match_mean_and_covariance", lambda p, r: mapped(p, r, lambda a, b: root(b)), "own covariance first"),
    ("match_mean_and_covariance", lambda p, r: mapped(p, r, lambda a, b: root(a).inverse()), "is the identity"),
    ("match_mean_and_covariance", lambda p, r: mapped(p, r, lambda a, b: cholesky(b, a)), "goes the wrong way"),
    ("match_mean_and_covariance", lambda p, r: mapped(p, r, lambda a, b: cholesky(a, b).T), "not that of the ref"),
    ("match_mean_and_covariance", lambda p, r: mapped(p, r, lambda a, b: root(b) @ root(a)), "is to be inverted"),
    ("match_mean_and_covariance", in_the_wrong_order, "in the wrong order"),
    ("match_mean_and_covariance", from_second_moments, "not centered"),
    ("match_mean_and_covariance", lambda p, r: mapped(r, p, symmetric), "are swapped"),
    ("match_mean_and_covariance", sorted_channels, "not a linear map"),
    ("match_mean_and_covariance", drawn, "not a linear map"),
    ("match_mean_and_covariance", lambda p, r: mapped(p, r, symmetric).T, "the shape (300, 3)"),
    ("match_mean_and_covariance", lambda p, r: p * float("nan"), "not numbers"),
    ("match_mean_and_covariance", lambda p, r: mapped(p, r, symmetric).clamp(0, 1), "it clamps"),
    ("from_coarse_to_fine", lambda paint, f, p: f[-1], "never paints"),
    (
        "from_coarse_to_fine",
        lambda paint, f, p: levels(paint, f, p, enlarge=lambda x, photo: (larger(x, photo, "bilinear") + photo) / 2),
        "some of its photo",
    ),
    ("from_coarse_to_fine", lambda paint, f, p: [levels(paint, f, p)], "returns a list"),
    ("from_coarse_to_fine", lambda paint, f, p: levels(paint, f[::-1], p[::-1]), "from the largest to the smallest"),
    ("from_coarse_to_fine", lambda paint, f, p: levels(paint, f[-1:], p[-1:]), "1 times for 3 levels"),
    ("from_coarse_to_fine", lambda paint, f, p: levels(paint, f, p, again=True), "from its photo again"),
    ("from_coarse_to_fine", lambda paint, f, p: levels(paint, f, p, low=-9.0, high=9.0), "leaves [0, 1]"),
    ("from_coarse_to_fine", lambda paint, f, p: levels(paint, f, p[:1] * 3), "the painting of level 2"),
    ("from_coarse_to_fine", lambda paint, f, p: levels(paint, f, p, first=torch.zeros(1, 3, 4, 6)), "the first level"),
    (
        "from_coarse_to_fine",
        lambda paint, f, p: levels(paint, f, p, enlarge=inverted),
        "of the level before",
    ),
    (
        "from_coarse_to_fine",
        lambda paint, f, p: levels(paint, f, p, enlarge=lambda x, photo: x),
        "to the size of the next",
    ),
    (
        "from_coarse_to_fine",
        lambda paint, f, p: larger(levels(paint, f, p), torch.zeros(1, 3, 30, 48)),
        "of the last level",
    ),
    ("from_coarse_to_fine", lambda paint, f, p: levels(paint, f, p)[:0].tolist() or None, "returns None"),
    (
        "from_coarse_to_fine",
        lambda paint, f, p: levels(lambda a, b, s: paint(b, a, s), f, p),
        "photo and painting are swapped",
    ),
    ("from_coarse_to_fine", to_the_paintings_size, "to the size of the next photo"),
    ("nearest_patch", lambda a, b: (a @ b.T).argmax(1), "does not normalize"),
    ("nearest_patch", lambda a, b: (F.normalize(a) @ b.T).argmax(1), "does not normalize"),
    ("nearest_patch", lambda a, b: torch.cdist(a, b).argmin(1), "Euclidean"),
    ("nearest_patch", lambda a, b: (a @ F.normalize(b).T).argmin(1), "least similar"),
    ("nearest_patch", lambda a, b: (a @ F.normalize(b).T).argmax(0), "for each patch of the painting"),
    ("nearest_patch", lambda a, b: (a @ F.normalize(b).T).max(1), "it returns a pair"),
    ("nearest_patch", lambda a, b: most_similar(a, b).float(), "whole numbers"),
    ("nearest_patch", lambda a, b: (a @ F.normalize(b).T).amax(1), "it returns correlations"),
    ("nearest_patch", lambda a, b: (a @ (b / b.square().sum(1, keepdim=True)).T).argmax(1), "squared norm"),
    ("nearest_patch", lambda a, b: (a @ F.normalize(b, dim=0).T).argmax(1), "each column"),
    ("nearest_patch", lambda a, b: (a @ F.normalize(b, p=1).T).argmax(1), "sum of absolute values"),
    ("nearest_patch", lambda a, b: (a @ F.normalize(b - b.mean(1, keepdim=True)).T).argmax(1), "subtracts means"),
    ("nearest_patch", lambda a, b: (a @ (b / (b - b.mean(1, keepdim=True)).norm(dim=1)[:, None]).T).argmax(1), "means"),
    ("nearest_patch", lambda a, b: most_similar(a, b)[:, None], "the shape (60, 1)"),
    ("nearest_patch", lambda a, b: most_similar(a, b.div_(b.norm(dim=1, keepdim=True))), "modifies its input"),
]


@pytest.mark.parametrize(("name", "answer", "reason"), WRONG)
def test_a_wrong_answer_is_named(name, answer, reason):
    line = verdict(getattr(nst.check, name), answer)
    assert line.startswith(f"{name}: not yet") and reason in line
