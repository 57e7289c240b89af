"""L-BFGS (Liu & Nocedal 1989) for the pixels of one picture, without a number read from the device."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

import torch
from torch import Tensor

FIRST_STEP = 0.01  # root mean square of the very first step, whose scale nothing tells yet
MAX_STEP = 0.05  # root mean square over the pixel values: without it some pictures drown in noise at step 3
LEAST_CURVATURE = 1e-8  # of a pair: the cosine between a step and its change of the gradient


class LBFGS(torch.optim.Optimizer):
    """L-BFGS with one evaluation a step, no line search, and steps of at most MAX_STEP.

    It differs from torch's in four things. The pair of a step is what the pixels really did, so that a caller may
    clamp them between two steps. A step is bounded in length, because the first guesses of the curvature can be wild.
    Where the loss curves downward, a step is twice as long as the one before, and not as long as the gradient happens
    to be, which may be next to nothing. And it reads no number from the device, where torch's reads two for every
    remembered step, about forty in all, and a GPU waits each time. `history_size` steps are remembered, each as two
    copies of the picture.
    """

    def __init__(self, params: Iterable[Tensor], lr: float = 1.0, history_size: int = 20) -> None:
        super().__init__(params, {"lr": lr})
        (self.image,) = self.param_groups[0]["params"]
        self.pairs: deque[tuple[Tensor, Tensor, Tensor]] = deque(maxlen=history_size)  # s, y, 1 / (s y)
        self.before: tuple[Tensor, Tensor] | None = None  # pixels and gradient of the last evaluation

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor]) -> Tensor:  # type: ignore[override]
        """Evaluate the loss and its gradient once with `closure`, and move the pixels."""
        with torch.enable_grad():
            loss = closure()
        pixels, gradient = self.image.detach().clone(), self.image.grad.detach().clone()
        if self.before:
            self._remember(pixels - self.before[0], gradient - self.before[1])
        self.before = pixels, gradient
        move = self.param_groups[0]["lr"] * self._direction(gradient)
        length = move.square().mean().sqrt()
        self.image.add_(move * (MAX_STEP / length.clamp_min(MAX_STEP)))
        return loss

    def forget(self) -> None:
        """Drop the curvature that is remembered: the next step goes down the gradient."""
        self.pairs.clear()
        self.before = None

    def _remember(self, moved: Tensor, change: Tensor) -> None:
        """Keep a pair, without weight where it says nothing about the curvature."""
        curvature = (moved * change).sum()
        says = curvature > LEAST_CURVATURE * moved.norm() * change.norm()
        self.pairs.append((moved, change, torch.where(says, 1 / curvature, 0)))

    def _direction(self, gradient: Tensor) -> Tensor:
        """Minus the inverse Hessian times the gradient: the two loops of Nocedal & Wright 2006, algorithm 7.4."""
        if not self.pairs:
            return -gradient * (FIRST_STEP / gradient.square().mean().sqrt().clamp_min(1e-30))
        q, weights = -gradient, []
        for moved, change, scale in reversed(self.pairs):
            weights.append(scale * (moved * q).sum())
            q = q - weights[-1] * change
        moved, change, scale = self.pairs[-1]
        farther = 2 * moved.norm() / q.norm().clamp_min(1e-30)
        q = q * torch.where(scale > 0, 1 / (scale * change.square().sum()), farther)
        for (moved, change, scale), weight in zip(self.pairs, reversed(weights), strict=True):
            q = q + (weight - scale * (change * q).sum()) * moved
        return q
