"""Run the lessons: check the parameters before a kernel starts, execute the notebook, and keep what it made.

Needs the extra `lab` (papermill, nbconvert, ipykernel); `import nst_lesson` does not load this module.
"""

from __future__ import annotations

import json
import logging
import os
import re
import tempfile
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nbformat
import papermill
from ipykernel.kernelspec import get_kernel_dict
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import DeadKernelError
from nbconvert.preprocessors import CoalesceStreamsPreprocessor
from nbformat import NotebookNode
from papermill.exceptions import PapermillExecutionError

from ..errors import LessonError, reason_of
from ..paths import PACKAGE, locked, run_folder, user_path, workplace, write_text
from .files import find_lesson, read_notebook, title_of, without_widgets
from .lesson import Lesson
from .pages import write_page
from .results import check_folder, free_path, move_results, rewrite, writable

MAX_BYTES = 1500 * 1024  # of a lesson with its stored outputs, so that a clone stays small and GitHub shows it


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


def run_lesson(
    lesson: str | os.PathLike[str],
    parameters: Mapping[str, object] | None = None,
    *,
    out_dir: str = "",
    extras: bool = True,
) -> Path:
    """Execute a lesson with papermill and return the folder of the run.

    The folder gets the executed notebook, an HTML page of it, and what the lesson itself writes there; its
    results.json also gets every parameter, so that `read_parameters` can have the run repeated, and the seconds that
    the whole run took. `lesson` is as in `find_lesson`; `parameters` are text or typed values, checked before a kernel
    starts; `out_dir` is as in `paths.run_folder`. Without `extras` the cells tagged `extra` are left out: the main
    experiment alone. Nothing is replaced but what earlier runs left in the folder, and that by a run that succeeds.

    Raises LessonError for bad input, found here or by the lesson, for a folder that holds the lesson itself or is in
    use by another run, and where it cannot be written; RunFailed where a cell fails otherwise, and then the notebook
    is kept up to that cell as `<lesson>-failed.ipynb`.
    """
    found = Lesson.read(find_lesson(lesson))
    values = found.check(parameters or {})
    wanted = out_dir or values.get("out_dir", "")
    folder = Path(os.path.realpath(user_path(wanted))) if wanted else run_folder(found.name)
    with writable(folder, new=not wanted), locked(folder, "run"):
        check_folder(folder, found.path)
        with workplace(folder) as hidden:
            made = hidden / "results"
            made.mkdir()
            executed = made / found.path.name
            if "out_dir" in found.parameters:
                values["out_dir"] = str(made)
            try:
                begin = time.monotonic()
                notebook = found.notebook if extras else found.main_experiment()
                _execute(notebook, executed, values, title_of(notebook, found.path))
            except RunFailed as error:
                _hide(made, executed)
                kept = free_path(folder / f"{found.name}-failed.ipynb")
                os.replace(executed, kept)
                raise RunFailed(f"{error}\nthe notebook up to there: {kept}") from None
            if (results := made / "results.json").is_file():
                about = {"extras": extras, "total_seconds": round(time.monotonic() - begin, 1)}
                _record(results, found, values, about | {"finished": datetime.now(UTC).isoformat(timespec="seconds")})
                _hide(made, results)
            _hide(made, executed)
            try:
                write_page(executed, executed.with_suffix(".html"))
            except Exception as error:  # a full disk, or nbconvert's templates lie elsewhere: the run is done
                text = "no page of this run (%s): notebook and numbers are kept"
                logging.getLogger(__name__).warning(text, reason_of(error))
            move_results(made, folder, executed)
    return folder


def _hide(made: Path, file: Path) -> None:
    """Let the paths in a text file name the folder of results, not the hidden one in it where they were written."""
    hidden = rf"[/\\]+{re.escape(made.parent.name)}[/\\]+{made.name}\b"
    rewrite(file, re.sub(hidden, "", file.read_text(encoding="utf-8")))


def _record(results: Path, lesson: Lesson, values: Mapping[str, Any], about: Mapping[str, object]) -> None:
    """Write what is known of a run into its results.json; one that is not a JSON object stays as it is."""
    parameters = {name: value for name, value in {**lesson.defaults, **values}.items() if name != "out_dir"}
    try:
        record = json.loads(results.read_text(encoding="utf-8"))
    except ValueError:
        return
    if not isinstance(record, dict):
        return
    text = json.dumps({"lesson": lesson.name, "parameters": parameters, **about} | record, indent=1)
    rewrite(results, text + "\n")


def _execute(notebook: NotebookNode, output: Path, values: dict[str, Any], title: str) -> None:
    """Execute a notebook into the file `output`, with a progress bar. Raises LessonError and RunFailed."""
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
            progress_bar={"desc": title},
        )
    except PapermillExecutionError as error:
        raise _failure(error) from None
    except DeadKernelError:
        raise RunFailed("the kernel died, most likely because memory ran out: try a smaller size") from None


def _failure(error: PapermillExecutionError) -> BaseException:
    """What a failed cell means: bad input (the message of the package's own error), an interrupt, or a failed run."""
    if error.ename in _names(LessonError):
        return LessonError(error.evalue)
    if error.ename == "KeyboardInterrupt":
        return KeyboardInterrupt()
    source = error.source.strip().splitlines() or [""]
    begin = f"cell [{error.exec_count}] failed, which begins `{source[0]}`"
    return RunFailed(f"{begin}\n{error.ename}: {error.evalue}")


def _names(kind: type) -> set[str]:
    """The name of a class and of all that derive from it."""
    return {kind.__name__}.union(*map(_names, kind.__subclasses__()))


def execute_in_place(lesson: Path) -> None:
    """Execute a lesson at its defaults and store it with its outputs, free of what belongs to one machine or run.

    Raises what `run_lesson` raises, and LessonError where the lesson would be over MAX_BYTES; the file then stays.
    """
    with tempfile.TemporaryDirectory() as folder:
        executed = Path(folder) / lesson.name
        notebook = read_notebook(lesson)
        _execute(notebook, executed, {}, title_of(notebook, lesson))
        text = _portable(nbformat.writes(_without_run(read_notebook(executed))))
    if (size := len(text.encode())) > MAX_BYTES:
        raise LessonError(f"{lesson}: {size // 1024} KB with outputs, over {MAX_BYTES // 1024}: store smaller pictures")
    write_text(lesson, text + "\n")


def _without_run(notebook: NotebookNode) -> NotebookNode:
    """The notebook without papermill's notes, timestamps and widgets, printed lines together, a common kernel name."""
    notebook, _ = CoalesceStreamsPreprocessor().preprocess(without_widgets(notebook), {})
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
