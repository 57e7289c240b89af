"""Checks for the exercises of 10_pocket_vgg."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ..pictures.colors import square_root
from .framework import (
    Wrong,
    call,
    close,
    exercise,
    expect_gradient,
    expect_in_all_cases,
    expect_tensor,
    expect_value,
    number,
)

NARROW, WIDE = 4, 11  # channels of the student and of the teacher in these checks
Channels = Sequence[Sequence[int]]  # of each convolution, block by block


def _layers(channels: Channels, height: int, width: int) -> list[tuple[int, int, int, int]]:
    """(channels in, channels out, height, width of the output) of each convolution."""
    found, before = [], 3
    for block in channels:
        for out in block:
            found.append((before, out, height, width))
            before = out
        height, width = height // 2, width // 2
    return found


def _arithmetic(channels: Channels, height: int, width: int) -> int:
    """The multiply-adds of all convolutions."""
    return sum(9 * i * o * h * w for i, o, h, w in _layers(channels, height, width))


@exercise(otherwise=_arithmetic)
def multiply_adds(answer: Callable[[Channels, int, int], int]) -> None:
    """answer(channels, height, width): the multiply-adds of a VGG of 3x3 convolutions on an RGB picture."""
    cases = [(((4, 6), (10,), (6, 5, 7)), 45, 70), (((5,),), 8, 9), (((16, 16), (64, 48), (128, 80, 80), (9,)), 96, 65)]
    replies = [call(answer, *case) for case in cases]
    expect_in_all_cases(
        cases,
        [number(reply) for reply in replies],
        [_arithmetic(*case) for case in cases],
        [_arithmetic_mistakes(*case) for case in cases],
        lambda case, said, right: (
            f"for {case} it says {said:,.10g} where {right:,} is right: "
            "9 * channels in * channels out * height * width of the output, added up over the convolutions"
        ),
    )
    if isinstance(replies[0], Tensor):
        raise Wrong("it returns a tensor: add up plain numbers, beginning with 0")
    if any(isinstance(reply, float) for reply in replies):
        raise Wrong(f"it returns the float {replies[0]!r}: multiply-adds are counted, so keep to int (// halves)")


def _matrix(features: Tensor) -> Tensor:
    """Features (B, C, H, W) as a matrix with a column for each position of each picture: (C, B H W)."""
    return features.transpose(0, 1).flatten(1)


def _best_head(features: Tensor, target: Tensor, ridge: float = 1e-4) -> Tensor:
    """The head of least squares, with a ridge of `ridge` times the mean of G's diagonal; solved in float64."""
    f, t = (_matrix(x.detach()) for x in (features, target))
    g, cross = (f @ f.T).double().cpu(), (f @ t.T).double().cpu()  # Apple's GPU has no float64
    return torch.linalg.solve(g + ridge * g.diagonal().mean() * torch.eye(len(g)), cross).T.to(features)


@exercise(otherwise=_best_head)
def best_head(answer: Callable[[Tensor, Tensor], Tensor]) -> None:
    """The W (C, c) with the least |W F - T|^2 over all positions of all pictures; a channel of F may be silent."""
    generator = torch.Generator().manual_seed(3)
    features = torch.randn(3, NARROW, 6, 9, generator=generator).relu() + 0.1
    target = torch.randn(3, WIDE, 6, 9, generator=generator)
    target += 2 * torch.einsum("dc,bchw->bdhw", torch.randn(WIDE, NARROW, generator=generator), features)
    result = call(answer, features, target)
    if isinstance(result, Tensor) and result.shape == (NARROW, WIDE):
        if close(result, _best_head(target, features), 1e-2):
            raise Wrong("it predicts F from T: the other way round")
        raise Wrong("it returns the transpose of a head, (c, C): W F has the teacher's channels, so W is (C, c)")
    result = expect_tensor(result, (WIDE, NARROW)).detach()
    wanted, mistakes = _best_head(features.double(), target.double()), _head_mistakes(features, target)
    excess = _excess(result, features, target)
    cause = "its ridge is too large" if 0 <= excess < 0.01 else "solve W G = C"
    otherwise = f"|W F - T|^2 is {excess:.1%} above the least: {cause}"
    expect_value(result, wanted, mistakes, otherwise, tolerance=1e-2)  # a small ridge is right
    silent = features.clone()
    silent[:, 1] = 0
    try:
        result = expect_tensor(call(answer, silent, target), (WIDE, NARROW)).detach()
    except torch.linalg.LinAlgError:
        raise Wrong("it raises where a channel is silent: G has no inverse, so add a small ridge") from None
    if not result.isfinite().all() or _excess(result, silent, target) > 1e-2:
        raise Wrong("it fails where a channel is silent: G has no inverse, so add a small ridge")
    quiet = features / 1000
    if not _excess(expect_tensor(call(answer, quiet, target), (WIDE, NARROW)).detach(), quiet, target) < 1e-2:
        raise Wrong("its ridge is too large for quiet features: make it a ten-thousandth of the mean of G's diagonal")
    if close(result[:, 1], -result[:, [0, 2, 3]].sum(1), 1e-2):  # what a constant on all of G leads to
        raise Wrong("it adds the ridge to every entry of G: to the diagonal only, so multiply it by torch.eye(len(G))")


def _loss(features: Tensor, target: Tensor, head: Tensor) -> Tensor:
    """Both relative errors of one layer, added up."""
    return sum(_errors(features, target, head), features.new_zeros(()))


@exercise(otherwise=_loss)
def distillation_loss(answer: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
    """Relative errors of head @ features against the target, and of their Gram matrices; sums run over the batch."""
    generator = torch.Generator().manual_seed(4)
    features = torch.randn(3, NARROW, 6, 9, generator=generator).requires_grad_()
    target = torch.randn(3, WIDE, 6, 9, generator=generator) * torch.tensor([0.3, 1.0, 2.0]).view(3, 1, 1, 1)
    head = torch.randn(WIDE, NARROW, generator=generator).requires_grad_()
    result = expect_tensor(call(answer, features, target, head), ())
    exact = [x.double() for x in (features, target, head)]
    wanted = _loss(*exact)
    formula = "|W F - T|^2 / |T|^2 + the same of the Gram matrices, each sum over the whole batch"
    expect_value(result, wanted, _distillation_mistakes(*exact), f"it is not {formula}")
    expect_gradient(result, wanted, features)
    expect_gradient(result, wanted, head, missing="no gradient reaches the head, which is to learn as well")


def _square_map(head: Tensor) -> Tensor:
    """The symmetric root of W'W."""
    return square_root(head.T @ head, smallest=0)


@exercise(otherwise=_square_map)
def square_map(answer: Callable[[Tensor], Tensor]) -> None:
    """A square M (c, c) for a head W (C, c), with M'M = W'W: then |M f| = |W f| and |M D M'| = |W D W'|."""
    head = torch.randn(WIDE, NARROW, generator=torch.Generator().manual_seed(5))
    result = call(answer, head)
    if isinstance(result, Tensor) and result.shape == (WIDE, WIDE):
        raise Wrong(f"it is as wide as the teacher, {WIDE} x {WIDE}: W W' instead of W'W")
    result = expect_tensor(result, (NARROW, NARROW)).detach()
    wanted = head.double().T @ head.double()
    if not close(result.double().T @ result.double(), wanted, 1e-3):
        raise Wrong(_map_mistake(result.double(), wanted))
    for seed in range(12):  # rounding puts the zero among the eigenvalues on either side of zero: one sign by chance
        generator = torch.Generator().manual_seed(seed)
        loudness = (0.01, 3)[seed % 2]  # what is next to nothing for one is not for the other
        head = loudness * torch.randn(WIDE, 2, generator=generator) @ torch.randn(2, NARROW, generator=generator)
        try:
            result = expect_tensor(call(answer, head), (NARROW, NARROW)).detach().double()
        except torch.linalg.LinAlgError:
            dependent = "it raises where the columns of the head depend on each other: W'W then has eigenvalues of zero"
            raise Wrong(f"{dependent}, which Cholesky and inverses cannot do: take the symmetric root") from None
        if not result.isfinite().all():
            raise Wrong(
                "it gives NaN where the columns of the head depend on each other: an eigenvalue of zero comes out a "
                "little below zero, so clamp before the root"
            )
        found, wanted = result.T @ result, head.double().T @ head.double()
        if not close(found, wanted, 1e-3):
            values, vectors = torch.linalg.eigh(wanted)
            raised = values.clamp_min(torch.linalg.eigvalsh(found)[0].item())
            if close(found, vectors @ raised.diag() @ vectors.T, 1e-3):
                raise Wrong("it lifts small eigenvalues to more than they are: clamp_min(0)")
            raise Wrong(
                "where the columns of the head depend on each other, M'M is not W'W: take the root of the eigenvalues "
                "of W'W as they are, with clamp_min(0) and nothing added, and no inverse"
            )


def _ranks(x: Tensor) -> Tensor:
    return (x[:, None] > x).sum(1).double()


def _cosine(a: Tensor, b: Tensor) -> float:
    return ((a * b).sum() / (a.norm() * b.norm())).item()


def _pearson(x: Tensor, y: Tensor) -> float:
    return _cosine(x.double() - x.double().mean(), y.double() - y.double().mean())


def _spearman(x: Tensor, y: Tensor) -> float:
    return _pearson(_ranks(x), _ranks(y))


@exercise(otherwise=_spearman)
def rank_correlation(answer: Callable[[Tensor, Tensor], float]) -> None:
    """Spearman's rank correlation of x and y (n,), which have no equal values: Pearson's correlation of their ranks."""
    generator = torch.Generator().manual_seed(6)
    x = 10 ** (4 * torch.rand(9, generator=generator) - 2)  # distances: from a hundredth to a hundred
    cases = [(x, torch.rand(9, generator=generator)), (x, (x.log() + torch.randn(9, generator=generator)).exp())]
    cases += [(x[:5], x[:5] ** 3), (x, -x), (x[2:8], cases[1][1][2:8].flip(0))]
    replies = [call(answer, *case) for case in cases]
    if isinstance(replies[0], Tensor) and replies[0].shape == (2, 2):
        raise Wrong("it returns a matrix of shape (2, 2), each list with each: take [0, 1], the first with the second")
    expect_in_all_cases(
        cases,
        [number(reply) for reply in replies],
        [_spearman(*case) for case in cases],
        [_rank_mistakes(a.double(), b.double()) for a, b in cases],
        lambda case, said, right: (
            f"for {len(case[0])} pairs it gives {said:.4f}, not {right:.4f}: Pearson's correlation of the ranks"
        ),
        tolerance=1e-4,
    )


# --------------------------------------------------------------------------------------------------------- arithmetic


def _arithmetic_mistakes(channels: Channels, height: int, width: int) -> dict[str, float | tuple[float, ...]]:
    """What the known mistakes give."""
    layers, right = _layers(channels, height, width), _arithmetic(channels, height, width)
    blocks = [index for index, block in enumerate(channels) for _ in block]
    first = [index == 0 or blocks[index] != blocks[index - 1] for index in range(len(blocks))]
    one_way = [height * (width // 2**b) for b in blocks], [(height // 2**b) * width for b in blocks]
    up = [-(-height // 2**b) * -(-width // 2**b) for b in blocks]
    early = [(height // 2 ** (b + 1)) * (width // 2 ** (b + 1)) for b in blocks]
    late = [h * w for _, _, h, w in layers[:1] + layers[:-1]]
    ends = [[(block[end],) for block in channels] for end in (0, -1)]

    def total(positions: Sequence[float]) -> float:
        return sum(9 * i * o * p for (i, o, _, _), p in zip(layers, positions, strict=True))

    return {
        "it forgets the window: 3x3 is nine multiply-adds for every pair of channels": right / 9,
        "it takes 3 for the window: it is 3x3, nine": right / 3,
        "it counts multiplications and additions separately: one multiply-add is both": 2 * right,
        "it counts weights only: each is used once at every position of the output": total([1] * len(layers)),
        "it never halves: after every block pooling leaves half the height and half the width": total(
            [height * width] * len(layers)
        ),
        "pooling halves one side only: it halves height and width": total(one_way[0]),
        "pooling halves one side only: it halves width and height": total(one_way[1]),
        "it rounds up when it halves: a pooling leaves out the odd row": total(up),
        "it keeps halves of pixels: halving rounds down, // 2": total([height / 2**b * (width / 2**b) for b in blocks]),
        "it pools before a block: the first block sees the whole picture": total(early),
        "it pools one convolution too late: the first convolution of a block sees the pooled maps": total(late),
        "it takes the output channels for the input's: those of the convolution before, 3 at first": sum(
            9 * o * o * h * w for _, o, h, w in layers
        ),
        "it forgets the input channels: every output channel has nine weights for each of them": sum(
            9 * o * h * w for _, o, h, w in layers
        ),
        "it forgets the output channels: each of them has its own weights": sum(9 * i * h * w for i, _, h, w in layers),
        "every convolution but the first has more than 3 channels as input": sum(
            9 * 3 * o * h * w for _, o, h, w in layers
        ),
        "every block begins with 3 channels: only the first one sees the picture": sum(
            9 * (3 if begins else i) * o * h * w for (i, o, h, w), begins in zip(layers, first, strict=True)
        ),
        "it counts biases: they add, and multiply nothing": sum((9 * i + 1) * o * h * w for i, o, h, w in layers),
        "it counts one convolution a block": (
            *(_arithmetic(reduced, height, width) for reduced in ends),
            sum(9 * i * o * h * w for (i, o, h, w), begins in zip(layers, first, strict=True) if begins),
        ),
    }


# -------------------------------------------------------------------------------------------------------------- heads


def _excess(head: Tensor, features: Tensor, target: Tensor) -> float:
    """How far |W F - T|^2 lies above the least, relative to that."""
    f, t = (_matrix(x.double()) for x in (features, target))
    far, least = ((w.double() @ f - t).square().sum() for w in (head, _best_head(features.double(), target.double())))
    return (far / least - 1).item()


def _head_mistakes(features: Tensor, target: Tensor) -> dict[str, Tensor | tuple[Tensor, ...]]:
    """What the known mistakes give, in float64."""
    features, target = features.double(), target.double()
    (f, t), right = map(_matrix, (features, target)), _best_head(features, target)
    g, cross = f @ f.T, t @ f.T
    alone = torch.stack([_best_head(features[i : i + 1], target[i : i + 1]) for i in range(len(features))])
    centered = [(x - _matrix(x).mean(1).view(1, -1, 1, 1)) for x in (features, target)]
    counts = len(features), features[0, 0].numel(), f.shape[1]
    return {
        "it returns C = T F': the channels of F overlap, so multiply by the inverse of G": (
            cross,
            *(cross / count for count in counts),
        ),
        "it divides by the diagonal of G alone: the channels of F overlap, so the whole matrix counts": (
            cross / g.diagonal()
        ),
        "it multiplies by G: by its inverse": (cross @ g, *(cross @ g / count**2 for count in counts)),
        "it divides one of G and C by a number of positions or pictures and the other not": (
            *(right * count for count in counts),
            *(right / count for count in counts),
        ),
        "it uses one picture only: sum over the whole batch": (alone[0], alone[-1]),
        "it averages the best heads of the pictures: sum G and C over the batch, then solve once": alone.mean(0),
        "it sums the best heads of the pictures: sum G and C over the batch, then solve once": alone.sum(0),
        "it subtracts the means: W F has no constant to make up for them": _best_head(centered[0], centered[1]),
        "it predicts F from T: the other way round": _best_head(target, features).T,
        "its ridge is too large: a ten-thousandth of the mean of G's diagonal is enough": tuple(
            _best_head(features, target, ridge) for ridge in (1, 0.1)
        ),
    }


# ------------------------------------------------------------------------------------------------------- distillation


def _wide(features: Tensor, head: Tensor) -> Tensor:
    return torch.einsum("dc,bchw->bdhw", head, features)


def _gram(features: Tensor) -> Tensor:
    return torch.einsum("bchw,bdhw->bcd", features, features) / features[0, 0].numel()


def _relative(now: Tensor, target: Tensor) -> Tensor:
    return (now - target).square().sum() / target.square().sum()


def _errors(features: Tensor, target: Tensor, head: Tensor) -> tuple[Tensor, Tensor]:
    """The relative errors of the features and of the Gram matrices."""
    wide = _wide(features, head)
    return _relative(wide, target), _relative(_gram(wide), _gram(target))


def _distillation_mistakes(features: Tensor, target: Tensor, head: Tensor) -> dict[str, Tensor]:
    """What the known mistakes give, in float64."""
    wide, (feature, gram) = _wide(features, head), _errors(features, target, head)
    mine, wanted, samples = _gram(wide), _gram(target), range(len(target))
    own = torch.stack([_relative(wide[i], target[i]) + _relative(mine[i], wanted[i]) for i in samples])
    batch, batch_wanted = (_gram(x.transpose(0, 1).flatten(2)[None]) for x in (wide, target))
    narrow = target[:, : features.shape[1]]
    return {
        "it lacks the Gram term": feature,
        "it lacks the feature term": gram,
        "it does not divide by the target's energy": (wide - target).square().sum() + (mine - wanted).square().sum(),
        "it takes the mean of the squares: divide by the target's energy instead": (wide - target).square().mean()
        + (mine - wanted).square().mean(),
        "it divides by the student's energy: divide by the target's": _relative(target, wide) + _relative(wanted, mine),
        "it divides picture by picture and adds up: let the sums run over the batch, then divide once": own.sum(),
        "it divides picture by picture and takes the mean: let the sums run over the batch, then divide once": (
            own.mean()
        ),
        "it makes one Gram matrix of the whole batch: each picture has its own": feature
        + _relative(batch, batch_wanted),
        "it takes the mean of both terms: add them": (feature + gram) / 2,
        "it takes the root of each term": feature.sqrt() + gram.sqrt(),
        "it does not use the head: bring the features to the teacher's width first": _relative(features, narrow)
        + _relative(_gram(features), _gram(narrow)),
        "it takes the Gram matrix of the difference: take the difference of the Gram matrices": feature
        + _gram(wide - target).square().sum() / wanted.square().sum(),
        "it takes absolute differences: square them": (wide - target).abs().sum() / target.abs().sum()
        + (mine - wanted).abs().sum() / wanted.abs().sum(),
        "its head ends in a ReLU: leave that out, a distance may need negative values": _relative(wide.relu(), target)
        + _relative(_gram(wide.relu()), wanted),
    }


def _map_mistake(result: Tensor, wanted: Tensor) -> str:
    """What is wrong with a square map M whose M'M is not `wanted` = W'W."""
    entries = wanted.sqrt()  # NaN where an entry is negative
    values, vectors = torch.linalg.eigh(wanted)
    if close(result.nan_to_num(), entries.nan_to_num()) or close(result, wanted.abs().sqrt()):
        return "it takes the root of every entry: the root of a matrix takes the roots of its eigenvalues, V root(L) V'"
    if not result.isfinite().all():
        return "it contains NaN or infinity"
    if close(result, wanted, 1e-3):
        return "it returns W'W itself: take its root"
    if close(result @ result.T, wanted, 1e-3):
        return "it is the transpose of a right one: M M' is W'W here, but |M f| needs M'M to be W'W"
    if close(result.T @ result, torch.linalg.inv(wanted), 1e-3):
        return "it is the inverse of a right one"
    if close(result.diagonal().sort().values, values.sqrt(), 1e-3) and close(result, torch.diag(result.diagonal())):
        return "it has the roots of the eigenvalues and not the eigenvectors: V root(L) V'"
    if close(result.abs(), (vectors.T @ values.sqrt().diag() @ vectors).abs(), 1e-3):  # a vector's sign is free
        return "it has V' root(L) V: the eigenvectors are the columns of V, so it is V root(L) V'"
    if close(result.T @ result, wanted @ wanted @ wanted @ wanted, 1e-3):
        return "it squares W'W: take its root"
    error = _relative(result.T @ result, wanted).sqrt()
    return f"M'M is not W'W: they differ by {error:.1%}"


# -------------------------------------------------------------------------------------------------------------- ranks


def _rank_mistakes(x: Tensor, y: Tensor) -> dict[str, float | tuple[float, ...]]:
    """What the known mistakes give."""
    a, b, n = _ranks(x), _ranks(y), len(x)
    right, squares = _pearson(a, b), (a - b).square().sum().item()
    sorted_values = _pearson(x.sort().values, y.sort().values)
    return {
        "argsort once gives the order, not the ranks: argsort the result once more": _pearson(x.argsort(), y.argsort()),
        "it correlates the values, not their ranks": _pearson(x, y),
        "it ranks only one of the two": (_pearson(a, y), _pearson(x, b)),
        "it sorts both, which takes the pairs apart: rank each without moving it": sorted_values,
        "it is 1 for any two lists: [0, 0] of the matrix is a list with itself (take [0, 1]), and two sorted lists "
        "always agree": 1.0,
        "it does not subtract the mean of the ranks": (_cosine(a, b), _cosine(a + 1, b + 1)),
        "it squares the correlation, which loses its sign": right**2,
        "it loses the sign": abs(right),
        "it mixes n and n - 1: divide covariance and deviations by the same": right * n / (n - 1),
        "it mixes n - 1 and n: divide covariance and deviations by the same": right * (n - 1) / n,
        "in the short formula the divisor is n (n^2 - 1), not n^3": 1 - 6 * squares / n**3,
        "in the short formula the factor 6 is missing": 1 - squares / (n * (n**2 - 1)),
        "in the short formula `1 -` is missing": 6 * squares / (n * (n**2 - 1)),
        "it compares the order of pairs (Kendall): correlate the ranks": _kendall(x, y),
    }


def _kendall(x: Tensor, y: Tensor) -> float:
    signs = (x[:, None] - x).sign() * (y[:, None] - y).sign()
    return signs.sum().item() / (len(x) * (len(x) - 1))
