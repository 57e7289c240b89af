"""`nst-lesson paint`: paint a photograph like a painting by optimizing its pixels (Gatys et al. 2016)."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import LessonError
from ..methods.gatys import STARTS, STEPS, Step, coarse_to_fine
from ..methods.objective import STYLE_WEIGHT, Style
from ..networks.backbones import load_backbone, resolve_device
from ..paths import sweep, user_path
from ..pictures.colors import keep_luminance
from ..pictures.images import check_format, load_image, save_image, with_margin, without_margin
from .command import (
    INTERRUPTED,
    Commands,
    add_command,
    add_overwrite,
    check_output,
    expect_memory,
    number,
    place,
    say,
    short,
    whole,
)

SMALL = 192  # shorter side in pixels: at half of less, deep layers have little to see
# Mirrored pixels around the photograph while it is painted: at a border the layers see the zeros of their padding, and
# strokes fade there.
MARGIN = 16
SIZE = 512  # longer side of the picture and of the paintings in pixels
# Bytes of memory a pixel, measured on a CPU (with what L-BFGS remembers): pocket at 1024 pixels, VGG-19 at 768.
POCKET_BYTES, OTHER_BYTES = 2500, 3800


def add_parser(commands: Commands) -> None:
    """The command and its options."""
    command = add_command(commands, "paint", run, "paint a photograph like a painting, by optimizing its pixels")
    command.add_argument("photo", metavar="PHOTO", help="a path, an address or a sample's name")
    text = "a painting; may be repeated, each with its weight, as in: --style wave:2 --style mine.jpg:1"
    command.add_argument("--style", action="append", required=True, metavar="PAINTING[:WEIGHT]", help=text)
    text = "where the style counts: white in a picture; one for each --style, or one less: the last has the rest"
    command.add_argument("--mask", action="append", default=[], metavar="FILE", help=text)
    text = "the picture to write, such as out.png; it is brought up to date while it is painted"
    command.add_argument("-o", "--out", type=place, required=True, metavar="FILE", help=text)
    text = f"longer side of the picture and of each painting; default: {SIZE}"
    command.add_argument("--size", type=whole(16, 20000), default=SIZE, metavar="PIXELS", help=text)
    text = f"evaluations of the objective; default: {STEPS}"
    command.add_argument("--steps", type=whole(1, 10**6), default=STEPS, metavar="N", help=text)
    text = f"against 1 for the content; default: {STYLE_WEIGHT:g}"
    command.add_argument("--style-weight", type=number(0, 1e9), default=STYLE_WEIGHT, metavar="NUMBER", help=text)
    command.add_argument("--keep-colors", action="store_true", help="take the photograph's colors")
    command.add_argument("--backbone", default="pocket", help="whose features count; default: pocket")
    text = "paint at 1/2^(N-1) ... 1/2 and full size, one after the other: larger strokes, in less time; default: 2"
    command.add_argument("--levels", type=whole(1, 12), metavar="N", help=f"{text}, or 1 for a side under {SMALL}")
    command.add_argument(
        "--start", choices=STARTS, default="content", help="the picture to start from; default: content"
    )
    command.add_argument("--seed", type=whole(0, 2**63 - 1), default=0, metavar="N", help="of the noise; default: 0")
    command.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    add_overwrite(command)


def run(arguments: argparse.Namespace) -> int:
    """Write a photograph, painted; the exit status is 0, or 130 after Ctrl-C, which keeps the picture so far."""
    out: Path = arguments.out
    check_format(out)
    names, weights = zip(*map(_named, arguments.style), strict=True)
    check_output(out, (arguments.photo, *names, *arguments.mask), arguments.overwrite)
    device = resolve_device(arguments.device)
    photo = load_image(arguments.photo, arguments.size, device=device)
    if device == "cpu":
        each = POCKET_BYTES if arguments.backbone == "pocket" else OTHER_BYTES
        expect_memory((photo.shape[2], photo.shape[3]), each, "try --size", MARGIN)
    paintings = [load_image(name, arguments.size, device=device) for name in names]
    masks = _masks(arguments.mask, len(paintings), photo)
    shares = weights if arguments.mask else [weight / sum(weights) for weight in weights]
    styles = {
        f"style {number}": (share, Style(painting, where=mask if mask is None else with_margin(mask, MARGIN)))
        for number, (share, painting, mask) in enumerate(zip(shares, paintings, masks, strict=True), 1)
    }
    sweep(out.parent)
    smallest = min(side for picture in (photo, *paintings) for side in picture.shape[2:])
    levels = arguments.levels or min(1 if smallest < SMALL else 2, arguments.steps)
    options = {name: getattr(arguments, name) for name in ("steps", "start", "seed", "style_weight")}
    framed = with_margin(photo, MARGIN)
    step, status, work = None, 0, _Work(arguments.steps, levels, framed)
    backbone = load_backbone(arguments.backbone, device=device)
    try:
        for step in coarse_to_fine(framed, styles, backbone, levels=levels, **options):
            if work.report(step):
                _write(step, photo, arguments)
    except KeyboardInterrupt:
        if sys.stderr.isatty():
            print(file=sys.stderr)
        if step is None:
            raise
        status = INTERRUPTED
    assert step  # there is at least one
    if status:
        _write(step, photo, arguments)
        say(f"interrupted: {short(out)} is the picture after step {step.index} of {arguments.steps}")
    else:
        say(f"wrote {short(out)} ({photo.shape[3]} x {photo.shape[2]} pixels)")
    return status


def _named(style: str) -> tuple[str, float]:
    """The painting and the weight that PAINTING[:WEIGHT] names: what is not a weight belongs to the painting."""
    name, _, text = style.rpartition(":")
    try:
        weight = float(text)
    except ValueError:
        return style, 1.0
    if not name or user_path(style).exists():
        return style, 1.0
    if not 0 < weight < 1e9:
        raise LessonError(f"the weight in --style {style} is {text}: give a number above 0 and below 1e9")
    return name, weight


def _masks(files: Sequence[str], styles: int, photo: Tensor) -> list[Tensor | None]:
    """Where each style counts (1, 1, H, W), in [0, 1]; None is everywhere."""
    if not files:
        return [None] * styles
    if len(files) not in (styles, styles - 1):
        raise LessonError(f"{len(files)} --mask for {styles} --style: give one for each, or one less")
    masks: list[Tensor | None] = []
    rest = photo.new_ones(1, 1, *photo.shape[2:])
    for file in files:
        mask = load_image(file, device=photo.device).mean(1, keepdim=True)
        mask = _mask(F.interpolate(mask, photo.shape[2:], mode="bilinear", antialias=True))
        rest = _mask(rest - mask)
        if not mask.any():
            raise LessonError(f"the mask {file} is black: white is where the style counts")
        masks.append(mask)
    if len(files) < styles and not rest.any():
        raise LessonError("the masks leave nothing for the last --style: give it a --mask, or leave it out")
    return masks if len(files) == styles else [*masks, rest]


def _mask(values: Tensor) -> Tensor:
    """Values in [0, 1] as a mask; what is below half of an 8-bit level comes from rounding."""
    return torch.where(values < 0.5 / 255, 0.0, values.clamp(0, 1))


class _Work:
    """What is done and what is left: a line that is written over in a terminal, and ten lines elsewhere."""

    def __init__(self, steps: int, levels: int, photo: Tensor) -> None:
        self.steps, self.full, self.done = steps, photo.numel(), 0.0
        bounds = [steps * level // levels for level in range(levels + 1)]
        self.total = sum((bounds[n + 1] - bounds[n]) * 0.25 ** (levels - 1 - n) for n in range(levels))

    def report(self, step: Step) -> bool:
        """Say how far it is; whether this is the first step, the last one, or a tenth of all is full."""
        self.done += step.image.numel() / self.full  # a step at half size costs a quarter
        left = step.seconds * max(0.0, self.total / self.done - 1)
        tenth = step.index in (1, self.steps) or step.index * 10 // self.steps > (step.index - 1) * 10 // self.steps
        text = f"step {step.index} of {self.steps}, loss {step.loss:.4g}, {left:.0f} s left"
        if sys.stderr.isatty():
            end = "\n" if step.index == self.steps else ""
            print(f"\r{text:<70}", end=end, file=sys.stderr, flush=True)
        elif tenth:
            print(text, file=sys.stderr, flush=True)
        return tenth


def _write(step: Step, photo: Tensor, arguments: argparse.Namespace) -> None:
    """The picture so far, in the size and, if that is wanted, the colors of the photograph."""
    framed = [side + 2 * MARGIN for side in photo.shape[2:]]
    image = F.interpolate(step.image, framed, mode="bicubic", antialias=True).clamp(0, 1)
    image = without_margin(image, MARGIN)
    save_image(keep_luminance(image, photo) if arguments.keep_colors else image, arguments.out)
