"""`nst-lesson grade`: grades for a folder of notebooks that students handed in."""

from __future__ import annotations

import argparse

from ..errors import LessonError
from .command import Commands, add_command, add_overwrite, check_output, place, say, short


def add_parser(commands: Commands) -> None:
    """The command and its options."""
    command = add_command(commands, "grade", run, "check what students handed in: a table of points")
    command.add_argument("folder", type=place, metavar="FOLDER", help="notebooks, or a folder of them per student")
    command.add_argument("-o", "--out", type=place, required=True, metavar="FILE", help="such as grades.csv")
    add_overwrite(command)


def run(arguments: argparse.Namespace) -> int:
    """Judge every answer in the folder and write the table."""
    from ..course.grade import grade, write_grades

    if arguments.out.suffix.lower() != ".csv":
        raise LessonError(f"{arguments.out}: the table is written as .csv")
    check_output(arguments.out, (), arguments.overwrite)
    students = grade(arguments.folder)
    write_grades(students, arguments.out)
    say(f"wrote {short(arguments.out)} ({len(students)} students)")
    return 0
