"""Lessons are found, their parameters checked before a kernel starts, and a run leaves what it promises."""

import json
import math
import sys
import types

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import PARAMETERS, write_lesson

from nst_lesson.course import runs as course
from nst_lesson.course.runs import (
    check_parameters,
    find_lesson,
    parameter_types,
    parse_value,
    read_parameters,
    run_lesson,
)
from nst_lesson.errors import LessonError, ParameterError


@pytest.fixture
def lesson(tmp_path):
    return write_lesson(tmp_path / "tiny.ipynb")


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """A course of two lessons instead of the real one."""
    monkeypatch.setattr(course, "PACKAGE", tmp_path / "nst_lesson")
    (tmp_path / "notebooks").mkdir()
    return [write_lesson(tmp_path / "notebooks" / name) for name in ("00_start.ipynb", "04_gatys_transfer.ipynb")]


# ---------------------------------------------------------------------------------------------------- finding lessons


def test_a_lesson_is_found_by_number_name_and_path(shelf):
    assert list(course.lessons()) == ["00_start", "04_gatys_transfer"]
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
    monkeypatch.setattr(course, "PACKAGE", tmp_path / "nst_lesson")
    with pytest.raises(LessonError, match="install nst_lesson again"):
        course.lessons()
    (tmp_path / "nst_lesson" / "notebooks").mkdir(parents=True)
    assert course.notebooks_dir() == tmp_path / "nst_lesson" / "notebooks"


# ----------------------------------------------------------------------------------------------------------- parameters


def test_types_come_from_the_annotations(lesson):
    assert parameter_types(lesson) == {
        "style": str,
        "steps": int,
        "learning_rate": float | None,
        "style_layers": list[str],
        "live": bool,
        "out_dir": str,
    }


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
        ("none", float | None, None),
        (None, float | None, None),
        ("1e-3", float | None, 0.001),
        ("3", int | str, 3),
        ("x", int | str, "x"),
        ("a, b", list[str], ["a", "b"]),
        ("a", list[str], ["a"]),
        ("", list[str], []),
        (["a", "b"], list[str], ["a", "b"]),
        ("1,2.5", tuple[float, ...], [1.0, 2.5]),
        ("a,b", list[str] | None, ["a", "b"]),
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
        ("maybe", bool),
        (1, bool),
        (7, str),
        (None, str),
        (None, int),
        ("none", float),
        ("x", float | None),
        (["a"], str),
        ("1,x", list[int]),
        (7, list[str]),
        ({"a": 1}, list[str]),
    ],
)
def test_a_value_of_another_type_is_refused(value, kind):
    with pytest.raises((ValueError, TypeError)):
        parse_value(value, kind)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_number_survives_being_written_out(number):
    assert parse_value(repr(number), float) == number


def test_an_unknown_parameter_names_the_nearest_and_lists_all(lesson):
    with pytest.raises(ParameterError, match=r"no parameter 'step': did you mean 'steps'\?.*style, steps, learn"):
        check_parameters(lesson, {"step": "3"})


def test_a_wrong_type_says_what_was_expected(lesson):
    with pytest.raises(ParameterError, match="parameter steps of tiny: expected a whole number such as 200, got 'm"):
        check_parameters(lesson, {"steps": "many"})
    with pytest.raises(ParameterError, match="learning_rate of tiny: expected a number such as 0.5 or 1e-3 or none"):
        check_parameters(lesson, {"learning_rate": "many"})


def test_a_picture_file_becomes_absolute_and_a_sample_name_stays(lesson, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.jpg").touch()
    assert check_parameters(lesson, {"style": "my.jpg"}) == {"style": str(tmp_path / "my.jpg")}
    assert check_parameters(lesson, {"style": "nocturne"}) == {"style": "nocturne"}
    assert check_parameters(lesson, {"style": "x" * 5000})  # longer than any file name


def test_files_in_a_list_and_a_folder_become_absolute(tmp_path, monkeypatch):
    parameters = 'styles: list[str] = []  # some\nimages: str = ""  # a folder\nbackbone: str = "pocket"  # network'
    lesson = write_lesson(tmp_path / "tiny.ipynb", parameters=parameters)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.jpg").touch()
    for name in ("photos", "wave", "pocket"):
        (tmp_path / name).mkdir()
    found = check_parameters(lesson, {"styles": "my.jpg,wave", "images": "photos", "backbone": "pocket"})
    assert found.pop("styles") == [str(tmp_path / "my.jpg"), "wave"]
    assert found == {"images": str(tmp_path / "photos"), "backbone": "pocket"}


@pytest.mark.parametrize(
    "parameters", ["steps: int = ", "steps: dict[str, int] = {}", "steps: Path = None", "steps: list = []", "%time"]
)
def test_parameters_that_cannot_be_read_are_named(tmp_path, parameters):
    lesson = write_lesson(tmp_path / "odd.ipynb", parameters=parameters)
    with pytest.raises(LessonError, match=r"odd\.ipynb: the cell tagged 'parameters' cannot be read"):
        parameter_types(lesson)


def test_a_file_that_is_no_lesson_is_named(tmp_path):
    path = tmp_path / "no.ipynb"
    for text in ("", "not json", "[]", "{}", '{"cells": []}'):
        path.write_text(text)
        with pytest.raises(LessonError, match=r"no\.ipynb"):
            parameter_types(path)


def test_a_yaml_file_of_parameters(tmp_path, lesson):
    path = tmp_path / "recipe.yaml"
    path.write_text("steps: 300\nlearning_rate: 1e-3\nlive: no\nstyle_layers: [relu1_1, relu2_1]\n")
    values = check_parameters(lesson, read_parameters(path))
    assert values == {"steps": 300, "learning_rate": 0.001, "live": False, "style_layers": ["relu1_1", "relu2_1"]}


@pytest.mark.parametrize("text", ["steps: [", "- a\n- b", "", "3", "a: !!python/object/apply:os.getcwd []", "\0"])
def test_a_file_without_parameters_is_one_line(tmp_path, text):
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(ParameterError, match=r"bad\.yaml") as caught:
        read_parameters(path)
    assert "\n" not in str(caught.value)


def test_a_missing_file_of_parameters_is_named(tmp_path):
    with pytest.raises(ParameterError, match=r"none\.yaml: No such file"):
        read_parameters(tmp_path / "none.yaml")


# --------------------------------------------------------------------------------------------------- executing lessons


def test_nothing_starts_and_nothing_is_made_for_bad_parameters(lesson, tmp_path, monkeypatch):
    monkeypatch.setattr(course.papermill, "execute_notebook", lambda *_, **__: pytest.fail("a kernel would start"))
    for values in ({"step": "3"}, {"steps": "many"}):
        with pytest.raises(ParameterError):
            run_lesson(lesson, values, out_dir=str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_a_run_gets_its_values_and_leaves_notebook_and_page(tmp_path, monkeypatch):
    code = "import json, sys\nseen = [style, steps, learning_rate, style_layers, live, sys.executable]\n"
    code += "with open(out_dir + '/seen.json', 'w') as file:\n    json.dump(seen, file)"
    lesson = write_lesson(tmp_path / "tiny.ipynb", code)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.jpg").touch()
    values = {"style": "my.jpg", "steps": "007", "learning_rate": "1e-3", "style_layers": "a,b", "live": "true"}
    folder = run_lesson(lesson, values, out_dir="out {0}")  # papermill would fill in the braces
    assert folder == tmp_path / "out {0}"
    assert sorted(path.name for path in folder.iterdir()) == ["seen.json", "tiny.html", "tiny.ipynb"]
    seen = json.loads((folder / "seen.json").read_text())
    assert seen == [str(tmp_path / "my.jpg"), 7, 0.001, ["a", "b"], True, sys.executable]
    assert "<title>A tiny lesson</title>" in (folder / "tiny.html").read_text()


def test_a_lesson_is_stored_without_traces_of_machine_and_run(tmp_path, monkeypatch):
    monkeypatch.setattr(course, "PACKAGE", tmp_path / "nst_lesson")
    lesson = write_lesson(
        tmp_path / "tiny.ipynb",
        f"print({str(tmp_path)!r} + '/runs/x.png')",
        "import warnings\nwarnings.warn('careful')",
        "import ipywidgets\nipywidgets.IntSlider()",
        "",
    )
    course.execute_in_place(lesson)
    stored = nbformat.read(lesson, as_version=4)
    nbformat.validate(stored)
    assert set(stored.metadata) == {"kernelspec", "language_info"}
    assert stored.metadata.kernelspec.name == "python3"
    code = [cell for cell in stored.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == [1, 2, 3, 4, None]
    assert [dict(cell.metadata) for cell in code] == [{"tags": ["parameters"]}, {}, {}, {}, {}]
    assert code[0].source == PARAMETERS  # nothing injected
    assert code[1].outputs[0].text == "runs/x.png\n"
    assert code[2].outputs[0].text.startswith("<cell>:2: UserWarning: careful")
    assert code[3].outputs == []  # a widget is dead without its kernel


@pytest.mark.parametrize("code", ["1/0", "print('x' * 700_000)"])
def test_a_lesson_that_fails_or_grows_too_large_stays_as_it_was(tmp_path, code):
    lesson = write_lesson(tmp_path / "tiny.ipynb", code)
    before = lesson.read_bytes()
    with pytest.raises((course.RunFailed, LessonError)):
        course.execute_in_place(lesson)
    assert lesson.read_bytes() == before
    assert list(tmp_path.iterdir()) == [lesson]


def test_a_kernel_that_dies_is_said_to(tmp_path):
    lesson = write_lesson(tmp_path / "tiny.ipynb", "import os\nos._exit(1)")
    with pytest.raises(course.RunFailed, match="the kernel died"):
        run_lesson(lesson, out_dir=str(tmp_path / "out"))


def test_every_annotation_that_is_understood_can_be_described():
    for kind in (int, float, str, bool, float | None, list[str], tuple[int, ...], list[str] | None):
        assert course._expected(kind)
    with pytest.raises(TypeError):
        course._expected(types.SimpleNamespace)
