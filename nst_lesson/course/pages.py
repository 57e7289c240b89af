"""Notebooks as static pages that need neither a kernel nor the internet, and an index of the lessons."""

from __future__ import annotations

import base64
import html
import json
import logging
import mimetypes
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, unquote

import latex2mathml.converter
from jinja2 import Environment, FileSystemLoader, Template
from nbconvert import HTMLExporter
from nbconvert.preprocessors import CoalesceStreamsPreprocessor
from nbformat import NotebookNode
from pygments.formatters import HtmlFormatter

from ..errors import LessonError, reason_of
from ..paths import write_text
from ..pictures.images import data_address, encoded, load_image
from .files import read_notebook, title_of, without_widgets
from .results import writable

FORMULA = re.compile(r"(?P<code>(`+).*?\2|\\\$)|\$\$(?P<block>.+?)\$\$|\$(?P<inline>[^$\n]+?)\$", re.DOTALL)
PLACE = re.compile(r"formula(\d+)place")
LESSON_LINK = re.compile(r"\]\(([\w./-]+)\.ipynb([#)])")
HEADING = re.compile(r'<(?P<tag>h[23]) id="(?P<anchor>[^"]*)">(?P<text>.*?)<a class="anchor-link"', re.DOTALL)
INLINE = re.compile(r"</?(?:span|code|em|strong)\b[^>]*>")  # tags that do not part words
UNREAD = re.compile(r'<(style|script|math)\b.*?</\1>|<a class="anchor-link".*?</a>|<[^>]*>', re.DOTALL)
LOCAL_PICTURE = re.compile(r'(<img\b[^>]*?\bsrc=")([^":]+)(?=")')
THUMBNAIL = 560  # pixels wide, in the index
GENERATOR = '<meta content="nst-lesson" name="generator"/>'  # of every page
TEMPLATES = Path(__file__).with_name("templates")
COLORS = {"light": "xcode", "dark": "monokai"}  # styles of Pygments with a contrast of 4.5 : 1 on style.css's --code


class Link(NamedTuple):
    """A page of the site, as another page names it."""

    link: str
    title: str


@dataclass(frozen=True)
class Page:
    """A notebook as HTML: its title, its cells, and the headings among them (tag, anchor, text)."""

    title: str
    body: str
    headings: list[dict[str, str]]

    @classmethod
    def of(cls, content: NotebookNode, notebook: Path) -> Page:
        """The page of what was read from a notebook, and is changed by this: stored outputs, pictures and formulas.

        Raises LessonError where nbconvert cannot make a page of it.
        """
        content = without_widgets(content)
        title, formulas = title_of(content, notebook), _prepare(content)
        log = logging.getLogger(f"{__name__}.page")
        log.setLevel(logging.ERROR)  # nbconvert warns of every figure without alt text; here the prose describes them
        # nbconvert's own embed_images closes <details> early, since it parses each fragment of HTML alone.
        try:
            exporter = HTMLExporter(
                log=log,
                extra_loaders=[FileSystemLoader(TEMPLATES)],
                template_file="cells.html.j2",
                preprocessors=[CoalesceStreamsPreprocessor],  # one print below the other, without a gap
                exclude_input_prompt=True,
                exclude_output_prompt=True,
            )
            body, _ = exporter.from_notebook_node(content)
        except Exception as error:  # of jinja2 and of nbconvert, whose templates may be missing
            reason = reason_of(error)
            raise LessonError(f"no page can be made of {notebook} ({reason}): install nbconvert again") from None
        body = PLACE.sub(lambda match: formulas[int(match[1])], body)
        body = LOCAL_PICTURE.sub(lambda match: match[1] + _embedded(match[2], notebook.parent), body)
        return cls(title, body, [match.groupdict() for match in HEADING.finditer(body)])

    def write(self, page: Path, **around: Link | bool | None) -> None:
        """Write it into a file of its own; `around` are the pages `before` and `after`, whether there is a `home`, and
        whether its cells are `slides`.

        HTML and scripts in the notebook's text and outputs stay active: trust the notebook before you open the page.
        """
        text = _template("page.html.j2").render(vars(self) | around | {"generator": GENERATOR, "style": _style()})
        write_text(page, text)

    def sections(self, link: str) -> list[dict[str, str]]:
        """What a search looks through: the text below each heading, with its address."""
        starts = [match.start() for match in HEADING.finditer(self.body)]
        parts = [self.body[a:b] for a, b in pairwise([0, *starts, len(self.body)])]
        places = [{"anchor": "", "text": ""}, *self.headings]
        return [
            {
                "link": f"{link}#{html.unescape(place['anchor'])}" if place["anchor"] else link,
                "title": _text(f"{self.title} · {place['text']}".rstrip(" ·")),
                "text": _text(part),
            }
            for place, part in zip(places, parts, strict=True)
        ]


def write_page(notebook: Path, page: Path) -> None:
    """Write a notebook with its stored outputs as one HTML page that needs no network.

    Raises LessonError where it is not a notebook, or no page can be made of it.
    """
    Page.of(read_notebook(notebook), notebook).write(page)


def write_site(notebooks: Sequence[Path], folder: Path) -> Path:
    """Write a page for each notebook into a folder, and index.html, which shows a picture of each and is returned.

    Raises LessonError, before anything is written, where two pages would have the same name or one would replace a
    file that is not such a page, and where a notebook cannot be read or the folder cannot be written.
    """
    index = folder / "index.html"
    files = [folder / f"{path.stem}.html" for path in notebooks]
    for file, count in Counter([*files, index]).items():
        if count > 1:
            raise LessonError(f"{count} pages would have the name {file.name}: write them into folders of their own")
        if file.is_dir():
            raise LessonError(f"{file} is a folder: choose another with -o")
        if file.is_file() and GENERATOR not in file.read_text(encoding="utf-8", errors="replace"):
            raise LessonError(f"{file} is not a page of this command: move it, or choose another folder with -o")
    contents = [read_notebook(path) for path in notebooks]
    cards = list(map(_card, contents, notebooks))  # before a page is made of it, which changes it
    pages = [Page.of(content, path) for content, path in zip(contents, notebooks, strict=True)]
    links = [Link(quote(file.name), page.title) for file, page in zip(files, pages, strict=True)]
    sections = [part for page, link in zip(pages, links, strict=True) for part in page.sections(link.link)]
    with writable(folder):
        for file, page, before, after in zip(files, pages, [None, *links], [*links[1:], None], strict=False):
            page.write(file, before=before, after=after, home=True)
        write_text(
            index,
            _template("index.html.j2").render(
                generator=GENERATOR,
                style=_style(),
                cards=[card | link._asdict() for card, link in zip(cards, links, strict=True)],
                search=(TEMPLATES / "search.js").read_text(encoding="utf-8"),
                sections=json.dumps(sections, ensure_ascii=False).replace("<", "\\u003c"),
            ),
        )
    return index


def _text(body: str) -> str:
    """What a person reads of HTML, in one line."""
    return " ".join(html.unescape(UNREAD.sub(" ", INLINE.sub("", body))).split())


def _template(name: str) -> Template:
    return Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True).get_template(name)


def _style() -> str:
    """The style sheet of every page, with the colors of code in the light and in the dark theme."""
    light, dark = (
        HtmlFormatter(style=name, nobackground=True).get_style_defs(".highlight") for name in COLORS.values()
    )
    sheet = (TEMPLATES / "style.css").read_text(encoding="utf-8")
    return f"{light}\n@media (prefers-color-scheme: dark) {{\n.highlight * {{ color: inherit; }}\n{dark}\n}}\n{sheet}"


def _prepare(notebook: NotebookNode) -> list[str]:
    """Make a notebook ready for nbconvert, and return its formulas as MathML; the text keeps their places."""
    formulas: list[str] = []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = FORMULA.sub(lambda match: _set_aside(match, formulas), cell.source)
            cell.source = LESSON_LINK.sub(r"](\1.html\2", cell.source)
        for output in cell.get("outputs", []):
            if gif := output.get("data", {}).get("image/gif"):  # nbconvert does not know moving pictures
                alt = html.escape(output.metadata.get("image/gif", {}).get("alt", ""))
                output.data = {"text/html": f'<img alt="{alt}" src="data:image/gif;base64,{gif}">'}
    return formulas


def _embedded(source: str, folder: Path) -> str:
    """The address of a picture file as data, so that the page stands alone; what is not in `folder` stays as it is.

    A link out of the folder is not followed: it would put a file of the reader's machine into a page to hand on.
    """
    path = folder / unquote(html.unescape(source))
    kind = mimetypes.guess_type(path.name)[0] or ""
    if not kind.startswith("image/") or not path.is_file() or not path.resolve().is_relative_to(folder.resolve()):
        return source
    return data_address(path.read_bytes(), kind)


def _set_aside(match: re.Match[str], formulas: list[str]) -> str:
    """Append a formula to `formulas` as MathML, which every browser draws, and return what keeps its place.

    Markdown would take the MathML apart. Code between backticks and an escaped dollar stay as they are.
    """
    if match["code"]:
        return match["code"]
    display = "block" if match["block"] is not None else "inline"
    try:
        drawn = latex2mathml.converter.convert((match["block"] or match["inline"]).strip(), display=display)
    except Exception:  # its errors have no common class; a slip in a formula must not cost the page of a long run
        drawn = f"<code>{html.escape(match[0])}</code>"
    formulas.append(drawn)
    return f"formula{len(formulas) - 1}place"


def _card(notebook: NotebookNode, path: Path) -> dict[str, str]:
    """What the index shows of a lesson beside its title: its first paragraph, and the largest of its pictures.

    Raises LessonError where that is none.
    """
    first = notebook.cells[0].source if notebook.cells else ""
    paragraphs = [p for p in first.split("\n\n") if p and not p.startswith(("#", "[!["))]
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", []) if "data" in output]
    pictures = [output for output in outputs if "image/jpeg" in output["data"]]
    best = max(pictures, key=lambda output: len(output["data"]["image/jpeg"]), default=None)
    return {
        "text": re.sub(r"[*_`]", "", paragraphs[0]) if paragraphs else "",
        "picture": _thumbnail(best["data"]["image/jpeg"], path) if best else "",
        "alt": best["metadata"].get("image/jpeg", {}).get("alt", "") if best else "",
    }


def _thumbnail(stored: str, notebook: Path) -> str:
    """The address of a stored picture, small."""
    try:
        picture = load_image(base64.b64decode(stored), THUMBNAIL)
    except ValueError as error:  # as ImageError and base64's own are
        raise LessonError(f"a picture stored in {notebook} is damaged ({error}): execute it again") from None
    return data_address(encoded(picture, "jpeg", quality=85), "image/jpeg")
