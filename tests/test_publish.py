"""Badges and the address stand together, in a clone and in a fork; a handout has no solutions and the same code."""

import re
import shutil
import tomllib
from pathlib import Path

import nbformat
import pytest

from nst_lesson import paths
from nst_lesson.cli import main as cli
from nst_lesson.course import publish
from nst_lesson.course.files import lessons
from nst_lesson.errors import LessonError, ParameterError
from nst_lesson.paths import notebooks_dir

ROOT = notebooks_dir().parent


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """A copy of what badges are written into, in the place of the clone."""
    (tmp_path / "notebooks").mkdir()
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, tmp_path)
    for path in list(lessons().values())[:2]:
        shutil.copy(path, tmp_path / "notebooks")
    monkeypatch.setattr(publish, "PACKAGE", tmp_path / "nst_lesson")
    monkeypatch.setattr(paths, "PACKAGE", tmp_path / "nst_lesson")
    return tmp_path


def repository(clone=ROOT):
    """OWNER/NAME of the course on GitHub as pyproject.toml has it, or "" while none is set."""
    urls = tomllib.loads((clone / "pyproject.toml").read_text(encoding="utf-8"))["project"].get("urls", {})
    return urls.get("Repository", "").removeprefix("https://github.com/")


def texts(clone):
    return {path.relative_to(clone): path.read_text(encoding="utf-8") for path in clone.rglob("*.*")}


def test_the_course_has_badges_only_with_an_address_and_the_same_everywhere():
    """Whatever the address of this clone is, none while it is not set."""
    repo = repository()
    address = f"https://github.com/{repo}" if repo else ""
    for path in lessons().values():
        notebook = nbformat.read(path, as_version=4)
        setup = next(cell.source for cell in notebook.cells if publish.ADDRESS.search(cell.source))
        assert f'REPOSITORY, BRANCH = "{address}", "' in setup
        badge = f"/github/{repo}/blob/" in notebook.cells[0].source
        assert badge if repo else "colab.research.google.com" not in notebook.cells[0].source
    assert ("colab.research.google.com" in (ROOT / "README.md").read_text(encoding="utf-8")) == bool(repo)


def test_badges_come_change_and_go(clone):
    publish.write_badges("")  # this clone may have an address
    before = texts(clone)
    assert publish.write_badges("") == []

    assert len(publish.write_badges("somebody/course")) == 4
    assert repository(clone) == "somebody/course"
    lesson = nbformat.read(clone / "notebooks" / "00_start_here.ipynb", as_version=4)
    link = "https://colab.research.google.com/github/somebody/course/blob/main/notebooks/00_start_here.ipynb"
    assert lesson.cells[0].source.count(link) == 1
    assert 'REPOSITORY, BRANCH = "https://github.com/somebody/course", "main"' in lesson.cells[1].source
    assert link in (clone / "README.md").read_text(encoding="utf-8")
    assert publish.write_badges("somebody/course") == []

    publish.write_handout(clone / "class")
    handed = (clone / "class" / "00_start_here.ipynb").read_text(encoding="utf-8")
    assert "https://github.com/somebody/course" in handed and "colab.research" not in handed
    shutil.rmtree(clone / "class")

    publish.write_badges("else/fork", "class-2027")
    now = "".join(texts(clone).values())
    assert "somebody" not in now and now.count("/github/else/fork/blob/class-2027/") == 3
    assert now.count('"https://github.com/else/fork", "class-2027"'.replace('"', '\\"')) == 2  # in JSON

    publish.write_badges("")
    assert texts(clone) == before


IMPOSSIBLE = [("course", "main"), ("a/b/c", "main"), ("https://x", "main"), ("a/b", "")]


@pytest.mark.parametrize(("repo", "branch"), IMPOSSIBLE)
def test_an_address_that_cannot_be_is_one_line_and_changes_nothing(clone, repo, branch):
    before = texts(clone)
    with pytest.raises(ParameterError, match="give"):
        publish.write_badges(repo, branch)
    assert texts(clone) == before


def test_outside_a_clone_there_is_nothing_to_write_into(tmp_path, monkeypatch):
    monkeypatch.setattr(publish, "PACKAGE", tmp_path / "site-packages" / "nst_lesson")
    with pytest.raises(LessonError, match="not in a clone"):
        publish.write_badges("a/b")


def test_a_handout_has_the_same_code_and_neither_solutions_nor_outputs(tmp_path, capsys):
    assert cli.main(["handout", str(tmp_path / "class")]) == 0
    assert "lessons without solutions in" in capsys.readouterr().out
    for name, path in lessons().items():
        lesson = nbformat.read(path, as_version=4)
        handed = nbformat.read(tmp_path / "class" / f"{name}.ipynb", as_version=4)
        nbformat.validate(handed)
        code, given = ([c.source for c in nb.cells if c.cell_type == "code"] for nb in (lesson, handed))
        assert given == code  # it runs as the lesson does
        prose = "\n\n".join(c.source for c in handed.cells if c.cell_type == "markdown")
        assert "Solution</summary>" not in prose and prose.count("<details>") == prose.count("</details>")
        assert "<summary>Hint</summary>" in prose
        assert not re.search(r"</details>\n(?!\n|<details>|$)", prose)  # else Markdown takes what follows for HTML
        assert not any(c.outputs or c.execution_count for c in handed.cells if c.cell_type == "code")


def test_a_handout_does_not_overwrite_the_lessons():
    for overwrite in (False, True):
        with pytest.raises(LessonError, match="choose another folder"):
            publish.write_handout(notebooks_dir(), overwrite)


def test_a_handout_overwrites_a_students_work_only_when_told(clone, capsys):
    folder = clone / "class"
    assert cli.main(["handout", str(folder)]) == 0
    before = texts(folder)
    assert cli.main(["handout", str(folder)]) == 0  # nothing would be lost
    (folder / "00_start_here.ipynb").write_text("a student's work")
    (folder / "notes.txt").write_text("notes")
    capsys.readouterr()
    assert cli.main(["handout", str(folder)]) == 2
    assert "has another 00_start_here.ipynb" in (message := capsys.readouterr().err) and "--overwrite" in message
    assert (folder / "00_start_here.ipynb").read_text() == "a student's work"
    assert cli.main(["handout", str(folder), "--overwrite"]) == 0
    assert texts(folder) == before | {Path("notes.txt"): "notes"}


def test_a_handout_into_a_place_that_is_a_file_is_one_line(clone):
    (clone / "file").write_text("mine")
    for place in (clone / "file", clone / "file" / "class"):
        with pytest.raises(LessonError, match=r"cannot write into .*: choose another folder"):
            publish.write_handout(place)
    assert (clone / "file").read_text() == "mine"
