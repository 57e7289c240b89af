"""Exercises as their notebooks state them, so that tests hold every folded solution to pass its own check."""

from __future__ import annotations

import contextlib
import functools
import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nbformat
import torch

import nst_lesson as nst

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
CODE = "\0"  # before and after each code cell in the lesson's text


@dataclass(frozen=True)
class Exercise:
    """One exercise: its heading, the code that the student starts from, and the code of the folded solution."""

    title: str
    stub: str
    solution: str


def exercises(lesson: str) -> list[Exercise]:
    """The exercises of notebooks/<lesson>.ipynb in order: what is between `### Exercise` and the next heading."""
    cells = nbformat.read(NOTEBOOKS / f"{lesson}.ipynb", as_version=4).cells
    text = "\n".join(f"{CODE}{cell.source}{CODE}" if cell.cell_type == "code" else cell.source for cell in cells)
    return [_exercise(part) for part in re.split(r"(?m)^(?=#{2,3} )", text) if part.startswith("### Exercise")]


def _exercise(text: str) -> Exercise:
    prose, code = "".join(text.split(CODE)[::2]), text.split(CODE)[1::2]
    folded = re.search(r"<summary>Solution</summary>\s*```python\n(.*?)```", prose, re.DOTALL)
    assert folded, f"{prose.splitlines()[0]}: no folded solution"
    stub = re.match(r".*?nst\.check\.\w+\([^\n]*", "\n".join(code), re.DOTALL)  # the lesson goes on after the check
    assert stub, f"{prose.splitlines()[0]}: no check"
    return Exercise(prose.splitlines()[0].lstrip("# "), stub[0], folded[1])


@functools.cache
def solutions() -> dict[str, Callable]:
    """{name of the check: the folded solution as a function} of every exercise."""
    found = [exercise for path in sorted(NOTEBOOKS.glob("*.ipynb")) for exercise in exercises(path.stem)]
    names = [re.search(r"nst\.check\.(\w+)\(", exercise.stub)[1] for exercise in found]
    return {name: define(exercise.solution)[name] for name, exercise in zip(names, found, strict=True)}


def define(source: str, **given: object) -> dict[str, object]:
    """What `source` defines, run where a lesson would: with torch, nst and what is `given` at hand."""
    namespace: dict[str, object] = {"torch": torch, "nst": nst, **given}
    exec(source, namespace)
    return namespace


def printed(source: str, **given: object) -> str:
    """What `source` prints, run as in `define`."""
    with contextlib.redirect_stdout(io.StringIO()) as output:
        define(source, **given)
    return output.getvalue().strip()


def verdict(check: Callable[[Callable], None], answer: object) -> str:
    """The one line that a check prints about an answer."""
    with contextlib.redirect_stdout(io.StringIO()) as output:
        check(answer)
    (line,) = output.getvalue().splitlines()
    return line
