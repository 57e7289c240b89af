"""Checks for the exercises of 07_gatys_versus_fast."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from .framework import ReturnedNone, Wrong, call, exercise, expect_in_all_cases, expect_value, number


@exercise
def break_even(answer: Callable[[float, float, float], float]) -> None:
    """answer(train, slow, fast): the least whole n with n slow >= train + n fast, math.inf where there is none."""
    cases = [(100.0, 8.0, 0.5), (50.0, 8.0, 0.5), (60.0, 12.0, 2.0), (7.0, 2.0, 0.25), (1000.0, 9.0, 1.5)]
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


@exercise
def flicker(answer: Callable[[list[Tensor], int], float]) -> None:
    """Mean |difference| of consecutive frames (1, 3, H, W), whose content moves left by `shift`, where both see it."""
    generator = torch.Generator().manual_seed(3)
    scene = torch.rand(1, 3, 6, 17, generator=generator)
    frames = [scene[..., x : x + 11] + 0.2 * torch.rand(1, 3, 6, 11, generator=generator) for x in (0, 2, 4, 6)]
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


@exercise
def median_seconds(answer: Callable[[Callable, Callable[[], float], int], float]) -> None:
    """answer(run, clock, repeats): one run() that is not timed, then the median of `repeats` runs timed by clock()."""
    spans = [0.25, 0.4, 0.9, 3.0, 0.3]
    result, runs, looks = _timed(answer, [8.0, *spans, *[0.5] * 20], 5)
    if not looks:
        raise Wrong("it does not look at the clock that it is given: call clock() before and after each run")
    if runs == 5 and math.isclose(result, statistics.median(spans[:4]), rel_tol=1e-6):
        raise Wrong("it times 4 runs where 5 are asked for: the untimed one comes on top of these")
    if runs == 5:
        raise Wrong("the first run is timed, too: call run() once before, while memory is reserved and caches fill")
    if runs != 6:
        raise Wrong(f"it calls run() {runs} times for 5 repeats: once before, and then 5 times are enough")
    named = {
        "it takes the mean, which one disturbed run spoils: take the median": statistics.mean(spans),
        "it subtracts the later look at the clock from the earlier one": -statistics.median(spans),
        "it takes the sum: take the median": sum(spans),
        "it takes the shortest run: take the median": min(spans),
        "it takes the longest run: take the median": max(spans),
        "it takes the last run: take the median": spans[-1],
        "it takes the run in the middle: sort by time first": spans[2],
        "the first run counts, too: leave it out": statistics.median([8.0, *spans]),
        "the first run counts, too, and it takes the mean: leave it out, and take the median": statistics.mean(
            [8.0, *spans]
        ),
    }
    expect_value(result, statistics.median(spans), named, tolerance=1e-6)
    if _timed(answer, [8.0, 0.7, 0.1, 0.2, *[0.5] * 20], 3)[1] != 4:
        raise Wrong("it ignores the number of repeats that it is given")


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


def _flicker_mistakes(frames: Sequence[Tensor], shift: int) -> dict[str, Tensor]:
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
    named = {
        "it does not undo the motion": _steady(frames, 0).abs().mean(),
        "it undoes the motion in the wrong direction: what a frame shows at x, the next one shows at "
        "x - shift": turned.abs().mean(),
        wraps: rolled[1].abs().mean(),
        "it moves frames in the wrong direction, and around the border": rolled[-1].abs().mean(),
        "it undoes a motion downward: width is the last dimension": down.abs().mean(),
        "it squares the differences: take their absolute value": right.square().mean(),
        "it takes the root of the mean square: take the mean of absolute values": right.square().mean().sqrt(),
        "its differences keep their sign, so they cancel: take the absolute value": right.mean(),
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
