"""Reading notebooks as files."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from ..errors import LessonError

WIDGET = "application/vnd.jupyter.widget-view+json"


def read_notebook(path: Path) -> NotebookNode:
    """The notebook in a file, brought to nbformat 4. Raises LessonError where the file is none."""
    try:
        return nbformat.read(path, as_version=4)
    except (OSError, ValueError, KeyError, AttributeError, nbformat.ValidationError) as error:
        raise LessonError(f"{path} cannot be read as a notebook: {' '.join(str(error).split())[:200]}") from None


def title_of(notebook: NotebookNode, path: Path) -> str:
    """The first heading of a notebook, or else the name of its file."""
    prose = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    heading = re.search(r"^# +(.+)$", prose, re.MULTILINE)
    return heading[1].strip() if heading else path.stem


def without_widgets(notebook: NotebookNode) -> NotebookNode:
    """The notebook without the views of widgets, which are dead outside a running kernel."""
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if WIDGET not in output.get("data", {})]
    return notebook
