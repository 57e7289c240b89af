"""The instructors' page names commands, files and lessons that exist, and its plans hold every lesson."""

import re
from pathlib import Path

import pytest
from exercises import exercises

from nst_lesson.cli import main as cli
from nst_lesson.course import runs as course

PAGE = course.notebooks_dir() / "INSTRUCTORS.md"
TEXT = PAGE.read_text(encoding="utf-8")
NUMBERS = {name.split("_")[0] for name in course.lessons()}


def section(heading):
    """The text below a heading, up to the next one."""
    return re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL)[1]


def test_it_is_short():
    assert len(TEXT.splitlines()) <= 200


@pytest.mark.parametrize("command", sorted(set(re.findall(r"nst-lesson ([a-z]+)\b", TEXT))))
def test_each_command_exists(command, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main([command, "--help"])
    assert end.value.code == 0 and command in capsys.readouterr().out


def test_each_linked_file_exists():
    links = [link for link in re.findall(r"\]\(([^)#]+)", TEXT) if "://" not in link]
    lessons = {link.removesuffix(".ipynb") for link in links if link.endswith(".ipynb")}
    missing = [link for link in links if not (PAGE.parent / link).exists()]
    assert missing == [] and lessons == set(course.lessons())


@pytest.mark.parametrize("plan", ["A workshop of three hours", "A course of six weeks"])
def test_every_lesson_is_in_both_plans(plan):
    assert NUMBERS <= set(re.findall(r"\b(?:0\d|10)\b", section(plan)))


def test_the_workshop_takes_three_hours():
    rows = re.findall(r"^\| (\d):(\d\d) \| (\d+) \|", section("A workshop of three hours"), re.MULTILINE)
    ends = [60 * int(h) + int(m) + int(long) for h, m, long in rows]
    assert [60 * int(h) + int(m) for h, m, _ in rows] == [0, *ends[:-1]] and ends[-1] == 180


def test_minutes_add_up_and_are_those_of_the_lessons():
    rows = re.findall(r"^\| \[(\d\d) .*?\]\((.*?)\.ipynb\) \| (\d+) \| .*? \| (\d) \|", section("The lessons"), re.M)
    minutes = {number: int(long) for number, _, long, _ in rows}
    for number, name, long, count in rows:
        said = re.search(r"\*\*Time\*\* (\d+) (minutes|hours)", (PAGE.parent / f"{name}.ipynb").read_text("utf-8"))
        assert int(long) == int(said[1]) * (60 if said[2] == "hours" else 1), number
        assert int(count) == len(exercises(name)), number
    weeks = re.findall(r"^\| \d \| ([\d, ]+) \| (\d+) \|", section("A course of six weeks"), re.MULTILINE)
    assert len(weeks) == 6
    for lessons, total in weeks:
        assert sum(minutes[number] for number in lessons.split(", ")) == int(total)


@pytest.mark.parametrize("name", sorted(set(re.findall(r"NST_LESSON_[A-Z]+", TEXT))))
def test_each_variable_is_read(name):
    assert any(name in path.read_text("utf-8") for path in Path(cli.__file__).parent.glob("*.py"))
