"""Training a network that paints in one pass: photographs, the loop, checkpoints that survive a kill.

One loop serves a lesson's minute on two cores and hours on several GPUs, with Hugging Face's Accelerate underneath
(`nst-lesson train` is the command).
"""

from __future__ import annotations

import logging
import math
import re
import signal
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Unpack, cast

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import Tensor, nn
from torch.utils.data import DataLoader

from ..errors import LessonError, ParameterError, check_counts, printable, unknown
from ..networks.backbones import STYLE_LAYERS, resolve_device
from ..pictures.photographs import Draws, Photographs
from .checkpoint import Checkpoint, TrainingState
from .losses import FeatureExtractor
from .objective import Objective, Term, Weights, transfer_terms

_log = logging.getLogger(__name__)

PRECISIONS = ("no", "bf16", "fp16")

SCHEDULES: dict[str, Callable[[float], float]] = {  # the share of the learning rate at a share of the steps
    "constant": lambda done: 1.0,
    "cosine": lambda done: (1 + math.cos(math.pi * done)) / 2,  # Loshchilov & Hutter 2017, eq. 5, once down to zero
}
BATCH_SIZE, LEARNING_RATE = 4, 1e-3
PATIENCE = 20  # steps that look dead before a training is given up
RISEN = 5.0  # times the first loss: a step above it looks dead
FLAT = 1e-5  # times the first total variation: what is left in a picture of one color

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

        Raises ParameterError for a device that is not there or a precision that it does not have, and LessonError where
        an earlier training in this process had another device.
        """
        if self.precision not in PRECISIONS:
            raise unknown("precision", self.precision, PRECISIONS)
        if self.workers < 0:
            raise ParameterError(f"workers is {self.workers}; give 0 or more")
        if self.precision == "fp16" and self.device == "cpu":
            raise ParameterError("precision 'fp16' wants a GPU: a CPU takes 'bf16' or 'no'")
        resolve_device(self.device)  # raises for one that is not there
        AcceleratorState._reset_state()  # it would hold on to the precision of an earlier training in this process
        accelerator = Accelerator(cpu=self.device == "cpu", mixed_precision=self.precision)
        if accelerator.device.type != torch.device(self.device).type:
            raise LessonError(
                f"the device is fixed for one Python process (an earlier training took {accelerator.device.type}, "
                f"this one wants {self.device}): restart it"
            )
        return accelerator


CPU = Hardware()
# Of a fast network. At relu4_2, where `transfer` compares, strokes stay faint, and it wants less style.
FAST_WEIGHTS = {"content_weight": 1.0, "style_weight": 10.0, "tv_weight": 5.0}
FAST_LAYERS = {"content_layers": ["relu3_3"], "style_layers": list(STYLE_LAYERS)}


def stylizing_loss(
    backbone: FeatureExtractor, style: Tensor | Mapping[str, tuple[float, Term]], **weights: Unpack[Weights]
) -> BatchLoss:
    """The perceptual loss of what a network makes of photographs (Johnson et al. 2016): `transfer`'s, for a batch.

    `style` and `weights` are those of `transfer_terms`, but for their defaults, FAST_WEIGHTS and FAST_LAYERS.
    """
    weights = cast(Weights, {**FAST_WEIGHTS, **FAST_LAYERS, **weights})
    styled = Objective(backbone, transfer_terms(None, style, **weights))

    def batch_loss(network: nn.Module, photographs: Tensor) -> dict[str, Tensor]:
        """The weighted terms, means over the photographs (B, 3, S, S)."""
        objective = styled | transfer_terms(photographs, None, **weights)
        return objective(network(photographs))

    return batch_loss


def train(
    network: nn.Module,
    batch_loss: BatchLoss,
    photographs: Photographs,
    *,
    steps: int,
    batch_size: int = BATCH_SIZE,
    learning_rate: float = LEARNING_RATE,
    checkpoint: Checkpoint | str | Path | None = None,
    hardware: Hardware = CPU,
    schedule: str = "constant",
) -> Generator[TrainingStep, None, None]:
    """Train `network` with Adam (Kingma & Ba 2015) and yield each step; stop by leaving the loop.

    `schedule`, a name in SCHEDULES, is how the learning rate falls. It depends on the step and on `steps` alone; a
    training that goes on with another number of steps has the rate of that many from there on.

    With a `checkpoint` (or the path of one), the whole state is written as often as it says, at the end and when the
    loop is left; if its file exists, training goes on from it, bit for bit as if it had never stopped (on one CPU
    machine). It must be of the same settings and number of pictures a step. `batch_size` is that of one process. What
    has changed since the checkpoint, and at the end the files that could not be read, are warnings of `logging`.

    Raises ParameterError for settings that make no sense, and LessonError for a checkpoint of another configuration
    or a damaged one, for one that cannot be written, and when the training has died: the loss is no longer a number,
    or stays far above the first one, or the pictures are of one color. The last checkpoint then stays as it was.
    """
    if isinstance(checkpoint, str | Path):
        checkpoint = Checkpoint(Path(checkpoint))
    check_counts(steps=steps, batch_size=batch_size, checkpoint_every=checkpoint.every if checkpoint else 1)
    _check(network, learning_rate, schedule)
    accelerator = hardware.accelerator()
    batch = batch_size * accelerator.num_processes
    network.to(memory_format=torch.channels_last)  # faster convolutions on a CPU, and on a GPU in half precision
    optimizer = torch.optim.Adam((p for p in network.parameters() if p.requires_grad), lr=learning_rate)
    state = TrainingState(network, optimizer, accelerator.scaler, steps=steps, pictures=photographs.pictures)
    record = {"batch": batch, "learning_rate": learning_rate, "schedule": schedule, "precision": hardware.precision}
    if checkpoint:
        _warn(accelerator, *checkpoint.load(state, record))

    def keep() -> None:
        """Write the state, in one process of them, unless it looks dead."""
        if checkpoint and accelerator.is_main_process and not pulse.missed:
            checkpoint.save(state, record)

    loader = _loader(photographs, batch_size, hardware.workers, state.step * batch, steps * batch)
    prepared, solver, loader = accelerator.prepare(network, optimizer, loader)
    pulse = _Pulse(state.first)
    ended = time.monotonic()
    for pictures, unread in _batches(loader) if state.step < steps else ():  # old accelerate fails on no batches
        waited = time.monotonic() - ended
        rate = learning_rate * SCHEDULES[schedule](state.step / steps)
        for group in optimizer.param_groups:
            group["lr"] = rate
        state.step += 1
        state.skipped |= set(unread)
        with accelerator.autocast():
            terms = batch_loss(prepared, pictures.to(memory_format=torch.channels_last))
        means = accelerator.reduce(torch.stack([term.detach() for term in terms.values()]), "mean")
        values = dict(zip(terms, means.tolist(), strict=True))  # read at once: a GPU is waited for each time
        loss = pulse.feel(values, state.step, last=state.step == steps)
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
        ended = time.monotonic()  # what the caller did meanwhile does not belong to the next step
    if state.skipped:
        names = ", ".join(sorted(state.skipped))
        _warn(accelerator, f"{len(state.skipped)} files could not be read and were skipped: {names}")


def _check(network: nn.Module, learning_rate: float, schedule: str) -> None:
    """ParameterError for a learning rate or a schedule that cannot be, and where no weight can learn."""
    if not 0 < learning_rate < math.inf:
        raise ParameterError(f"learning_rate is {learning_rate}; give a number above 0")
    if schedule not in SCHEDULES:
        raise unknown("schedule", schedule, SCHEDULES)
    if not torch.is_grad_enabled():
        raise ParameterError("gradients are off: train outside of torch.no_grad() and torch.inference_mode()")
    if not any(weight.requires_grad for weight in network.parameters()):
        raise ParameterError("no weight of the network is to be trained: call network.requires_grad_(True) first")


def _warn(accelerator: Accelerator, *lines: str) -> None:
    """Warnings, of one process of several."""
    for line in lines if accelerator.is_main_process else ():
        _log.warning(printable(line))


@dataclass
class _Pulse:
    """Whether a training lives: `first` are the terms of its first step, `missed` counts the latest dead ones."""

    first: dict[str, float]
    missed: int = 0

    def feel(self, terms: Mapping[str, float], step: int, *, last: bool) -> float:
        """The loss, from the terms of a step. Raises LessonError where it is no number, and after PATIENCE dead steps.

        A single dead one says nothing: at a high learning rate the second step can be a hundred times worse.
        """
        loss = sum(terms.values())
        if not math.isfinite(loss):
            raise LessonError(f"the loss is {loss} at step {step}: lower learning_rate, or the loss's weights")
        if not self.first:
            self.first.update(terms)
        at_first = sum(self.first.values())
        flat = 0 < self.first.get("tv", 0.0) and terms["tv"] <= FLAT * self.first["tv"]  # of a loss that has this term
        self.missed = self.missed + 1 if flat or loss > RISEN * at_first > 0 else 0
        if self.missed == PATIENCE or (last and (flat or self.missed > 1)):
            what = "its pictures are of one color" if flat else "its loss stays far above the first one"
            raise LessonError(
                f"the training has died by step {step}: {what} (loss {loss:.4g}, {at_first:.4g} at the start): "
                "lower learning_rate"
            )
        return loss


def _loader(photographs: Photographs, batch_size: int, workers: int, start: int, stop: int) -> DataLoader:
    """The samples from number `start` to number `stop`, in batches."""
    draws = Draws(len(photographs), photographs.seed, start, stop)
    return DataLoader(
        photographs,
        batch_size,
        sampler=draws,
        num_workers=workers,
        collate_fn=_collate,
        worker_init_fn=_ignore_ctrl_c,
        generator=torch.Generator(),  # or it draws from torch's own, which a network with dropout draws from, too
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
    network: nn.Module, batch_loss: BatchLoss, photographs: Photographs, *, count: int, batch_size: int = BATCH_SIZE
) -> dict[str, float]:
    """The mean terms of the loss over `count` samples of a validation or test set, the same ones at each call."""
    check_counts(count=count, batch_size=batch_size)
    was_training, device = network.training, next(network.parameters()).device
    network.eval()
    totals: dict[str, float] = {}
    try:
        for start in range(0, count, batch_size):
            numbers = range(start, min(start + batch_size, count))
            pictures, _ = _collate([photographs[divmod(number, len(photographs))] for number in numbers])
            for name, term in batch_loss(network, pictures.to(device)).items():
                totals[name] = totals.get(name, 0.0) + term.item() * len(numbers) / count
    finally:
        network.train(was_training)
    return totals
