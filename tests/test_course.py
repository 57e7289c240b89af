"""Lessons are found, their parameters checked before a kernel starts, and a run leaves what it promises."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from datetime import datetime

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import PARAMETERS, write_lesson

from nst_lesson import paths
from nst_lesson.course import results, runs
from nst_lesson.course.files import find_lesson, lessons, read_notebook
from nst_lesson.course.lesson import Lesson, Parameter, describe, parse_value, read_parameters
from nst_lesson.course.results import results_in, rewrite
from nst_lesson.course.runs import RunFailed, execute_in_place, run_lesson
from nst_lesson.errors import LessonError, ParameterError
from nst_lesson.paths import TEMPORARY, notebooks_dir


@pytest.fixture
def lesson(tmp_path):
    return write_lesson(tmp_path / "tiny.ipynb")


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """A course of two lessons instead of the real one."""
    monkeypatch.setattr(paths, "PACKAGE", tmp_path / "nst_lesson")
    (tmp_path / "notebooks").mkdir()
    return [write_lesson(tmp_path / "notebooks" / name) for name in ("00_start.ipynb", "04_gatys_transfer.ipynb")]


# ---------------------------------------------------------------------------------------------------- finding lessons


def test_a_lesson_is_found_by_number_name_and_path(shelf):
    assert list(lessons()) == ["00_start", "04_gatys_transfer"]
    for text in ("4", "04", "04_gatys_transfer", str(shelf[1]), shelf[1]):
        assert find_lesson(text) == shelf[1]
    assert find_lesson("0") == shelf[0]


@pytest.mark.parametrize("text", ["gatys", "04_gatys_transfr", "gatys_transfer"])
def test_an_unknown_lesson_names_the_nearest(shelf, text):
    with pytest.raises(ParameterError, match=r"did you mean '04_gatys_transfer'\?.*00_start"):
        find_lesson(text)


@pytest.mark.parametrize("text", ["5", "", "²", "missing.ipynb"])
def test_a_lesson_like_no_other_lists_all(shelf, text):
    with pytest.raises(ParameterError, match="00_start, 04_gatys_transfer"):
        find_lesson(text)


def test_lessons_of_a_wheel_and_of_a_broken_installation(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "PACKAGE", tmp_path / "nst_lesson")
    with pytest.raises(LessonError, match="install nst_lesson again"):
        lessons()
    (tmp_path / "nst_lesson" / "notebooks").mkdir(parents=True)
    assert notebooks_dir() == tmp_path / "nst_lesson" / "notebooks"


# ----------------------------------------------------------------------------------------------------------- parameters


def test_a_home_folder_is_found(lesson, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert find_lesson("~/tiny.ipynb") == lesson


def test_types_defaults_and_comments_come_from_the_cell(lesson):
    read = Lesson.read(lesson)
    assert read.name == "tiny"
    assert read.parameters == {
        "style": Parameter(str, "nocturne", "a name or a file"),
        "steps": Parameter(int, 200, "evaluations of the objective"),
        "learning_rate": Parameter(float, 1.0, "of the optimizer"),
        "style_layers": Parameter(list[str], ["relu1_1"], "layers whose Gram matrices count"),
        "live": Parameter(bool, False, "show the preview"),
        "out_dir": Parameter(str, "", "where results go"),
    }


TYPES = [int, bool, str, float, list[str], list[list[int]]]


@pytest.mark.parametrize("kind", TYPES, ids=str)
def test_every_plain_type_is_read_and_can_be_described(tmp_path, kind):
    parameters = f"x: {kind if hasattr(kind, '__args__') else kind.__name__} = 1"
    read = Lesson.read(write_lesson(tmp_path / "tiny.ipynb", parameters=parameters))
    assert read.parameters["x"].kind == kind and describe(kind)


@pytest.mark.parametrize(
    ("value", "kind", "parsed"),
    [
        ("007", int, 7),
        ("007", str, "007"),
        (300, int, 300),
        ("1e-3", float, 0.001),
        (" 2 ", float, 2.0),
        (2, float, 2.0),
        ("true", bool, True),
        ("True", bool, True),
        ("0", bool, False),
        (False, bool, False),
        ("true", str, "true"),
        ("none", str, "none"),
        ("a, b", list[str], ["a", "b"]),
        ("a", list[str], ["a"]),
        ("", list[str], []),
        (["a", "b"], list[str], ["a", "b"]),
        ("1,2.5", list[float], [1.0, 2.5]),
        ('["a,b", "c"]', list[str], ["a,b", "c"]),
        ('[["a"], ["b", "c"]]', list[list[str]], [["a"], ["b", "c"]]),
    ],
)
def test_values_take_the_type_of_their_parameter(value, kind, parsed):
    result = parse_value(value, kind)
    assert result == parsed
    assert type(result) is type(parsed)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("3.5", int),
        ("1e3", int),
        (200.0, int),
        (True, int),
        (True, float),
        ("fast", float),
        ("nan", float),
        (math.inf, float),
        (10**400, float),
        ("9" * 5000, int),
        ("\udcff.jpg", str),
        ("maybe", bool),
        (1, bool),
        (7, str),
        (None, str),
        (None, int),
        ("none", float),
        (["a"], str),
        ("1,x", list[int]),
        (7, list[str]),
        ({"a": 1}, list[str]),
        ('["a"', list[str]),
        ("[[1]]", list[int]),
    ],
)
def test_a_value_of_another_type_is_refused(value, kind):
    with pytest.raises((ValueError, TypeError, OverflowError)):
        parse_value(value, kind)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_number_survives_being_written_out(number):
    assert parse_value(repr(number), float) == number


def test_an_unknown_parameter_names_the_nearest_and_lists_all(lesson):
    with pytest.raises(ParameterError, match=r"unknown parameter 'step': did you mean 'steps'\?.*style, steps, learn"):
        Lesson.read(lesson).check({"step": "3"})


def test_a_wrong_type_says_what_was_expected(lesson):
    with pytest.raises(ParameterError, match="parameter steps of tiny: expected a whole number such as 200, got 'm"):
        Lesson.read(lesson).check({"steps": "many"})
    with pytest.raises(ParameterError, match="learning_rate of tiny: expected a number such as 0.5 or 1e-3, got"):
        Lesson.read(lesson).check({"learning_rate": "many"})


def test_a_picture_file_becomes_absolute_and_a_sample_name_stays(lesson, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.jpg").touch()
    assert Lesson.read(lesson).check({"style": "my.jpg"}) == {"style": str(tmp_path / "my.jpg")}
    assert Lesson.read(lesson).check({"style": "nocturne"}) == {"style": "nocturne"}
    assert Lesson.read(lesson).check({"style": "https://a.b/c.jpg"}) == {"style": "https://a.b/c.jpg"}


def test_names_of_pictures_and_files_are_checked_before_a_kernel_starts(tmp_path):
    parameters = """style: str = "wave"
other_styles: list[str] = []
images: str = ""
video: str = ""
style_layers: list[str] = []
mask: str = "segmented"
style_weight: float = 1.0"""
    lesson = Lesson.read(write_lesson(tmp_path / "tiny.ipynb", parameters=parameters))
    assert lesson.check({"images": "", "video": "", "style_layers": "any", "style_weight": 3})
    assert lesson.check({"mask": "drawn"}) == {"mask": "drawn"}  # a word that the lesson knows
    for name, value, said in (
        ("style", "nocturn", "there is no image file 'nocturn': did you mean 'nocturne'"),
        ("style", "x" * 5000, "cannot read xxx"),  # longer than any file name
        ("style", str(tmp_path), "is a folder: name one image in it"),
        ("other_styles", "wave,none.jpg", "there is no image file 'none.jpg'"),
        ("images", "none", "there is no folder 'none'"),
        ("video", "none.gif", "there is no file 'none.gif'"),
    ):
        with pytest.raises(ParameterError, match=f"^parameter {name} of tiny: .*{said}"):
            lesson.check({name: value})


def test_cells_tagged_extra_are_left_out_of_the_main_experiment(tmp_path):
    path = write_lesson(tmp_path / "tiny.ipynb", "open(out_dir + '/main', 'w')", "open(out_dir + '/more', 'w')")
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[-1].metadata["tags"] = ["extra"]
    notebook.cells.append(nbformat.v4.new_code_cell("open(out_dir + '/results.json', 'w').write('{}')"))
    nbformat.write(notebook, path)
    folder = run_lesson(path, out_dir=str(tmp_path / "out"), extras=False)
    assert (folder / "main").exists() and not (folder / "more").exists()
    record = json.loads((folder / "results.json").read_text())
    assert record["extras"] is False and record["total_seconds"] > 0
    assert datetime.fromisoformat(record["finished"]).tzinfo is not None


@pytest.mark.parametrize("error", [ValueError("no template 'lab'"), OSError(28, "No space left on device")])
def test_a_run_whose_page_cannot_be_written_is_a_run(tmp_path, monkeypatch, caplog, error):
    def broken(*_):
        raise error

    lesson = write_lesson(tmp_path / "tiny.ipynb", "open(out_dir + '/results.json', 'w').write('{}')")
    monkeypatch.setattr(runs, "write_page", broken)
    folder = run_lesson(lesson, out_dir=str(tmp_path / "out"))
    assert list(contents(folder)) == ["results.json", "tiny.ipynb"]
    assert "style" in json.loads((folder / "results.json").read_text())["parameters"]
    (line,) = caplog.messages
    assert error.args[-1] in line and "notebook and numbers are kept" in line


def test_a_result_that_a_full_disk_leaves_as_it_was_is_named(tmp_path, monkeypatch, caplog):
    def full(*_):
        raise OSError(28, "No space left on device")

    (tmp_path / "results.json").write_text("{}")
    monkeypatch.setattr(results, "write_text", full)
    rewrite(tmp_path / "results.json", '{"lesson": "tiny"}')
    assert (tmp_path / "results.json").read_text() == "{}"
    assert caplog.messages == ["results.json stays as the lesson left it (No space left on device)"]


def test_files_in_a_list_and_a_folder_become_absolute(tmp_path, monkeypatch):
    parameters = 'styles: list[str] = []  # some\nimages: str = ""  # a folder\nbackbone: str = "pocket"  # network'
    lesson = write_lesson(tmp_path / "tiny.ipynb", parameters=parameters)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.jpg").touch()
    for name in ("photos", "wave", "pocket"):
        (tmp_path / name).mkdir()
    found = Lesson.read(lesson).check({"styles": "my.jpg,wave", "images": "photos", "backbone": "pocket"})
    assert found.pop("styles") == [str(tmp_path / "my.jpg"), "wave"]
    assert found == {"images": str(tmp_path / "photos"), "backbone": "pocket"}


@pytest.mark.parametrize(
    "parameters",
    [
        *("steps: int = ", "steps: int", "steps: dict[str, int] = {}", "steps: Path = None", "steps: list = []"),
        *("steps: tuple[int, str] = ()", "steps: int = 1 + one", "steps: [].append(1) = 1", "steps: 'int' = 1"),
        *('steps: open("made", "w") = 1', "%time"),
        f"steps: {'(' * 90}int{')' * 90} = {'[' * 500}",
    ],
)
def test_parameters_that_cannot_be_read_are_named_and_nothing_of_them_is_run(tmp_path, monkeypatch, parameters):
    monkeypatch.chdir(tmp_path)
    lesson = write_lesson(tmp_path / "odd.ipynb", parameters=parameters)
    with pytest.raises(LessonError, match=r"odd\.ipynb: the cell tagged 'parameters' cannot be read") as caught:
        Lesson.read(lesson)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == [lesson]


def test_what_other_tools_leave_out_of_a_notebook_is_added(tmp_path):
    cells = [
        {"cell_type": "markdown", "metadata": {"tags": None}},
        {"cell_type": "code", "source": "1", "metadata": {}},
    ]
    text = json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 4})
    (tmp_path / "a.ipynb").write_text(text)
    prose, code = read_notebook(tmp_path / "a.ipynb").cells
    assert prose.source == "" and "tags" not in prose.metadata and code.outputs == []


def test_a_file_that_is_no_lesson_is_named(tmp_path):
    path = tmp_path / "no.ipynb"
    for text in ("", "not json", "[]", "{}", '{"cells": []}'):
        path.write_text(text)
        with pytest.raises(LessonError, match=r"no\.ipynb"):
            Lesson.read(path)


def test_a_yaml_file_of_parameters(tmp_path, lesson):
    path = tmp_path / "recipe.yaml"
    path.write_text("steps: 300\nlearning_rate: 1e-3\nlive: no\nstyle_layers: [relu1_1, relu2_1]\n")
    values = Lesson.read(lesson).check(read_parameters(path))
    assert values == {"steps": 300, "learning_rate": 0.001, "live": False, "style_layers": ["relu1_1", "relu2_1"]}


YAML = ["steps: [", "- a\n- b", "", "3", "a: !!python/object/apply:os.getcwd []", "\0", "day: 2024-13-45", "[" * 5000]
JSON = ["", "{", "[]", "3", "{}", '{"parameters": "abc"}', '{"parameters": [1]}', '{"parameters": null}', "[" * 90_000]
BAD_FILES = [("bad.yaml", text) for text in YAML] + [("bad.json", text) for text in JSON]


@pytest.mark.parametrize(("name", "text"), BAD_FILES, ids=lambda value: value[:20])
def test_a_file_without_parameters_is_one_line(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(ParameterError, match=name) as caught:
        read_parameters(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", ["2024-01-02", "1" + "0" * 400 + ".0", "&a [1, 2]", "{a: 1}", "!!binary aGk="])
def test_strange_values_in_yaml_are_one_short_line(tmp_path, lesson, value):
    (tmp_path / "odd.yaml").write_text(f"learning_rate: {value}\n")
    with pytest.raises(ParameterError, match="learning_rate of tiny: expected a number") as caught:
        Lesson.read(lesson).check(read_parameters(tmp_path / "odd.yaml"))
    assert len(str(caught.value)) < 300


def test_aliases_that_would_explode_in_a_message_do_not(tmp_path, lesson):
    lines = ["a0: &a0 [x, x]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12))]
    (tmp_path / "bomb.yaml").write_text("\n".join([*lines, "steps: *a11"]))
    value = read_parameters(tmp_path / "bomb.yaml")["steps"]
    for name in Lesson.read(lesson).parameters:
        with pytest.raises(ParameterError, match=f"parameter {name} of tiny: expected") as caught:
            Lesson.read(lesson).check({name: value})
        assert len(str(caught.value)) < 300


def test_a_missing_file_of_parameters_is_named(tmp_path):
    with pytest.raises(ParameterError, match=r"none\.yaml: No such file"):
        read_parameters(tmp_path / "none.yaml")


# --------------------------------------------------------------------------------------------------- executing lessons


WRITE = "open(out_dir + '/picture.txt', 'w').write(style)\nopen(out_dir + '/results.json', 'w').write('{\"x\": 1}')"
ENDINGS = {  # how a run can fail after it has written all its results: what is raised
    "bad input": ("import nst_lesson.errors as e\nraise e.ImageError('no such picture')", LessonError),
    "cell error": ("1 / 0", RunFailed),
    "dead kernel": ("import os\nos._exit(1)", RunFailed),
    "interrupt": ("raise KeyboardInterrupt", KeyboardInterrupt),
}
each_ending = pytest.mark.parametrize(("ending", "error"), ENDINGS.values(), ids=list(ENDINGS))


def contents(folder):
    """What is in a folder: name -> bytes."""
    found = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*"))}
    return {name: path.read_bytes() if path.is_file() else None for name, path in found.items()}


def test_nothing_starts_and_nothing_is_made_for_bad_parameters(lesson, tmp_path, monkeypatch):
    monkeypatch.setattr(runs.papermill, "execute_notebook", lambda *_, **__: pytest.fail("a kernel would start"))
    for values in ({"step": "3"}, {"steps": "many"}):
        with pytest.raises(ParameterError):
            run_lesson(lesson, values, out_dir=str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_a_run_gets_its_values_and_leaves_notebook_and_page(tmp_path, monkeypatch):
    code = "import json, os, sys\nseen = [style, steps, learning_rate, style_layers, live, sys.executable]\n"
    code += "with open(out_dir + '/seen.json', 'w') as file:\n    json.dump(seen, file)\nprint('in', out_dir)\n"
    code += "os.mkdir(out_dir + '/deep')\nopen(out_dir + '/deep/results.json', 'w').close()"
    lesson = write_lesson(tmp_path / "tiny.ipynb", code)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.jpg").touch()
    values = {"style": "my.jpg", "steps": "007", "learning_rate": "1e-3", "style_layers": "a,b", "live": "true"}
    folder = run_lesson(lesson, values, out_dir="out {0}")  # papermill would fill in the braces
    assert folder == tmp_path / "out {0}"
    names = ["deep", "deep/results.json", "seen.json", "tiny.html", "tiny.ipynb"]
    assert list(contents(folder)) == names and sorted(results_in(folder)) == names[1:]
    seen = json.loads((folder / "seen.json").read_text())
    assert seen == [str(tmp_path / "my.jpg"), 7, 0.001, ["a", "b"], True, sys.executable]
    assert "<title>A tiny lesson</title>" in (folder / "tiny.html").read_text()
    executed = nbformat.read(folder / "tiny.ipynb", as_version=4)
    assert executed.cells[-1].outputs[0].text == f"in {folder}\n"  # where it is in the end
    assert TEMPORARY not in json.dumps(executed)


def test_a_repeated_run_replaces_what_the_first_one_left(tmp_path):
    lesson = write_lesson(tmp_path / "tiny.ipynb", WRITE)
    for style in ("wave", "cubist"):
        run_lesson(lesson, {"style": style}, out_dir=str(tmp_path / "out"))
    assert list(contents(tmp_path / "out")) == ["picture.txt", "results.json", "tiny.html", "tiny.ipynb"]
    assert (tmp_path / "out" / "picture.txt").read_text() == "cubist"
    assert read_parameters(tmp_path / "out" / "results.json")["style"] == "cubist"


@each_ending
def test_a_failed_run_leaves_the_results_of_an_earlier_one(tmp_path, ending, error):
    lesson, out = tmp_path / "tiny.ipynb", tmp_path / "out"
    run_lesson(write_lesson(lesson, WRITE), {"style": "wave"}, out_dir=str(out))
    before = contents(out)
    with pytest.raises(error):
        run_lesson(write_lesson(lesson, WRITE, ending), {"style": "cubist"}, out_dir=str(out))
    kept = {"tiny-failed.ipynb"} if error is RunFailed else set()
    after = contents(out)
    assert after.keys() - before.keys() == kept and {name: after[name] for name in before} == before


@each_ending
@pytest.mark.parametrize("there", [True, False], ids=["the user's empty folder", "no folder"])
def test_a_folder_stays_or_goes_as_it_was_before_a_failed_run(tmp_path, ending, error, there):
    out = tmp_path / "mine" / "out"
    if there:
        out.mkdir(parents=True)
    with pytest.raises(error):
        run_lesson(write_lesson(tmp_path / "tiny.ipynb", WRITE, ending), out_dir=str(out))
    if error is RunFailed:
        assert list(contents(out)) == ["tiny-failed.ipynb"]
    else:
        assert out.is_dir() == out.parent.is_dir() == there
        assert not there or contents(out) == {}


def test_failed_notebooks_do_not_replace_each_other(tmp_path):
    lesson = write_lesson(tmp_path / "tiny.ipynb", "print(out_dir)", "1 / 0")
    for name in ("tiny-failed.ipynb", "tiny-failed-2.ipynb"):
        with pytest.raises(RunFailed, match=rf"ZeroDivisionError(.|\n)*the notebook up to there: .*{name}"):
            run_lesson(lesson, out_dir=str(tmp_path / "out"))
    assert TEMPORARY not in (tmp_path / "out" / "tiny-failed.ipynb").read_text()


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_what_a_killed_run_leaves_is_swept_by_the_next(tmp_path):
    lesson = write_lesson(tmp_path / "tiny.ipynb", WRITE, "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)")
    command = [sys.executable, "-m", "nst_lesson", "run", str(lesson), "-o", str(tmp_path / "out")]
    assert subprocess.run(command, capture_output=True).returncode == -signal.SIGKILL
    assert list((tmp_path / "out").glob(f"{TEMPORARY}*"))
    run_lesson(write_lesson(lesson, WRITE), out_dir=str(tmp_path / "out"))
    assert list(contents(tmp_path / "out")) == ["picture.txt", "results.json", "tiny.html", "tiny.ipynb"]


def test_the_default_folder_goes_after_bad_input(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "PACKAGE", tmp_path / "nst_lesson")
    monkeypatch.chdir(tmp_path)
    good = run_lesson(write_lesson(tmp_path / "good.ipynb", WRITE))
    with pytest.raises(LessonError):
        run_lesson(write_lesson(tmp_path / "bad.ipynb", ENDINGS["bad input"][0]))
    assert good.parent == tmp_path / "runs" and list(good.parent.iterdir()) == [good]


# Ways to name a folder that holds the lesson, from the folder above it; `link` leads to it.
HOLDERS = ["mine", "mine/../mine", "link", "~/mine", "{absolute}"]


@pytest.mark.parametrize("out_dir", HOLDERS)
@pytest.mark.parametrize("lesson", ["mine/tiny.ipynb", "link/tiny.ipynb", "linked.ipynb"])
@pytest.mark.parametrize("by_parameter", [False, True])
def test_results_do_not_go_where_the_lesson_is(tmp_path, monkeypatch, out_dir, lesson, by_parameter):
    monkeypatch.setattr(runs.papermill, "execute_notebook", lambda *_, **__: pytest.fail("a kernel would start"))
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path))
    (tmp_path / "mine").mkdir()
    write_lesson(tmp_path / "mine" / "tiny.ipynb")
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    (tmp_path / "linked.ipynb").symlink_to(tmp_path / "mine" / "tiny.ipynb")
    monkeypatch.chdir(tmp_path)
    before, out_dir = contents(tmp_path), out_dir.format(absolute=tmp_path / "mine")
    with pytest.raises(LessonError, match="cannot go into .*mine, the folder of .* itself"):
        run_lesson(lesson, {"out_dir": out_dir} if by_parameter else {}, out_dir="" if by_parameter else out_dir)
    assert contents(tmp_path) == before


def test_a_lesson_of_the_course_is_not_replaced(shelf, tmp_path):
    before = contents(tmp_path)
    with pytest.raises(LessonError, match="the folder of 00_start.ipynb itself"):
        run_lesson("00", out_dir=str(shelf[0].parent))
    assert contents(tmp_path) == before


@pytest.mark.parametrize("name", ["tiny.ipynb", "tiny.html", "results.json"])
@pytest.mark.parametrize("edited", [False, True], ids=["a file of the user's", "a result that the user has changed"])
def test_a_file_that_no_run_left_is_not_replaced(tmp_path, monkeypatch, name, edited):
    lesson, out = write_lesson(tmp_path / "tiny.ipynb", WRITE), tmp_path / "out"
    out.mkdir()
    if edited:
        run_lesson(lesson, out_dir=str(out))
        text = (out / name).read_text().replace("tiny lesson", "tiny lesson of mine").replace('"x"', '"mine"')
        (out / name).write_text(text)
    else:
        write_lesson(out / name)  # such as a copy that a student works in
    before = contents(out)
    monkeypatch.setattr(runs.papermill, "execute_notebook", lambda *_, **__: pytest.fail("a kernel would start"))
    with pytest.raises(LessonError, match=f"{name} is not what a run left there"):
        run_lesson(lesson, out_dir=str(out))
    assert contents(out) == before


def test_a_picture_of_the_users_keeps_its_name(tmp_path):
    lesson, out = write_lesson(tmp_path / "tiny.ipynb", WRITE), tmp_path / "out"
    out.mkdir()
    (out / "picture.txt").write_text("mine")
    for style in ("wave", "cubist"):
        run_lesson(lesson, {"style": style}, out_dir=str(out))
    assert (out / "picture.txt").read_text() == "mine"
    assert [(out / f"picture-{n}.txt").read_text() for n in (2, 3)] == ["wave", "cubist"]


def test_of_two_runs_into_one_folder_the_second_is_refused(tmp_path):
    """The first waits for a file that is written after the second has ended."""
    (tmp_path / "out").mkdir()
    begin = "import pathlib, time\npathlib.Path('began').touch()"
    wait = "while not pathlib.Path('go').exists():\n    time.sleep(0.05)"
    lesson = write_lesson(tmp_path / "tiny.ipynb", begin, wait, WRITE)
    command = [sys.executable, "-m", "nst_lesson", "run", lesson, "-o", "out", "-p", "style", "wave"]
    first = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while first.poll() is None and not (tmp_path / "began").exists():
        time.sleep(0.1)
    with pytest.raises(LessonError, match="another run is writing into"):
        run_lesson(lesson, {"style": "cubist"}, out_dir=str(tmp_path / "out"))
    (tmp_path / "go").touch()
    _, err = first.communicate()
    assert first.returncode == 0, err
    assert list(contents(tmp_path / "out")) == ["picture.txt", "results.json", "tiny.html", "tiny.ipynb"]
    assert (tmp_path / "out" / "picture.txt").read_text() == "wave"


def test_a_place_that_cannot_be_written_is_one_line(lesson, tmp_path):
    (tmp_path / "file").touch()
    places = [tmp_path / "file", tmp_path / "file" / "out", tmp_path / ("x" * 300), *map(str, [tmp_path / "closed"])]
    (tmp_path / "closed").mkdir(mode=0o500)
    if os.access(tmp_path / "closed", os.W_OK):  # root may write everywhere
        places.pop()
    for place in places:
        with pytest.raises(LessonError, match=r"cannot write into .*: choose another folder") as caught:
            run_lesson(lesson, out_dir=str(place))
        assert "\n" not in str(caught.value)


def test_a_full_disk_is_one_line(lesson, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    (tmp_path / "out").mkdir()
    monkeypatch.setattr(runs, "_execute", full)
    with pytest.raises(LessonError, match="No space left on device"):
        run_lesson(lesson, out_dir=str(tmp_path / "out"))
    assert contents(tmp_path / "out") == {}


@pytest.mark.parametrize("text", ["", "{", "[1]", "NaN"])
def test_a_record_of_the_lessons_own_form_stays_as_it_is(tmp_path, text):
    code = f"open(out_dir + '/results.json', 'w').write({text!r})"
    folder = run_lesson(write_lesson(tmp_path / "tiny.ipynb", code), out_dir=str(tmp_path / "out"))
    assert (folder / "results.json").read_text() == text


def test_a_lesson_is_stored_without_traces_of_machine_and_run(tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "PACKAGE", tmp_path / "nst_lesson")
    lesson = write_lesson(
        tmp_path / "tiny.ipynb",
        f"print({str(tmp_path)!r} + '/runs/x.png', flush=True)\nprint('made')",
        "import warnings\nwarnings.warn('careful')",
        "import ipywidgets\nipywidgets.IntSlider()",
        "",
    )
    execute_in_place(lesson)
    stored = nbformat.read(lesson, as_version=4)
    nbformat.validate(stored)
    assert set(stored.metadata) == {"kernelspec", "language_info"}
    assert stored.metadata.kernelspec.name == "python3"
    code = [cell for cell in stored.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == [1, 2, 3, 4, None]
    assert [dict(cell.metadata) for cell in code] == [{"tags": ["parameters"]}, {}, {}, {}, {}]
    assert code[0].source == PARAMETERS  # nothing injected
    assert [output.text for output in code[1].outputs] == ["runs/x.png\nmade\n"]
    assert code[2].outputs[0].text.startswith("<cell>:2: UserWarning: careful")
    assert code[3].outputs == []  # a widget is dead without its kernel


@pytest.mark.parametrize("code", ["1/0", "print('x' * 1_600_000)"])
def test_a_lesson_that_fails_or_grows_too_large_stays_as_it_was(tmp_path, code):
    lesson = write_lesson(tmp_path / "tiny.ipynb", code)
    before = lesson.read_bytes()
    with pytest.raises((RunFailed, LessonError)):
        execute_in_place(lesson)
    assert lesson.read_bytes() == before
    assert list(tmp_path.iterdir()) == [lesson]


def test_a_kernel_that_dies_is_said_to(tmp_path):
    lesson = write_lesson(tmp_path / "tiny.ipynb", "import os\nos._exit(1)")
    with pytest.raises(RunFailed, match="the kernel died"):
        run_lesson(lesson, out_dir=str(tmp_path / "out"))
