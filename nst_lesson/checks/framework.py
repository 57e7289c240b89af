"""How an exercise is checked: the student's function on random input, against an independent reference, in words."""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
from torch import Tensor


class Wrong(Exception):
    """What is wrong with an answer, in one sentence that names the broken property."""


def exercise(check: Callable[[Callable], None]) -> Callable[[Callable], None]:
    """Turn `check`, which raises Wrong for a wrong answer, into what a notebook calls: it prints a line, never raises.

    A stub that still raises NotImplementedError is "not attempted yet", so that an untouched notebook runs to its end.
    """

    @functools.wraps(check)
    def run(answer: Callable) -> None:
        name = check.__name__
        try:
            check(answer)
        except NotImplementedError:
            print(f"{name}: not attempted yet")
        except Wrong as wrong:
            print(f"{name}: not yet - {wrong}")
        except Exception as error:  # the student's own error is the message, not a traceback through our code
            reason = str(error).partition("\n")[0]
            print(f"{name}: not yet - it raised {type(error).__name__}: {reason}")
        else:
            print(f"{name}: correct")

    return run


class ReturnedNone(Wrong):
    """The answer returned nothing."""


def call(answer: Callable, *inputs: object) -> object:
    """answer(*inputs), having made sure that it returns something and leaves tensors among its inputs as they were."""
    before = [x.clone() if isinstance(x, Tensor) else None for x in inputs]
    result = answer(*inputs)
    if result is None:
        raise ReturnedNone("it returns None: is its `return` missing?")
    for x, old in zip(inputs, before, strict=True):
        if old is not None and not torch.equal(x.detach(), old.detach()):
            raise Wrong("it modifies its input: build a new tensor instead of changing the one you were given")
    return result


def expect_tensor(result: object, shape: tuple[int, ...]) -> Tensor:
    """`result` if it is a tensor of that shape, else Wrong."""
    if not isinstance(result, Tensor):
        raise Wrong(f"it returns a {type(result).__name__}; a torch tensor is expected")
    if tuple(result.shape) != tuple(shape):
        raise Wrong(f"it returns the shape {tuple(result.shape)}; {tuple(shape)} is expected")
    return result


def close(result: Tensor, wanted: Tensor, tolerance: float = 1e-4) -> bool:
    """Whether two tensors agree to `tolerance` of the largest wanted value (float32 sums differ in the last digits)."""
    result, wanted = result.double(), wanted.double()  # neither is rounded to the other's type
    return bool((result - wanted).abs().max() <= tolerance * wanted.abs().max().clamp_min(1e-12))


def expect_gradient(result: Tensor, source: Tensor) -> None:
    """Wrong unless `result` still hangs on `source` in autograd's graph."""
    if not result.requires_grad:
        raise Wrong("it detaches the graph: no gradient reaches the picture (no .detach(), .item(), .numpy(), no_grad)")
    (gradient,) = torch.autograd.grad(result.sum(), source, allow_unused=True)
    if gradient is None:
        raise Wrong("no gradient reaches its input, although the result needs one")
