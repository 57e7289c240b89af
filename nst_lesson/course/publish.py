"""The lessons as files for others: badges that open them in Colab, and a handout without solutions."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat

from ..errors import LessonError, ParameterError
from ..paths import PACKAGE, notebooks_dir, write_text
from .files import lessons, read_notebook
from .results import writable

COLAB = "https://colab.research.google.com"
BADGE = re.compile(r"^\[!\[Open in Colab\].*\n\n", re.MULTILINE)
ADDRESS = re.compile(r'^REPOSITORY, BRANCH = ".*?", ".*?"', re.MULTILINE)  # in each setup cell
REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")
SOLUTION = re.compile(r"\n*<details><summary>Solution</summary>.*?</details>", re.DOTALL)


def write_badges(repo: str, branch: str = "main") -> list[Path]:
    """Write the address OWNER/NAME into pyproject.toml and each setup cell, and a badge into each lesson and README.md.

    Done again, it replaces them; an empty `repo` takes address and badges out. The files that changed are returned.
    Raises ParameterError for a malformed `repo` or `branch`, and LessonError outside a clone.
    """
    repo = repo.removesuffix(".git")  # as `git remote` shows it
    if repo and not REPOSITORY.fullmatch(repo):
        raise ParameterError(f"the repository is {repo!r}; give OWNER/NAME, as in its address on GitHub")
    if not re.fullmatch(r"[\w./-]+", branch):
        raise ParameterError(f"the branch is {branch!r}; give its name, such as main")
    root, address = _root(), f"https://github.com/{repo}" if repo else ""
    changed = [_rewrite(root / "pyproject.toml", _with_url(root / "pyproject.toml", address))]
    for path in lessons().values():
        notebook = read_notebook(path)
        title, setup = notebook.cells[0], next(cell for cell in notebook.cells if ADDRESS.search(cell.source))
        place = path.relative_to(root).as_posix()
        title.source = _with_badge(title.source, f"{COLAB}/github/{repo}/blob/{branch}/{place}" if repo else "")
        setup.source = ADDRESS.sub(f'REPOSITORY, BRANCH = "{address}", "{branch}"', setup.source)
        changed.append(_rewrite(path, nbformat.writes(notebook) + "\n"))
    readme = root / "README.md"
    start = f"{COLAB}/github/{repo}/blob/{branch}/notebooks/{next(iter(lessons()))}.ipynb" if repo else ""
    changed.append(_rewrite(readme, _with_badge(readme.read_text(encoding="utf-8"), start)))
    return [path for path in changed if path]


def write_handout(folder: Path, overwrite: bool = False) -> list[Path]:
    """Write every lesson into `folder` without solutions and stored outputs, ready to run; returns the files.

    The address in their setup cells stays; the badge goes, as it opens the lesson with its solutions.

    Raises LessonError where the folder is that of the lessons themselves or cannot be written, and, before anything is
    written, where it has a file of a lesson's name that is not the same, unless `overwrite` is set.
    """
    if folder.resolve() == notebooks_dir().resolve():
        raise LessonError(f"{folder} has the lessons themselves, with their solutions: choose another folder")
    handout = {folder / path.name: _without_solutions(path) for path in lessons().values()}
    there = {path: path.read_text("utf-8", "replace") for path in handout if path.is_file()}
    changed = [path.name for path, text in there.items() if text != handout[path]]
    if changed and not overwrite:
        raise LessonError(f"{folder} has another {', '.join(changed)}: choose another folder, or add --overwrite")
    with writable(folder):
        for target, text in handout.items():
            write_text(target, text)
    return list(handout)


def _without_solutions(lesson: Path) -> str:
    """The text of a lesson as a handout."""
    notebook = read_notebook(lesson)
    notebook.cells[0].source = BADGE.sub("", notebook.cells[0].source)
    for cell in notebook.cells:
        cell.source = SOLUTION.sub("", cell.source)
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return nbformat.writes(notebook) + "\n"


def _root() -> Path:
    """The clone's root. Raises LessonError where the package was installed without one."""
    if not (PACKAGE.parent / "pyproject.toml").is_file():
        raise LessonError("this installation is not in a clone of the course: badges are written into a clone")
    return PACKAGE.parent


def _with_url(pyproject: Path, address: str) -> str:
    """The text of pyproject.toml with the address, or without one."""
    text = re.sub(r"\n\[project\.urls\]\nRepository = .*\n", "", pyproject.read_text(encoding="utf-8"))
    if not address:
        return text
    table = f'\n[project.urls]\nRepository = "{address}"\n'
    return text.replace("\n[project.optional-dependencies]", f"{table}\n[project.optional-dependencies]", 1)


def _with_badge(text: str, address: str) -> str:
    """A text with the badge after its first heading, or without one."""
    text = BADGE.sub("", text, count=1)
    heading, _, rest = text.partition("\n\n")
    badge = f"[![Open in Colab]({COLAB}/assets/colab-badge.svg)]({address})\n\n" if address else ""
    return f"{heading}\n\n{badge}{rest}"


def _rewrite(path: Path, text: str) -> Path | None:
    """Write a file that changes, and return it."""
    if path.read_text(encoding="utf-8") == text:
        return None
    write_text(path, text)
    return path
