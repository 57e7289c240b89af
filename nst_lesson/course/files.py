"""The lessons and recipes as files: where they are, how one is found by its name, how a notebook is read."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from ..errors import LessonError, reason_of, unknown
from ..paths import notebooks_dir, user_path

UNREADABLE = (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, nbformat.ValidationError)
WIDGET = "application/vnd.jupyter.widget-view+json"


def lessons() -> dict[str, Path]:
    """The lessons in order: name without `.ipynb` -> file. Raises LessonError as `notebooks_dir` does."""
    return {path.stem: path for path in sorted(notebooks_dir().glob("[0-9]*.ipynb"))}


def find_lesson(lesson: str | os.PathLike[str]) -> Path:
    """The file of a lesson given by number ("4" or "04"), by name ("04_gatys_style_transfer"), or as a path.

    Raises ParameterError, with the most similar name, where there is none.
    """
    text = os.fspath(lesson)
    if text.endswith(".ipynb") and (path := user_path(text)).is_file():
        return path
    known = lessons()
    for name, path in known.items():
        if text == name or (text.isdecimal() and int(text) == int(name.split("_")[0])):
            return path
    raise unknown("lesson", text, known)


def find_recipe(name: str) -> Path:
    """The parameter file notebooks/recipes/<name>.yaml. Raises ParameterError, with the most similar name."""
    known = {path.stem: path for path in sorted((notebooks_dir() / "recipes").glob("*.yaml"))}
    if name not in known:
        raise unknown("recipe", name, known)
    return known[name]


def read_notebook(path: Path) -> NotebookNode:
    """The notebook in a file, brought to nbformat 4. Raises LessonError where the file is not a notebook."""
    if path.exists() and not path.is_file():
        raise LessonError(f"{path} is not a notebook but a folder, a pipe or a device")
    try:
        notebook = nbformat.read(path, as_version=4)
    except UNREADABLE as error:  # what nbformat raises for files of other kinds has no common class
        raise LessonError(f"{path} cannot be read as a notebook: {reason_of(error)}") from None
    for cell in notebook.cells:  # other tools leave out what the format requires
        needed: dict[str, Any] = {"source": "", "metadata": NotebookNode()}
        needed |= {"outputs": [], "execution_count": None} if cell.cell_type == "code" else {}
        cell.update(needed | cell)
        if cell.metadata.get("tags") is None:
            cell.metadata.pop("tags", None)
    return notebook


def title_of(notebook: NotebookNode, path: Path) -> str:
    """The first heading of a notebook, or else the name of its file."""
    prose = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    heading = re.search(r"^# +(.+)$", prose, re.MULTILINE)
    return heading[1].strip() if heading else path.stem


def without_widgets(notebook: NotebookNode) -> NotebookNode:
    """The notebook, changed: without the views of widgets, which are dead outside a running kernel."""
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if WIDGET not in output.get("data", {})]
    return notebook
