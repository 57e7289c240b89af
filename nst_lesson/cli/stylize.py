"""`nst-lesson stylize`: paint photographs and films in one pass with a trained network."""

from __future__ import annotations

import argparse
from pathlib import Path

from tqdm.auto import tqdm

from ..errors import LessonError, ParameterError
from ..networks import models
from ..networks.filming import paint_film
from ..networks.painter import STYLE_SIZE, Painter
from ..networks.transformer import TransformationNetwork
from ..paths import user_path
from ..pictures import films, images
from .command import (
    BAD_INPUT,
    Commands,
    add_command,
    add_overwrite,
    check_output,
    expect_memory,
    number,
    place,
    say,
    whole,
)

ONE_STYLE_BYTES, ANY_STYLE_BYTES = 420, 1300  # of memory a pixel, measured at 512 to 2048 pixels a side


def add_parser(commands: Commands) -> None:
    """The command and its options."""
    command = add_command(commands, "stylize", run, "paint photographs or films in one pass with a trained network")
    command.add_argument("photos", nargs="+", metavar="PHOTO", help="a path, an address, a sample, a film, a folder")
    command.add_argument(
        "-o", "--out", type=place, required=True, metavar="OUT", help="a file, or for several a folder"
    )
    text = "a style that comes with the course, or a file: a model, a checkpoint, a .pth of pytorch/examples"
    command.add_argument("--model", metavar="NAME", help=text)
    text = "any painting: a path, an address or a sample's name; may be repeated"
    command.add_argument("--style", action="append", default=[], metavar="PICTURE", help=text)
    text = "how much a --style counts, in their order; default: all the same"
    command.add_argument("--weight", action="append", type=float, metavar="NUMBER", help=text)
    text = "longer side; default: as large as the photo is"
    command.add_argument("--size", type=whole(1, 20000), metavar="PIXELS", help=text)
    text = "paint at this longer side and enlarge: fewer pixels, larger strokes; default: 1024 for what is over 1536"
    command.add_argument("--strokes", type=whole(1, 20000), metavar="PIXELS", help=text)
    text = "from 0 (the photograph) to 1 (the painting, the default)"
    command.add_argument("--strength", type=number(0, 1), default=1.0, metavar="NUMBER", help=text)
    command.add_argument("--keep-colors", action="store_true", help="paint with the photograph's own colors")
    command.add_argument("--steady", action="store_true", help="reduce flicker (films only)")
    add_overwrite(command)


def run(arguments: argparse.Namespace) -> int:
    """Paint one photograph or film to a file, or several into a folder; status 2 where some could not be read."""
    out: Path = arguments.out
    folders = [name for name in arguments.photos if name and user_path(name).is_dir()]
    if len(arguments.photos) > 1 or folders:
        jobs = _jobs(arguments.photos, out)
        if arguments.steady and not any(out.suffix.lower() in films.WRITTEN for out in jobs):
            raise ParameterError("--steady is for films, and there is none among these: leave it out")
        return _paint_all(jobs, arguments)
    (photo,) = arguments.photos
    images.check_source(photo)
    film = films.is_film(user_path(photo))
    _check_format(out, photo, film)
    if arguments.steady and not (film and out.suffix.lower() in films.WRITTEN):
        raise ParameterError(f"--steady is for films, and {out if film else photo} is not one")
    check_output(out, (photo, arguments.model, *arguments.style), arguments.overwrite)
    say(_paint(_painter(arguments), photo, out, arguments))
    return 0


def _painter(arguments: argparse.Namespace) -> Painter:
    """What paints, as the options say."""
    model, styles = arguments.model, arguments.style
    if model is None and not styles:
        raise ParameterError("say how to paint: --model NAME (a trained style) or --style PICTURE (any painting)")
    network = models.load_model(models.ANY_STYLE if model is None else model)
    if isinstance(network, TransformationNetwork):
        if styles or arguments.weight:
            option = "--style" if styles else "--weight"
            raise ParameterError(f"{model} paints like one painting, which it has learned: leave out {option}")
    elif not styles:
        raise ParameterError(f"{model} paints like any picture: name one with --style")
    paintings = [images.load_image(style, STYLE_SIZE) for style in styles]
    settings = {name: getattr(arguments, name) for name in ("strokes", "strength", "keep_colors")}
    return Painter(network, paintings, arguments.weight, **settings)


def _paint(painter: Painter, photo: str, out: Path, arguments: argparse.Namespace) -> str:
    """Paint one photograph or film; what to say of it."""
    if films.is_film(user_path(photo)) and out.suffix.lower() in films.WRITTEN:
        names = ("weight", "strokes", "strength", "keep_colors")
        settings = {name: getattr(arguments, name) for name in names}
        options = {"size": arguments.size, "steady": arguments.steady, "settings": settings}
        sound_kept = paint_film(painter, user_path(photo), out, **options)
        return f"wrote {out}" + ("" if sound_kept else " (without its sound)")
    picture, opacity = images.load_with_opacity(photo, arguments.size)
    scale = painter.scale(picture.shape[2], picture.shape[3])
    sides = (round(scale * picture.shape[2]), round(scale * picture.shape[3]))
    expect_memory(sides, ANY_STYLE_BYTES if painter.paintings else ONE_STYLE_BYTES, "try --strokes")
    painted = painter(picture)
    images.save_image(painted, out, opacity)
    return f"wrote {out} ({picture.shape[3]} x {picture.shape[2]} pixels)"


def _paint_all(jobs: dict[Path, str], arguments: argparse.Namespace) -> int:
    """Paint what is not there yet; what cannot be read is named at the end, and the status is 2 then."""
    reads = [user_path(name) for name in (arguments.model, *arguments.style) if name]
    if any(out.exists() and path.exists() and out.samefile(path) for out in jobs for path in reads):
        raise LessonError(f"{arguments.out} holds what this command reads: choose another folder")
    waiting = {out: photo for out, photo in jobs.items() if arguments.overwrite or not out.exists()}
    if waiting:
        check_output(next(iter(waiting)), (), overwrite=True)
    painter = _painter(arguments)
    unread = []
    for out, photo in tqdm(waiting.items(), desc="painting", unit="picture", disable=not waiting):
        try:
            _paint(painter, photo, out, arguments)
        except ParameterError:  # of an option, so it would be the same for all
            raise
        except LessonError as error:
            unread.append(str(error))
    there = len(jobs) - len(waiting)
    more = f"; {there} were there already (--overwrite paints them again)" if there else ""
    say(f"wrote {len(waiting) - len(unread)} of {len(jobs)} into {arguments.out}{more}")
    if unread:
        say("nst-lesson: not painted:", *(f"  {reason}" for reason in unread), error=True)
    return BAD_INPUT if unread else 0


def _jobs(photos: list[str], out: Path) -> dict[Path, str]:
    """{file to write: what to paint}, folders being all pictures and films in them.

    Raises ParameterError where two would be one file, one would replace what is read, or `out` is not a folder.
    """
    if out.is_file() or (out.suffix.lower() in (*images.SAVE_OPTIONS, *films.WRITTEN) and not out.is_dir()):
        raise ParameterError(
            f"several pictures go into a folder, and {out} is the name of a file: leave out its suffix"
        )
    jobs: dict[Path, str] = {}
    for photo in photos:
        folder = user_path(photo)
        found = [photo]
        if photo and folder.is_dir():  # an empty name would mean the current folder
            suffixes = (*images.READ_SUFFIXES, *films.VIDEOS)
            found = sorted(str(path) for path in folder.iterdir() if path.suffix.lower() in suffixes and path.is_file())
            if not found:
                raise ParameterError(f"there are no pictures in the folder {folder}")
        for source in found:
            target = out / _name(source)
            if target in jobs:
                raise ParameterError(f"{jobs[target]} and {source} would both be {target}: rename one of them")
            if target.exists() and user_path(source).exists() and target.samefile(user_path(source)):
                raise ParameterError(f"{source} is in the folder to write into: choose another with -o")
            jobs[target] = source
    return jobs


def _name(source: str) -> str:
    """The name of the painted file of a picture or film; what cannot be written in its format becomes PNG or MP4."""
    name = Path(source.partition("?")[0] if "://" in source else source).name
    if films.is_film(user_path(source)):
        return f"{Path(name).stem}.mp4" if name.lower().endswith(films.VIDEOS) else name
    return name if Path(name).suffix.lower() in images.SAVE_OPTIONS else f"{name}.png"


def _check_format(out: Path, photo: str, film: bool) -> None:
    """ParameterError unless the suffix of `out` is one that can be written for a photograph or a film."""
    suffix = out.suffix.lower()
    first_picture = images.SAVE_OPTIONS if photo.lower().endswith(".gif") else ()  # of a video there is none to read
    if film and suffix not in (*films.WRITTEN, *first_picture):
        raise ParameterError(f"cannot write {out}: end the name in one of {', '.join(films.WRITTEN)}")
    if not film:
        if suffix in films.WRITTEN:
            images.load_image(photo, 1)  # a damaged GIF, which is not a film either: what is wrong with it comes first
            raise ParameterError(
                f"a photograph does not make a film: end {out} in one of {', '.join(images.SAVE_OPTIONS)}"
            )
        images.check_format(out)
