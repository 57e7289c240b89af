"""Run the lessons: find one, check its parameters before a kernel starts, execute it, and keep what it made.

Needs the extra `lab` (papermill, nbconvert, ipykernel); `import nst_lesson` does not load this module.
"""

from __future__ import annotations

import ast
import difflib
import json
import logging
import math
import os
import re
import tempfile
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args, get_origin

import nbformat
import papermill
import yaml
from ipykernel.kernelspec import get_kernel_dict
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import DeadKernelError
from nbformat import NotebookNode
from papermill.exceptions import PapermillExecutionError

from ..errors import LessonError, ParameterError
from ..paths import PACKAGE, atomic_path, run_folder
from .files import read_notebook, title_of, without_widgets
from .pages import write_page

MAX_BYTES = 600 * 1024  # of a lesson with its stored outputs, so that a clone stays small and GitHub shows it
FILES = (  # the parameters whose value may be a file of the user's, or a list of them
    *("content", "style", "second_style", "portrait", "face_style", "video"),
    *("others", "styles", "other_contents", "other_styles"),
)
FOLDERS = ("images",)  # and those whose value may be a folder


class RunFailed(RuntimeError):
    """A lesson stopped at a cell, through no fault of its parameters. The message says where, in a few lines."""


class OwnKernel(AsyncKernelManager):
    """A kernel of the interpreter that runs this code, whatever environment `python3` names on the machine."""

    @property
    def kernel_spec(self) -> KernelSpec:
        """ipykernel's own description of the current interpreter; the name of the kernel plays no part.

        It keeps its own troubles to itself: recent kernels warn at each start that they talk over local TCP.
        """
        return KernelSpec(**get_kernel_dict(extra_arguments=["--log-level=CRITICAL"]))


# ---------------------------------------------------------------------------------------------------- finding lessons


def notebooks_dir() -> Path:
    """The folder of the lessons: beside the package in a clone, inside it in an installed wheel.

    Raises LessonError where neither exists (a broken installation).
    """
    for folder in (PACKAGE / "notebooks", PACKAGE.parent / "notebooks"):
        if folder.is_dir():
            return folder
    raise LessonError(f"the lessons are missing beside {PACKAGE}: install nst_lesson again")


def lessons() -> dict[str, Path]:
    """The lessons in their order: name without `.ipynb` -> file."""
    return {path.stem: path for path in sorted(notebooks_dir().glob("[0-9]*.ipynb"))}


def find_lesson(lesson: str | os.PathLike[str]) -> Path:
    """The file of a lesson given by number ("4" or "04"), by name ("04_gatys_style_transfer"), or as a path.

    Raises ParameterError, with the nearest name, where there is none.
    """
    text = os.fspath(lesson)
    if text.endswith(".ipynb") and Path(text).is_file():
        return Path(text)
    known = lessons()
    for name, path in known.items():
        if text == name or (text.isdecimal() and int(text) == int(name.split("_")[0])):
            return path
    raise ParameterError(f"there is no lesson {text!r}{_choices(text, known)}")


def find_recipe(name: str) -> Path:
    """The parameter file notebooks/recipes/<name>.yaml. Raises ParameterError, with the nearest name, for no such."""
    known = {path.stem: path for path in sorted((notebooks_dir() / "recipes").glob("*.yaml"))}
    if name not in known:
        raise ParameterError(f"there is no recipe {name!r}{_choices(name, known)}")
    return known[name]


def _choices(word: str, known: Mapping[str, object]) -> str:
    """The end of a message about an unknown name: the known name that is nearest to it or contains it, and all."""
    near = difflib.get_close_matches(word.lower(), known, n=1) or [name for name in known if word.lower() in name]
    return (f": did you mean {near[0]!r}?" if near and word else "") + f" (there are: {', '.join(known)})"


# ------------------------------------------------------------------------------------------- parameters and their types


def parameter_types(lesson: Path) -> dict[str, Any]:
    """Name -> type of each parameter of a lesson, in order, as annotated in its cell tagged `parameters`.

    Read from the source, since papermill guesses from the values and knows no `int | None`.
    Raises LessonError where the file is no notebook, or has no such cell, or an annotation is not a plain type.
    """
    return {name: kind for name, (kind, _) in _parameters_cell(lesson).items()}


def _parameters_cell(lesson: Path) -> dict[str, tuple[Any, Any]]:
    """Name -> type and default of each parameter of a lesson. Raises as `parameter_types` does."""
    cells = [cell for cell in read_notebook(lesson).cells if "parameters" in cell.metadata.get("tags", [])]
    if len(cells) != 1:
        raise LessonError(f"{lesson}: needs exactly one cell tagged 'parameters', has {len(cells)}")
    try:
        lines = [line for line in ast.parse(cells[0].source).body if isinstance(line, ast.AnnAssign)]
        return {ast.unparse(x.target): (_plain_type(x.annotation), ast.literal_eval(x.value)) for x in lines}
    except (SyntaxError, NameError, TypeError, ValueError) as error:
        raise LessonError(f"{lesson}: the cell tagged 'parameters' cannot be read: {error}") from None


def _plain_type(annotation: ast.expr) -> Any:
    """The type that an annotation such as `float | None` or `list[str]` stands for. Raises NameError, TypeError."""
    plain = {kind.__name__: kind for kind in (bool, int, float, str, list, tuple)}
    kind = eval(ast.unparse(annotation), {"__builtins__": {}}, plain)
    _expected(kind)  # raises TypeError for what `parse_value` could not read
    return kind


def _expected(kind: Any) -> str:
    """What to write for a value of this type, in words. Raises TypeError for a type that parameters cannot have."""
    words = {
        bool: "true or false",
        int: "a whole number such as 200",
        float: "a number such as 0.5 or 1e-3",
        str: "a text",
        types.NoneType: "none",
    }
    if kind in words:
        return words[kind]
    if isinstance(kind, types.UnionType):
        return " or ".join(_expected(member) for member in get_args(kind))
    if get_origin(kind) in (list, tuple):
        return f"a list with commas (first,second), each {_expected(get_args(kind)[0])}"
    raise TypeError(f"{kind} is none of bool, int, float, str, a list of these, or one of these or None")


def parse_value(value: object, kind: Any) -> Any:
    """A value from the command line (a text) or from YAML (a text or a typed value) as `kind`.

    "007" is 7 for an int and "007" for a str; "true" is True for a bool; "1e-3" is a float; "none" is None where the
    type allows it; "a, b" is a list. A tuple becomes a list too, since papermill would inject it as a text.
    Raises ValueError or TypeError where the value does not fit.
    """
    if isinstance(kind, types.UnionType):
        return _parse_union(value, get_args(kind))
    if get_origin(kind) in (list, tuple):
        items = value.split(",") if isinstance(value, str) else value
        if not isinstance(items, list):
            raise TypeError
        texts = [item.strip() if isinstance(item, str) else item for item in items]
        return [parse_value(item, get_args(kind)[0]) for item in texts if item != ""]
    return _parse_plain(value, kind)


def _parse_union(value: object, members: Sequence[type]) -> Any:
    """The value as the first member that it fits; `none` and `null` are None where None is a member."""
    if types.NoneType in members and (value is None or str(value).lower() in ("none", "null")):
        return None
    for member in members:
        try:
            return parse_value(value, member)
        except (ValueError, TypeError):
            continue
    raise ValueError


def _parse_plain(value: object, kind: type) -> bool | int | float | str:
    """The value as a bool, int, float or str. Raises ValueError or TypeError where it is something else."""
    if kind is bool and isinstance(value, str):
        value = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}.get(value.lower())
    accepted = {bool: bool, int: int | str, float: int | float | str, str: str}.get(kind, ())
    if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
        raise TypeError
    parsed = kind(value)
    if kind is float and not math.isfinite(parsed):
        raise ValueError
    return parsed


def check_parameters(lesson: Path, values: Mapping[str, object]) -> dict[str, Any]:
    """The values as the lesson's own types, ready to inject; picture files become absolute paths.

    Raises ParameterError for an unknown name (with the nearest one) and for a value of another type.
    """
    kinds = parameter_types(lesson)
    parsed = {}
    for name, value in values.items():
        if name not in kinds:
            raise ParameterError(f"{lesson.stem} has no parameter {name!r}{_choices(name, kinds)}")
        try:
            parsed[name] = parse_value(value, kinds[name])
        except (ValueError, TypeError):
            message = f"parameter {name} of {lesson.stem}: expected {_expected(kinds[name])}, got {value!r}"
            raise ParameterError(message) from None
    return {name: _absolute(name, value) for name, value in parsed.items()}


def _absolute(name: str, value: Any) -> Any:
    """An existing file or folder (or each in a list) made absolute, since a kernel may run in another folder."""
    if isinstance(value, list):
        return [_absolute(name, item) for item in value]
    there = (name in FILES and os.path.isfile(value)) or (name in FOLDERS and os.path.isdir(value))
    return os.path.abspath(value) if there else value


def read_parameters(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The parameters in a YAML file, or those that a run's results.json records, not yet checked against a lesson.

    Raises ParameterError where it has none.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
        if Path(path).suffix == ".json":
            return dict(json.loads(text)["parameters"])
        values = yaml.safe_load(text)
    except OSError as error:
        raise ParameterError(f"cannot read the parameter file {path}: {error.strerror}") from None
    except (KeyError, TypeError, json.JSONDecodeError):
        raise ParameterError(f"{path} is no results.json of a run: it records no parameters") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ParameterError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise ParameterError(f"{path} must have lines such as `steps: 300`, one for each parameter")
    return {str(name): value for name, value in values.items()}


# --------------------------------------------------------------------------------------------------- executing lessons


def run_lesson(
    lesson: str | os.PathLike[str], parameters: Mapping[str, object] | None = None, *, out_dir: str = ""
) -> Path:
    """Execute a lesson with papermill and return the folder of the run.

    The folder gets the executed notebook, an HTML page of it, and what the lesson itself writes there; its
    results.json also gets every parameter, so that `read_parameters` can have the run repeated. `lesson` is as in
    `find_lesson`; `parameters` are texts or typed values, checked before a kernel starts; `out_dir` is as in
    `paths.run_folder`. Raises LessonError for bad input, found here or by the lesson (then no notebook is left),
    and RunFailed where a cell fails otherwise (then the notebook is kept up to that cell).
    """
    path = find_lesson(lesson)
    values = check_parameters(path, parameters or {})
    folder = run_folder(path.stem, out_dir or values.get("out_dir", "")).resolve()
    if "out_dir" in parameter_types(path):
        values["out_dir"] = str(folder)
    executed = folder / path.name
    try:
        _execute(path, executed, values)
    except LessonError:
        executed.unlink(missing_ok=True)
        if not any(folder.iterdir()):
            folder.rmdir()
        raise
    if (results := folder / "results.json").is_file():
        defaults = {name: default for name, (_, default) in _parameters_cell(path).items()}
        _record(results, path.stem, {k: v for k, v in (defaults | values).items() if k != "out_dir"})
    write_page(executed, executed.with_suffix(".html"))
    return folder


def _record(results: Path, lesson: str, parameters: dict[str, Any]) -> None:
    """Write a run's lesson and parameters into its results.json."""
    record = json.loads(results.read_text(encoding="utf-8"))
    text = json.dumps({"lesson": lesson, "parameters": parameters} | record, indent=1)
    with atomic_path(results) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def _execute(lesson: Path, output: Path, values: dict[str, Any]) -> None:
    """Execute a lesson into the file `output`, with a progress bar. Raises LessonError and RunFailed."""
    notebook = read_notebook(lesson)
    logging.getLogger("papermill").setLevel(logging.CRITICAL)  # it doubts annotations that it does not know
    try:
        papermill.execute_notebook(
            notebook,
            str(output).replace("{", "{{").replace("}", "}}"),  # papermill fills in braces in a path
            parameters=values,
            kernel_name="python3",
            language="python",
            kernel_manager_class=OwnKernel,
            start_timeout=300,  # seconds: 60, its default, is little on a laptop that is busy with another run
            progress_bar={"desc": title_of(notebook, lesson)},
        )
    except PapermillExecutionError as error:
        raise _failure(error, output) from None
    except DeadKernelError:
        raise RunFailed(f"{lesson.stem}: the kernel died, most likely for want of memory: try a smaller size") from None


def _failure(error: PapermillExecutionError, output: Path) -> Exception:
    """What a failed cell means: bad input (the message of the package's own error), an interrupt, or a failed run."""
    if error.ename in _names(LessonError):
        return LessonError(error.evalue)
    if error.ename == "KeyboardInterrupt":
        return KeyboardInterrupt()
    source = error.source.strip().splitlines() or [""]
    return RunFailed(
        f"cell [{error.exec_count}] failed, which begins `{source[0]}`\n{error.ename}: {error.evalue}\n"
        f"the notebook up to there: {output}"
    )


def _names(kind: type) -> set[str]:
    """The name of a class and of all that derive from it."""
    return {kind.__name__}.union(*(_names(child) for child in kind.__subclasses__()))


def execute_in_place(lesson: Path) -> None:
    """Execute a lesson at its defaults and store it with its outputs, free of what belongs to one machine or run.

    Raises what `run_lesson` raises, and LessonError where the lesson would be over MAX_BYTES; the file then stays.
    """
    with tempfile.TemporaryDirectory() as folder:
        executed = Path(folder) / lesson.name
        _execute(lesson, executed, {})
        text = _portable(nbformat.writes(_without_run(read_notebook(executed))))
    if (size := len(text.encode())) > MAX_BYTES:
        raise LessonError(f"{lesson}: {size // 1024} KB with outputs, over {MAX_BYTES // 1024}: store smaller pictures")
    with atomic_path(lesson) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def _without_run(notebook: NotebookNode) -> NotebookNode:
    """The notebook without papermill's notes, timestamps and widgets, and with the kernel under its common name."""
    notebook = without_widgets(notebook)
    notebook.metadata.pop("papermill", None)
    notebook.metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook.metadata["language_info"] = {"name": "python", "pygments_lexer": "ipython3"}
    for cell in notebook.cells:
        for key in ("papermill", "execution"):
            cell.metadata.pop(key, None)
        if not cell.metadata.get("tags"):
            cell.metadata.pop("tags", None)
    return notebook


def _portable(text: str) -> str:
    """The text of a notebook with paths below the clone made relative, and the home and kernel folders left out."""
    for place, short in ((str(PACKAGE.parent) + "/", ""), (str(Path.home()) + "/", "~/")):
        text = re.sub(rf"(?<![\w/+]){re.escape(place)}", short, text)  # not inside the base64 of a picture
    return re.sub(r"(/[\w.-]+)*/ipykernel_\d+/\d+\.py", "<cell>", text)
