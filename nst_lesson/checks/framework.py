"""How an exercise is checked: the student's function, on random input, against an independent reference."""

from __future__ import annotations

import functools
import random
import sysconfig
import textwrap
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

Mistakes = Mapping[str, Any]  # {sentence: what that mistake gives, or a tuple of several such values}

CORRECT, NOT_ATTEMPTED = "correct", "not attempted yet"


class Wrong(Exception):
    """What is wrong with an answer, in one sentence that names the broken property."""


def exercise(check: Callable | None = None, *, otherwise: Callable | None = None) -> Any:
    """Turn `check`, which raises Wrong for a wrong answer, into what a notebook calls: it prints a line, never raises.

    A stub that still raises NotImplementedError is "not attempted yet", so that an untouched notebook runs to its end.
    Whatever mode the notebook is in, the check runs with gradients and in float32, and leaves everything as it was.

    Where the cells that follow need the function, `@exercise(otherwise=ours)` names one of ours that does the same. The
    check then returns the student's function if it is right, and ours until then:

        gram = nst.check.gram(gram)

    A check without one returns None, so that a notebook shows nothing but the line.
    """
    if check is None:
        return functools.partial(exercise, otherwise=otherwise)

    @functools.wraps(check)
    def run(answer: Callable) -> Callable | None:
        verdict = judge(check, answer)
        print(f"{check.__name__}: {verdict}")
        return answer if verdict == CORRECT and otherwise else otherwise

    run.otherwise = otherwise  # type: ignore[attr-defined]
    return run


def judge(check: Callable[[Callable], None], answer: Callable) -> str:
    """What a check that raises Wrong says of an answer: CORRECT, NOT_ATTEMPTED, or "not yet - " and why."""
    try:
        with _surroundings():
            check(answer)
    except Wrong as wrong:
        return f"not yet - {wrong}"
    except Exception as error:  # the student's own error is the message, not a traceback through our code
        if isinstance(error, NotImplementedError) and not error.args:  # torch's own say what is not implemented
            return NOT_ATTEMPTED
        said = textwrap.shorten(str(error), 300, placeholder=" ...")  # torch spreads lists over a page
        return f"not yet - it raised {type(error).__name__}{_line_of(error)}: {said}"
    return CORRECT


def _line_of(error: Exception) -> str:
    """ " in line 3, `x = y + 1`": the deepest line of the student's that an error came through, "" where none is."""
    others = {Path(__file__).parents[1], *(Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib", "platlib"))}
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if others.isdisjoint(Path(frame.filename).parents)]
    return f" in line {own[-1].lineno}, `{own[-1].line}`" if own else ""


@contextmanager
def _surroundings() -> Iterator[None]:
    """Gradients and float32; afterwards these and the random states of torch, numpy and Python are as before."""
    dtype, of_numpy, of_python = torch.get_default_dtype(), np.random.get_state(), random.getstate()
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    with torch.random.fork_rng(devices), torch.enable_grad():
        torch.set_default_dtype(torch.float32)
        try:
            yield
        finally:
            torch.set_default_dtype(dtype)
            np.random.set_state(of_numpy)
            random.setstate(of_python)


WATCHED = "it changes a tensor in place that requires a gradient: do that under torch.no_grad()"


class ReturnedNone(Wrong):
    """The answer returned nothing."""


class Changed(Wrong):
    """The answer changed a tensor that it was given."""


def call(answer: Callable, *inputs: object) -> Any:
    """answer(*inputs), having made sure that it returns something and leaves tensors among its inputs as they were."""
    changed = "it modifies its input: build a new tensor instead of changing the one you were given"
    before = [(x, x.detach().clone()) for x in inputs if isinstance(x, Tensor)]
    try:
        result = answer(*inputs)
    except RuntimeError as error:
        if "in-place operation" in str(error):  # autograd refuses it for a tensor whose gradient is wanted
            given = any(isinstance(x, Tensor) and x.requires_grad for x in inputs)
            raise (Changed(changed) if given else Wrong(WATCHED)) from error
        raise
    if result is None:
        raise ReturnedNone("it returns None: is its `return` missing?")
    if any(not torch.equal(x.detach(), old) for x, old in before):
        raise Changed(changed)
    return result


def call_without_autograd(answer: Callable, *inputs: object) -> Any:
    """call(answer, *inputs) for a formula of a gradient, which needs no graph; Wrong where it asks autograd instead."""
    try:
        with torch.no_grad():
            return call(answer, *inputs)
    except RuntimeError as error:
        if "does not require grad" in str(error):
            raise Wrong("it asks autograd: write the formula itself") from error
        raise


def expect_tensor(result: object, shape: Sequence[int]) -> Tensor:
    """`result` if it is a tensor of that shape, else Wrong."""
    if not isinstance(result, Tensor):
        raise Wrong(f"it returns a {type(result).__name__}; a torch tensor is expected")
    if tuple(result.shape) != tuple(shape):
        raise Wrong(f"it returns the shape {tuple(result.shape)}; {tuple(shape)} is expected")
    return result


def number(reply: Any) -> float:
    """A reply that is one number, as an int where it is whole; else Wrong."""
    try:
        value = float(reply)
    except (TypeError, ValueError, RuntimeError):
        shape = f" of shape {tuple(reply.shape)}" if isinstance(reply, Tensor) else ""
        raise Wrong(f"it returns a {type(reply).__name__}{shape}; one number is expected") from None
    return int(value) if value.is_integer() else value


def close(result: Any, wanted: Any, tolerance: float = 1e-4) -> bool:
    """Whether two tensors, numbers or lists of numbers agree to `tolerance` of the largest wanted value.

    Float32 sums differ in the last digits. Both are compared as float64: neither is rounded to the other's type.
    """
    result, wanted = (
        x.detach().double() if isinstance(x, Tensor) else torch.tensor(x, dtype=torch.float64) for x in (result, wanted)
    )
    return bool((result - wanted).abs().max() <= tolerance * wanted.abs().max().clamp_min(1e-12))


def expect_value(result: Any, wanted: Any, mistakes: Mistakes, otherwise: str = "", tolerance: float = 1e-4) -> None:
    """Wrong unless `result` is close to `wanted`: with the first of `mistakes` that gives `result`, else `otherwise`.

    Of scalar tensors, and without `otherwise`, the two numbers are said as well.
    """
    if close(result, wanted, tolerance):
        return
    for sentence, values in mistakes.items():
        if any(close(result, value, tolerance) for value in _alternatives(values)):
            raise Wrong(sentence)
    if otherwise and not (isinstance(result, Tensor) and result.ndim == 0):
        raise Wrong(otherwise)
    numbers = "it gives {:.4g} where {:.4g} is right".format(*(torch.as_tensor(x).item() for x in (result, wanted)))
    raise Wrong(f"{otherwise} ({numbers})" if otherwise else numbers)


def expect_in_all_cases(
    cases: Sequence[Any],
    replies: Sequence[Any],
    wanted: Sequence[Any],
    mistakes: Sequence[Mistakes],
    otherwise: Callable[[Any, Any, Any], str],
    tolerance: float = 0.0,
) -> None:
    """Wrong unless each reply is the one wanted: with the first mistake that explains the replies in all cases.

    `mistakes` has those of each case; otherwise(case, reply, right) is what to say of the first wrong reply.
    """
    if close(replies, wanted, tolerance):
        return
    first = next(x for x in zip(cases, replies, wanted, strict=True) if not close(x[1], x[2], tolerance))
    together = {
        sentence: tuple(map(list, zip(*(_alternatives(case[sentence]) for case in mistakes), strict=True)))
        for sentence in (mistakes[0] if mistakes else ())
    }
    expect_value(replies, wanted, together, otherwise(*first), tolerance)


def _alternatives(values: Any) -> tuple[Any, ...]:
    return values if isinstance(values, tuple) else (values,)


def expect_gradient(
    result: Tensor,
    wanted: Tensor,
    *sources: Tensor,
    missing: str = "no gradient reaches its input, although its result requires one",
    different: str = "its value is right and its gradient is not: a part of it is detached",
) -> None:
    """Wrong unless `sources` get from `result` the gradients that they get from `wanted`, which has the same value."""
    if not result.requires_grad:
        raise Wrong("it detaches the graph: no gradient reaches the picture (no .detach(), .item(), .numpy(), no_grad)")
    # Weighted at random: the plain sum of normalized features, for one, has no gradient.
    probe = torch.rand(wanted.shape, generator=torch.Generator().manual_seed(0)) + 0.5
    found, right = (
        torch.autograd.grad((x * probe).sum(), sources, allow_unused=True, retain_graph=True) for x in (result, wanted)
    )
    if None in found:
        raise Wrong(missing)
    if not all(close(mine, other, 1e-3) for mine, other in zip(found, right, strict=True)):  # sums of both signs
        raise Wrong(different)
