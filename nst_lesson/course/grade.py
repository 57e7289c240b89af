"""`nst-lesson grade`: the grades of a class, one row a student and one column an exercise.

Points are those of the difficulty (● 1, ●● 2, ●●● 3), given for an answer that passes our check. `answers.py` reads
what was handed in, `judge.py` runs it.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from ..checks.framework import CORRECT
from ..errors import LessonError, printable
from ..paths import atomic_path
from .answers import Answer, Task, read_answers, tasks
from .files import lessons
from .judge import verdict_on


@dataclass
class Student:
    """What a student handed in: points by exercise, and what an instructor should read."""

    points: dict[Task, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def grade(folder: Path) -> dict[str, Student]:
    """Judge every notebook in a folder and below it: name -> Student.

    A student is a folder below it, or, for notebooks that lie in `folder` itself, a file ("anna_04_gatys..." is anna).
    Of an exercise that was handed in twice the better answer counts. Raises LessonError where there are no notebooks.
    """
    paths = sorted(path for path in folder.rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts)
    if not paths:
        raise LessonError(f"there are no notebooks in {folder}: give the folder of what was handed in")
    known, students, work = tasks(), dict[str, Student](), list[tuple[str, Task, Answer]]()
    for path in paths:
        name = _student(path.relative_to(folder))
        student = students.setdefault(name, Student())
        try:
            answers = read_answers(path, known)
        except Exception as error:  # whatever is odd in one file, the class is graded
            said = "" if isinstance(error, LessonError) else f"{path.name} is not a notebook of the course: "
            student.notes.append(printable(f"{said}{error}"))
            continue
        if not answers:
            student.notes.append(f"{path.name}: no exercise of the course is in it")
        work += [(name, known[exercise], answer) for exercise, answer in sorted(answers.items())]
    for name, task, verdict in _judged(work):
        points = task.points if verdict == CORRECT else 0
        students[name].points[task] = max(points, students[name].points.get(task, 0))
        if verdict != CORRECT:
            students[name].notes.append(f"{task.name}: {printable(verdict)}")
    return students


def write_grades(students: dict[str, Student], file: Path) -> None:
    """Write a table as CSV: student, the exercises of every lesson that anybody handed in, sum, and notes."""
    order = list(tasks().values())
    handed_in = {task.lesson for student in students.values() for task in student.points}
    columns = [task for task in order if task.lesson in handed_in]
    with atomic_path(file) as temporary, temporary.open("w", newline="", encoding="utf-8-sig") as stream:
        table = csv.writer(stream)
        table.writerow(["student", *(f"{task.lesson} {task.name} ({task.points})" for task in columns), "sum", "notes"])
        for name, student in sorted(students.items()):
            points = [student.points.get(task, 0) for task in columns]
            table.writerow([_text(name), *points, sum(points), _text("; ".join(student.notes))])


def _judged(work: list[tuple[str, Task, Answer]]) -> Iterator[tuple[str, Task, str]]:
    """Student, exercise and what our check says, in order, from as many processes at once as there are cores."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        verdicts = pool.map(lambda item: verdict_on(item[2], item[1]), work)
        for (student, task, _), verdict in zip(work, tqdm(verdicts, "answers", len(work), leave=False), strict=True):
            yield student, task, verdict


def _student(path: Path) -> str:
    """Whose a notebook is, by its place below the folder."""
    if len(path.parts) > 1:
        return path.parts[0]
    stem = re.sub(r" ?\(\d+\)$", "", path.stem)  # which a browser gives to a second download
    return re.sub("|".join(map(re.escape, lessons())), "", stem).strip(" _-.()") or path.stem


def _text(text: str) -> str:
    """A text that a spreadsheet does not take for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
