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


def started_once(run, clock, repeats):
    run()
    began, seconds = clock(), []
    for _ in range(repeats):
        run()
        seconds.append(clock() - began)
    return statistics.median(seconds)


def one_look_a_run(run, clock, repeats):
    """The end of a run is the beginning of the next one; as a tensor."""
    run()
    looks = [clock()]
    for _ in range(repeats):
        run()
        looks.append(clock())
    return torch.tensor(looks, dtype=torch.float64).diff().median()


def split(wins, votes, uneven=lambda k, w, n: abs(2 * k - n) >= abs(2 * w - n)):
    return sum(math.comb(votes, k) for k in range(votes + 1) if uneven(k, wins, votes)) / 2**votes


def by_doubling(wins, votes):
    """One end, twice, and at most 1."""
    return min(1.0, 2 * split(max(wins, votes - wins), votes, lambda k, w, n: k >= w))


def blend(p, f, b, pb, s, *, moved=-1, of=-1, change=None, scale=None, cut=True):
    """The right answer by torch.roll, or a variant of it: which way each of the two is moved, and what is compared."""
    change = change or (lambda m, f: (m - f).abs().mean(1, keepdim=True))
    scale = scale or (lambda c: 0.8 * torch.exp(-((c / 0.05) ** 2)))
    whole = torch.lerp(p, pb.roll(moved * s, 3), scale(change(b.roll(of * s, 3), f)).expand_as(p))
    return torch.cat([whole[..., : p.shape[3] - s], p[..., p.shape[3] - s :]], 3) if cut else whole


def with_a_mask(p, f, b, pb, s):
    """Columns without a predecessor keep nothing."""
    change = (b.roll(-s, 3) - f).abs().mean(1, keepdim=True)
    kept = 0.8 * (-(change / 0.05).square()).exp()
    kept = torch.where(torch.arange(p.shape[3]) < p.shape[3] - s, kept, 0)
    return (1 - kept) * p + kept * pb.roll(-s, 3)


def in_view(p, f, b, pb, s, over):
    """By slices of what both frames show, where `over` makes one difference of many."""
    seen = p.shape[3] - s
    kept = 0.8 * torch.exp(-((over((b[..., s:] - f[..., :seen]).abs()) / 0.05) ** 2))
    return torch.cat([(1 - kept) * p[..., :seen] + kept * pb[..., s:], p[..., seen:]], 3)


def backward(p, f, b, pb, s, first):
    """In the wrong direction by slices; the first or the last columns stay as painted."""
    seen = p.shape[3] - s
    kept = 0.8 * torch.exp(-(((b[..., :seen] - f[..., s:]).abs().mean(1, keepdim=True) / 0.05) ** 2))
    moved = (1 - kept) * p[..., s:] + kept * pb[..., :seen]
    return torch.cat([p[..., :s], moved] if first else [moved, p[..., seen:]], 3)


def in_place(p, f, b, pb, s):
    p[:] = blend(p, f, b, pb, s)
    return p


def cut_at_minus_shift(p, f, b, pb, s):
    change = (b[..., s:] - f[..., :-s]).abs().mean(1, keepdim=True)
    kept = 0.8 * torch.exp(-((change / 0.05) ** 2))
    return torch.cat([torch.lerp(p[..., :-s], pb[..., s:], kept.expand_as(p[..., :-s])), p[..., -s:]], 3)


RIGHT = [
    ("chance", split),
    ("chance", by_doubling),
    ("chance", lambda w, n: torch.tensor(split(w, n), dtype=torch.float64)),
    ("steady", blend),
    ("steady", with_a_mask),
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
    ("chance", lambda w, n: w / n, "share of the votes"),
    ("chance", lambda w, n: split(w, n, lambda k, w, n: k == w), "exactly this split: add"),
    ("chance", lambda w, n: split(w, n, lambda k, w, n: k in (w, n - w)), "either way round"),
    ("chance", lambda w, n: split(max(w, n - w), n, lambda k, w, n: k >= w), "one end only"),
    ("chance", lambda w, n: split(w, n, lambda k, w, n: k >= w), "one end only"),
    ("chance", lambda w, n: 2 * split(w, n, lambda k, w, n: k >= w), "where wins is less than half"),
    ("chance", lambda w, n: split(w, n, lambda k, w, n: abs(2 * k - n) > abs(2 * w - n)), "leaves out the split"),
    (
        "chance",
        lambda w, n: split(w, n, lambda k, w, n: n > k and abs(2 * k - n) >= abs(2 * w - n)),
        "all votes for one side",
    ),
    ("chance", lambda w, n: split(w, n, lambda k, w, n: abs(k - n // 2) >= abs(w - n // 2)), "votes // 2"),
    ("chance", lambda w, n: 1 - split(w, n), "the opposite"),
    ("chance", lambda w, n: split(w, n) * 2**n, "forgets to divide"),
    ("chance", lambda w, n: math.erfc(abs(2 * w - n) / math.sqrt(2 * n)), "normal distribution"),
    ("chance", lambda w, n: 2 * split(max(w, n - w), n, lambda k, w, n: k >= w), "more than 1"),
    ("chance", lambda w, n: 0.05, "for 8 of 10 votes it says 0.05 where 0.1094"),
    ("chance", lambda w, n: None, "returns None"),
    ("steady", lambda *a: blend(*a, cut=False), "torch.roll"),
    ("steady", lambda *a: blend(*a, moved=0), "does not move the painted frame"),
    ("steady", lambda *a: blend(*a, moved=1), "moves the painted frame in the wrong direction"),
    ("steady", lambda *a: blend(*a, of=0), "move that, too"),
    ("steady", lambda *a: blend(*a, moved=1, of=1), "moves the frames in the wrong direction"),
    ("steady", lambda *a: blend(*a, moved=0, of=0), "does not move anything"),
    ("steady", lambda *a: blend(*a, scale=lambda c: 0 * c + 0.8), "as much everywhere"),
    (
        "steady",
        lambda p, f, b, pb, s: blend(p, f, b, pb, s, change=lambda m, f: (pb.roll(-s, 3) - p).abs().mean(1, True)),
        "whose flicker",
    ),
    ("steady", lambda *a: blend(*a, scale=lambda c: 1 - 0.8 * torch.exp(-((c / 0.05) ** 2))), "exchanges the two"),
    ("steady", lambda *a: blend(*a, change=lambda m, f: (m - f).abs()), "each color by itself"),
    ("steady", lambda *a: blend(*a, change=lambda m, f: (m - f).abs().amax(1, True)), "largest difference"),
    ("steady", lambda *a: blend(*a, change=lambda m, f: (m - f).mean(1, True)), "keep their sign"),
    ("steady", lambda *a: blend(*a, change=lambda m, f: (m - f).square().mean(1, True).sqrt()), "root of the mean"),
    ("steady", lambda *a: blend(*a, change=lambda m, f: (m - f).abs().mean()), "the whole picture"),
    ("steady", lambda *a: blend(*a, scale=lambda c: 0.8 * torch.exp(-c / 0.05)), "forgets the square"),
    ("steady", lambda *a: blend(*a, scale=lambda c: 0.8 * torch.exp(-(c**2) / 0.05)), "divide first"),
    ("steady", lambda *a: blend(*a, scale=lambda c: 0.8 * torch.exp((c / 0.05) ** 2)), "a minus in the exponent"),
    ("steady", lambda *a: blend(*a, scale=lambda c: torch.exp(-((c / 0.05) ** 2))), "forgets the factor 0.8"),
    ("steady", lambda *a: in_view(*a, lambda d: d.mean()), "the whole picture"),
    ("steady", lambda *a: in_view(*a, lambda d: d.mean(2, keepdim=True)), "rows or columns"),
    ("steady", lambda *a: in_view(*a, lambda d: d.mean(3, keepdim=True)), "rows or columns"),
    ("steady", lambda *a: in_view(*a, lambda d: d.sum(1, keepdim=True)), "sum over the colors"),
    ("steady", lambda *a: backward(*a, first=True), "frames in the wrong direction"),
    ("steady", lambda *a: backward(*a, first=False), "frames in the wrong direction"),
    ("steady", lambda *a: blend(*a, scale=lambda c: 0.5 * torch.exp(-((c / 0.05) ** 2))), "its values are wrong"),
    ("steady", lambda p, f, b, pb, s: torch.zeros_like(p), "last columns are wrong"),
    ("steady", lambda p, f, b, pb, s: blend(p, f, b, pb, s)[..., : p.shape[3] - s], "shape (1, 3, 6, 9)"),
    ("steady", cut_at_minus_shift, "with shift 0"),
    ("steady", in_place, "modifies its input"),
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
    ("flicker", lambda f, s: statistics.fmean(d.square().mean().sqrt() for d in pairs(f, s)), "root of the mean"),
    ("flicker", lambda f, s: statistics.median(d.abs().mean().item() for d in pairs(f, s)), "median over the pairs"),
    ("flicker", lambda f, s: 255 * pairs(f, s).abs().mean(), "levels of 255"),
    ("flicker", lambda f, s: pairs(f, s).mean(), "keep their sign"),
    ("flicker", lambda f, s: statistics.fmean(d.mean().abs().item() for d in pairs(f, s)), "keep their sign"),
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
    ("median_seconds", lambda r, c, n: timed(r, c, n - 1), "times 6 runs"),
    ("median_seconds", lambda r, c, n: timed(r, c, n - 1, choose=lambda s: sorted(s)[len(s) // 2]), "times 6 runs"),
    ("median_seconds", lambda *a: -timed(*a), "subtracts the later look"),
    ("median_seconds", lambda *a: timed(*a, warm=2), "calls run() 9 times"),
    ("median_seconds", lambda *a: timed(*a, choose=statistics.mean), "takes the mean"),
    ("median_seconds", timed_in_one, "takes the mean"),
    ("median_seconds", started_once, "starts the clock once"),
    ("median_seconds", lambda *a: timed(*a, choose=sum), "takes the sum"),
    ("median_seconds", lambda *a: timed(*a, choose=min), "the shortest"),
    ("median_seconds", lambda *a: timed(*a, choose=lambda s: s[len(s) // 2]), "sort by time first"),
    ("median_seconds", lambda r, c, n: timed(r, c, n + 1, warm=0), "the first run counts, too"),
    ("median_seconds", lambda r, c, n: timed(r, time.perf_counter, n), "does not look at the clock"),
    ("median_seconds", lambda r, c, n: timed(r, c, 7), "ignores the number of repeats"),
    ("median_seconds", lambda r, c, n: timed(r, c, 100), "more than"),
    ("median_seconds", lambda *a: timed(*a, choose=lambda s: sorted(s)[len(s) // 2 + 1]), "one beside the middle"),
    ("median_seconds", lambda *a: timed(*a, choose=lambda s: sorted(s)[len(s) // 2 - 1]), "one beside the middle"),
    ("break_even", lambda t, s, f: paid(t + f, s, f), "adds a pass to the training"),
    ("break_even", lambda *a: paid(*a, rounded=lambda n: round(n + 0.5)), "says 14 where 13 is right"),
    ("steady", lambda p, f, b, q, s: blend(f, f, b, q, s), "blends the film's own frame"),
]


@pytest.mark.parametrize(("name", "answer", "reason"), WRONG)
def test_a_wrong_answer_is_named(name, answer, reason):
    line = verdict(getattr(nst.check, name), answer)
    assert line.startswith(f"{name}: not yet") and reason in line
