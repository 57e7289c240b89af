"""What the checks of loops over a picture share: what commonly ends or spoils one, and loops with known mistakes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from .framework import Wrong, call, expect_tensor


class GraphOfEarlierStep(Wrong):
    """Autograd came to a graph that an earlier step has used up."""


def call_loop(answer: Callable, start: Tensor, *inputs: object, unwatched: Sequence[str]) -> Tensor:
    """The picture that a loop over the pixels of `start` gives; Wrong for what commonly ends or spoils such a loop.

    `unwatched` fills up while the loop runs, with the reasons why autograd does not watch what it should.
    """
    try:
        result = expect_tensor(call(answer, start, *inputs), tuple(start.shape))
    except RuntimeError as error:
        if "second time" in str(error):
            tied = (
                "it goes backward through the graph of an earlier step: measure the loss anew in every step, and clamp "
            )
            raise GraphOfEarlierStep(f"{tied}the picture in place, under torch.no_grad()") from error
        if "does not require grad" in str(error):
            lost = "its loss has no graph back to the picture: detach and convert nothing on the way"
            raise Wrong(next(iter(unwatched), lost)) from error
        raise
    if result.requires_grad:
        raise Wrong("the picture that it returns still requires a gradient: return image.detach()")
    if any(torch.equal(result, x.clamp(0, 1)) or torch.equal(result, x) for x in inputs if isinstance(x, Tensor)):
        raise Wrong("it returns the target: return the picture that the steps have changed")
    if result.min() < 0 or result.max() > 1:
        raise Wrong("the picture leaves [0, 1]: clamp it after every step, in place (clamp_)")
    return result


def reasons_unwatched(image: Tensor, first: bool) -> Iterator[str]:
    """Why autograd does not watch a picture whose loss is asked for, before the `first` step or later."""
    if not torch.is_grad_enabled():
        yield "it computes the loss of the picture under torch.no_grad(): only the clamp belongs there"
    elif not image.requires_grad and first:
        copied = "begin with start.clone().requires_grad_(), measure this copy, and detach it nowhere"
        yield f"its picture requires no gradient: {copied}"
    elif not image.requires_grad:
        again = "clamp it in place (clamp_), or its name stands for a new tensor that the optimizer does not know"
        yield f"after a step its picture requires no gradient any more: {again}"


def expect_motion(pictures: list[Tensor], result: Tensor, unwatched: Sequence[str]) -> None:
    """Wrong where one of the first steps of a loop leaves the picture as it was; later it may rest at 0 and 1.

    `pictures` are those before each step; Wrong as well where the `result` is still the first of them.
    """
    for step, (before, after) in enumerate(pairwise(pictures[:4]), start=1):
        if torch.equal(before, after):
            reasons = (
                "are zero_grad(), backward() and step() called, in this order, on an optimizer that was given this "
            )
            reasons += "picture, and is it clamped in place?"
            raise Wrong(next(iter(unwatched), f"step {step} leaves the picture as it was: {reasons}"))
    if torch.equal(result, pictures[0]):
        raise Wrong("it returns the picture that it was given: return the one that the steps have changed")


def projected_adam(
    start: Tensor,
    objective: Callable[[Tensor], Tensor],
    *,
    rate: float = 0.1,
    every: bool = True,
    clear: bool = True,
    anew: bool = False,
) -> Tensor:
    """12 steps of Adam on `objective`, clamped after `every` step, or with a mistake.

    Such as: clamped only at the end, gradients that are not cleared, or an optimizer that is made anew in each step.
    """
    image = start.clone().requires_grad_()
    adam = torch.optim.Adam([image], lr=rate)
    for _ in range(12):
        if anew:
            adam = torch.optim.Adam([image], lr=rate)
        if clear:
            adam.zero_grad()
        objective(image).backward()
        adam.step()
        if every:
            image.data.clamp_(0, 1)
    return image.detach().clamp(0, 1)
