"""The exercises of lesson 05: right answers in other styles pass, and each classic mistake is named."""

from __future__ import annotations

from statistics import median, median_high, pstdev, stdev

import numpy
import pytest
import torch
from exercises import verdict

import nst_lesson as nst


def overlap(a, b):
    """With torch, from the sorted values."""
    a, b = torch.tensor(a).sort().values, torch.tensor(b).sort().values
    return (a[-1] < b[0]) | (b[-1] < a[0])


def sweep(points):
    """The front by one pass over the sorted points; equals are kept."""
    front, best = [], float("inf")
    for point in sorted(points):
        if point[1] < best or point in front:
            front.append(point)
            best = point[1]
    return front


def careful(run):
    """Five values, the largest first, and the baseline without a change."""
    found = {weight: run(tv_weight=weight) for weight in (320.0, 80, 5.0, 0)} | {20: run()}
    values = [found[weight] for weight in sorted(found)]
    return numpy.all(numpy.diff(values) > 0)


RIGHT = [
    ("beyond_chance", overlap),
    ("beyond_chance", lambda a, b: all(x < y for x in a for y in b) or all(x > y for x in a for y in b)),
    ("effect", lambda a, b: abs(numpy.median(b) - numpy.median(a)) / numpy.ptp(a)),
    ("effect", lambda a, b: (torch.tensor(b).quantile(0.5) - torch.tensor(a).quantile(0.5)).abs() / numpy.ptp(a)),
    ("pareto_front", sweep),
    ("pareto_front", lambda p: [a for a in p if all(b == a or b[0] > a[0] or b[1] > a[1] for b in p)]),
    ("experiment", careful),
    ("experiment", lambda run: run(tv_weight=2) < run(tv_weight=20) < run(tv_weight=200)),
]


@pytest.mark.parametrize(("name", "answer"), RIGHT)
def test_a_right_answer_in_another_style_passes(name, answer):
    assert verdict(getattr(nst.check, name), answer) == f"{name}: correct"


def only_earlier(points):
    kept = []
    for point in points:
        if not any(q != point and q[0] <= point[0] and q[1] <= point[1] for q in kept):
            kept.append(point)
    return kept


def mean(values):
    return sum(values) / len(values)


def front(points, beats):
    return [p for p in points if not any(beats(q, p) for q in points)]


def remove_while_looping(points):
    for a in points:
        if any(b != a and b[0] <= a[0] and b[1] <= a[1] for b in list(points)):
            points.remove(a)
    return points


def of(run, weights=(5.0, 20.0, 80.0)):
    return [run(tv_weight=weight) for weight in weights]


def rising(values):
    return all(a < b for a, b in zip(values, values[1:], strict=False))


def always(reply):
    """An answer that runs what it should and ignores it."""
    return lambda run: [of(run), reply][1]


WRONG = [
    ("beyond_chance", lambda a, b: abs(mean(b) - mean(a)) > pstdev(a) + pstdev(b), "the deviations add up to"),
    ("beyond_chance", lambda a, b: abs(mean(b) - mean(a)) > 2 * max(pstdev(a), pstdev(b)), "that can be chance"),
    ("beyond_chance", lambda a, b: overlap(a[:3], b[:3]), "the fourth run"),
    ("beyond_chance", lambda a, b: (a.sort(), b.sort(), a[-1] < b[0] or b[-1] < a[0])[2], "changes the lists"),
    ("effect", lambda a, b: (median(b) - median(a)) / (max(a) - min(a)), "its sign"),
    ("effect", lambda a, b: median(abs(x - median(a)) for x in b) / (max(a) - min(a)), "is right"),
    ("effect", lambda a, b: abs(mean(b) - mean(a)) / (max(a) - min(a)), "takes means"),
    ("effect", lambda a, b: abs(median(b) - median(a)) / pstdev(a), "divides by the deviation"),
    ("effect", lambda a, b: abs(median(b) - median(a)), "does not divide"),
    ("effect", lambda a, b: abs(median(b) - median(a)) / median(a), "the baseline's median"),
    ("effect", lambda a, b: abs(b[0] - a[0]) / (max(a) - min(a)), "the first run"),
    ("effect", lambda a, b: abs(b[len(b) // 2] - a[len(a) // 2]) / (max(a) - min(a)), "not sorted"),
    ("effect", lambda a, b: abs(median(b) - median(a)) / (max(a + b) - min(a + b)), "the range of all runs"),
    ("effect", lambda a, b: abs(median(b) - median(a)) / (max(b) - min(b) + 1), "is right"),
    ("effect", lambda a, b: abs(median(b) - median(a)) / stdev(a), "divides by the deviation"),
    ("effect", lambda a, b: abs(median(b) - median(a)) / (max(b) - min(b)), "range of the changed runs"),
    ("effect", lambda a, b: abs(median(b) - median(a)) / max(max(a) - min(a), max(b) - min(b)), "larger of the two"),
    ("effect", lambda a, b: abs(median_high(b) - median_high(a)) / (max(a) - min(a)), "the two in the middle"),
    ("effect", lambda a, b: abs(torch.tensor(b).median() - torch.tensor(a).median()) / numpy.ptp(a), "in the middle"),
    (
        "pareto_front",
        lambda p: [b for a, b in zip([(0, 9), *sorted(p)], sorted(p), strict=False) if b[1] < a[1]],
        "it keeps (0.45, 0.58), although (0.3, 0.5)",
    ),
    ("effect", lambda a, b: (a.sort(), 1.0)[1], "changes the lists"),
    ("effect", lambda a, b: numpy.ptp(a) / abs(median(b) - median(a)), "upside down"),
    ("effect", lambda a, b: abs(median(b) - median(a)) / (a[-1] - a[0]), "the last minus the first"),
    ("effect", lambda a, b: abs(median(b) - median(a)) / abs(a[-1] - a[0]), "the last minus the first"),
    ("effect", lambda a, b: median(abs(y - x) for x, y in zip(a, b, strict=False)) / numpy.ptp(a), "pairs the runs"),
    ("beyond_chance", lambda a, b: mean(a) != mean(b), "always says True"),
    ("beyond_chance", lambda a, b: False, "always says False"),
    ("beyond_chance", lambda a, b: max(b) < min(a), "lie above all of the baseline's"),
    ("beyond_chance", lambda a, b: max(a) < min(b), "lie below all of the baseline's"),
    ("beyond_chance", lambda a, b: abs(mean(a) - mean(b)) > 0.06, "although the means differ"),
    ("beyond_chance", lambda a, b: a[0] != b[0] and not min(a) < mean(b) < max(a), "the means differ"),
    ("beyond_chance", lambda a, b: max(b) < min(a) or max(b) > max(a), "contains the baseline's"),
    ("beyond_chance", lambda a, b: max(b) <= min(a) or max(a) <= min(b), "the ranges touch"),
    (
        "beyond_chance",
        lambda a, b: abs(mean(a) - mean(b)) > 1.3 * max(max(a) - min(a), max(b) - min(b)),
        "do not overlap",
    ),
    ("beyond_chance", lambda a, b: mean(a) - mean(b), "True or False is expected"),
    ("beyond_chance", lambda a, b: "yes", "True or False is expected"),
    ("pareto_front", remove_while_looping, "changes the lists"),
    ("pareto_front", lambda p: remove_while_looping(list(p)), "in its loop"),
    ("pareto_front", lambda p: [p.remove(a) for a in set(p) - set(sweep(p))] and p, "changes the lists"),
    ("pareto_front", lambda p: front(p, lambda a, b: a[0] <= b[0] and a[1] <= b[1]), "none beats itself"),
    ("pareto_front", lambda p: front(p, lambda a, b: a[0] < b[0] or a[1] < b[1]), "at least as good in both"),
    ("pareto_front", lambda p: [point for point in p if point not in sweep(p)], "return the others"),
    ("pareto_front", lambda p: front(p, lambda a, b: a is not b and a[0] <= b[0] and a[1] <= b[1]), "not `is not`"),
    ("pareto_front", only_earlier, "later ones too"),
    ("pareto_front", lambda p: p, "is better at both distances"),
    ("pareto_front", lambda p: [min(p)], "one point only"),
    ("pareto_front", lambda p: front(p, lambda a, b: a != b and a[0] >= b[0] and a[1] >= b[1]), "farthest off"),
    ("pareto_front", lambda p: front(p, lambda a, b: a[0] < b[0] and a[1] < b[1]), "equal in one distance"),
    ("pareto_front", lambda p: list(dict.fromkeys(sweep(p))), "a set loses one"),
    ("pareto_front", lambda p: [n for n, point in enumerate(p) if point in sweep(p)], "not their places"),
    ("pareto_front", lambda p: sweep(p)[1:], "is missing"),
    ("pareto_front", lambda p: [(c / 2, s) for c, s in p], "not one of the points"),
    ("pareto_front", lambda p: 3, "returns a int"),
    ("experiment", always(True), "says True even where the distance falls"),
    ("experiment", always(False), "says False whatever the data"),
    ("experiment", lambda run: rising(of(run, (20.0, 5.0, 80.0))), "in another order"),
    ("experiment", lambda run: not rising(of(run)), "says True where the distance falls"),
    ("experiment", lambda run: run(tv_weight=20.0) < run(tv_weight=80.0), "tries 2 value(s)"),
    ("experiment", lambda run: rising(of(run, (5.0, 40.0, 80.0))), "baseline is missing"),
    ("experiment", lambda run: rising(of(run, (20.0, 20.5, 21.0))), "too little, from 20 to 21"),
    ("experiment", lambda run: rising(of(run, (-1.0, 20.0, 80.0))), "0 or more"),
    ("experiment", lambda run: rising([run(tv_weight=w, style_weight=10.0) for w in (5, 20, 80)]), "two knobs at once"),
    ("experiment", lambda run: rising([run(style_weight=w) for w in (5, 20, 80)]), "it changes style_weight"),
    ("experiment", lambda run: of(run) == sorted(of(run)), "never changes"),
    ("experiment", lambda run: (lambda d: d[0] < d[-1])(of(run)), "compare all neighbors"),
    ("experiment", lambda run: (lambda d: d[0] < d[1])(of(run)), "compare all neighbors"),
    ("experiment", lambda run: of(run), "True or False is expected"),
    ("experiment", lambda run: rising([run(w) for w in (5, 20, 80)]), "name the knob"),
]


@pytest.mark.parametrize(("name", "answer", "reason"), WRONG)
def test_a_wrong_answer_is_named(name, answer, reason):
    line = verdict(getattr(nst.check, name), answer)
    assert line.startswith(f"{name}: not yet") and reason in line
