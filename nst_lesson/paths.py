"""Where things are: the data that ships with the package, the cache for downloads, the folder of a run."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import platformdirs
from filelock import FileLock, Timeout

from .errors import LessonError

LOCK = ".nst-lesson.lock"  # of a folder of results, and of a temporary one
TEMPORARY = ".nst-"  # how the names of temporary folders begin
PACKAGE = Path(__file__).resolve().parent


def data_dir() -> Path:
    """The folder `data`. Raises LessonError where it is missing (a broken installation)."""
    return _shipped("data")


def notebooks_dir() -> Path:
    """The folder of the lessons. Raises LessonError where it is missing (a broken installation)."""
    return _shipped("notebooks")


def _shipped(name: str) -> Path:
    """A folder of the course: beside the package in a clone, inside it in an installed wheel."""
    for folder in (PACKAGE / name, PACKAGE.parent / name):
        if folder.is_dir():
            return folder
    raise LessonError(f"the course's folder {name} is missing beside {PACKAGE}: install nst_lesson again")


def user_path(path: str | os.PathLike[str]) -> Path:
    """A path as a user writes it, "~" being the home folder. Raises LessonError for what cannot be a path."""
    if "\0" in os.fspath(path):
        raise LessonError(f"{path!r} is not a path: it holds a NUL character")
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise LessonError(f"cannot find {path} ({error}): write the whole path") from None


def cache_dir() -> Path:
    """Where downloads are kept: NST_LESSON_CACHE if set, else the user's cache folder. Created by whoever writes."""
    return user_path(os.environ.get("NST_LESSON_CACHE") or platformdirs.user_cache_dir("nst_lesson"))


def run_folder(lesson: str, out_dir: str = "") -> Path:
    """Create and return the folder of one run: `out_dir`, or a new `runs/<lesson>-<time>` below the clone's root.

    Outside a clone `runs` is made in the current folder. A new folder is never shared: where two runs start in the
    same second the later gets a number. Raises LessonError where the folder cannot be made.
    """
    clone = (PACKAGE.parent / "pyproject.toml").is_file()
    base = user_path(out_dir) if out_dir else (PACKAGE.parent if clone else Path.cwd()) / "runs"
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
    way that do not exist are made. The file has the permissions that any new file of this process has. What a killed
    process leaves, `sweep` finds.
    """
    path = user_path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # A private folder beside the file: what is made in it gets the permissions of the umask, which cannot be read
    # without changing it for every thread.
    with workplace(path.parent) as folder:
        temporary, ordinary = folder / path.name, folder / "ordinary"
        yield temporary
        if temporary.is_file():  # safetensors makes files that nobody else may read
            ordinary.touch()
            temporary.chmod(stat.S_IMODE(ordinary.stat().st_mode))
        os.replace(temporary, path)


@contextmanager
def workplace(parent: Path) -> Iterator[Path]:
    """A hidden folder in `parent` for as long as it is needed; what a killed process leaves, `sweep` finds."""
    with (
        tempfile.TemporaryDirectory(prefix=TEMPORARY, dir=parent, ignore_cleanup_errors=True) as folder,
        FileLock(Path(folder, LOCK)),  # tells `sweep` that this process is alive
    ):
        yield Path(folder)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a file of UTF-8 text, all of it or nothing (`atomic_path`)."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def sweep(folder: str | os.PathLike[str]) -> None:
    """Remove the temporary folders that a `workplace` left in `folder` when its process was killed, and nothing else.

    A killed process holds no lock, a living one does.
    """
    for left in user_path(folder).glob(f"{TEMPORARY}*"):
        if (left / LOCK).is_file():
            with suppress(OSError, Timeout), FileLock(left / LOCK, timeout=0):
                shutil.rmtree(left, ignore_errors=True)


@contextmanager
def made(folder: Path) -> Iterator[None]:
    """Make a folder, and take away again what was made where it stays empty. Raises OSError."""
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    finally:
        for place in missing:
            with suppress(OSError):  # it has something in it
                place.rmdir()


@contextmanager
def locked(folder: str | os.PathLike[str], what: str) -> Iterator[Path]:
    """Hold a folder of results alone, which is `made` if need be; raises LessonError where another process has it.

    `what` says what is done there, such as "run". The lock is a hidden file in the folder, which goes with the holder.
    What killed processes left there is swept.
    """
    folder = user_path(folder)
    with ExitStack() as stack:
        try:
            stack.enter_context(made(folder))
            stack.enter_context(hold(folder / LOCK, timeout=0))
            sweep(folder)
        except Timeout:
            advice = "wait for it, or choose another folder"
            raise LessonError(f"another {what} is writing into {folder}: {advice}") from None
        except OSError as error:
            raise LessonError(f"cannot write into {folder}: {error.strerror}; choose another folder") from None
        yield folder


@contextmanager
def hold(file: Path, *, timeout: float) -> Iterator[None]:
    """Hold a lock file that nobody else holds, and remove it at the end. A killed process holds nothing.

    Raises filelock.Timeout where it cannot be had in `timeout` seconds (-1: no limit), OSError where it cannot be made.
    """
    lock = FileLock(file)
    while True:
        with file.open("ab") as known:  # while it is open no other file can have its number
            lock.acquire(timeout=timeout)
            with suppress(OSError):
                if os.path.samestat(os.fstat(known.fileno()), file.stat()):
                    break
        lock.release()  # its last holder was removing the file that we locked: nobody else would meet that lock
    try:
        yield
    finally:
        with suppress(OSError):  # Windows cannot remove what is open
            file.unlink()
        lock.release()
