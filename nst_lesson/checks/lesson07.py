"""Checks for the exercises of 07_gatys_versus_fast."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from .framework import ReturnedNone, Wrong, call, exercise, expect_in_all_cases, expect_tensor, expect_value, number

KEPT, TOLERANCE = 0.8, 0.05


def _median_seconds(run: Callable[[], object], clock: Callable[[], float], repeats: int) -> float:
    """What exercise 1 asks for."""
    run()
    looks = []
    for _ in range(repeats):
        began = clock()
        run()
        looks.append(clock() - began)
    return statistics.median(looks)


def _chance(wins: int, votes: int) -> float:
    """What exercise 2 asks for."""
    uneven = [k for k in range(votes + 1) if abs(2 * k - votes) >= abs(2 * wins - votes)]
    return sum(math.comb(votes, k) for k in uneven) / 2**votes


def _break_even(train: float, slow: float, fast: float) -> float:
    """What exercise 3 asks for."""
    return math.ceil(train / (slow - fast)) if slow > fast else math.inf


def _flicker(frames: Sequence[Tensor], shift: int) -> float:
    """What exercise 4 asks for."""
    return _steady(frames, shift).abs().mean().item()


def _blended(painted: Tensor, frame: Tensor, before: Tensor, painted_before: Tensor, shift: int) -> Tensor:
    """What exercise 5 asks for."""
    seen = painted.shape[3] - shift
    change = (before[..., shift:] - frame[..., :seen]).abs().mean(1, keepdim=True)
    kept = KEPT * torch.exp(-(change / TOLERANCE).square())
    blended = painted[..., :seen] + kept * (painted_before[..., shift:] - painted[..., :seen])
    return torch.cat([blended, painted[..., seen:]], 3)


@exercise(otherwise=_break_even)
def break_even(answer: Callable[[float, float, float], float]) -> None:
    """answer(train, slow, fast): the least whole n with n slow >= train + n fast, math.inf where there is none."""
    cases = [(100.0, 8.0, 0.5), (50.0, 8.0, 0.5), (60.0, 12.0, 2.0), (7.0, 2.0, 0.25), (1000.0, 9.0, 1.5)]
    cases += [(13.0, 2.0, 1.0), (10.0, 4.0, 2.5)]  # an odd quotient, and a pass longer than what it saves
    replies = [call(answer, *case) for case in cases]
    wanted = [math.ceil(train / (slow - fast)) for train, slow, fast in cases]  # exact: all are binary fractions
    expect_in_all_cases(
        cases,
        [number(reply) for reply in replies],
        wanted,
        [_break_even_mistakes(*case) for case in cases],
        lambda case, said, right: f"for {case} it says {said:g} where {right} is right",
    )
    if any(isinstance(reply, float) for reply in replies):
        raise Wrong(f"it returns the float {replies[0]!r}: pictures are counted, so make it an int")
    for case in [(100.0, 0.5, 8.0), (100.0, 2.0, 2.0)]:
        _expect_never(answer, case)


@exercise(otherwise=_flicker)
def flicker(answer: Callable[[list[Tensor], int], float]) -> None:
    """Mean |difference| of consecutive frames (1, 3, H, W), whose content moves left by `shift`, where both see it."""
    generator = torch.Generator().manual_seed(3)
    scene = torch.rand(1, 3, 6, 17, generator=generator)
    frames = [scene[..., x : x + 11] + 0.2 * torch.rand(1, 3, 6, 11, generator=generator) for x in (0, 2, 4, 6)]
    frames[0] = 0.7 * frames[0]  # so that the first pair is far from the median one
    wanted = _steady(frames, 2).abs().mean()
    expect_value(_flicker_of(answer, frames, 2), wanted, _flicker_mistakes([frame.double() for frame in frames], 2))
    try:
        still = _flicker_of(answer, frames, 0)
    except RuntimeError:  # widths of 11 and 0 pixels
        still = math.nan
    if not math.isfinite(still):
        raise Wrong("with shift 0 it compares nothing: [..., :-0] is empty, so cut at W - shift")
    unmoved = _steady(frames, 0).abs().mean()
    otherwise = f"with shift 0 it gives {still:.4g} where {unmoved:.4g} is right: all pixels count"
    expect_value(still, unmoved, {}, otherwise)


@exercise(otherwise=_median_seconds)
def median_seconds(answer: Callable[[Callable, Callable[[], float], int], float]) -> None:
    """answer(run, clock, repeats): one run() that is not timed, then the median of `repeats` runs timed by clock()."""
    spans = [0.9, 3.0, 0.4, 0.25, 0.2, 0.3, 1.5]  # the middle one and the last stand elsewhere when they are sorted
    repeats, first = len(spans), 0.33  # between the middle two of all spans but the last: whether it counts shows
    result, runs, looks = _timed(answer, [first, *spans, *[0.5] * 20], repeats)
    if not looks:
        raise Wrong("it does not look at the clock that it is given: call clock() before and after each run")
    medians = (statistics.median, statistics.median_low, statistics.median_high)
    if runs == repeats and any(math.isclose(result, of(spans[:-1]), rel_tol=1e-6) for of in medians):
        raise Wrong(f"it times {repeats - 1} runs where {repeats} are asked for: the untimed one comes on top of these")
    if runs == repeats:
        raise Wrong("the first run is timed, too: call run() once before, while memory is reserved and caches fill")
    if runs != repeats + 1:
        raise Wrong(
            f"it calls run() {runs} times for {repeats} repeats: once before, and then {repeats} times are right"
        )
    middle = sorted(spans)[repeats // 2 - 1 : repeats // 2 + 2]
    named = {
        "its place in the sorted times is one beside the middle: take statistics.median": (middle[0], middle[2]),
        "it takes the mean, which one disturbed run spoils: take the median": statistics.mean(spans),
        "it subtracts the later look at the clock from the earlier one": -statistics.median(spans),
        "it takes the sum: take the median": sum(spans),
        "it starts the clock once, before the first timed run: look at it before every run": statistics.median(
            itertools.accumulate(spans)
        ),
        "it takes the shortest run: take the median": min(spans),
        "it takes the longest run: take the median": max(spans),
        "it takes the last run: take the median": spans[-1],
        "it takes the run in the middle: sort by time first": spans[repeats // 2],
        "the first run counts, too: leave it out": statistics.median([first, *spans]),
        "the first run counts, too, and it takes the mean: leave it out, and take the median": statistics.mean(
            [first, *spans]
        ),
    }
    expect_value(result, statistics.median(spans), named, tolerance=1e-6)
    if _timed(answer, [8.0, 0.7, 0.1, 0.2, *[0.5] * 20], 3)[1] != 4:
        raise Wrong("it ignores the number of repeats that it is given")


@exercise(otherwise=_chance)
def chance(answer: Callable[[int, int], float]) -> None:
    """answer(wins, votes): how often a fair coin splits `votes` at least as unevenly as `wins` and the rest."""
    cases = [(8, 10), (2, 10), (13, 20), (9, 9), (3, 7)]
    replies = [number(call(answer, *case)) for case in cases]
    wanted = [_chance(*case) for case in cases]
    expect_in_all_cases(
        cases,
        replies,
        wanted,
        [_chance_mistakes(*case) for case in cases],
        lambda case, said, right: f"for {case[0]} of {case[1]} votes it says {said:.4g} where {right:.4g} is right",
        1e-6,
    )
    even = number(call(answer, 3, 6))
    if even > 1:
        raise Wrong(f"for 3 of 6 votes it says {even:.4g}, more than 1: an even split is counted from both ends")
    expect_value(
        even, 1.0, {}, f"for 3 of 6 votes it says {even:.4g}: every split is at least as uneven, so 1 is right"
    )


@exercise(otherwise=_blended)
def steady(answer: Callable[[Tensor, Tensor, Tensor, Tensor, int], Tensor]) -> None:
    """A painted frame blended with the one before, moved left by `shift`, where the film's frames agree."""
    generator = torch.Generator().manual_seed(5)
    scene = torch.rand(1, 3, 6, 17, generator=generator)
    frame, before = (scene[..., x : x + 11] + 0.1 * torch.rand(1, 3, 6, 11, generator=generator) for x in (2, 0))
    painted, painted_before = (torch.rand(1, 3, 6, 11, generator=generator) for _ in range(2))
    given = (painted, frame, before, painted_before)
    result = expect_tensor(call(answer, *given, 2), painted.shape)
    if not result.isfinite().all() or result.abs().max() > 2:
        raise Wrong("its values leave [0, 1], which a blend cannot: is there a minus in the exponent?")
    otherwise = "its values are wrong"
    if not torch.allclose(result[..., 9:], painted[..., 9:], atol=1e-6):
        otherwise = "its last columns are wrong: what came into view was not in the frame before, so it is as painted"
    expect_value(result, _blended(*given, 2), _blending_mistakes(*given, 2), otherwise)
    try:
        still = call(answer, *given, 0)
    except RuntimeError:  # widths of 11 and 0 pixels
        still = torch.empty(0)
    if not isinstance(still, Tensor) or still.shape != painted.shape:
        raise Wrong("with shift 0 it loses the picture: [..., :-0] is empty, so cut at W - shift")
    expect_value(still, _blended(*given, 0), {}, "with shift 0 its values are wrong: all columns are blended")


def _chance_mistakes(wins: int, votes: int) -> dict[str, float | tuple[float, ...]]:
    """What the known mistakes give."""

    def share(wanted: Callable[[int], bool]) -> float:
        return sum(math.comb(votes, k) for k in range(votes + 1) if wanted(k)) / 2**votes

    most, exact, right = max(wins, votes - wins), share(lambda k: k == wins), _chance(wins, votes)
    one_side = share(lambda k: k >= wins)
    ends = "it counts one end only: a split as uneven the other way round counts, too"
    return {
        "it gives the share of the votes: how often would a coin do that?": (wins / votes, most / votes),
        "it gives the chance of exactly this split: add those that are more uneven": exact,
        "it gives the chance of exactly this split, either way round: add those that are more uneven": 2 * exact,
        ends: (share(lambda k: k >= most), one_side),
        "where wins is less than half it counts too many: how far a split is from the middle has no sign": (
            2 * one_side,
            min(1.0, 2 * one_side),
        ),
        "it leaves out the split itself: at least as uneven includes it": (
            share(lambda k: abs(2 * k - votes) > abs(2 * wins - votes)),
            2 * share(lambda k: k > most),
        ),
        "its range leaves out one of the ends, 0 and `votes`: all votes for one side count, too": share(
            lambda k: k < votes and abs(2 * k - votes) >= abs(2 * wins - votes)
        ),
        "its middle is votes // 2: the middle of an odd number of votes is no whole number": share(
            lambda k: abs(k - votes // 2) >= abs(wins - votes // 2)
        ),
        "it gives the chance of the opposite: subtract it from 1": (1 - right, 1 - right + exact),
        "it forgets to divide by 2 ** votes, the number of ways in which the votes can fall": right * 2**votes,
        "it approximates by the normal distribution: count exactly, with math.comb": (
            math.erfc(abs(2 * wins - votes) / math.sqrt(2 * votes)),
            math.erfc(max(0, abs(2 * wins - votes) - 1) / math.sqrt(2 * votes)),
        ),
    }


def _blending_mistakes(
    painted: Tensor, frame: Tensor, before: Tensor, painted_before: Tensor, shift: int
) -> dict[str, Tensor | tuple[Tensor, ...]]:
    """What the known mistakes give, all of them with the last columns as they were painted or as roll brings them."""
    seen = painted.shape[3] - shift

    def share(change: Tensor) -> Tensor:
        """How much of the frame before is kept."""
        return KEPT * torch.exp(-(change / TOLERANCE).square())

    def variant(change: Tensor, by: int = -shift, scale: Callable[[Tensor], Tensor] = share) -> tuple[Tensor, ...]:
        whole = painted + scale(change) * (painted_before.roll(by, 3) - painted)
        return whole, torch.cat([whole[..., :seen], painted[..., seen:]], 3)

    def change_of(a: Tensor, b: Tensor) -> Tensor:
        return (a - b).abs().mean(1, keepdim=True)

    moved = before.roll(-shift, 3)
    change = change_of(moved, frame)
    wraps, _ = variant(change)
    here = (before[..., shift:] - frame[..., :seen]).abs()  # where both frames see it

    def blended(change: Tensor) -> Tensor:
        there = painted[..., :seen] + share(change) * (painted_before[..., shift:] - painted[..., :seen])
        return torch.cat([there, painted[..., seen:]], 3)

    kept = share(change_of(before[..., shift:], frame[..., :seen]))
    turned = share(change_of(before[..., :seen], frame[..., shift:]))
    backward = painted[..., shift:] + turned * (painted_before[..., :seen] - painted[..., shift:])
    return {
        "it wraps around the border, where torch.roll brings in the other side: the last columns are as painted": wraps,
        "it does not move the painted frame before": variant(change, 0),
        "it moves the painted frame in the wrong direction: what stood at x + shift now stands at x": variant(
            change, shift
        ),
        "it compares with the frame before as it was: move that, too": variant(change_of(before, frame)),
        "it moves the frames in the wrong direction: what stood at x + shift now stands at x": (
            *variant(change_of(before.roll(shift, 3), frame), shift),
            *variant(change_of(before.roll(shift, 3), frame)),
            torch.cat([backward, painted[..., seen:]], 3),
            torch.cat([painted[..., :shift], backward], 3),
        ),
        "it does not move anything": variant(change_of(before, frame), 0),
        "it keeps as much everywhere: where something else came into view, keep nothing": variant(
            change, scale=lambda c: torch.full_like(c, KEPT)
        ),
        "it compares the painted frames, whose flicker is what we want to lose: compare the film's own": variant(
            change_of(painted_before.roll(-shift, 3), painted)
        ),
        "it blends the film's own frame: blend the painted ones": tuple(
            torch.cat(
                [frame[..., :seen] + kept * (painted_before[..., shift:] - frame[..., :seen]), rest[..., seen:]], 3
            )
            for rest in (frame, painted)
        ),
        "it exchanges the two: kept is the share of the frame before": variant(change, scale=lambda c: 1 - share(c)),
        "it looks at each color by itself, which tears them apart: take the mean over the colors": variant(
            (moved - frame).abs()
        ),
        "it takes the largest difference of the colors: take the mean": variant(
            (moved - frame).abs().amax(1, keepdim=True)
        ),
        "it takes the root of the mean square over the colors: take the mean of absolute values": variant(
            (moved - frame).square().mean(1, keepdim=True).sqrt()
        ),
        "its differences keep their sign, so colors cancel: take the absolute value first": variant(
            (moved - frame).mean(1, keepdim=True)
        ),
        "it takes one difference for the whole picture: take it for each pixel, .mean(1, keepdim=True)": (
            *variant(change.mean()),
            blended(here.mean()),
        ),
        "it takes the mean over rows or columns: take it over the colors, dimension 1": (
            blended(here.mean(2, keepdim=True)),
            blended(here.mean(3, keepdim=True)),
        ),
        "it takes the sum over the colors: take their mean": blended(here.sum(1, keepdim=True)),
        "it forgets the square": variant(change, scale=lambda c: KEPT * torch.exp(-c / TOLERANCE)),
        "it squares the tolerance wrongly: divide first, then square": variant(
            change, scale=lambda c: KEPT * torch.exp(-c.square() / TOLERANCE)
        ),
        f"it forgets the factor {KEPT}, so that what stays is never painted anew": variant(
            change, scale=lambda c: torch.exp(-(c / TOLERANCE).square())
        ),
    }


def _break_even_mistakes(train: float, slow: float, fast: float) -> dict[str, float]:
    """What the known mistakes give."""
    exact = train / (slow - fast)
    return {
        "it returns a fraction of a picture: round up": exact,
        "it rounds down: that many pictures have not paid for the training yet": math.floor(exact),
        "it rounds to the nearest number: round up": round(exact),
        "it is off by one where the division leaves no remainder: with n slow = train + n fast it has paid": math.floor(
            exact
        )
        + 1,
        "it adds a pass to the training: each picture's pass is in fast_seconds already": math.ceil(
            (train + fast) / (slow - fast)
        ),
        "it forgets fast_seconds: the network needs time for each picture, too": math.ceil(train / slow),
        "it adds fast_seconds to slow_seconds: what a picture saves is their difference": math.ceil(
            train / (slow + fast)
        ),
        "it counts one pass only: each picture takes one": math.ceil((train + fast) / slow),
        "it subtracts slow_seconds from fast_seconds: do it the other way round": math.ceil(-exact),
    }


def _expect_never(answer: Callable, case: tuple[float, float, float]) -> None:
    """Wrong unless the answer is math.inf where the network saves nothing."""
    where = "where fast_seconds is as long as slow_seconds" if case[1] == case[2] else "where the network is slower"
    try:
        reply = call(answer, *case)
    except ReturnedNone:
        raise Wrong(f"it returns None {where}: training never pays, which is math.inf") from None
    except ZeroDivisionError:
        raise Wrong(f"it divides by zero {where}: training never pays, which is math.inf") from None
    if number(reply) != math.inf:
        raise Wrong(f"it says {reply!r} {where}: training never pays, which is math.inf")


def _steady(frames: Sequence[Tensor], shift: int) -> Tensor:
    """The differences of consecutive frames, one pair after the other, with the motion undone."""
    width = frames[0].shape[3]
    pairs = itertools.pairwise(frame.double() for frame in frames)
    return torch.stack([a[..., shift:] - b[..., : width - shift] for a, b in pairs])


def _flicker_of(answer: Callable, frames: list[Tensor], shift: int) -> float:
    """The answer for copies of the frames; Wrong unless it is one number and does not change the frames."""
    copies = [frame.clone() for frame in frames]
    reply = call(answer, copies, shift)
    if len(copies) != len(frames) or not all(map(torch.equal, copies, frames)):
        raise Wrong("it modifies its input: build new tensors instead of changing the frames that you were given")
    return number(reply)


def _flicker_mistakes(frames: Sequence[Tensor], shift: int) -> dict[str, Tensor | tuple[Tensor, ...]]:
    """What the known mistakes give, on frames in float64."""
    right, (first, *later) = _steady(frames, shift), frames
    width, pairs = first.shape[3], list(itertools.pairwise(frames))
    turned = torch.stack([a[..., : width - shift] - b[..., shift:] for a, b in pairs])
    rolled = {sign: torch.stack([a - b.roll(sign * shift, 3) for a, b in pairs]) for sign in (1, -1)}
    down = torch.stack([a[:, :, shift:] - b[:, :, :-shift] for a, b in pairs])
    from_first = [first[..., shift * n :] - b[..., : width - shift * n] for n, b in enumerate(later, start=1)]
    unmoved = [first[..., shift:] - b[..., : width - shift] for b in later]
    only_first = "it compares every frame to the first: compare each with the one before it"
    wraps = "it wraps around the border, where torch.roll brings in the other side: leave those columns out"
    named: dict[str, Tensor | tuple[Tensor, ...]] = {
        "it does not undo the motion": _steady(frames, 0).abs().mean(),
        "it undoes the motion in the wrong direction: what a frame shows at x, the next one shows at "
        "x - shift": turned.abs().mean(),
        wraps: rolled[1].abs().mean(),
        "it moves frames in the wrong direction, and around the border": rolled[-1].abs().mean(),
        "it undoes a motion downward: width is the last dimension": down.abs().mean(),
        "it squares the differences: take their absolute value": right.square().mean(),
        "it takes the root of the mean square: take the mean of absolute values": (
            right.square().mean().sqrt(),
            right.square().flatten(1).mean(1).sqrt().mean(),
        ),
        "it takes the median over the pairs: take the mean": right.abs().flatten(1).mean(1).median(),
        "it counts in levels of 255: leave the values as they are": 255 * right.abs().mean(),
        "its differences keep their sign, so they cancel: take the absolute value first": (
            right.mean(),
            right.mean().abs(),
            right.flatten(1).mean(1).abs().mean(),
        ),
        "it takes the sum: take the mean": right.abs().sum(),
        "it sums over the pairs: take their mean": right.abs().mean() * len(pairs),
        "it divides by the number of frames: there is one pair fewer": right.abs().mean() * len(pairs) / len(frames),
        "it compares the first two frames only": right[0].abs().mean(),
        "it leaves out the last pair": right[:-1].abs().mean(),
    }
    named[only_first] = torch.stack([d.abs().mean() for d in from_first]).mean()
    named[f"{only_first} (here with the motion of one frame)"] = torch.stack([d.abs().mean() for d in unmoved]).mean()
    return named


def _timed(answer: Callable, spans: Sequence[float], repeats: int) -> tuple[float, int, int]:
    """The answer in a world where the runs take `spans` seconds; also how often it ran and looked at the clock."""
    now, runs, looks = 100.0, 0, 0

    def run() -> None:
        nonlocal now, runs
        if runs == len(spans):
            raise Wrong(f"it calls run() more than {runs} times for {repeats} repeats")
        now, runs = now + spans[runs], runs + 1

    def clock() -> float:
        nonlocal looks
        looks += 1
        return now

    return number(call(answer, run, clock, repeats)), runs, looks
