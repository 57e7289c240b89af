"""A lesson: a notebook whose cell tagged `parameters` says what can be changed, and how values get those types."""

from __future__ import annotations

import ast
import copy
import io
import json
import math
import os
import re
import reprlib
import tokenize
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, get_args, get_origin

import yaml
from nbformat import NotebookNode

from ..errors import LessonError, ParameterError, reason_of, unknown
from ..paths import user_path
from ..pictures.images import check_source
from .files import read_notebook

PLAIN: dict[str, type] = {kind.__name__: kind for kind in (bool, int, float, str)}
# What a parameter's value means, by its name: the one place that says so.
PICTURE = re.compile(r"(\w+_)?(contents?|styles?|portrait|others|photos?)")  # a picture, or a list of them
PICTURE_OR_WORD = ("mask",)  # a picture, or a word that the lesson knows
FILES = ("video",)  # a file, or ""
FOLDERS = ("images",)  # a folder, or ""
EXTRA = "extra"  # the tag of cells that a run of the main experiment alone leaves out


class Parameter(NamedTuple):
    """One parameter of a lesson: its type, its default, and the comment on its line."""

    kind: Any
    default: Any
    comment: str

    @property
    def annotation(self) -> str:
        """The type as Python writes it, such as `int | None`."""
        return self.kind.__name__ if isinstance(self.kind, type) and not get_args(self.kind) else str(self.kind)


@dataclass(frozen=True)
class Lesson:
    """A lesson that was read from its file: the notebook and its parameters in order, name -> Parameter."""

    path: Path
    notebook: NotebookNode
    parameters: dict[str, Parameter]

    @classmethod
    def read(cls, path: Path) -> Lesson:
        """The lesson in a file.

        Raises LessonError where the file is not a notebook, has not exactly one cell tagged `parameters`, or where a
        parameter's annotation is not a plain type or its default is not a literal.
        """
        notebook = read_notebook(path)
        cells = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
        if len(cells) != 1:
            raise LessonError(f"{path}: needs exactly one cell tagged 'parameters', has {len(cells)}")
        try:
            return cls(path, notebook, _parameters(cells[0].source))
        except (SyntaxError, TypeError, ValueError, RecursionError, MemoryError) as error:
            raise LessonError(f"{path}: the cell tagged 'parameters' cannot be read: {reason_of(error)}") from None

    @property
    def name(self) -> str:
        """The name of the file without `.ipynb`."""
        return self.path.stem

    @property
    def defaults(self) -> dict[str, Any]:
        """Name -> default."""
        return {name: parameter.default for name, parameter in self.parameters.items()}

    def check(self, values: Mapping[str, object]) -> dict[str, Any]:
        """The values as the lesson's own types, ready to inject; existing files become absolute paths.

        Raises ParameterError for an unknown name (with the most similar one), for a value of another type, and for a
        picture, file or folder that is not there.
        """
        parsed = {}
        for name, value in values.items():
            if name not in self.parameters:
                raise unknown("parameter", name, self.parameters)
            kind = self.parameters[name].kind
            try:
                parsed[name] = parse_value(value, kind)
            except (ValueError, TypeError, OverflowError, RecursionError):
                got = reprlib.repr(value)[:100]  # aliases in YAML may stand for gigabytes
                message = f"parameter {name} of {self.name}: expected {describe(kind)}, got {got}"
                raise ParameterError(message) from None
            try:
                parsed[name] = _absolute(name, parsed[name])
            except LessonError as error:
                raise ParameterError(f"parameter {name} of {self.name}: {error}") from None
        return parsed

    def main_experiment(self) -> NotebookNode:
        """The notebook without the cells tagged `extra`, which a sweep over the main experiment need not pay for."""
        notebook = copy.deepcopy(self.notebook)
        notebook.cells = [cell for cell in notebook.cells if EXTRA not in cell.metadata.get("tags", [])]
        return notebook


def _parameters(source: str) -> dict[str, Parameter]:
    """The parameters in the source of a cell, not evaluated. Raises SyntaxError, TypeError and ValueError."""
    lines = [line for line in ast.parse(source).body if isinstance(line, ast.AnnAssign)]
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    comments = {token.start[0]: token.string.lstrip("# ") for token in tokens if token.type == tokenize.COMMENT}
    found = {}
    for line in lines:
        if line.value is None:
            raise ValueError(f"{ast.unparse(line.target)} has no default")
        comment = comments.get(line.lineno) or comments.get(line.end_lineno or 0, "")
        parameter = Parameter(_type_of(line.annotation), ast.literal_eval(line.value), comment)
        found[ast.unparse(line.target)] = parameter
    return found


def _type_of(annotation: ast.expr) -> Any:
    """The type that an annotation such as `float` or `list[str]` stands for."""
    match annotation:
        case ast.Name(id=name) if name in PLAIN:
            return PLAIN[name]
        case ast.Subscript(value=ast.Name(id="list"), slice=item):
            return list[_type_of(item)]  # type: ignore[misc]
    raise TypeError(f"{ast.unparse(annotation)} is not one of {', '.join(PLAIN)}, list[...]")


def describe(kind: Any) -> str:
    """What to write for a value of a parameter's type, in words."""
    if get_origin(kind) is list:
        return f"a list with commas (first,second), each {describe(get_args(kind)[0])}"
    words = {bool: "true or false", int: "a whole number such as 200", float: "a number such as 0.5 or 1e-3"}
    return words.get(kind, "text")


def parse_value(value: object, kind: Any) -> Any:
    """A value from the command line (text) or from YAML (text or a typed value) as `kind`.

    "007" is 7 for an int and "007" for a str; "true" is True for a bool; "1e-3" is a float; "a, b" is a list.
    Raises ValueError, TypeError or OverflowError where the value does not fit.
    """
    if get_origin(kind) is list:
        items = _items(value) if isinstance(value, str) else value
        if not isinstance(items, list):
            raise TypeError
        texts = [item.strip() if isinstance(item, str) else item for item in items]
        return [parse_value(item, get_args(kind)[0]) for item in texts if item != ""]
    return _parse_plain(value, kind)


def _items(text: str) -> Any:
    """The items of a list from the command line: with commas, or in brackets as JSON."""
    return json.loads(text) if text.lstrip().startswith("[") else text.split(",")


def _parse_plain(value: Any, kind: type) -> bool | int | float | str:
    """The value as a bool, int, float or str. Raises ValueError, TypeError or OverflowError for anything else."""
    if kind is bool and isinstance(value, str):
        value = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}.get(value.lower())
    accepted = {bool: (bool,), int: (int, str), float: (int, float, str), str: (str,)}.get(kind, ())
    if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
        raise TypeError
    parsed = kind(value)
    if isinstance(parsed, float) and not math.isfinite(parsed):
        raise ValueError
    if isinstance(parsed, str):
        parsed.encode()  # raises for a name that is not UTF-8, which no notebook can hold
    return parsed


def _absolute(name: str, value: Any) -> Any:
    """A file or folder (or each in a list) made absolute, since a kernel may run in another folder; names stay.

    Raises LessonError where a picture has no such name, or a file or folder is not there.
    """
    if isinstance(value, list):
        return [_absolute(name, item) for item in value]
    if not isinstance(value, str):
        return value
    place = os.path.expanduser(value)
    if PICTURE.fullmatch(name):
        check_source(value)
    if PICTURE.fullmatch(name) or name in PICTURE_OR_WORD:
        return os.path.abspath(place) if os.path.isfile(place) else value
    for names, there, what in ((FILES, os.path.isfile, "file"), (FOLDERS, os.path.isdir, "folder")):
        if name in names and value:
            if not there(place):
                raise LessonError(f"there is no {what} {value!r}")
            return os.path.abspath(place)
    return value


def read_parameters(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The parameters in a YAML file, or those that a run's results.json records, not yet checked against a lesson.

    Raises ParameterError where the file cannot be read or has none.
    """
    path = user_path(path)
    if path.exists() and not path.is_file():
        raise ParameterError(f"{path} is a folder, a pipe or a device: save the parameters in a file")
    try:
        text = path.read_text(encoding="utf-8")
        values = json.loads(text)["parameters"] if path.suffix == ".json" else yaml.safe_load(text)
    except OSError as error:
        raise ParameterError(f"cannot read the parameter file {path}: {reason_of(error)}") from None
    except (KeyError, TypeError, ValueError, RecursionError, yaml.YAMLError) as error:
        if path.suffix == ".json":
            raise ParameterError(f"{path} is not the results.json of a run: it records no parameters") from None
        raise ParameterError(f"{path} is not valid YAML: {reason_of(error)}") from None
    if not isinstance(values, dict):
        raise ParameterError(f"{path} has no parameters: it needs lines such as `steps: 300`, one for each")
    return {str(name): value for name, value in values.items()}
