"""The folder of results: nothing in it is replaced but what earlier runs left there, and a failure changes nothing.

A run works in a hidden folder inside the folder of results, so that moving what it made to its place is a rename. Its
notebook, which moves last, lists the digests of all files: a later run may replace those, as long as nobody has
changed them since. A file that is anyone else's keeps its name, and the new one gets another.
"""

from __future__ import annotations

import hashlib
import itertools
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import nbformat

from ..errors import LessonError, reason_of
from ..paths import made, write_text
from .files import read_notebook

KEY = "nst_lesson"  # of the list in a notebook's metadata


@contextmanager
def writable(folder: Path, new: bool = False) -> Iterator[None]:
    """Make a folder, and take away again what was made (and, if `new`, the folder itself) where it stays empty.

    Raises LessonError where the folder cannot be made or written into.
    """
    try:
        with made(folder):
            yield
    except OSError as error:
        raise LessonError(f"cannot write into {folder} ({reason_of(error)}): choose another folder") from None
    finally:
        if new:
            with suppress(OSError):  # it has something in it
                folder.rmdir()


def results_in(folder: Path) -> dict[str, str]:
    """The files in a folder that runs left there and nobody has changed since: name -> digest."""
    left = {}
    for path in sorted(folder.glob("*.ipynb")):
        with suppress(LessonError):  # a notebook that cannot be read is not a result
            notebook = read_notebook(path)
            listed = notebook.metadata.pop(KEY, {})
            own = {path.name: _digest(nbformat.writes(notebook).encode())}
            for name, digest in listed.items() if isinstance(listed, dict) else ():
                if digest == (own.get(name) or _digest_of(folder / name)):
                    left[name] = digest
    return left


def check_folder(folder: Path, lesson: Path) -> None:
    """Raise LessonError for a folder that holds the lesson itself, or another's files where its results would be."""
    if any(os.path.samefile(folder, place) for place in (lesson.parent, lesson.resolve().parent)):
        raise LessonError(f"the results cannot go into {folder}, the folder of {lesson.name} itself: choose another")
    mine = results_in(folder)
    for name in (lesson.name, f"{lesson.stem}.html", "results.json"):
        if name not in mine and os.path.lexists(folder / name):
            raise LessonError(f"{folder / name} is not what a run left there: move it, or choose another folder")


def move_results(made: Path, folder: Path, notebook: Path) -> None:
    """Move the files below `made` into the folder of results, each at once, and the run's notebook, which is last."""
    earlier = results_in(folder)
    digests: dict[str, str | None] = dict(earlier)
    moves = []
    for path in sorted(made.rglob("*")):
        if path.is_file() and path != notebook:
            name = path.relative_to(made).as_posix()
            target = folder / name if name in earlier else free_path(folder / name)
            digests[target.relative_to(folder).as_posix()] = _digest_of(path)
            moves.append((path, target))
    content = read_notebook(notebook)
    content.metadata.pop(KEY, None)
    digests[notebook.name] = _digest(nbformat.writes(content).encode())
    content.metadata[KEY] = digests
    rewrite(notebook, nbformat.writes(content))
    for path, target in [*moves, (notebook, folder / notebook.name)]:
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(path, target)


def rewrite(file: Path, text: str) -> None:
    """Replace the text of a result. Where the disk is full it stays as it was, with a warning: the run is not lost."""
    try:
        write_text(file, text)
    except OSError as error:
        logging.getLogger(__name__).warning("%s stays as the lesson left it (%s)", file.name, reason_of(error))


def free_path(path: Path) -> Path:
    """The path, or, where something is there, the same with the first number that is free."""
    names = (path if n == 1 else path.with_stem(f"{path.stem}-{n}") for n in itertools.count(1))
    return next(name for name in names if not os.path.lexists(name))


def _digest_of(path: Path) -> str | None:
    """The digest of a file, or None where there is none."""
    return _digest(path.read_bytes()) if path.is_file() else None


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
