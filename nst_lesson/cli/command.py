"""What the commands share: how one is declared, how it prints, and how it keeps from replacing a user's files."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn, TypeAlias, TypeVar

import psutil

from ..errors import LessonError, printable
from ..paths import user_path


class Parser(argparse.ArgumentParser):
    """argparse's, which says in one line what is wrong; the parsers of its commands are of this kind, too."""

    def error(self, message: str) -> NoReturn:
        """Raise LessonError instead of printing the usage and leaving Python."""
        raise LessonError(f"{message} ({self.prog} --help says more)")


FAILED, BAD_INPUT, SIGNALED = 1, 2, 128  # exit statuses; the number of a signal is added to the last, as a shell does
INTERRUPTED = SIGNALED + signal.SIGINT
Number = TypeVar("Number", int, float)
Commands: TypeAlias = "argparse._SubParsersAction[Parser]"  # what `add_subparsers` gives; it has no public name


def add_command(commands: Commands, name: str, function: Callable[[argparse.Namespace], int], text: str) -> Parser:
    """A command that calls `function` with its arguments and ends with the exit status that it returns."""
    command = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
    command.set_defaults(function=function)
    return command


def whole(least: int, most: int) -> Callable[[str], int]:
    """A type of option: a whole number from `least` to `most`."""
    return _between(int, least, most, f"a whole number from {least} to {most}")


def number(least: float, most: float) -> Callable[[str], float]:
    """A type of option: a number from `least` to `most`."""
    return _between(float, least, most, f"a number from {least:g} to {most:g}")


def _between(kind: type[Number], least: Number, most: Number, what: str) -> Callable[[str], Number]:
    def read(text: str) -> Number:
        """The number. Raises argparse's error, which names the option."""
        with suppress(ValueError):
            if least <= kind(text) <= most:  # false for NaN
                return kind(text)
        raise argparse.ArgumentTypeError(f"give {what}, not {text!r}")

    return read


def place(text: str) -> Path:
    """A type of option: a path, as `user_path` reads it. Raises argparse's error, which names the option."""
    if not text:
        raise argparse.ArgumentTypeError("the name is empty: name a place, or . for the current folder")
    try:
        return user_path(text)
    except LessonError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def add_overwrite(command: Parser) -> None:
    """The option of a command that would otherwise refuse to replace files."""
    command.add_argument("--overwrite", action="store_true", help="replace files that are there")


def check_output(out: Path, inputs: Iterable[str | None], overwrite: bool) -> None:
    """Raise LessonError where `out` cannot be written, is one of `inputs`, or is there and may not be replaced."""
    folder = next(folder for folder in out.absolute().parents if folder.exists())
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise LessonError(f"cannot write {out} ({error.strerror}): choose another place") from None
    if not out.exists():
        return
    if out.is_dir():
        raise LessonError(f"{out} is a folder: name a file")
    paths = [user_path(name) for name in inputs if name]
    if any(path.exists() and path.samefile(out) for path in paths):
        raise LessonError(f"{out} is read by this command: write to another file")
    if not overwrite:
        raise LessonError(f"{out} is there already: choose another name, or add --overwrite")


def expect_memory(sides: tuple[int, int], each: int, option: str, margin: int = 0) -> None:
    """Raise LessonError where a picture of these sides is more than what is free, at `each` bytes of memory a pixel.

    `margin` pixels are added to it at each border. The message names an `option` and the longer side in pixels that
    fits. Systems promise more memory than they have and then end the process, so that waiting for an error is not an
    option.
    """
    framed = [side + 2 * margin for side in sides]
    needed, free = framed[0] * framed[1] * each, psutil.virtual_memory().available
    if needed > free:
        fits = max(0, int(max(framed) * (free / needed) ** 0.5) - 2 * margin) // 10 * 10
        raise LessonError(
            f"this takes about {needed / 1e9:.1f} GB of memory, {free / 1e9:.1f} are free: {option} {fits}"
        )


def say(*lines: object, error: bool = False) -> None:
    """Print lines, as far as a terminal can show them."""
    for line in lines:
        print(printable(line), file=sys.stderr if error else sys.stdout)


def short(path: Path) -> str:
    """The path as one would type it from the current folder."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
