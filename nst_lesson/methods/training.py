"""Training a network that paints in one pass: photographs, the loop, checkpoints that survive a kill.

One loop serves a lesson's minute on two cores and hours on several GPUs, with Hugging Face's Accelerate underneath
(`nst-lesson train` is the command).
"""

from __future__ import annotations

import math
import re
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Unpack

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import Tensor, nn
from torch.utils.data import DataLoader

from ..errors import LessonError, ParameterError, unknown
from ..pictures.photographs import Draws, Pairs, Photographs
from .checkpoint import Checkpoint, TrainingState
from .losses import FeatureExtractor
from .objective import Objective, Term, Weights, transfer_terms

PRECISIONS = ("no", "bf16", "fp16")

BatchLoss = Callable[[nn.Module, Tensor], dict[str, Tensor]]  # network, photographs (B, 3, S, S) -> weighted terms


@dataclass(frozen=True)
class TrainingStep:
    """One step of the optimizer. `terms` are those of its batch, weighted; `waited` of its `seconds` were for data.

    `network` is the one in training; it changes with the next step.
    """

    index: int
    loss: float
    terms: dict[str, float]
    seconds: float
    waited: float
    network: nn.Module = field(repr=False)


@dataclass(frozen=True)
class Hardware:
    """What a training runs on: a device, a precision of PRECISIONS, and processes that load photographs."""

    device: str = "cpu"
    precision: str = "no"
    workers: int = 0

    def accelerator(self) -> Accelerator:
        """Accelerate's helper for this process.

        Raises ParameterError for a precision that is unknown or wants another device, and LessonError where an earlier
        training in this process had another device.
        """
        if self.precision not in PRECISIONS:
            raise unknown("precision", self.precision, PRECISIONS)
        if self.precision == "fp16" and self.device == "cpu":
            raise ParameterError("precision 'fp16' wants a GPU: a CPU takes 'bf16' or 'no'")
        AcceleratorState._reset_state()  # it would hold on to the precision of an earlier training in this process
        accelerator = Accelerator(cpu=self.device == "cpu", mixed_precision=self.precision)
        if accelerator.device.type != torch.device(self.device).type:
            raise LessonError(
                f"the device is fixed for one Python process (an earlier training took {accelerator.device.type}, "
                f"this one wants {self.device}): restart it"
            )
        return accelerator


CPU = Hardware()


def stylizing_loss(
    backbone: FeatureExtractor, style: Tensor | Mapping[str, tuple[float, Term]], **weights: Unpack[Weights]
) -> BatchLoss:
    """The perceptual loss of what a network makes of photographs (Johnson et al. 2016): `transfer`'s, for a batch.

    `style` and `weights` are those of `transfer_terms`.
    """
    styled = Objective(backbone, transfer_terms(None, style, **weights))

    def batch_loss(network: nn.Module, photographs: Tensor) -> dict[str, Tensor]:
        """The weighted terms, means over the photographs (B, 3, S, S)."""
        objective = styled | transfer_terms(photographs, None, **weights)
        return objective(network(photographs))

    return batch_loss


def train(
    network: nn.Module,
    batch_loss: BatchLoss,
    photographs: Photographs | Pairs,
    *,
    steps: int,
    batch_size: int = 4,
    learning_rate: float = 1e-3,
    checkpoint: Checkpoint | str | Path | None = None,
    hardware: Hardware = CPU,
) -> Iterator[TrainingStep]:
    """Train `network` with Adam (Kingma & Ba 2015) and yield each step; stop by leaving the loop.

    With a `checkpoint` (or the path of one), the whole state is written as often as it says, at the end and when the
    loop is left; if its file exists, training goes on from it, bit for bit as if it had never stopped (on one CPU
    machine). It must be of the same settings and number of pictures a step. `batch_size` is that of one process. Files
    that could not be read are named at the end.

    Raises ParameterError for settings that make no sense, and LessonError for a checkpoint of another configuration
    or a damaged one, for one that cannot be written, and when the loss is no longer a number; the last checkpoint then
    stays as it was.
    """
    if isinstance(checkpoint, str | Path):
        checkpoint = Checkpoint(Path(checkpoint))
    check_counts(steps=steps, batch_size=batch_size, checkpoint_every=checkpoint.every if checkpoint else 1)
    if not 0 < learning_rate < math.inf:
        raise ParameterError(f"learning_rate is {learning_rate}; give a number above 0")
    accelerator = hardware.accelerator()
    batch = batch_size * accelerator.num_processes
    network.to(memory_format=torch.channels_last)  # faster convolutions on a CPU, and on a GPU in half precision
    optimizer = torch.optim.Adam((p for p in network.parameters() if p.requires_grad), lr=learning_rate)
    state = TrainingState(network, optimizer, accelerator.scaler)
    record = {"batch": batch, "learning_rate": learning_rate, "precision": hardware.precision}
    if checkpoint:
        checkpoint.load(state, record)

    def keep() -> None:
        """Write the state, in one process of them."""
        if checkpoint and accelerator.is_main_process:
            checkpoint.save(state, record)

    loader = _loader(photographs, batch_size, hardware.workers, state.step * batch, steps * batch)
    prepared, solver, loader = accelerator.prepare(network, optimizer, loader)
    ended = time.monotonic()
    for pictures, unread in _batches(loader):
        waited = time.monotonic() - ended
        state.step += 1
        state.skipped |= set(unread)
        with accelerator.autocast():
            terms = batch_loss(prepared, pictures.to(memory_format=torch.channels_last))
        means = accelerator.reduce(torch.stack([term.detach() for term in terms.values()]), "mean")
        values = dict(zip(terms, means.tolist(), strict=True))  # read at once: a GPU is waited for each time
        if not math.isfinite(loss := sum(values.values())):
            raise LessonError(f"the loss is {loss} at step {state.step}: lower learning_rate, or the loss's weights")
        accelerator.backward(sum(terms.values()))
        solver.step()
        solver.zero_grad()
        due = state.step == steps or (checkpoint and state.step % checkpoint.every == 0)
        if due:
            keep()
        now = time.monotonic()
        try:
            yield TrainingStep(state.step, loss, values, now - ended, waited, network)
        except GeneratorExit:  # the loop is left: this is what Stop does
            if not due:
                keep()
            raise
        ended = time.monotonic()  # what the caller did meanwhile is no part of the next step
    if state.skipped and accelerator.is_main_process:
        names = ", ".join(sorted(state.skipped))
        print(f"{len(state.skipped)} files could not be read and were skipped: {names}")


def check_counts(**counts: int) -> None:
    """ParameterError for a count below 1."""
    for name, value in counts.items():
        if value < 1:
            raise ParameterError(f"{name} is {value}; give at least 1")


def _loader(photographs: Photographs | Pairs, batch_size: int, workers: int, start: int, stop: int) -> DataLoader:
    """The samples from number `start` to number `stop`, in batches."""
    draws = Draws(len(photographs), photographs.seed, start, stop)
    return DataLoader(
        photographs, batch_size, sampler=draws, num_workers=workers, collate_fn=_collate, worker_init_fn=_ignore_ctrl_c
    )


def _batches(loader: DataLoader) -> Iterator[tuple[Tensor, list[str]]]:
    """The batches; what a worker raises comes without the traceback that torch puts before it."""
    try:
        yield from loader
    except LessonError as error:
        reason = error.args[0].strip().splitlines()[-1]
        raise LessonError(re.sub(r"^nst_lesson\.errors\.\w+: ", "", reason)) from None


def _ignore_ctrl_c(_worker: int) -> None:
    """A terminal sends Ctrl-C to every process: what it means is the training's to say, not its workers'."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _collate(samples: Sequence[tuple[Tensor, list[str]]]) -> tuple[Tensor, list[str]]:
    """A batch (B, 3, S, S), and the names of the files that were skipped for it."""
    pictures, skipped = zip(*samples, strict=True)
    return torch.stack(pictures), [name for names in skipped for name in names]


@torch.no_grad()
def evaluate(
    network: nn.Module, batch_loss: BatchLoss, photographs: Photographs | Pairs, *, count: int, batch_size: int = 4
) -> dict[str, float]:
    """The mean terms of the loss over `count` samples of a validation or test set, the same ones at each call."""
    was_training, device = network.training, next(network.parameters()).device
    network.eval()
    totals: dict[str, float] = {}
    for start in range(0, count, batch_size):
        numbers = range(start, min(start + batch_size, count))
        pictures, _ = _collate([photographs[divmod(number, len(photographs))] for number in numbers])
        for name, term in batch_loss(network, pictures.to(device)).items():
            totals[name] = totals.get(name, 0.0) + term.item() * len(numbers) / count
    network.train(was_training)
    return totals
