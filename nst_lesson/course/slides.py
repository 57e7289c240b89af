"""Slides for the projector, written in Markdown, with the pictures that the lessons store.

`---` parts two slides. `![a cat](04_gatys_style_transfer.ipynb#5.1)` is the first picture of that lesson's section 5.1,
`#5.1:2` its second; section 0 is what stands above the first section. What comes out is one page of HTML that the
browser's own scrolling turns: nbconvert's slides would fetch reveal.js from the internet.
"""

from __future__ import annotations

import html
import re
from pathlib import Path

from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell, new_notebook

from ..errors import LessonError
from ..paths import notebooks_dir
from .files import find_lesson, read_notebook
from .pages import Page

NUMBERED = re.compile(r"^#{2,3} (\d+(?:\.\d+)?)", re.MULTILINE)
PICTURE = re.compile(r"!\[(?P<alt>[^\]]*)\]\((?P<lesson>\w+)\.ipynb#(?P<section>[\d.]+)(:(?P<number>\d+))?\)")


def workshop_deck() -> Path:
    """The slides of the workshop."""
    return notebooks_dir() / "slides.md"


def write_slides(page: Path, deck: Path) -> int:
    """Write a deck as one page that needs no network; the number of slides.

    Raises LessonError where the deck cannot be read, or where a lesson or a picture that it names is not there.
    """
    try:
        text = deck.read_text(encoding="utf-8-sig")  # without the mark that Notepad puts first
    except (OSError, UnicodeError) as error:
        raise LessonError(f"{deck} cannot be read as slides in Markdown: {error}") from None
    slides = [new_markdown_cell(PICTURE.sub(_picture, slide)) for slide in re.split(r"^---$", text, flags=re.MULTILINE)]
    Page.of(new_notebook(cells=slides), deck).write(page, slides=True)
    return len(slides)


def _picture(match: re.Match[str]) -> str:
    """The picture that a deck names, as HTML with its data."""
    pictures = _pictures(read_notebook(find_lesson(match["lesson"])), match["section"])
    number = int(match["number"] or 1)
    if not 1 <= number <= len(pictures):
        raise LessonError(
            f"section {match['section']} of {match['lesson']} stores {len(pictures)} pictures: {match[0]}"
        )
    kind, data = pictures[number - 1]
    return f'<img alt="{html.escape(match["alt"])}" src="data:{kind};base64,{data}">'


def _pictures(notebook: NotebookNode, section: str) -> list[tuple[str, str]]:
    """The pictures of a section up to the next with a number, (kind, data in base64)."""
    found, here = [], "0"
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            here = ([here] + NUMBERED.findall(cell.source))[-1]
        elif here == section:
            outputs = (output.get("data", {}) for output in cell.outputs)
            found += [(kind, data[kind]) for data in outputs for kind in data if kind.startswith("image/")]
    return found
