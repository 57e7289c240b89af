"""A lesson run as nbval runs it: in a kernel of its own, from another folder than the lesson's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import papermill

from nst_lesson.course.lesson import Lesson

SECONDS = 1800  # a cell's limit; the slowest at the defaults, on a busy machine, takes a tenth


def run_copy(lesson: Path, folder: Path, extras: bool = True, **values: object) -> subprocess.CompletedProcess:
    """Run a copy of a lesson in folder/copy, from folder/elsewhere; what it makes goes to folder/out.

    papermill injects the values without running the copy, and nbval runs it: unlike papermill it also sees errors
    inside the callbacks of widgets.
    """
    for name in ("copy", "elsewhere"):
        (folder / name).mkdir()
    copy, read = folder / "copy" / lesson.name, Lesson.read(lesson)
    notebook = read.notebook if extras else read.main_experiment()
    typed = read.check(values | {"out_dir": str(folder / "out")})
    papermill.execute_notebook(notebook, str(copy), typed, prepare_only=True, progress_bar=False)
    options = f"--nbval-lax --nbval-current-env --nbval-cell-timeout={SECONDS} -qx --color=no"
    plugins = "-p no:cacheprovider -p no:benchmark"  # they leave folders behind
    command = [sys.executable, "-m", "pytest", *options.split(), *plugins.split(), str(copy)]
    return subprocess.run(command, cwd=folder / "elsewhere", capture_output=True, text=True)
