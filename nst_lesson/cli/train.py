"""Train a network that paints in one pass, for one painting (`fast`) or for any.

On several GPUs: accelerate launch -m nst_lesson train ...
In several processes on a CPU: torchrun --nproc-per-node 2 -m nst_lesson train ...
"""

from __future__ import annotations

import argparse
import signal
from collections.abc import Callable, Mapping
from contextlib import nullcontext

import torch
import torch.nn.functional as F
from accelerate import PartialState

from ..methods.any_style import WEIGHTS, any_style_loss
from ..methods.checkpoint import Checkpoint
from ..methods.losses import NORMALIZATION
from ..methods.training import (
    PRECISIONS,
    BatchLoss,
    Hardware,
    check_counts,
    stylizing_loss,
    train,
)
from ..networks.adain import SCALES, AnyStyleNetwork
from ..networks.backbones import CONTENT_LAYERS, STYLE_LAYERS, load_backbone, resolve_device
from ..networks.models import save_model
from ..networks.transformer import TransformationNetwork
from ..paths import locked, user_path
from ..pictures.images import load_image, style_names
from ..pictures.photographs import PAINTING_SHARES, Pairs, Photographs
from .command import Commands, Parser, add_command

NOT_SETTINGS = (  # options that another run of the same training may change, or that `train` records itself
    *(
        "command",
        "kind",
        "function",
        "build",
        "out",
        "steps",
        "batch_size",
        "learning_rate",
        "precision",
        "workers",
        "device",
        "compile",
    ),
    *("checkpoint_every", "report_every"),
)


def add_parser(commands: Commands) -> None:
    """The command, with a kind of training each for one painting and for any."""
    command = add_command(commands, "train", run, "train a network that paints in one pass")
    command.formatter_class, command.description = argparse.RawDescriptionHelpFormatter, __doc__
    kinds = command.add_subparsers(dest="kind", required=True, metavar="KIND")
    _add_fast(kinds)
    _add_any(kinds)


def run(options: argparse.Namespace) -> int:
    """Train a network; the exit status is 0, 130 after Ctrl-C or 143 after SIGTERM."""
    check_counts(report_every=options.report_every)
    device = resolve_device(options.device)
    PartialState(cpu=device == "cpu")  # of several processes each takes a GPU of its own, before anything is there
    torch.manual_seed(options.seed)
    network, loss, photographs = options.build(options, device)
    with locked(options.out, "training") if PartialState().is_main_process else nullcontext():
        return _train(options, device, network, loss, photographs)


def build_fast(options: argparse.Namespace, device: str) -> tuple[TransformationNetwork, BatchLoss, Photographs]:
    """A transformation network for one painting, its loss, and the photographs."""
    network = TransformationNetwork(options.width)
    side = options.style_size or options.size
    painting = load_image(options.style, side, device=device)
    if options.stretch_style:
        painting = F.interpolate(painting, (side, side), mode="bilinear", antialias=True)
    backbone = load_backbone(options.backbone, device=device, activation_scale=options.activation_scale)
    names = ("content_weight", "style_weight", "tv_weight", "content_layers", "style_layers", "normalization")
    loss = stylizing_loss(backbone, painting, **{name: getattr(options, name) for name in names})
    return network, loss, Photographs(options.images, size=options.size, seed=options.seed)


def build_any(options: argparse.Namespace, device: str) -> tuple[AnyStyleNetwork, BatchLoss, Pairs]:
    """A network for any painting, its loss, and the pairs of photograph and painting."""
    shape = {"blocks": options.blocks, "width": options.width, "fine_tune": options.fine_tune}
    network = AnyStyleNetwork(options.encoder, options.scales, **shape)
    backbone = load_backbone(options.backbone, device=device)
    weights = {name: getattr(options, name) for name in WEIGHTS}
    loss = any_style_loss(backbone, statistics=options.statistics, **weights)
    draw = {"size": options.size, "seed": options.seed}
    marks = {"bundled": style_names(), "recolor": options.recolor, "shares": PAINTING_SHARES}
    paintings = Photographs(options.styles, **marks, **draw)
    return network, loss, Pairs(Photographs(options.images, **draw), paintings)


def _train(
    options: argparse.Namespace,
    device: str,
    network: TransformationNetwork | AnyStyleNetwork,
    loss: BatchLoss,
    photographs: Photographs | Pairs,
) -> int:
    """Train with reports, and save the model at the end; the exit status.

    DIR gets checkpoint.safetensors, from which the same command goes on, and model.safetensors. After Ctrl-C or SIGTERM
    the step in hand is finished and kept first; a second Ctrl-C does not wait.
    """
    stopped: list[int] = []

    def stop(number: int, _frame: object) -> None:
        """Ask the loop to end after its step; from now on Ctrl-C interrupts at once."""
        stopped.append(number)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    settings = {name: value for name, value in vars(options).items() if name not in NOT_SETTINGS}
    if options.compile:
        network.compile()
    steps = train(
        network,
        loss,
        photographs,
        steps=options.steps,
        batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        checkpoint=Checkpoint(options.out / "checkpoint.safetensors", options.checkpoint_every, settings),
        hardware=Hardware(device, options.precision, options.workers),
    )
    main_process = PartialState().is_main_process
    for step in steps:
        if step.index % options.report_every == 0 and main_process:
            terms = "  ".join(f"{name} {value:.4g}" for name, value in step.terms.items())
            print(f"step {step.index}  loss {step.loss:.4g}  {terms}  {step.seconds:.2f} s", flush=True)
        if stopped:
            print(f"stopped after step {step.index}; the same command goes on from there", flush=True)
            return 128 + stopped[0]
    if main_process:
        save_model(network, options.out / "model.safetensors")
    return 0


# --------------------------------------------------------------------------------------------------------- the options


def _add_fast(kinds: Commands) -> None:
    """The training for one painting, and its options."""
    fast = _add(kinds, "fast", build_fast, "a network for one painting (Johnson et al. 2016)")
    fast.add_argument("style", help="the painting: a bundled name, a path or an address")
    fast.add_argument("--style-size", type=int, help="longer side of the painting; default: as --size")
    fast.add_argument("--stretch-style", action="store_true", help="stretch the painting to a square")
    weights = {"content-weight": 1.0, "style-weight": 3.0, "tv-weight": 12.0, "activation-scale": 1.0}
    _add_numbers(fast, {"width": 0.5, **weights})
    fast.add_argument("--content-layers", nargs="+", default=list(CONTENT_LAYERS))
    fast.add_argument("--style-layers", nargs="+", default=list(STYLE_LAYERS))
    fast.add_argument("--normalization", default=NORMALIZATION, help="formulas of the losses; default: relative")


def _add_any(kinds: Commands) -> None:
    """The training for any painting, and its options."""
    any_style = _add(kinds, "any", build_any, "one network for any painting (Huang & Belongie 2017)")
    any_style.add_argument("--styles", default="", metavar="DIR", help="paintings; default: crops of the bundled ones")
    any_style.add_argument("--recolor", action="store_true", help="swap the color channels of paintings at random")
    any_style.add_argument("--encoder", default="pocket", help="the network that is decoded; default: pocket")
    any_style.add_argument("--fine-tune", action="store_true", help="train the encoder as well")
    any_style.add_argument("--scales", nargs="+", default=list(SCALES), help="layers at which the style enters")
    any_style.add_argument("--blocks", type=int, default=2, help="convolutions at each scale; default: 2")
    any_style.add_argument("--statistics", default="moments", help="what is compared: moments (default) or gram")
    _add_numbers(any_style, {"width": 1.5, **WEIGHTS})


def _add(kinds: Commands, name: str, build: Callable, text: str) -> Parser:
    """A kind of training, with the options that all have."""
    parser = add_command(kinds, name, run, text)
    parser.set_defaults(build=build)
    parser.add_argument("--out", type=user_path, required=True, metavar="DIR", help="where checkpoint and model go")
    parser.add_argument("--images", default="", metavar="DIR", help="photographs; default: crops of the bundled ones")
    for option, default in {"size": 256, "steps": 2000, "batch-size": 4, "seed": 0, "workers": 1}.items():
        parser.add_argument(f"--{option}", type=int, default=default, help=f"default: {default}")
    parser.add_argument("--learning-rate", type=float, default=1e-3, help="default: 0.001")
    parser.add_argument("--backbone", default="pocket", help="the loss network; default: pocket")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    parser.add_argument("--precision", default="no", choices=PRECISIONS, help="mixed precision; default: no")
    parser.add_argument("--compile", action="store_true", help="compile the network first: slow to start, faster steps")
    for option, default in {"checkpoint-every": 1000, "report-every": 50}.items():
        parser.add_argument(f"--{option}", type=int, default=default, metavar="STEPS", help=f"default: {default}")
    return parser


def _add_numbers(parser: Parser, defaults: Mapping[str, float]) -> None:
    """Options that are numbers, {name: default}."""
    for name, default in defaults.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=float, default=default, help=f"default: {default}")
