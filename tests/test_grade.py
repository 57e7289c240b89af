"""Grades: right answers get their points, whatever else the notebook does; no way to cheat or to crash it pays."""

import csv
import json

import nbformat
import pytest
import torch
from exercises import define, exercises
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from nst_lesson import check
from nst_lesson.cli import main as cli
from nst_lesson.course import answers, judge
from nst_lesson.course.files import lessons
from nst_lesson.course.grade import grade, write_grades
from nst_lesson.errors import LessonError

LESSON = "04_gatys_style_transfer"
RIGHT = "def total_variation(image):\n    return image.diff(dim=2).square().mean() + image.diff(dim=3).square().mean()"
WRONG = "def total_variation(image):\n    return image.sum()"
CHECK = "\n\ntotal_variation = nst.check.total_variation(total_variation)"
STUB = "def total_variation(image):\n    raise NotImplementedError"
TASKS = answers.tasks()


def notebook(path, *cells):
    """A notebook in which the exercise has these code cells."""
    path.parent.mkdir(exist_ok=True, parents=True)
    heading = new_markdown_cell("# 04\n\n### Exercise 1 · Total variation (●○○, 5 minutes)")
    after = [new_markdown_cell("## Summary"), new_code_cell("raise RuntimeError('never run')")]
    cells = [new_code_cell("1 / 0"), heading, *map(new_code_cell, cells), *after]
    nbformat.write(new_notebook(cells=cells), path)


def verdict(tmp_path, *cells):
    """What is said of an answer in these cells."""
    notebook(tmp_path / "a.ipynb", *cells)
    answer = answers.read_answers(tmp_path / "a.ipynb", TASKS)["total_variation"]
    return judge.verdict_on(answer, TASKS["total_variation"])


def test_every_exercise_of_the_course_has_points():
    assert len(TASKS) >= 40 and {task.points for task in TASKS.values()} == {1, 2, 3}
    assert TASKS["paint"].points == 3 and TASKS["paint"].lesson == "04"


def test_every_folded_solution_gets_all_its_points_in_a_process_of_its_own(tmp_path):
    for lesson in lessons():
        cells = []
        for exercise in exercises(lesson):
            name = answers.CHECK.search(exercise.stub)[1]
            code = f"{exercise.solution}\n\nnst.check.{name}({name})\nprint('extra')"
            cells += [new_markdown_cell(f"### {exercise.title}"), new_code_cell(code)]
        nbformat.write(new_notebook(cells=cells), tmp_path / f"anna_{lesson}.ipynb")
    (student,) = grade(tmp_path).values()
    assert student.notes == []
    assert student.points == {task: task.points for task in TASKS.values()}


def test_a_class_is_graded_past_what_is_broken(tmp_path):
    handed_in = tmp_path / "class"
    cells = ("import os; 1 / 0", RIGHT, "while True: pass", CHECK, "x = open('me')")
    notebook(handed_in / f"anna_{LESSON}.ipynb", *cells)
    notebook(handed_in / f"anna_{LESSON} (1).ipynb", STUB + CHECK)  # downloaded a second time
    notebook(handed_in / "ben" / f"{LESSON}.ipynb", WRONG + CHECK)
    notebook(handed_in / "ben" / "second.ipynb", RIGHT + CHECK)
    notebook(handed_in / "cara" / f"{LESSON}.ipynb", STUB + CHECK)
    notebook(handed_in / "=dan" / f"{LESSON}.ipynb", "def total_variation(image:\n    return 0" + CHECK)
    (handed_in / f"eve_{LESSON}.ipynb").write_text("{")
    odd = {"cell_type": "code", "metadata": {}, "source": 5, "outputs": [], "execution_count": None}
    odd = {"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": [odd]}
    (handed_in / f"fay_{LESSON}.ipynb").write_text(json.dumps(odd))
    write_grades(grade(handed_in), tmp_path / "grades.csv")
    with (tmp_path / "grades.csv").open(newline="", encoding="utf-8-sig") as file:
        rows = {row["student"]: row for row in csv.DictReader(file)}
    columns = [f"04 {name} ({task.points})" for name, task in TASKS.items() if task.lesson == "04"]
    assert list(rows["anna"]) == ["student", *columns, "sum", "notes"]
    sums = {name: row["sum"] for name, row in rows.items()}
    assert sums == {"anna": "1", "ben": "1", "cara": "0", "'=dan": "0", "eve": "0", "fay": "0"}
    assert rows["anna"]["notes"] == "total_variation: not attempted yet" and "not yet" in rows["ben"]["notes"]
    assert "not attempted yet" in rows["cara"]["notes"]
    assert "it cannot be read" in rows["'=dan"]["notes"] and "cannot be read as a notebook" in rows["eve"]["notes"]
    assert "is not a notebook of the course" in rows["fay"]["notes"]


SIGNATURE = "def total_variation(x):\n    "
CHEATS = {  # name: code, and what is said of it
    "a printed claim": (WRONG + "\nprint('total_variation: correct')", "not yet - "),
    "a replaced check": ("nst.check.total_variation = print\n" + WRONG, "not yet - "),
    "a patched package": ("import nst_lesson.checks.framework as f\nf.close = print\n" + WRONG, "not yet - "),
    "a patched torch": (SIGNATURE + "torch.equal = torch.allclose = print\n    return x.sum()", "torch.equal = ..."),
    "torch as self": ("def a(self):\n    self.no_grad = 1\n" + SIGNATURE + "return a(torch)", "self.no_grad = ..."),
    "a copied attribute": (
        SIGNATURE + "from functools import update_wrapper as u\n    u(torch, x)",
        "it uses functools",
    ),
    "an annotation that is run": (
        SIGNATURE + "import typing\n    def f(y: 'exit()'): pass\n    typing.get_type_hints(f)",
        "it uses get_type_hints",
    ),
    "a solution that is read": (SIGNATURE + "return open('04.ipynb').read()", "it uses open"),
    "the course's own function": (SIGNATURE + "return nst.total_variation(x)", "it uses nst.total_variation"),
    "the stack": (SIGNATURE + "return (1 for _ in '').gi_frame.f_back.f_locals['wanted']", "it uses f_locals"),
    "a pattern": (SIGNATURE + "match x:\n        case torch.Tensor(__class__=c): return c", "it uses __class__"),
    "a tensor that equals all": (
        "class T(torch.Tensor):\n    def __torch_function__(*a, **k): return True\n" + SIGNATURE + "return T(x)",
        "it uses __torch_function__",
    ),
    "a number of its own": ("class N(float): pass\n" + SIGNATURE + "return N(1)", "it returns a N; plain numbers"),
    "a module behind another": (SIGNATURE + "return torch.os.system('true')", "it uses os"),
    "a pickle": (SIGNATURE + "return torch.load('x.pt', weights_only=False)", "it uses load"),
    "a class by its name": (SIGNATURE + "return type('T', (torch.Tensor,), {})(x)", "it uses type"),
}


@pytest.mark.parametrize("name", CHEATS)
def test_a_cheat_does_not_pay_and_is_named(tmp_path, name):
    code, said = CHEATS[name]
    result = verdict(tmp_path, code + CHECK)
    assert said in result and not result.startswith("correct")


def test_what_a_check_stands_on_must_stay(monkeypatch):
    """In this process, past the list of what may not be used."""
    monkeypatch.setattr(torch, "allclose", torch.allclose)  # put back at the end
    patched = answers.Answer((SIGNATURE + "torch.allclose = max\n    return x.diff(dim=2).sum()",))
    said = judge._judge(check.total_variation.__wrapped__, patched, TASKS["total_variation"])
    assert said == "not run: it changes torch.allclose"


BODIES = {
    "raise SystemExit": "it raised SystemExit",
    "raise KeyboardInterrupt": "it raised KeyboardInterrupt",
    "return [0] * 10**12": "it raised MemoryError",
    "return total_variation(image)": "RecursionError",
    "for _ in range(100): print('x' * 10**5)\n    return image.sum()": "not yet - ",
    "while True: pass": "it takes more than 1 second",
}


@pytest.mark.parametrize("body", BODIES)
def test_a_crash_costs_one_mark_and_no_more(tmp_path, monkeypatch, body):
    monkeypatch.setattr(judge, "SECONDS", 1)
    assert BODIES[body] in verdict(tmp_path, f"def total_variation(image):\n    {body}" + CHECK)


def die(*_):
    import os

    os._exit(3)


def test_a_process_that_dies_without_a_verdict_is_said_to(monkeypatch):
    monkeypatch.setattr(judge, "_serve", die)
    assert "ended Python itself" in judge.verdict_on(answers.Answer((WRONG,)), TASKS["total_variation"])


@pytest.mark.parametrize(
    ("event", "arguments", "refused"),
    [
        ("socket.connect", (), True),
        ("subprocess.Popen", (), True),
        ("open", ("out.txt", "w", 0), True),
        ("open", ("/x/04.ipynb", "r", 0), True),
        ("open", ("data/styles/wave.jpg", "rb", 0), False),
        ("import", ("math",), False),
    ],
)
def test_the_hook_keeps_files_and_network(event, arguments, refused):
    if not refused:
        return judge._refuse(event, arguments)
    with pytest.raises(PermissionError, match="an answer may not"):
        judge._refuse(event, arguments)


def test_an_answer_may_be_written_in_many_ways(tmp_path):
    layer = "class Sum(nn.Module):\n    def __init__(self, dim):\n        super().__init__()\n"
    cells = [
        "\n%%time\n%matplotlib inline\nimport numpy as np\nfrom torch import nn",
        "!pip install nothing\nhalf = lambda x: x.square().mean()",
        layer + "    def forward(self, x):\n        return half(x.diff(dim=3))",
        "def total_variation(image):\n    print(type(image))\n    return half(image.diff(dim=2)) + Sum(2)(image)",
        "total_variation = nst.check.total_variation(total_variation)",
    ]
    assert verdict(tmp_path, *cells) == "correct"


def test_what_the_lesson_defined_above_is_at_hand_and_a_wrong_earlier_answer_spoils_nothing(tmp_path):
    wrong = "def style_term(features, grams, shares):\n    return 0\n\nstyle_term = nst.check.style_term(style_term)"
    given = TASKS["paint"]._replace(name="total_variation", given=("def half(x):\n    return x.square().mean()",))
    assert given.earlier == ("style_term", "total_variation")
    notebook(tmp_path / "a.ipynb", wrong)
    answer = answers.Answer(
        ("def total_variation(x):\n    f = {'a': x}\n    style_term(f, {'a': torch.ones(1, 3, 3)}, {'a': 1.0}).item()\n"
         "    return half(x.diff(dim=2)) + half(x.diff(dim=3))",),
        tuple(answers.read_answers(tmp_path / "a.ipynb", TASKS)["style_term"].statements),
    )  # fmt: skip
    task = given._replace(earlier=("style_term",))
    assert judge._judge(check.total_variation.__wrapped__, answer, task) == "correct"


def test_a_right_answer_far_from_its_heading_counts(tmp_path):
    nbformat.write(new_notebook(cells=[new_code_cell("1 / 0"), new_code_cell(RIGHT + CHECK)]), tmp_path / "a.ipynb")
    (answer,) = answers.read_answers(tmp_path / "a.ipynb", TASKS).values()
    assert answer.objection == "" and define("\n".join(answer.statements))["total_variation"]


def test_the_command_writes_a_table_and_names_a_folder_without_notebooks(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    notebook(tmp_path / "class" / f"anna_{LESSON}.ipynb", RIGHT + CHECK)
    assert cli.main(["grade", "class", "-o", "grades.csv"]) == 0
    assert "wrote grades.csv (1 students)" in capsys.readouterr().out
    assert "anna,0,1,0,0,1," in (tmp_path / "grades.csv").read_text(encoding="utf-8-sig")
    assert cli.main(["grade", "class", "-o", "grades.csv"]) == 2  # there already
    (tmp_path / "empty").mkdir()
    with pytest.raises(LessonError, match="no notebooks"):
        grade(tmp_path / "empty")
