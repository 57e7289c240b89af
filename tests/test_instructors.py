"""The instructors' page names commands, files and lessons that exist, and its plans hold every lesson."""

import re

import pytest
from exercises import exercises

from nst_lesson.cli import main as cli
from nst_lesson.course.files import lessons
from nst_lesson.paths import PACKAGE, notebooks_dir

PAGE = notebooks_dir() / "INSTRUCTORS.md"
TEXT = PAGE.read_text(encoding="utf-8")
NUMBERS = {name.split("_")[0] for name in lessons()}


def section(heading):
    """The text below a heading, up to the next one."""
    return re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL)[1]


@pytest.mark.parametrize("command", sorted(set(re.findall(r"nst-lesson ([a-z]+)\b", TEXT))))
def test_each_command_exists(command, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main([command, "--help"])
    assert end.value.code == 0 and command in capsys.readouterr().out


def test_each_linked_file_exists():
    links = [link for link in re.findall(r"\]\(([^)#]+)", TEXT) if "://" not in link]
    linked = {link.removesuffix(".ipynb") for link in links if link.endswith(".ipynb")}
    missing = [link for link in links if not (PAGE.parent / link).exists()]
    assert missing == [] and linked == set(lessons())


@pytest.mark.parametrize("plan", ["A workshop of three hours", "A course of six weeks"])
def test_every_lesson_is_in_both_plans(plan):
    assert NUMBERS <= set(re.findall(r"\b(?:0\d|10)\b", section(plan)))


def test_minutes_and_exercises_are_those_of_the_lessons():
    rows = re.findall(r"^\| \[(\d\d) .*?\]\((.*?)\.ipynb\) \| (\d+) \| .*? \| (\d) \|", section("The lessons"), re.M)
    assert {number for number, *_ in rows} == NUMBERS
    for number, name, long, count in rows:
        said = re.search(r"\*\*Time\*\* (\d+) (minutes|hours)", (PAGE.parent / f"{name}.ipynb").read_text("utf-8"))
        assert int(long) == int(said[1]) * (60 if said[2] == "hours" else 1), number
        assert int(count) == len(exercises(name)), number


@pytest.mark.parametrize("name", sorted(set(re.findall(r"NST_LESSON_[A-Z]+", TEXT))))
def test_each_variable_is_read(name):
    assert any(name in path.read_text("utf-8") for path in PACKAGE.rglob("*.py"))
