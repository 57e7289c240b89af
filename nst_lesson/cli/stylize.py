"""`nst-lesson stylize`: paint a photograph in one pass with a trained network."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..errors import LessonError
from ..networks import adain, models, transformer
from ..paths import user_path
from ..pictures import images
from .command import Commands, add_command, add_overwrite, check_output, say

ANY_STYLE_SIZE = 1536  # longer side of a photograph in pixels, as it goes through the any-style network in one piece
STYLE_SIZE = 384  # longer side of a painting in pixels; its strokes then have the size that the any-style network knows


def add_parser(commands: Commands) -> None:
    """The command and its options."""
    command = add_command(commands, "stylize", run, "paint a photograph in one pass with a trained network")
    command.add_argument("photo", metavar="PHOTO", help="a path, an address or a sample's name")
    style = command.add_mutually_exclusive_group(required=True)
    style.add_argument("--model", metavar="NAME", help="a style that comes with the course, or a file")
    style.add_argument("--style", metavar="PICTURE", help="any painting: a path, an address or a sample's name")
    command.add_argument("--size", type=int, metavar="PIXELS", help="longer side; default: as large as the photo is")
    command.add_argument(
        "-o", "--out", type=user_path, required=True, metavar="FILE", help="the picture to write, such as out.png"
    )
    add_overwrite(command)


def run(arguments: argparse.Namespace) -> int:
    """Write a photograph, painted by a trained network."""
    out: Path = arguments.out
    images.check_format(out)
    check_output(out, (arguments.photo, arguments.style, arguments.model), arguments.overwrite)
    network = models.load_model(models.ANY_STYLE if arguments.model is None else arguments.model)
    largest = ANY_STYLE_SIZE if arguments.model is None else None
    photo = images.load_image(arguments.photo, largest if arguments.size is None else arguments.size)
    if isinstance(network, transformer.TransformationNetwork):
        painted = transformer.stylize(network, photo)
    elif arguments.style is None:
        raise LessonError(f"{arguments.model} paints like any picture: name one with --style instead of --model")
    else:
        painted = adain.stylize_any(network, photo, images.load_image(arguments.style, STYLE_SIZE))
    images.save_image(painted, out)
    say(f"wrote {out} ({photo.shape[3]} x {photo.shape[2]} pixels)")
    return 0
