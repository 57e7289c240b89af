"""Training a network that paints in one pass: photographs, the loop, checkpoints that survive a kill.

One loop serves a lesson's minute on two cores and hours on several GPUs, with Hugging Face's Accelerate underneath:
in one process `python -m nst_lesson.training STYLE --out DIR`, on several GPUs `accelerate launch -m
nst_lesson.training ...`, in several processes on a CPU `torchrun --nproc-per-node 2 -m nst_lesson.training ...`.
"""

from __future__ import annotations

import argparse
import math
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from accelerate import Accelerator, PartialState
from torch import Tensor, nn
from torch.utils.data import DataLoader

from .backbones import STYLE_LAYERS, load_backbone, resolve_device
from .checkpoint import Checkpoint
from .errors import LessonError, ParameterError
from .gatys import CONTENT_LAYERS
from .images import load_image
from .losses import PerceptualLoss
from .photographs import Draws, Pairs, Photographs
from .transformer import TransformationNetwork, save_style_model

PRECISIONS = ("no", "bf16", "fp16")
WORKERS_PREFIX = r"^nst_lesson\.errors\.\w+: "  # how a traceback names what was raised
HANDLING = (  # options of the command line that another run of the same training may change, or that `train` records
    *("out", "steps", "batch_size", "learning_rate", "precision", "workers", "device", "compile"),
    *("checkpoint_every", "report_every"),
)

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


def stylizing_loss(loss: PerceptualLoss) -> BatchLoss:
    """The perceptual loss of what a network makes of a batch of photographs (Johnson et al. 2016)."""

    def batch_loss(network: nn.Module, photographs: Tensor) -> dict[str, Tensor]:
        """The weighted terms, means over the photographs (B, 3, S, S)."""
        contents = loss.contents(photographs)
        return loss(network(photographs), contents)

    return batch_loss


def train(
    network: nn.Module,
    batch_loss: BatchLoss,
    photographs: Photographs | Pairs,
    *,
    steps: int,
    batch_size: int = 4,
    learning_rate: float = 1e-3,
    checkpoint: Path | None = None,
    checkpoint_every: int = 1000,
    settings: Mapping[str, Any] | None = None,
    workers: int = 0,
    precision: str = "no",
    compiled: bool = False,
    device: str = "cpu",
) -> Iterator[TrainingStep]:
    """Train `network` with Adam (Kingma & Ba 2015) and yield each step; stop by leaving the loop.

    With a `checkpoint` file, the whole state is written there every `checkpoint_every` steps, at the end and when the
    loop is left; if the file exists, training goes on from it, bit for bit as if it had never stopped (on one CPU
    machine). It must have been made with the same `settings` and number of pictures a step. `batch_size` is that of one
    process. Files that could not be read are named at the end.

    Raises ParameterError for settings that make no sense, and LessonError for a checkpoint of another configuration
    or a damaged one, for one that cannot be written, and when the loss is no longer a number; the last checkpoint then
    stays as it was.
    """
    _check_counts(steps=steps, batch_size=batch_size, checkpoint_every=checkpoint_every)
    _check(learning_rate, precision, device)
    accelerator = _accelerator(device, precision)
    batch = batch_size * accelerator.num_processes
    network.to(memory_format=torch.channels_last)  # faster convolutions on a CPU, and on a GPU in half precision
    optimizer = torch.optim.Adam(network.parameters(), lr=learning_rate)
    record = dict(settings or {}) | {"batch": batch, "learning_rate": learning_rate, "precision": precision}
    keeper = Checkpoint(checkpoint, record, network, optimizer, accelerator.scaler)
    done, skipped = keeper.load()
    draws = Draws(len(photographs), photographs.seed, done * batch, steps * batch)
    loader = DataLoader(
        photographs, batch_size, sampler=draws, num_workers=workers, collate_fn=_collate, worker_init_fn=_ignore_ctrl_c
    )
    prepared, solver, loader = accelerator.prepare(network, optimizer, loader)
    painter = torch.compile(prepared) if compiled else prepared
    ended = time.monotonic()
    for index, (pictures, unread) in enumerate(loader, start=done + 1):
        waited = time.monotonic() - ended
        skipped |= set(unread)
        with accelerator.autocast():
            terms = batch_loss(painter, pictures.to(memory_format=torch.channels_last))
        values = {name: accelerator.reduce(term.detach(), "mean").item() for name, term in terms.items()}
        if not math.isfinite(loss := sum(values.values())):
            raise LessonError(f"the loss is {loss} at step {index}: lower learning_rate, or the weights of the loss")
        accelerator.backward(sum(terms.values()))
        solver.step()
        solver.zero_grad()
        due = index % checkpoint_every == 0 or index == steps
        if due and accelerator.is_main_process:
            keeper.save(index, skipped)
        now = time.monotonic()
        try:
            yield TrainingStep(index, loss, values, now - ended, waited, network)
        except GeneratorExit:  # the loop is left: this is what Stop does
            if not due and accelerator.is_main_process:
                keeper.save(index, skipped)
            raise
        ended = time.monotonic()  # what the caller did meanwhile is no part of the next step
    if skipped and accelerator.is_main_process:
        print(f"{len(skipped)} files could not be read and were skipped: {', '.join(sorted(skipped))}")


def _accelerator(device: str, precision: str) -> Accelerator:
    """Accelerate's helper for this process. Raises LessonError where an earlier one had another precision or device."""
    fixed = "precision and device are fixed for one Python process: restart it"
    try:
        accelerator = Accelerator(cpu=device == "cpu", mixed_precision=precision)
    except ValueError as error:
        raise LessonError(f"{fixed} ({error})") from None
    if accelerator.device.type != torch.device(device).type:
        raise LessonError(f"{fixed} (an earlier training took {accelerator.device.type}, this one wants {device})")
    return accelerator


def _check_counts(**counts: int) -> None:
    """ParameterError for a count below 1."""
    for name, value in counts.items():
        if value < 1:
            raise ParameterError(f"{name} is {value}; give at least 1")


def _check(learning_rate: float, precision: str, device: str) -> None:
    """ParameterError for settings that make no sense."""
    if not 0 < learning_rate < math.inf:
        raise ParameterError(f"learning_rate is {learning_rate}; give a number above 0")
    if precision not in PRECISIONS:
        raise ParameterError(f"precision is {precision!r}; choose one of {', '.join(PRECISIONS)}")
    if precision == "fp16" and device == "cpu":
        raise ParameterError("precision 'fp16' wants a GPU: a CPU takes 'bf16' or 'no'")


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


# --------------------------------------------------------------------------------------------------- the command line


def add_training_options(parser: argparse.ArgumentParser) -> None:
    """The options of every training."""
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where checkpoint and model go")
    parser.add_argument("--images", default="", metavar="DIR", help="photographs; default: crops of the bundled ones")
    for name, default in {"size": 256, "steps": 2000, "batch-size": 4, "seed": 0, "workers": 1}.items():
        parser.add_argument(f"--{name}", type=int, default=default, help=f"default: {default}")
    parser.add_argument("--learning-rate", type=float, default=1e-3, help="default: 0.001")
    parser.add_argument("--backbone", default="pocket", help="the loss network; default: pocket")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    parser.add_argument("--precision", default="no", choices=PRECISIONS, help="mixed precision; default: no")
    parser.add_argument("--compile", action="store_true", help="compile the network first: slow to start, faster steps")
    for name, default in {"checkpoint-every": 1000, "report-every": 50}.items():
        parser.add_argument(f"--{name}", type=int, default=default, metavar="STEPS", help=f"default: {default}")


def train_as_told(
    options: argparse.Namespace,
    network: nn.Module,
    begin: Callable[[str], tuple[BatchLoss, Photographs | Pairs]],
    save: Callable[[nn.Module, Path], None],
) -> int:
    """Train as `add_training_options` and further options say, with reports, and `save` the model at the end.

    `begin`(device) gives the loss and the pictures. DIR gets checkpoint.safetensors, from which the same command goes
    on, and model.safetensors. Returns the exit status: 0, 2 after bad input, which is told in one line, 130 after
    Ctrl-C or 143 after SIGTERM, when the step in hand is finished and kept first. A second Ctrl-C does not wait.
    """
    stopped: list[int] = []

    def stop(number: int, _frame: object) -> None:
        """Ask the loop to end after its step; from now on Ctrl-C interrupts at once."""
        stopped.append(number)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    told = {name: value for name, value in vars(options).items() if name not in HANDLING}
    names = ("steps", "batch_size", "learning_rate", "checkpoint_every", "workers", "precision")
    try:
        _check_counts(report_every=options.report_every)
        device = resolve_device(options.device)
        PartialState(cpu=device == "cpu")  # of several processes each takes a GPU of its own, before anything is there
        steps = train(
            network,
            *begin(device),
            settings=told,
            checkpoint=options.out / "checkpoint.safetensors",
            compiled=options.compile,
            device=device,
            **{name: getattr(options, name) for name in names},
        )
        for step in steps:
            if step.index % options.report_every == 0 and PartialState().is_main_process:
                terms = "  ".join(f"{name} {value:.4g}" for name, value in step.terms.items())
                print(f"step {step.index}  loss {step.loss:.4g}  {terms}  {step.seconds:.2f} s", flush=True)
            if stopped:
                print(f"stopped after step {step.index}; the same command goes on from there", flush=True)
                return 128 + stopped[0]
        if PartialState().is_main_process:
            save(network, options.out / "model.safetensors")
    except LessonError as error:
        reason = str(error).strip().splitlines()[-1]  # one from a worker comes with its traceback before it
        print(f"nst_lesson.training: {re.sub(WORKERS_PREFIX, '', reason)}", file=sys.stderr)
        return 2
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Train a transformation network for one style from the command line; the exit status is `train_as_told`'s."""
    parser = argparse.ArgumentParser(prog="python -m nst_lesson.training", allow_abbrev=False, description=__doc__)
    parser.add_argument("style", help="the painting: a bundled name, a path or an address")
    add_training_options(parser)
    parser.add_argument("--style-size", type=int, help="longer side of the painting; default: as --size")
    parser.add_argument("--stretch-style", action="store_true", help="stretch the painting to a square")
    weights = {"content-weight": 1.0, "style-weight": 3.0, "tv-weight": 12.0, "activation-scale": 1.0}
    for name, default in {"width": 0.5, **weights}.items():
        parser.add_argument(f"--{name}", type=float, default=default, help=f"default: {default}")
    parser.add_argument("--content-layers", nargs="+", default=list(CONTENT_LAYERS))
    parser.add_argument("--style-layers", nargs="+", default=list(STYLE_LAYERS))
    parser.add_argument("--normalization", default="relative", help="formulas of the losses; default: relative")
    options = parser.parse_args(argv)
    torch.manual_seed(options.seed)
    network = TransformationNetwork(options.width)
    return train_as_told(options, network, lambda device: _stylizing(options, device), save_style_model)


def _stylizing(options: argparse.Namespace, device: str) -> tuple[BatchLoss, Photographs]:
    """The loss and the photographs that the command line asks for."""
    side = options.style_size or options.size
    painting = load_image(options.style, side, device=device)
    if options.stretch_style:
        painting = F.interpolate(painting, (side, side), mode="bilinear", antialias=True)
    loss = PerceptualLoss(
        load_backbone(options.backbone, device=device, activation_scale=options.activation_scale),
        style=painting,
        content_weight=options.content_weight,
        style_weight=options.style_weight,
        tv_weight=options.tv_weight,
        content_layers=options.content_layers,
        style_layers=options.style_layers,
        normalization=options.normalization,
    )
    return stylizing_loss(loss), Photographs(options.images, size=options.size, seed=options.seed)


if __name__ == "__main__":
    sys.exit(main())
