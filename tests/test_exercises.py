"""Every exercise of every lesson, as it stands there: its folded solution passes, its stub is not attempted."""

import re

import pytest
from exercises import define, exercises, printed, verdict

import nst_lesson as nst
from nst_lesson.course.files import lessons

ROUNDS = 5  # some inputs are random: a check must never depend on the draw
ALL = {(lesson, exercise.title): exercise for lesson in lessons() for exercise in exercises(lesson)}

each_exercise = pytest.mark.parametrize("exercise", ALL.values(), ids=["-".join(key)[:60] for key in ALL])


def name_of(exercise):
    """What the student's function and its check are called."""
    return re.search(r"nst\.check\.(\w+)\(\1\)", exercise.stub)[1]


@each_exercise
def test_the_folded_solution_passes(exercise):
    name = name_of(exercise)
    answer = define(exercise.solution)[name]
    assert {verdict(getattr(nst.check, name), answer) for _ in range(ROUNDS)} == {f"{name}: correct"}


@each_exercise
def test_the_stub_is_not_attempted_yet(exercise):
    assert printed(exercise.stub) == f"{name_of(exercise)}: not attempted yet"


def test_every_check_belongs_to_one_exercise():
    assert sorted(map(name_of, ALL.values())) == sorted(nst.check.__all__)
