"""Every lesson has the course's form, and a broken one is noticed when it runs.

Each lesson is run by the tests of its claims; whole lessons at their defaults run in `make soak`.
"""

import ast
import re
import subprocess
import sys
from pathlib import Path
from statistics import median

import nbformat
import pytest
from lesson_run import run_copy
from tiny import write_lesson

from nst_lesson.cli import main as cli
from nst_lesson.course.files import find_lesson, lessons
from nst_lesson.course.lesson import EXTRA, Lesson, parse_value
from nst_lesson.course.runs import MAX_BYTES, run_lesson

LESSONS = list(lessons().values())

each_lesson = pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)

ABSOLUTE = re.compile(r"(?<![\w.:/~])/(?:home|root|Users|work|tmp|mnt|usr|opt|var)/|\b[A-Z]:\\")


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]


def outputs(notebook):
    return [output for cell in code_cells(notebook) for output in cell.outputs]


def parameters_cell(notebook):
    (cell,) = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    return cell


def texts(output):
    """Everything in an output that a person reads."""
    data = output.get("data", {})
    return [output.get("text", ""), *(value for kind, value in data.items() if kind.startswith("text/"))]


def test_the_course_has_its_first_lessons():
    assert {"00_start_here", "04_gatys_style_transfer"} <= set(lessons())


# ---------------------------------------------------------------------------------------------------------------- form


@each_lesson
def test_the_file_is_stored_as_one_clean_run(lesson):
    notebook = nbformat.read(lesson, as_version=4)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    assert "widgets" not in notebook.metadata
    assert [cell.execution_count for cell in code_cells(notebook)] == list(range(1, len(code_cells(notebook)) + 1))
    assert [output.ename for output in outputs(notebook) if output.output_type == "error"] == []
    assert lesson.stat().st_size <= MAX_BYTES


@each_lesson
def test_the_setup_cell_shows_nothing(lesson):
    setup = code_cells(nbformat.read(lesson, as_version=4))[0]
    assert setup.outputs == []
    assert not isinstance(ast.parse(setup.source).body[-1], ast.Expr)  # whose value would be shown


@each_lesson
def test_stored_outputs_name_no_place_on_a_machine(lesson):
    shown = [text for output in outputs(nbformat.read(lesson, as_version=4)) for text in texts(output)]
    assert [text for text in shown if ABSOLUTE.search(text)] == []


@each_lesson
def test_parameters_are_annotated_literals_each_with_a_comment(lesson):
    read = Lesson.read(lesson)
    lines = ast.parse(parameters_cell(read.notebook).source).body
    assert [ast.unparse(line.target) for line in lines if isinstance(line, ast.AnnAssign)] == list(read.parameters)
    assert len(lines) == len(read.parameters)
    for name, (kind, default, comment) in read.parameters.items():
        assert comment, name
        assert parse_value(default, kind) == default


@each_lesson
def test_the_setup_is_the_first_code_and_the_same_everywhere(lesson):
    first, setup = (code_cells(nbformat.read(path, as_version=4))[0].source for path in (LESSONS[0], lesson))
    assert setup == first


@each_lesson
def test_prose_and_code_are_in_balance(lesson):
    notebook = nbformat.read(lesson, as_version=4)
    code = [cell for cell in code_cells(notebook) if "parameters" not in cell.metadata.get("tags", [])]
    lines = [sum(bool(line.strip()) for line in cell.source.splitlines()) for cell in code]
    prose = sum(cell.cell_type == "markdown" for cell in notebook.cells) / len(notebook.cells)
    assert 25 <= len(notebook.cells) <= 60
    assert 0.40 <= prose <= 0.65
    assert 3 <= median(lines) <= 7
    assert max(lines) <= 20


@each_lesson
def test_each_exercise_has_a_hint_and_a_solution(lesson):
    prose = "\n".join(c.source for c in nbformat.read(lesson, as_version=4).cells if c.cell_type == "markdown")
    exercises = re.split(r"^### Exercise", prose, flags=re.MULTILINE)[1:]
    assert 3 <= len(exercises) <= 5
    for text in exercises:
        assert re.search(r"minutes?\b", text)
        assert "<summary>Hint</summary>" in text
        assert "<summary>Solution</summary>" in text


def bound(cells):
    """The names that cells bind: by an assignment, a loop, a definition, an import or as an argument."""
    nodes = [node for cell in cells for node in ast.walk(ast.parse(cell.source))]
    names = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    names |= {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    names |= {node.asname or node.name for node in nodes if isinstance(node, ast.alias)}
    return names | {node.arg for node in nodes if isinstance(node, ast.arg)}


@each_lesson
def test_no_cell_needs_one_that_is_tagged_extra(lesson):
    cells = code_cells(nbformat.read(lesson, as_version=4))
    extra = [cell for cell in cells if EXTRA in cell.metadata.get("tags", [])]
    main = [cell for cell in cells if cell not in extra]
    read = {node.id for cell in main for node in ast.walk(ast.parse(cell.source)) if isinstance(node, ast.Name)}
    assert read & bound(extra) - bound(main) == set()
    assert extra or lesson.name.startswith("01")  # a walk through the network, without a main experiment


@each_lesson
def test_prose_stands_beside_every_picture(lesson):
    cells = nbformat.read(lesson, as_version=4).cells
    for index, cell in enumerate(cells):
        data = [output.get("data", {}) for output in cell.get("outputs", [])]
        if any(kind.startswith("image/") for kinds in data for kind in kinds):
            beside = cells[index - 1 : index] + cells[index + 1 : index + 2]
            assert any(neighbor.cell_type == "markdown" for neighbor in beside), cell.source


# ----------------------------------------------------------------------------------------------------------- execution


@each_lesson
def test_the_claims_of_each_lesson_are_tested(lesson):
    """Their tests run it (`results_of` in conftest.py): small in `make test`, at its defaults in `make soak`."""
    assert (Path(__file__).parent / f"test_claims_lesson{lesson.stem[:2]}.py").is_file()


def test_the_values_are_injected_and_a_sound_notebook_passes(tmp_path):
    code = "import pathlib\nassert (steps, style) == (2, 'nocturne')\npathlib.Path(out_dir).mkdir()"
    result = run_copy(write_lesson(tmp_path / "tiny.ipynb", code), tmp_path, steps=2)
    assert result.returncode == 0, result.stdout
    assert (tmp_path / "out").is_dir()


CALLBACKS = {
    "button": "b = ipywidgets.Button()\nb.on_click(lambda _: 1 / 0)\nb.click()",
    "interact": "ipywidgets.interact(lambda x: 1 / 0, x=3);",
    "output": "with ipywidgets.Output():\n    1 / 0",
}


@pytest.mark.parametrize(
    "code", ["1 / 0", *(f"import ipywidgets\n{code}" for code in CALLBACKS.values())], ids=["cell", *CALLBACKS]
)
def test_a_broken_cell_or_callback_is_noticed(tmp_path, code):
    result = run_copy(write_lesson(tmp_path / "tiny.ipynb", code), tmp_path)
    assert result.returncode == 1
    assert "ZeroDivisionError" in result.stdout


@pytest.fixture
def first_lesson():
    return find_lesson("00")


def test_lesson_00_through_the_command_line(first_lesson, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["run", "00", "-p", "size", "128", "-p", "steps", "2", "-o", "out"]) == 0
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {first_lesson.name, first_lesson.stem + ".html", "stylized.png", "results.json"}


def test_lesson_00_through_plain_papermill(first_lesson, tmp_path):
    command = [sys.executable, "-m", "papermill", str(first_lesson), "executed.ipynb", "-k", "python3"]
    for name, value in {"size": 128, "steps": 2, "out_dir": tmp_path / "out"}.items():
        command += ["-p", name, str(value)]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-5000:]
    assert (tmp_path / "out" / "stylized.png").is_file()


@each_lesson
@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_lesson_runs_at_its_defaults(lesson, tmp_path):
    folder = run_lesson(lesson, out_dir=str(tmp_path / "out"))
    assert (folder / "results.json").is_file()
    assert (folder / f"{lesson.stem}.html").stat().st_size > 0
