"""The command `nst-lesson`: run a lesson with other parameters, check the machine, paint, train."""

from __future__ import annotations

import argparse
import io
import os
import re
import signal
import sys
import warnings
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ..errors import LessonError, ParameterError, unknown
from . import export, grade, paint, stylize, train
from .command import (
    BAD_INPUT,
    FAILED,
    INTERRUPTED,
    Commands,
    Parser,
    add_command,
    add_overwrite,
    check_output,
    place,
    say,
    short,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status: 0, 1 (failed), 2 (bad input) or 130 (interrupted)."""
    if signal.getsignal(signal.SIGINT) not in (signal.SIG_IGN, signal.SIG_DFL, signal.default_int_handler):
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # Without a terminal and with closed files, as cron may start it, Python has no stdout or stderr to write to.
    sys.stdout, sys.stderr = (stream or open(os.devnull, "w") for stream in (sys.stdout, sys.stderr))
    warnings.showwarning = lambda message, *_, **__: say(f"nst-lesson: {message}", error=True)
    parser = _parser()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # as stderr does what its encoding lacks
    try:
        arguments = parser.parse_args(argv)
        status = 0
        if arguments.command:
            status = arguments.function(arguments)
        else:
            parser.print_help()
        sys.stdout.flush()
        return status
    except LessonError as error:
        return _end(BAD_INPUT, str(error))
    except ModuleNotFoundError as error:  # one of the extra, which only the commands that need it import
        return _end(BAD_INPUT, f'{error.name} is not installed; do: pip install "nst-lesson[lab]"')
    except BrokenPipeError:  # `nst-lesson doctor | head -1`: whoever read the output has gone
        return _end(FAILED)
    except UnicodeError as error:
        return _end(BAD_INPUT, f"a name or a text is not UTF-8 ({error}): rename the file or folder")
    except OSError as error:
        return _end(BAD_INPUT, str(error))
    except (MemoryError, RuntimeError) as error:  # torch has no class of its own for a CPU's memory
        if not isinstance(error, MemoryError) and not re.search("DefaultCPUAllocator|out of memory", str(error)):
            raise
        advice = "take a smaller --size (or, for train, a smaller --batch-size)"
        return _end(BAD_INPUT, f"this does not fit into memory: {advice}")
    except KeyboardInterrupt:
        return _end(INTERRUPTED, "interrupted")


def _end(status: int, reason: str = "") -> int:
    """Say why the command ends, and give up output that cannot be written, so that Python does not report it again."""
    with suppress(OSError):
        if reason:
            say(f"nst-lesson: {reason}", error=True)
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return status


def _parser() -> Parser:
    parser = Parser(prog="nst-lesson", description=__doc__, allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"nst-lesson {_version()}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    _add_run(commands)
    text = "list what can be changed in a lesson: name, type, default and meaning"
    add_command(commands, "params", params, text).add_argument("lesson", metavar="LESSON", help="such as 04")
    add_command(commands, "doctor", doctor, "check this machine: a list of [OK] and [FAIL] with a remedy for each")
    fetch_command = add_command(commands, "fetch", fetch, "download weights, a painting or photographs ahead of class")
    fetch_command.add_argument("name", metavar="NAME", help="vgg19, vgg16, vgg16-caffe, coco-val2017, or a painting")
    for module in (stylize, paint, train, export, grade):
        module.add_parser(commands)
    notebooks_command = add_command(commands, "notebooks", notebooks, "execute lessons in place")
    html_command = add_command(commands, "html", html, "write lessons as HTML pages")
    for command in (notebooks_command, html_command):
        command.add_argument("lessons", nargs="*", metavar="LESSON", help="number, name or file; all if none is given")
    text = "where to write (default: site)"
    html_command.add_argument("-o", "--out-dir", type=place, default="site", metavar="DIR", help=text)
    slides_command = add_command(commands, "slides", slides, "write slides for the projector, one HTML page")
    text = "Markdown with pictures of lessons (default: the workshop's, notebooks/slides.md)"
    slides_command.add_argument("deck", nargs="?", type=place, metavar="DECK", help=text)
    slides_command.add_argument("-o", "--out", type=place, required=True, metavar="FILE", help="such as slides.html")
    add_overwrite(slides_command)
    handout_command = add_command(
        commands, "handout", handout, "write the lessons without solutions and outputs, for a class"
    )
    handout_command.add_argument("folder", type=place, metavar="DIR", help="where to write")
    add_overwrite(handout_command)
    badges_command = add_command(
        commands, "badges", badges, "write this clone's address on GitHub into the lessons, with Colab badges"
    )
    badges_command.add_argument("--repo", required=True, metavar="OWNER/NAME", help='on GitHub; "" takes them out')
    badges_command.add_argument("--branch", default="main", help="default: main")
    return parser


def _add_run(commands: Commands) -> None:
    """The command `run` and its options."""
    command = add_command(commands, "run", run, "execute a lesson, with parameters of your own")
    command.add_argument("lesson", metavar="LESSON", help="number, name or file, such as 04")
    command.add_argument(
        "-p", "--parameter", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"), help="may be repeated"
    )
    files = command.add_mutually_exclusive_group()
    text = "parameters: a YAML file, or the results.json of a run to repeat; -p takes precedence"
    files.add_argument("-f", "--file", metavar="FILE", help=text)
    files.add_argument("--recipe", metavar="NAME", help="a published recipe, a file of notebooks/recipes")
    command.add_argument("-o", "--out-dir", default="", metavar="DIR", help="default: runs/<lesson>-<time>")
    text = "leave out the cells tagged `extra`: the main experiment alone"
    command.add_argument("--no-extras", dest="extras", action="store_false", help=text)


def run(arguments: argparse.Namespace) -> int:
    """Execute a lesson and say what it left and where."""
    from ..course import runs
    from ..course.files import find_recipe
    from ..course.lesson import read_parameters
    from ..course.results import results_in

    if arguments.file == "":
        raise ParameterError("the name of the parameter file is empty")
    file = arguments.file if arguments.recipe is None else find_recipe(arguments.recipe)
    values = {} if file is None else read_parameters(file)
    values |= dict(arguments.parameter)
    try:
        folder = runs.run_lesson(arguments.lesson, values, out_dir=arguments.out_dir, extras=arguments.extras)
    except runs.RunFailed as error:
        say(*f"nst-lesson: {error}".split("\n"), error=True)
        return FAILED
    say(f"results in {short(folder)}:", *(f"  {name}" for name in sorted(results_in(folder))))
    return 0


def params(arguments: argparse.Namespace) -> int:
    """Print the parameters of a lesson, in columns."""
    from ..course.files import find_lesson
    from ..course.lesson import Lesson

    found = Lesson.read(find_lesson(arguments.lesson)).parameters.items()
    rows = [(name, p.annotation, repr(p.default), p.comment) for name, p in found]
    widths = [max(len(row[column]) for row in rows) for column in range(3)] if rows else []
    for row in rows:
        say("  ".join([*(text.ljust(width) for text, width in zip(row, widths, strict=False)), row[3]]))
    return 0


def notebooks(arguments: argparse.Namespace) -> int:
    """Execute lessons at their defaults and store their outputs in place; the first that fails ends it."""
    from ..course import runs

    for path in _chosen(arguments.lessons):
        try:
            runs.execute_in_place(path)
        except runs.RunFailed as error:
            say(*f"nst-lesson: {path.stem}: {error}".split("\n"), error=True)
            return FAILED
        say(f"stored {short(path)} ({path.stat().st_size // 1024} KB)")
    return 0


def html(arguments: argparse.Namespace) -> int:
    """Write lessons, as they are stored, as HTML pages with an index."""
    from ..course.pages import write_site

    index = write_site(_chosen(arguments.lessons), arguments.out_dir)
    say(f"pages in {short(arguments.out_dir)}: open {short(index)}")
    return 0


def slides(arguments: argparse.Namespace) -> int:
    """Write a deck of slides."""
    from ..course.slides import workshop_deck, write_slides

    deck = arguments.deck or workshop_deck()
    check_output(arguments.out, [str(deck)], arguments.overwrite)
    count = write_slides(arguments.out, deck)
    say(f"{count} slides in {short(arguments.out)}")
    return 0


def handout(arguments: argparse.Namespace) -> int:
    """Write the lessons for a class to work on."""
    from ..course.publish import write_handout

    written = write_handout(arguments.folder, arguments.overwrite)
    say(f"{len(written)} lessons without solutions in {short(arguments.folder)}")
    return 0


def badges(arguments: argparse.Namespace) -> int:
    """Write address and badges into this clone."""
    from ..course.publish import write_badges

    changed = write_badges(arguments.repo, arguments.branch)
    say(f"{len(changed)} files changed", *(f"  {short(path)}" for path in changed))
    return 0


def fetch(arguments: argparse.Namespace) -> int:
    """Download weights, a painting or photographs into the cache, where the lessons find them without internet."""
    from ..networks import backbones
    from ..pictures import images, photographs

    collections, pictures = photographs.COLLECTIONS, images.download_names()
    networks = (*backbones.BACKBONES, *backbones.published_names())
    if arguments.name in collections:
        say(f"the photographs are in {photographs.fetch_photographs(arguments.name)}")
    elif arguments.name in pictures:
        images.load_image(arguments.name)
        say(f"{arguments.name} is in the cache")
    elif arguments.name in networks:
        say(f"{arguments.name} is at {backbones.fetch_weights(arguments.name)}")
    else:
        raise unknown("name", arguments.name, dict.fromkeys((*collections, *pictures, *networks)))
    return 0


def doctor(arguments: argparse.Namespace) -> int:
    """Check the machine; status 1 where something that the course needs is missing."""
    from ..course.doctor import report

    return 0 if report() else FAILED


def _chosen(names: Sequence[str]) -> list[Path]:
    """The files of the lessons named, or of all."""
    from ..course.files import find_lesson, lessons

    return [find_lesson(name) for name in names] or list(lessons().values())


def _version() -> str:
    """The installed version."""
    try:
        return version("nst-lesson")
    except PackageNotFoundError:
        return "(not installed)"
