"""Lessons of a few lines, and lessons made quick, for tests of what runs lessons."""

from __future__ import annotations

from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

PARAMETERS = """\
style: str = "nocturne"  # a name or a file
steps: int = 200  # evaluations of the objective
learning_rate: float = 1.0  # of the optimizer
style_layers: list[str] = ["relu1_1"]  # layers whose Gram matrices count
live: bool = False  # show the preview
out_dir: str = ""  # where results go"""


def write_lesson(path: Path, *code: str, parameters: str = PARAMETERS, title: str = "# A tiny lesson") -> Path:
    """Write a lesson with a title, its parameters and the given code cells; returns its path."""
    cells = [new_markdown_cell(title), new_code_cell(parameters, metadata={"tags": ["parameters"]})]
    cells += [new_code_cell(source) for source in code]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)
    return path


def reduced(notebook: NotebookNode, **values: object) -> NotebookNode:
    """A lesson with other values of its parameters, in their cell, and without outputs; the notebook itself changes."""
    (parameters,) = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    parameters.source += "".join(f"\n{name} = {value!r}" for name, value in values.items())
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return notebook
