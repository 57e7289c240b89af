"""Train a network that paints in one pass, for one painting (`fast`) or for any.

On several GPUs: accelerate launch -m nst_lesson train ...
In several processes on a CPU: torchrun --nproc-per-node 2 -m nst_lesson train ...

DIR gets checkpoint.safetensors, from which the same command goes on, model.safetensors, and with --preview a picture;
all are brought up to date together. Photographs and paintings are known by name and size, so that their folder may
move. A training that goes on with other --steps has the learning rate of that many from there on.
"""

from __future__ import annotations

import argparse
import shlex
import signal
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import torch
import torch.nn.functional as F
from accelerate import PartialState
from torch import Tensor

from ..errors import LessonError, ParameterError
from ..methods.any_style import FEATURES_WEIGHT, reconstruction_loss
from ..methods.checkpoint import EVERY, Checkpoint
from ..methods.losses import NORMALIZATION
from ..methods.training import (
    BATCH_SIZE,
    FAST_LAYERS,
    FAST_WEIGHTS,
    LEARNING_RATE,
    PRECISIONS,
    SCHEDULES,
    BatchLoss,
    Hardware,
    stylizing_loss,
    train,
)
from ..networks.any_style import AnyStyleNetwork
from ..networks.backbones import load_backbone, resolve_device
from ..networks.models import load_model, save_model
from ..networks.painter import STYLE_SIZE, Painter
from ..networks.transformer import TransformationNetwork
from ..networks.weights import digest
from ..paths import locked
from ..pictures.images import load_image, save_image, style_names
from ..pictures.photographs import Photographs
from .command import SIGNALED, Commands, Parser, add_command, check_output, number, place, say, short, whole

WIDTHS: dict[type, float] = {TransformationNetwork: 0.5, AnyStyleNetwork: 1.0}  # of a new network
PAINTINGS: dict[type, str] = {TransformationNetwork: "one painting", AnyStyleNetwork: "any painting"}
Network = TypeVar("Network", TransformationNetwork, AnyStyleNetwork)
MODEL, CHECKPOINT = "model.safetensors", "checkpoint.safetensors"
PREVIEW, PREVIEW_SIZE = "preview.jpg", 512  # its longer side in pixels
# Options that another run of the same training may change, what is recorded by what it holds, and, in the last line,
# what `train` records itself.
NOT_SETTINGS = """
    command function build out steps workers device compile checkpoint_every
    report_every preview images styles style start
    batch_size learning_rate schedule precision
""".split()


@dataclass(frozen=True)
class Training:
    """What is trained, by which loss, on which photographs; and what the pictures and networks were that it read."""

    network: TransformationNetwork | AnyStyleNetwork
    loss: BatchLoss
    photographs: Photographs
    painting: Tensor  # what a preview is painted like
    inputs: Mapping[str, str]  # {name: a digest}


def add_parser(commands: Commands) -> None:
    """The command, with a kind of training each for one painting and for any."""
    command = add_command(commands, "train", run, "train a network that paints in one pass")
    command.formatter_class, command.description = argparse.RawDescriptionHelpFormatter, __doc__
    kinds = command.add_subparsers(dest="kind", required=True, metavar="KIND")
    _add_fast(kinds)
    _add_any(kinds)


def run(options: argparse.Namespace) -> int:
    """Train a network; the exit status is 0, 130 after Ctrl-C or 143 after SIGTERM."""
    if options.out.exists() and not options.out.is_dir():
        raise LessonError(f"{options.out} is a file: --out names a folder")
    written = [options.out / name for name in (MODEL, PREVIEW)]
    for file in written:
        check_output(file, (options.start, options.preview, getattr(options, "style", None)), overwrite=True)
    if not (options.out / CHECKPOINT).exists() and (others := [file for file in written if file.exists()]):
        raise LessonError(f"{others[0]} is there, and not of a training of ours: choose another --out")
    device = resolve_device(options.device)
    PartialState(cpu=device == "cpu")  # of several processes each takes a GPU of its own, before anything is there
    torch.manual_seed(options.seed)
    training = options.build(options, device)
    photo = load_image(options.preview, PREVIEW_SIZE) if options.preview else None
    with locked(options.out, "training") if PartialState().is_main_process else nullcontext():
        return _train(options, device, training, photo)


def build_fast(options: argparse.Namespace, device: str) -> Training:
    """The training of a transformation network for one painting."""
    network, inputs = _start(options, TransformationNetwork, lambda: TransformationNetwork(options.width))
    side = options.style_size or options.size
    painting = load_image(options.style, side, device=device)
    inputs["style"] = digest(painting)
    if options.stretch_style:
        painting = F.interpolate(painting, (side, side), mode="bilinear", antialias=True)
    backbone = load_backbone(options.backbone, device=device, activation_scale=options.activation_scale)
    names = (*FAST_WEIGHTS, *FAST_LAYERS, "normalization")
    loss = stylizing_loss(backbone, painting, **{name: getattr(options, name) for name in names})
    return Training(network, loss, Photographs(options.images, size=options.size, seed=options.seed), painting, inputs)


def build_any(options: argparse.Namespace, device: str) -> Training:
    """The training of the decoders of a network for any painting, which needs photographs alone."""
    new = partial(AnyStyleNetwork, options.encoder or "pocket")
    network, inputs = _start(options, AnyStyleNetwork, lambda: new(width=options.width))
    encoder = network.settings["encoder"]
    if options.encoder not in (None, encoder):
        raise ParameterError(f"--encoder is {options.encoder}, and {options.start} has {encoder}: leave it")
    options.encoder = encoder
    loss = reconstruction_loss(load_backbone(options.backbone, device=device), features_weight=options.features_weight)
    painting = load_image(style_names()[0], STYLE_SIZE)
    return Training(network, loss, Photographs(options.images, size=options.size, seed=options.seed), painting, inputs)


def _start(
    options: argparse.Namespace, kind: type[Network], new: Callable[[], Network]
) -> tuple[Network, dict[str, str]]:
    """The network to train: new, or with the weights of a trained one, and then their digest."""
    if not options.start:
        options.width = WIDTHS[kind] if options.width is None else options.width
        return new(), {}
    begun = load_model(options.start)
    if not isinstance(begun, kind):
        raise ParameterError(f"--start {options.start} is not a network for {PAINTINGS[kind]}: name another")
    if options.width not in (None, begun.settings["width"]):
        raise ParameterError(f"--width is {options.width}, and {options.start} has {begun.settings['width']}: leave it")
    options.width = begun.settings["width"]
    trained = [weight for name, weight in begun.named_parameters() if not name.startswith(begun.frozen)]
    for weight in trained:
        weight.requires_grad_(True)
    return begun.train(), {"start": digest(*trained)}


def _train(options: argparse.Namespace, device: str, training: Training, photo: Tensor | None) -> int:
    """Train with reports, and save the model at each checkpoint; the exit status.

    After Ctrl-C or SIGTERM the step in hand is finished and kept first; a second Ctrl-C does not wait.
    """
    stopped: list[int] = []

    def stop(number: int, _frame: object) -> None:
        """Ask the loop to end after its step; from now on Ctrl-C interrupts at once."""
        stopped.append(number)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    for received in (signal.SIGINT, signal.SIGTERM):
        signal.signal(received, stop)
    settings = {name: value for name, value in vars(options).items() if name not in NOT_SETTINGS}
    if options.compile:
        training.network.compile()
    steps = train(
        training.network,
        training.loss,
        training.photographs,
        steps=options.steps,
        batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        schedule=options.schedule,
        checkpoint=Checkpoint(options.out / CHECKPOINT, options.checkpoint_every, {**settings, **training.inputs}),
        hardware=Hardware(device, options.precision, options.workers),
    )
    main_process, index = PartialState().is_main_process, 0
    for step in steps:
        index = step.index
        if index % options.report_every == 0 and main_process:
            terms = "  ".join(f"{name} {value:.4g}" for name, value in step.terms.items())
            print(f"step {index}  loss {step.loss:.4g}  {terms}  {step.seconds:.2f} s", flush=True)
        if main_process and (stopped or index == options.steps or index % options.checkpoint_every == 0):
            _write(options.out, training, photo)
        if stopped:
            steps.close()  # this writes the checkpoint
            break
    if main_process:
        if not index:
            _write(options.out, training, photo)
            say(f"nothing left to do: {short(options.out)} has all {options.steps} steps; more with a larger --steps")
        style = " --style PAINTING" if isinstance(training.network, AnyStyleNetwork) else ""
        model = shlex.quote(short(options.out / MODEL))
        say(f"to paint with it: nst-lesson stylize PHOTO --model {model}{style} -o painted.png")
        if stopped:
            say(f"stopped after step {index}; the same command goes on from there")
    return SIGNALED + stopped[0] if stopped else 0


def _write(out: Path, training: Training, photo: Tensor | None) -> None:
    """The model as it is now, and a photograph as the file of it paints, if one is given."""
    save_model(training.network, out / MODEL)
    if photo is not None:
        save_image(Painter(load_model(out / MODEL), [training.painting])(photo), out / PREVIEW)


# --------------------------------------------------------------------------------------------------------- the options

WEIGHT = number(0, 1e9)


def _add_fast(kinds: Commands) -> None:
    """The training for one painting, and its options."""
    fast = _add(kinds, "fast", build_fast, "a network for one painting (Johnson et al. 2016)")
    fast.add_argument("style", help="the painting: a bundled name, a path or an address")
    fast.add_argument("--style-size", type=whole(16, 4096), help="longer side of the painting; default: as --size")
    fast.add_argument("--stretch-style", action="store_true", help="stretch the painting to a square")
    _add_weights(fast, FAST_WEIGHTS)
    fast.add_argument("--activation-scale", type=number(1e-6, 1e6), default=1.0, help="default: 1.0")
    for name, layers in FAST_LAYERS.items():
        option = f"--{name.replace('_', '-')}"
        fast.add_argument(option, nargs="+", default=layers, metavar="LAYER", help=f"default: {' '.join(layers)}")
    fast.add_argument("--normalization", default=NORMALIZATION, help="formulas of the losses; default: relative")


def _add_any(kinds: Commands) -> None:
    """The training for any painting, and its options."""
    any_style = _add(kinds, "any", build_any, "the decoders of one network for any painting (Li et al. 2017)")
    any_style.add_argument("--encoder", help="the network that is decoded; default: that of --start, or pocket")
    _add_weights(any_style, {"features_weight": FEATURES_WEIGHT})


def _add(kinds: Commands, name: str, build: Callable, text: str) -> Parser:
    """A kind of training, with the options that all have."""
    parser = add_command(kinds, name, run, text)
    parser.set_defaults(build=build)
    parser.add_argument("--out", type=place, required=True, metavar="DIR", help="where checkpoint and model go")
    parser.add_argument(
        "--start", metavar="MODEL", help="begin with the weights of a trained network: a name or a file"
    )
    parser.add_argument(
        "--width", type=number(0.01, 4), help="of the network; default: that of --start, or 0.5, any: 1"
    )
    parser.add_argument("--images", default="", metavar="DIR", help="photographs; default: crops of the bundled ones")
    parser.add_argument("--preview", metavar="PHOTO", help=f"paint it at every checkpoint, as DIR/{PREVIEW}")
    counts = {
        "size": (256, whole(16, 4096), "side of a crop in pixels"),
        "steps": (2000, whole(1, 10**9), "of the whole training"),
        "batch-size": (BATCH_SIZE, whole(1, 4096), "photographs a step, in each process"),
        "seed": (0, whole(0, 2**63 - 1), "for the first weights and for what is drawn"),
        "workers": (1, whole(0, 256), "processes that load photographs"),
        "checkpoint-every": (EVERY, whole(1, 10**9), "steps between checkpoints"),
        "report-every": (50, whole(1, 10**9), "steps between reports"),
    }
    for option, (default, kind, what) in counts.items():
        parser.add_argument(f"--{option}", type=kind, default=default, metavar="N", help=f"{what}; default: {default}")
    rate, text = number(1e-9, 1e6), f"default: {LEARNING_RATE}"
    parser.add_argument("--learning-rate", type=rate, default=LEARNING_RATE, metavar="NUMBER", help=text)
    text = "how the learning rate falls; default: cosine"
    parser.add_argument("--schedule", choices=SCHEDULES, default="cosine", help=text)
    parser.add_argument("--backbone", default="pocket", help="the loss network; default: pocket")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    parser.add_argument("--precision", default="no", choices=PRECISIONS, help="mixed precision; default: no")
    parser.add_argument("--compile", action="store_true", help="compile the network first: slow to start, faster steps")
    return parser


def _add_weights(parser: Parser, defaults: Mapping[str, float]) -> None:
    """The weights of a loss, {name: default}."""
    for name, default in defaults.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=WEIGHT, default=default, help=f"default: {default}")
