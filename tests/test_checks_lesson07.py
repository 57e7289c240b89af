"""The exercises of lesson 07: right answers in other styles pass, and each classic mistake is named."""

from __future__ import annotations

import itertools
import math
import statistics
import time

import numpy
import pytest
import torch
from exercises import verdict

import nst_lesson as nst


def paid(train, slow, fast, rounded=math.ceil, never=math.inf):
    return rounded(train / (slow - fast)) if slow > fast else never


def counting(train, slow, fast):
    """One picture after the other."""
    return next(n for n in itertools.count() if n * slow >= train + n * fast) if slow > fast else float("inf")


def beats(a, b):
    return a != b and a[0] <= b[0] and a[1] <= b[1]


def best(rows, beats=beats):
    return [name for name, row in rows.items() if not any(beats(other, row) for other in rows.values())]


def best_by_sorting(rows):
    """One pass over the rows in the order of their seconds; then the order of the table."""
    kept, least = set(), math.inf
    for row in sorted(set(rows.values())):
        if row[1] < least:
            kept.add(row)
            least = row[1]
    return tuple(name for name in rows if rows[name] in kept)


def empties_the_table(rows):
    names = best(rows)
    for name in set(rows) - set(names):
        del rows[name]
    return names


def pairs(frames, shift, cut=lambda a, b, s, w: a[..., s:] - b[..., : w - s]):
    width = frames[0].shape[3]
    return torch.stack([cut(a, b, shift, width) for a, b in itertools.pairwise(frames)])


def with_numpy(frames, shift):
    """Pixel by pixel of the width, in float64."""
    stack = torch.cat(frames).double().numpy()
    columns = [stack[:-1, :, :, x] - stack[1:, :, :, x - shift] for x in range(shift, stack.shape[3])]
    return numpy.abs(columns).mean()


def from_first(frames, shift, moved=True):
    parts = []
    for n, b in enumerate(frames[1:], start=1):
        s = shift * n if moved else shift
        parts.append((frames[0][..., s:] - b[..., : b.shape[3] - s]).abs().mean())
    return sum(parts) / len(parts)


def blackens(frames, shift):
    result = pairs(frames, shift).abs().mean()
    frames[0].zero_()
    return result


def timed(run, clock, repeats, choose=statistics.median, warm=1):
    for _ in range(warm):
        run()
    seconds = []
    for _ in range(repeats):
        began = clock()
        run()
        seconds.append(clock() - began)
    return choose(seconds)


def timed_in_one(run, clock, repeats):
    run()
    began = clock()
    for _ in range(repeats):
        run()
    return (clock() - began) / repeats


def one_look_a_run(run, clock, repeats):
    """The end of a run is the beginning of the next one; as a tensor."""
    run()
    looks = [clock()]
    for _ in range(repeats):
        run()
        looks.append(clock())
    return torch.tensor(looks, dtype=torch.float64).diff().median()


RIGHT = [
    ("break_even", counting),
    ("break_even", lambda t, s, f: int(-(-t // (s - f))) if s > f else torch.inf),
    ("break_even", lambda *a: paid(*a, rounded=lambda n: numpy.int64(numpy.ceil(n)))),
    ("flicker", with_numpy),
    ("flicker", lambda f, s: (torch.cat(f[:-1])[..., s:] - torch.cat(f[1:])[..., : f[0].shape[3] - s]).abs().mean()),
    ("median_seconds", timed),
    ("median_seconds", one_look_a_run),
]


@pytest.mark.parametrize(("name", "answer"), RIGHT)
def test_another_style_of_answer_is_right(name, answer):
    assert verdict(getattr(nst.check, name), answer) == f"{name}: correct"


WRONG = [
    ("break_even", lambda *a: paid(*a, rounded=math.floor), "rounds down"),
    ("break_even", lambda *a: paid(*a, rounded=round), "nearest number"),
    ("break_even", lambda *a: paid(*a, rounded=float), "a fraction of a picture"),
    ("break_even", lambda *a: paid(*a, rounded=lambda n: int(n) + 1), "off by one"),
    ("break_even", lambda t, s, f: paid(t, s, 0), "forgets fast_seconds"),
    ("break_even", lambda t, s, f: paid(t, s, -f), "adds fast_seconds"),
    ("break_even", lambda t, s, f: paid(t + f, s, 0), "one pass only"),
    ("break_even", lambda t, s, f: math.ceil(t / (f - s)), "the other way round"),
    ("break_even", lambda *a: paid(*a, rounded=lambda n: float(numpy.ceil(n))), "returns the float 14.0"),
    ("break_even", lambda t, s, f: math.ceil(t / (s - f)), "says -13 where the network is slower"),
    ("break_even", lambda t, s, f: math.ceil(t / (s - f)) if s >= f else math.inf, "divides by zero"),
    ("break_even", lambda *a: paid(*a, never=0), "says 0 where the network is slower"),
    ("break_even", lambda *a: paid(*a, never=None), "returns None where"),
    ("break_even", lambda *a: str(paid(*a)) + " pictures", "one number is expected"),
    ("flicker", lambda f, s: pairs(f, 0).abs().mean(), "does not undo the motion"),
    ("flicker", lambda f, s: pairs(f, s, lambda a, b, s, w: a[..., : w - s] - b[..., s:]).abs().mean(), "direction"),
    ("flicker", lambda f, s: pairs(f, s, lambda a, b, s, w: a - b.roll(s, 3)).abs().mean(), "torch.roll"),
    ("flicker", lambda f, s: pairs(f, s, lambda a, b, s, w: a.roll(-s, 3) - b).abs().mean(), "torch.roll"),
    ("flicker", lambda f, s: pairs(f, s, lambda a, b, s, w: a - b.roll(-s, 3)).abs().mean(), "around the border"),
    ("flicker", lambda f, s: pairs(f, s, lambda a, b, s, w: a[:, :, s:] - b[:, :, :-s]).abs().mean(), "downward"),
    ("flicker", lambda f, s: pairs(f, s).square().mean(), "squares the differences"),
    ("flicker", lambda f, s: pairs(f, s).square().mean().sqrt(), "root of the mean square"),
    ("flicker", lambda f, s: pairs(f, s).mean(), "keep their sign"),
    ("flicker", lambda f, s: pairs(f, s).abs().sum(), "takes the sum"),
    ("flicker", lambda f, s: sum(d.abs().mean() for d in pairs(f, s)), "sums over the pairs"),
    ("flicker", lambda f, s: sum(d.abs().mean() for d in pairs(f, s)) / len(f), "one pair fewer"),
    ("flicker", lambda f, s: pairs(f[:2], s).abs().mean(), "first two frames only"),
    ("flicker", lambda f, s: pairs(f[:-1], s).abs().mean(), "leaves out the last pair"),
    ("flicker", from_first, "every frame to the first"),
    ("flicker", lambda f, s: from_first(f, s, moved=False), "with the motion of one frame"),
    ("flicker", lambda f, s: pairs(f, s, lambda a, b, s, w: a[..., s:] - b[..., :-s]).abs().mean(), "with shift 0"),
    ("flicker", lambda f, s: pairs(f, s, lambda a, b, s, w: (a.roll(-s, 3) - b)[..., :-s]).abs().mean(), "shift 0"),
    ("flicker", blackens, "modifies its input"),
    ("flicker", lambda f, s: pairs(f, s).abs(), "one number is expected"),
    ("median_seconds", lambda *a: timed(*a, warm=0), "the first run is timed, too"),
    ("median_seconds", lambda r, c, n: timed(r, c, n - 1), "times 4 runs"),
    ("median_seconds", lambda *a: -timed(*a), "subtracts the later look"),
    ("median_seconds", lambda *a: timed(*a, warm=2), "calls run() 7 times"),
    ("median_seconds", lambda *a: timed(*a, choose=statistics.mean), "takes the mean"),
    ("median_seconds", timed_in_one, "takes the mean"),
    ("median_seconds", lambda *a: timed(*a, choose=sum), "takes the sum"),
    ("median_seconds", lambda *a: timed(*a, choose=min), "the shortest"),
    ("median_seconds", lambda *a: timed(*a, choose=lambda s: s[len(s) // 2]), "sort by time first"),
    ("median_seconds", lambda r, c, n: timed(r, c, n + 1, warm=0), "the first run counts, too"),
    ("median_seconds", lambda r, c, n: timed(r, time.perf_counter, n), "does not look at the clock"),
    ("median_seconds", lambda r, c, n: timed(r, c, 5), "ignores the number of repeats"),
    ("median_seconds", lambda r, c, n: timed(r, c, 100), "more than"),
]


@pytest.mark.parametrize(("name", "answer", "reason"), WRONG)
def test_a_wrong_answer_is_named(name, answer, reason):
    line = verdict(getattr(nst.check, name), answer)
    assert line.startswith(f"{name}: not yet") and reason in line
