"""Checks for the exercises of 05_what_matters."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean, median, median_high, median_low, pstdev, stdev
from typing import Any

from .framework import Mistakes, Wrong, call, close, exercise, expect_value, number

Point = tuple[float, float]
BASELINE = 20.0  # the tv_weight that lesson 05 starts from


def _apart(baseline: Sequence[float], changed: Sequence[float]) -> bool:
    return max(baseline) < min(changed) or max(changed) < min(baseline)


def _unbeaten(points: Sequence[Point]) -> list[Point]:
    return [point for point in points if not any(_beats(other, point) for other in points)]


def _in_units_of_chance(baseline: Sequence[float], changed: Sequence[float]) -> float:
    return abs(median(changed) - median(baseline)) / (max(baseline) - min(baseline))


def _grows_with_smoothness(run: Callable[..., float]) -> bool:
    distances = [run(tv_weight=weight) for weight in (BASELINE / 4, BASELINE, 4 * BASELINE)]
    return all(a < b for a, b in itertools.pairwise(distances))


@exercise(otherwise=_apart)
def beyond_chance(answer: Callable[[Sequence[float], Sequence[float]], bool]) -> None:
    """answer(baseline, changed) must say whether two lists of numbers, one for each seed, do not overlap."""
    cases = {  # unsorted, as seeds come
        "all of the changed runs lie below all of the baseline's: that is beyond chance": (
            ([0.31, 0.28, 0.33], [0.21, 0.25, 0.19]),
            True,
        ),
        "all of the changed runs lie above all of the baseline's: that is beyond chance, too": (
            ([0.21, 0.25, 0.19], [0.31, 0.28, 0.33, 0.29]),
            True,
        ),
        "the ranges overlap, although the means differ: that can be chance": (
            ([0.30, 0.20, 0.26], [0.24, 0.15, 0.12]),
            False,
        ),
        "the ranges overlap, although the first runs of both differ: that can be chance": (
            ([0.30, 0.20, 0.26], [0.12, 0.15, 0.24]),
            False,
        ),
        "one range lies inside the other: that can be chance": (([0.20, 0.40, 0.30], [0.31, 0.33, 0.32]), False),
        "the range of the changed runs contains the baseline's: that can be chance": (
            ([0.31, 0.33, 0.32], [0.20, 0.40, 0.45]),
            False,
        ),
        "the ranges touch: a value that both have can be chance": (([0.2, 0.3], [0.4, 0.3]), False),
        "the ranges overlap, although the means differ by more than the deviations add up to: that can be chance": (
            ([0.20, 0.20, 0.30], [0.29, 0.40, 0.40]),
            False,
        ),
        "the fourth run lies in the other's range: look at all of them": (
            ([0.20, 0.25, 0.22, 0.50], [0.30, 0.35, 0.33]),
            False,
        ),
        "they are near each other but do not overlap, and that is what counts": (
            ([0.21, 0.20, 0.20], [0.212, 0.214, 0.213]),
            True,
        ),
    }
    replies = [_truth(_call_with_lists(answer, before, after)) for (before, after), _ in cases.values()]
    if len(set(replies)) == 1:
        raise Wrong(f"it always says {replies[0]}")
    for (reason, ((before, after), wanted)), reply in zip(cases.items(), replies, strict=True):
        if reply != wanted:
            raise Wrong(f"it says {reply} for {before} and {after}: {reason}")


@exercise(otherwise=_unbeaten)
def pareto_front(answer: Callable[[Sequence[Point]], Sequence[Point]]) -> None:
    """answer(points) must be those points (content, style) that no other point beats, in any order."""
    plain = [(0.1, 0.9), (0.3, 0.5), (0.4, 0.6), (0.6, 0.2), (0.9, 0.1), (0.7, 0.7), (0.05, 0.95)]
    plain += [(0.45, 0.58)]  # better than its neighbor (0.4, 0.6), and beaten by another
    found = _points(_call_with_lists(answer, plain), plain)
    front, back = _front(plain), _front([(-c, -s) for c, s in plain])
    if set(found) == {(-c, -s) for c, s in back}:
        raise Wrong("it keeps the points that are farthest off: small distances are better")
    if not found:
        raise Wrong("it keeps no point: none beats itself, and one that beats another is at least as good in both")
    if found == sorted(set(plain) - set(front)):
        raise Wrong("it returns the points that are beaten: return the others")
    if len(found) == 1:
        raise Wrong("it keeps one point only: every point that no other beats at both distances belongs to the front")
    if lost := [point for point in front if point not in found]:
        raise Wrong(f"{lost[0]} is missing: no other point is as good at both distances")
    if extra := [point for point in found if point not in front]:
        better = next(p for p in plain if p != extra[0] and p[0] <= extra[0][0] and p[1] <= extra[0][1])
        raise Wrong(f"it keeps {extra[0]}, although {better} is better at both distances")

    falling = [(4.0, 4.0), (3.0, 3.0), (2.0, 2.0), (1.0, 1.0)]
    if len(_points(_call_with_lists(answer, falling), falling)) > 1:
        what = "compare each point with all the others, later ones too, and remove none from a list in its loop"
        raise Wrong(f"of {falling} only the last stays: {what}")
    tied = [(0.3, 0.5), (0.3, 0.7), (0.2, 0.8), (0.6, 0.5)]
    found = _points(_call_with_lists(answer, tied), tied)
    if found != _front(tied):
        raise Wrong("of two points that are equal in one distance, only the one that is better in the other stays")
    twins = [(c / 10, s / 10) for c, s in ((5, 4), (2, 8), (5, 4))]  # equal, and yet two objects, as measured ones are
    if _points(_call_with_lists(answer, twins), twins) != sorted(twins):
        raise Wrong("of two equal points both stay: neither beats the other (use !=, not `is not`; a set loses one)")


@exercise(otherwise=_grows_with_smoothness)
def experiment(answer: Callable[[Callable[..., float]], bool]) -> None:
    """answer(run) must test whether run(tv_weight=w), a style distance, grows with every larger w, and say so."""
    tried: list[float] = []

    def watched(distance: Callable[[float], float]) -> Callable[..., float]:
        def run(*unnamed: float, **changes: float) -> float:
            if unnamed:
                raise Wrong(f"name the knob that it changes: run(tv_weight={unnamed[0]})")
            others = [name for name in changes if name != "tv_weight"]
            if others and "tv_weight" in changes:
                raise Wrong(f"two knobs at once, tv_weight and {others[0]}: then neither explains the result")
            if others:
                raise Wrong(f"it changes {others[0]}; the hypothesis is about tv_weight")
            weight = float(changes.get("tv_weight", BASELINE))
            if not 0 <= weight < math.inf:
                raise Wrong(f"it asks for a tv_weight of {weight:g}; a weight is 0 or more")
            tried.append(weight)
            return distance(weight)

        return run

    supported = _truth(call(answer, watched(lambda weight: 0.1 + math.log1p(weight) / 50)))
    in_order, weights = tried == sorted(tried), sorted(set(tried))
    if len(weights) < 3:
        raise Wrong(f"it tries {len(weights)} value(s) of tv_weight: with fewer than three you cannot see a trend")
    least = min(weight for weight in weights if weight)  # three values: at least two are above 0
    if weights[-1] < 10 * least:
        reach = f"from {least:g} to {weights[-1]:g}"
        raise Wrong(
            f"it turns the knob too little, {reach}: chance hides that; try ten times the smallest value at least"
        )
    if BASELINE not in weights:
        raise Wrong(f"the baseline is missing: one of the values must be {BASELINE:g}, or run() without a change")
    refuted = _truth(call(answer, watched(lambda weight: 0.5 - math.log1p(weight) / 50)))
    if supported and refuted:
        raise Wrong("it says True even where the distance falls: the data must be able to contradict the hypothesis")
    if not supported:
        reason = "it says False whatever the data say" if not refuted else "it says True where the distance falls"
        if not refuted and not in_order:
            reason = "it says False where the distance grows, having tried the values in another order"
        raise Wrong(f"{reason}: a distance that grows with every larger weight supports the hypothesis")
    if _truth(call(answer, watched(lambda weight: 0.2))):
        raise Wrong("it says True where the distance never changes: it has to grow")
    for first in range(len(weights) - 1):
        order = list(range(len(weights)))
        order[first : first + 2] = order[first + 1], order[first]  # one step down, all the others up
        bumpy = defaultdict(lambda: 0.1, zip(weights, (0.1 + 0.01 * rank for rank in order), strict=True))
        if _truth(call(answer, watched(bumpy.__getitem__))):
            low, high = weights[first : first + 2]
            raise Wrong(f"it says True though the distance falls from {low:g} to {high:g}: compare all neighbors")


@exercise(otherwise=_in_units_of_chance)
def effect(answer: Callable[[Sequence[float], Sequence[float]], float]) -> None:
    """|median of changed - median of baseline| / (largest - smallest of baseline), of two lists of numbers."""
    cases = [
        ([0.30, 0.22, 0.25], [0.51, 0.40, 0.90]),
        ([0.8, 0.5, 0.6, 0.5], [0.2, 0.1]),
        ([0.25, 0.22, 0.30], [0.4]),
        ([0.2, 0.1, 0.3], [0.9, 0.5, 0.6, 0.7]),
        ([0.0, 1.0, 2.0], [0.0, 2.0, 1.1]),
    ]
    try:
        replies = [number(_call_with_lists(answer, before, after)) for before, after in cases]
    except ZeroDivisionError:
        raise Wrong("it divides by the range of the changed runs, here 0: the unit is the baseline's") from None
    right = [_in_units_of_chance(*case) for case in cases]
    first = next((i for i, (reply, value) in enumerate(zip(replies, right, strict=True)) if not close(reply, value)), 0)
    otherwise = (
        f"it gives {replies[first]:.4g} for {cases[first][0]} and {cases[first][1]}, where {right[first]:.4g} is right"
    )
    expect_value(replies, right, _effect_mistakes(cases), otherwise)


def _effect_mistakes(cases: Sequence[tuple[list[float], list[float]]]) -> Mistakes:
    """{mistake: what it gives in each case, or several such lists}."""
    centers = [(median(b), median(a)) for b, a in cases]
    means = [(fmean(b), fmean(a)) for b, a in cases]
    ranges = [max(b) - min(b) for b, _ in cases]
    return {
        "its sign tells up from down: return how far, without a sign": (
            [(a - b) / r for (b, a), r in zip(centers, ranges, strict=True)],
            [(b - a) / r for (b, a), r in zip(centers, ranges, strict=True)],
        ),
        "it takes means: one odd run moves them": [abs(a - b) / r for (b, a), r in zip(means, ranges, strict=True)],
        "it divides by the deviation: divide by the range, largest minus smallest": tuple(
            [abs(a - b) / deviation(before) for (b, a), (before, _) in zip(centers, cases, strict=True)]
            for deviation in (pstdev, stdev)
        ),
        "it divides by the larger of the two ranges: the unit is the baseline's": [
            abs(a - b) / max(r, max(after) - min(after))
            for (b, a), r, (_, after) in zip(centers, ranges, cases, strict=True)
        ],
        "the median of an even number of runs is the mean of the two in the middle: take statistics.median": tuple(
            [abs(middle(a) - middle(b)) / r for (b, a), r in zip(cases, ranges, strict=True)]
            for middle in (median_high, median_low)
        ),
        "its ratio is upside down: divide the difference by the range": [
            r / abs(a - b) for (b, a), r in zip(centers, ranges, strict=True)
        ],
        "it does not divide: the unit is the baseline's range": [abs(a - b) for b, a in centers],
        "it divides by the baseline's median: the unit is its range": [abs(a - b) / b for b, a in centers],
        "it takes the first run of each list: take medians": [
            abs(a[0] - b[0]) / r for (b, a), r in zip(cases, ranges, strict=True)
        ],
        "it takes the middle of a list that is not sorted: statistics.median sorts": [
            abs(a[len(a) // 2] - b[len(b) // 2]) / r for (b, a), r in zip(cases, ranges, strict=True)
        ],
        "it takes the last minus the first run as the range: the lists are not sorted": (
            [abs(a - b) / (before[-1] - before[0]) for (b, a), (before, _) in zip(centers, cases, strict=True)],
            [abs((a - b) / (before[-1] - before[0])) for (b, a), (before, _) in zip(centers, cases, strict=True)],
        ),
        "it pairs the runs, whose order means nothing: take the median of each list first": tuple(
            [apart([y - x for x, y in zip(*case, strict=False)]) / r for case, r in zip(cases, ranges, strict=True)]
            for apart in (lambda gaps: median(map(abs, gaps)), lambda gaps: abs(median(gaps)))
        ),
        "it divides by the range of all runs: the unit is the baseline's range": [
            abs(y - x) / (max(b + a) - min(b + a)) for (x, y), (b, a) in zip(centers, cases, strict=True)
        ],
    }


def _call_with_lists(answer: Callable, *lists: Sequence) -> Any:
    """The answer to copies of the lists; Wrong where it changes one of them."""
    given = [list(values) for values in lists]
    reply = call(answer, *given)
    if given != [list(values) for values in lists]:
        raise Wrong(
            "it changes the lists that it was given (.sort() and .remove() do): build new ones, as sorted() does"
        )
    return reply


def _truth(reply: object) -> bool:
    """A reply that is True or False, also as a number of numpy's or torch's."""
    if isinstance(reply, (str, Sequence, Mapping)) or reply not in (True, False):
        raise Wrong(f"it returns {reply!r}; True or False is expected")
    return bool(reply)


def _points(reply: object, given: Sequence[Point]) -> list[Point]:
    """The points of a reply, sorted; Wrong unless they are some of those given."""
    if not isinstance(reply, (Sequence, set, frozenset)) or isinstance(reply, str):
        raise Wrong(f"it returns a {type(reply).__name__}; a list of points is expected")
    if any(isinstance(point, (int, bool)) for point in reply):
        raise Wrong("it returns numbers; the points themselves are expected, not their places in the list")
    points: list[Any] = sorted(tuple(float(value) for value in point) for point in reply)
    if other := [point for point in points if point not in given]:
        raise Wrong(f"{other[0]} is not one of the points that it was given")
    return points


def _front(points: Sequence[Point]) -> list[Point]:
    """The points that none of the others beats, sorted."""
    beaten = {b for a, b in itertools.permutations(points, 2) if _beats(a, b)}
    return sorted(point for point in points if point not in beaten)


def _beats(a: Point, b: Point) -> bool:
    return a != b and a[0] <= b[0] and a[1] <= b[1]
