"""The command `nst-lesson`: run a lesson with other parameters, check the machine, fetch weights and paintings."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType

from ..errors import LessonError

INTERRUPTED = 130  # 128 + SIGINT, as a shell reports it
ANY_STYLE_SIZE = 1536  # longer side of a photograph in pixels, as it goes through the any-style network in one piece
STYLE_SIZE = 384  # longer side of a painting in pixels, as large as the any-style network likes its marks


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status: 0, 1 (failed), 2 (bad input) or 130 (interrupted)."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    if not arguments.command:
        parser.print_help()
        return 0
    try:
        return arguments.function(arguments)
    except LessonError as error:
        print(f"nst-lesson: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("nst-lesson: interrupted", file=sys.stderr)
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="nst-lesson", description=__doc__, allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"nst-lesson {_version()}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    _add_run(commands)
    _add(commands, doctor, "check this machine: a list of [OK] and [FAIL] with a remedy for each")
    fetch_command = _add(commands, fetch, "download weights, a painting or photographs ahead of class")
    fetch_command.add_argument("name", metavar="NAME", help="vgg19, vgg16, vgg16-caffe, coco-val2017, or a painting")
    _add_stylize(commands)
    for function, text in ((notebooks, "execute lessons in place"), (html, "write lessons as HTML pages")):
        command = _add(commands, function, text)
        command.add_argument("lessons", nargs="*", metavar="LESSON", help="number, name or file; all if none is given")
    command.add_argument("-o", "--out-dir", default="site", metavar="DIR", help="where to write (default: site)")
    handout_command = _add(commands, handout, "write the lessons without solutions and outputs, for a class")
    handout_command.add_argument("folder", type=Path, metavar="DIR", help="where to write")
    badges_command = _add(commands, badges, "write this clone's address on GitHub into the lessons, with Colab badges")
    badges_command.add_argument("--repo", required=True, metavar="OWNER/NAME", help='on GitHub; "" takes them out')
    badges_command.add_argument("--branch", default="main", help="default: main")
    return parser


def _add_run(commands: argparse._SubParsersAction) -> None:
    """The command `run` and its options."""
    command = _add(commands, run, "execute a lesson, with parameters of your own")
    command.add_argument("lesson", metavar="LESSON", help="number, name or file, such as 04")
    command.add_argument(
        "-p", "--parameter", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"), help="may be repeated"
    )
    files = command.add_mutually_exclusive_group()
    text = "parameters: a YAML file, or the results.json of a run to repeat; -p goes before it"
    files.add_argument("-f", "--file", metavar="FILE", help=text)
    files.add_argument("--recipe", metavar="NAME", help="a published recipe, a file of notebooks/recipes")
    command.add_argument("-o", "--out-dir", default="", metavar="DIR", help="default: runs/<lesson>-<time>")


def _add_stylize(commands: argparse._SubParsersAction) -> None:
    """The command `stylize` and its options."""
    command = _add(commands, stylize, "paint a photograph in one pass with a trained network")
    command.add_argument("photo", metavar="PHOTO", help="a path, an address or a sample's name")
    manner = command.add_mutually_exclusive_group(required=True)
    manner.add_argument("--model", metavar="NAME", help="a style that comes with the course, or a file")
    manner.add_argument("--style", metavar="PICTURE", help="any painting: a path, an address or a sample's name")
    command.add_argument("--size", type=int, metavar="PIXELS", help="longer side; default: as large as the photo is")
    command.add_argument("-o", "--out", required=True, metavar="FILE", help="the picture to write, such as out.png")


def _add(commands: argparse._SubParsersAction, function, text: str) -> argparse.ArgumentParser:
    """A command that calls a function of its own name."""
    command = commands.add_parser(function.__name__, help=text, description=text, allow_abbrev=False)
    command.set_defaults(function=function)
    return command


def run(arguments: argparse.Namespace) -> int:
    """Execute a lesson and say what it left and where."""
    course = _course()
    file = course.find_recipe(arguments.recipe) if arguments.recipe else arguments.file
    values = course.read_parameters(file) if file else {}
    values |= dict(arguments.parameter)
    try:
        folder = course.run_lesson(arguments.lesson, values, out_dir=arguments.out_dir)
    except course.RunFailed as error:
        print(f"nst-lesson: {error}", file=sys.stderr)
        return 1
    print(f"results in {_short(folder)}:")
    for path in sorted(folder.iterdir()):
        print(f"  {path.name}")
    return 0


def notebooks(arguments: argparse.Namespace) -> int:
    """Execute lessons at their defaults and store their outputs in place; the first that fails ends it."""
    course = _course()
    for path in _chosen(course, arguments.lessons):
        try:
            course.execute_in_place(path)
        except course.RunFailed as error:
            print(f"nst-lesson: {path.stem}: {error}", file=sys.stderr)
            return 1
        print(f"stored {_short(path)} ({path.stat().st_size // 1024} KB)")
    return 0


def html(arguments: argparse.Namespace) -> int:
    """Write lessons, as they are stored, as HTML pages with an index."""
    course = _course()
    from ..course import pages

    folder = Path(arguments.out_dir)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LessonError(f"cannot make the folder {folder}: {error.strerror}; choose another with -o") from None
    pages.write_site(_chosen(course, arguments.lessons), folder)
    print(f"pages in {_short(folder)}: open {_short(folder / 'index.html')}")
    return 0


def handout(arguments: argparse.Namespace) -> int:
    """Write the lessons for a class to work on."""
    _course()
    from ..course.publish import write_handout

    written = write_handout(arguments.folder)
    print(f"{len(written)} lessons without solutions in {_short(arguments.folder)}")
    return 0


def badges(arguments: argparse.Namespace) -> int:
    """Write address and badges into this clone."""
    _course()
    from ..course.publish import write_badges

    changed = write_badges(arguments.repo, arguments.branch)
    print(f"{len(changed)} files changed" + "".join(f"\n  {_short(path)}" for path in changed))
    return 0


def fetch(arguments: argparse.Namespace) -> int:
    """Download weights, a painting or photographs into the cache, where the lessons find them without internet."""
    from ..networks import backbones
    from ..pictures import images, photographs

    if arguments.name in photographs.COLLECTIONS:
        print(f"the photographs are in {photographs.fetch_photographs(arguments.name)}")
    elif arguments.name in images.download_names():
        images.load_image(arguments.name)
        print(f"{arguments.name} is in the cache")
    else:
        print(f"{arguments.name} is at {backbones.fetch_weights(arguments.name)}")
    return 0


def stylize(arguments: argparse.Namespace) -> int:
    """Write a photograph, painted by a trained network."""
    from ..networks import adain, transformer
    from ..pictures import images

    images.check_format(arguments.out)
    photo = images.load_image(arguments.photo, arguments.size or (None if arguments.model else ANY_STYLE_SIZE))
    if arguments.model:
        painted = transformer.stylize(transformer.load_style_model(arguments.model), photo)
    else:
        painted = adain.stylize_any(adain.load_any_style(), photo, images.load_image(arguments.style, STYLE_SIZE))
    images.save_image(painted, arguments.out)
    print(f"wrote {arguments.out} ({photo.shape[3]} x {photo.shape[2]} pixels)")
    return 0


def doctor(arguments: argparse.Namespace) -> int:
    """Check the machine; status 1 where something that the course needs is missing."""
    from ..course.doctor import report

    return 0 if report() else 1


def _course() -> ModuleType:
    """The module that runs lessons. Raises LessonError where the extra `lab`, which it needs, is not installed."""
    try:
        from ..course import runs as course
    except ModuleNotFoundError as error:
        raise LessonError(f'{error.name} is not installed; do: pip install "nst-lesson[lab]"') from None
    return course


def _chosen(course: ModuleType, names: Sequence[str]) -> list[Path]:
    """The files of the lessons named, or of all."""
    return [course.find_lesson(name) for name in names] or list(course.lessons().values())


def _short(path: Path) -> str:
    """The path as one would type it from the current folder."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def _version() -> str:
    """The installed version."""
    try:
        return version("nst-lesson")
    except PackageNotFoundError:
        return "(not installed)"


if __name__ == "__main__":
    sys.exit(main())
