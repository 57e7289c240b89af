"""Training a network that paints in one pass: photographs, the loop, checkpoints that survive a kill.

One loop serves a lesson's minute on two cores and hours on several GPUs, with Hugging Face's Accelerate underneath:
in one process `python -m nst_lesson.training STYLE --out DIR`, on several GPUs `accelerate launch -m
nst_lesson.training ...`, in several processes on a CPU `torchrun --nproc-per-node 2 -m nst_lesson.training ...`.
"""

from __future__ import annotations

import argparse
import math
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
    _check(steps, batch_size, learning_rate, precision)
    accelerator = _accelerator(device, precision)
    batch = batch_size * accelerator.num_processes
    network.to(memory_format=torch.channels_last)  # faster convolutions on a CPU, and on a GPU in half precision
    optimizer = torch.optim.Adam(network.parameters(), lr=learning_rate)
    record = dict(settings or {}) | {"batch": batch, "learning_rate": learning_rate, "precision": precision}
    keeper = Checkpoint(checkpoint, record, network, optimizer, accelerator.scaler)
    done, skipped = keeper.load()
    draws = Draws(len(photographs), photographs.seed, done * batch, steps * batch)
    loader = DataLoader(photographs, batch_size, sampler=draws, num_workers=workers, collate_fn=_collate)
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
        ended = now
    if skipped and accelerator.is_main_process:
        print(f"{len(skipped)} files could not be read and were skipped: {', '.join(sorted(skipped))}")


def _accelerator(device: str, precision: str) -> Accelerator:
    """Accelerate's helper for this process. Raises LessonError where an earlier one had another precision or device."""
    try:
        return Accelerator(cpu=device == "cpu", mixed_precision=precision)
    except ValueError as error:
        raise LessonError(f"precision and device are fixed for one Python process: restart it ({error})") from None


def _check(steps: int, batch_size: int, learning_rate: float, precision: str) -> None:
    """ParameterError for settings that make no sense."""
    for name, value in {"steps": steps, "batch_size": batch_size}.items():
        if value < 1:
            raise ParameterError(f"{name} is {value}; give at least 1")
    if not 0 < learning_rate < math.inf:
        raise ParameterError(f"learning_rate is {learning_rate}; give a number above 0")
    if precision not in PRECISIONS:
        raise ParameterError(f"precision is {precision!r}; choose one of {', '.join(PRECISIONS)}")


def _collate(samples: Sequence[tuple[Tensor, list[str]]]) -> tuple[Tensor, list[str]]:
    """A batch (B, 3, S, S), and the names of the files that were skipped for it."""
    pictures, skipped = zip(*samples, strict=True)
    return torch.stack(pictures), [name for names in skipped for name in names]


def main(argv: Sequence[str] | None = None) -> int:
    """Train a transformation network for one style from the command line: 0, 2 (bad input), or 143 after SIGTERM.

    DIR gets checkpoint.safetensors, from which the same command goes on, and at the end model.safetensors.
    """
    options = _parser().parse_args(argv)
    stopped: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: stopped.append(number))  # the step in hand is finished first
    try:
        device = resolve_device(options.device)
        torch.manual_seed(options.seed)
        network = TransformationNetwork(options.width)
        for step in _training_of(options, network, device):
            if step.index % options.report_every == 0 and PartialState().is_main_process:
                terms = "  ".join(f"{name} {value:.4g}" for name, value in step.terms.items())
                print(f"step {step.index}  loss {step.loss:.4g}  {terms}  {step.seconds:.2f} s", flush=True)
            if stopped:
                print(f"stopped after step {step.index}; the same command goes on from there", flush=True)
                return 128 + signal.SIGTERM
        if PartialState().is_main_process:
            save_style_model(network, options.out / "model.safetensors")
    except LessonError as error:
        print(f"nst_lesson.training: {error}", file=sys.stderr)
        return 2
    return 0


def _training_of(options: argparse.Namespace, network: nn.Module, device: str) -> Iterator[TrainingStep]:
    """The steps that the command line asks for."""
    weights = {"content_weight": options.content_weight, "style_weight": options.style_weight}
    side = options.style_size or options.size
    painting = load_image(options.style, side, device=device)
    if options.stretch_style:
        painting = F.interpolate(painting, (side, side), mode="bilinear", antialias=True)
    loss = PerceptualLoss(
        load_backbone(options.backbone, device=device, activation_scale=options.activation_scale),
        style=painting,
        tv_weight=options.tv_weight,
        content_layers=options.content_layers,
        style_layers=options.style_layers,
        normalization=options.normalization,
        **weights,
    )
    names = ("style", "style_size", "stretch_style", "size", "seed", "images", "backbone", "activation_scale", "width")
    more = ("normalization", "tv_weight", "content_layers", "style_layers")
    settings = {name: getattr(options, name) for name in (*names, *weights, *more)}
    photographs = Photographs(options.images, size=options.size, seed=options.seed)
    return train(
        network,
        stylizing_loss(loss),
        photographs,
        steps=options.steps,
        batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        checkpoint=options.out / "checkpoint.safetensors",
        checkpoint_every=options.checkpoint_every,
        settings=settings,
        workers=options.workers,
        precision=options.precision,
        compiled=options.compile,
        device=device,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m nst_lesson.training", allow_abbrev=False, description=main.__doc__)
    parser.add_argument("style", help="the painting: a bundled name, a path or an address")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where checkpoint and model go")
    parser.add_argument("--images", default="", metavar="DIR", help="photographs; default: crops of the bundled ones")
    for name, default in {"size": 256, "steps": 2000, "batch-size": 4, "seed": 0, "workers": 1}.items():
        parser.add_argument(f"--{name}", type=int, default=default, help=f"default: {default}")
    parser.add_argument("--style-size", type=int, help="longer side of the painting; default: as --size")
    parser.add_argument("--stretch-style", action="store_true", help="stretch the painting to a square")
    weights = {"content-weight": 1.0, "style-weight": 3.0, "tv-weight": 12.0, "activation-scale": 1.0}
    for name, default in {"width": 0.5, "learning-rate": 1e-3, **weights}.items():
        parser.add_argument(f"--{name}", type=float, default=default, help=f"default: {default}")
    parser.add_argument("--content-layers", nargs="+", default=list(CONTENT_LAYERS))
    parser.add_argument("--style-layers", nargs="+", default=list(STYLE_LAYERS))
    parser.add_argument("--normalization", default="relative", help="formulas of the losses; default: relative")
    parser.add_argument("--backbone", default="pocket", help="the loss network; default: pocket")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    parser.add_argument("--precision", default="no", choices=PRECISIONS, help="mixed precision; default: no")
    parser.add_argument("--compile", action="store_true", help="compile the network first: slow to start, faster steps")
    for name, default in {"checkpoint-every": 1000, "report-every": 50}.items():
        parser.add_argument(f"--{name}", type=int, default=default, metavar="STEPS", help=f"default: {default}")
    return parser


if __name__ == "__main__":
    sys.exit(main())
