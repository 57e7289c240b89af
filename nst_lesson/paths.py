"""Where things are: the data that ships with the package, the cache for downloads, the folder of a run."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pooch

from .errors import LessonError

PACKAGE = Path(__file__).resolve().parent


def data_dir() -> Path:
    """The folder `data`: beside the package in a clone, inside it in an installed wheel.

    Raises LessonError where neither exists (a broken installation).
    """
    for folder in (PACKAGE / "data", PACKAGE.parent / "data"):
        if (folder / "styles").is_dir():
            return folder
    raise LessonError(f"the course's data folder is missing beside {PACKAGE}: install nst_lesson again")


def cache_dir() -> Path:
    """Where downloads are kept: NST_LESSON_CACHE if set, else the user's cache folder. Created by whoever writes."""
    return Path(os.environ.get("NST_LESSON_CACHE") or pooch.os_cache("nst_lesson"))


def run_folder(lesson: str, out_dir: str = "") -> Path:
    """Create and return the folder of one run: `out_dir`, or a new `runs/<lesson>-<time>` below the clone's root.

    Outside a clone `runs` is made in the current folder. A new folder is never shared: where two runs start in the
    same second the later gets a number. Raises LessonError where the folder cannot be made.
    """
    clone = (PACKAGE.parent / "notebooks").is_dir()
    base = Path(out_dir) if out_dir else (PACKAGE.parent if clone else Path.cwd()) / "runs"
    try:
        base.mkdir(parents=True, exist_ok=True)
        if out_dir:
            return base
        stem, number = f"{lesson}-{time.strftime('%Y%m%d-%H%M%S')}", 1
        while True:
            folder = base / (stem if number == 1 else f"{stem}-{number}")
            try:
                folder.mkdir()
                return folder
            except FileExistsError:
                number += 1
    except OSError as error:
        raise LessonError(f"cannot make the folder {base}: {error.strerror}; choose another with out_dir") from None


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary name beside `path`; on success it is renamed to `path`, on failure removed.

    A reader sees the old file or the new one, never half of one. The temporary name keeps the suffix. Folders on the
    way that do not exist are made.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _umask() -> int:
    """The process's umask (it can only be read by setting it)."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
