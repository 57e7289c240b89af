"""Notebooks as static pages that need neither a kernel nor the internet, and an index of the lessons."""

from __future__ import annotations

import base64
import html
import io
import logging
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import latex2mathml.converter
from jinja2 import DictLoader
from nbconvert import HTMLExporter
from nbformat import NotebookNode
from PIL import Image

from ..errors import LessonError
from ..paths import atomic_path
from .files import read_notebook, title_of, without_widgets
from .results import writable

FORMULA = re.compile(r"(?P<code>(`+).*?\2)|\$\$(?P<block>.+?)\$\$|\$(?P<inline>[^$\n]+?)\$", re.DOTALL)
PLACE = re.compile(r"formula(\d+)place")
LESSON_LINK = re.compile(r"\]\(([\w./-]+)\.ipynb([#)])")
THUMBNAIL = 480  # pixels wide, in the index
GENERATOR = '<meta content="nst-lesson" name="generator"/>'  # of every page, in nbconvert's order of attributes

# nbconvert's page for JupyterLab without what it loads from the web (formulas come as MathML, nothing else is used),
# as wide as a line of prose may be, with room for a phone, and with alt text for those who cannot see the pictures.
TEMPLATES = {
    "page.html.j2": """{%- extends 'lab/index.html.j2' -%}
{%- block html_head_js_requirejs -%}{%- endblock -%}
{%- block html_head_js_mathjax -%}{%- endblock -%}
{%- block html_head_js_mermaidjs -%}{%- endblock -%}
{%- block html_head_css -%}
{{ resources.generator }}
<style>
  main { max-width: 58rem; margin: auto; }
  :root { --jp-cell-prompt-width: 80px; }  /* room for "Out[10]:", and code and outputs in one line */
  .jp-InputPrompt, .jp-OutputPrompt { box-sizing: border-box; }
  .jp-OutputArea-output img, .jp-RenderedMarkdown img { max-width: 100%; height: auto; }
  .jp-RenderedHTMLCommon table { display: block; overflow-x: auto; max-width: 100%; }
  .jp-RenderedHTMLCommon math[display=block] { margin: 0.7em 0; padding: 0.3em 0; overflow: auto hidden; }
  .jp-InputArea-editor .highlight pre, .jp-RenderedText pre { white-space: pre; overflow-x: auto; }
  @media (max-width: 48rem) { .jp-InputPrompt, .jp-OutputPrompt { display: none; } body { padding: 4px; } }
</style>
{%- endblock -%}
{%- macro picture(output, kind) -%}
<div class="jp-RenderedImage jp-OutputArea-output">
<img alt="{{ output | get_metadata('alt', kind) | escape_html }}" src="data:{{ kind }};base64,{{ output.data[kind] }}">
</div>
{%- endmacro -%}
{%- block data_png scoped -%}{{ picture(output, 'image/png') }}{%- endblock -%}
{%- block data_jpg scoped -%}{{ picture(output, 'image/jpeg') }}{%- endblock -%}
"""
}
INDEX = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
{generator}
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Neural style transfer</title>
<style>
  body {{ max-width: 60rem; margin: auto; padding: 1rem; font: 16px/1.5 sans-serif; color: #222; }}
  ul {{ list-style: none; padding: 0; display: grid; gap: 1.5rem;
    grid-template-columns: repeat(auto-fill, minmax(17rem, 1fr)); }}
  a {{ color: inherit; text-decoration: none; }}
  img {{ width: 100%; aspect-ratio: 3 / 2; object-fit: cover; border-radius: 4px; }}
  h2 {{ font-size: 1.1rem; margin: 0.4rem 0 0; }}
  p {{ margin: 0.2rem 0; }}
</style>
<h1>Neural style transfer</h1>
<p>The lessons as pages to read. To run them, open the notebooks.</p>
<ul>
{cards}
</ul>
</html>
"""
CARD = """<li><a href="{link}"><img alt="{alt}" src="data:image/jpeg;base64,{picture}"><h2>{title}</h2>
<p>{text}</p></a></li>"""


def write_page(notebook: Path, page: Path) -> None:
    """Write a notebook with its stored outputs as one HTML page, pictures and formulas included; needs no network.

    HTML and scripts in the notebook's text and outputs stay active in the page: trust the notebook before you open it.
    Raises LessonError where the file is not a notebook.
    """
    log = logging.getLogger(f"{__name__}.page")
    log.setLevel(logging.ERROR)  # nbconvert warns of every figure without alt text; here the prose describes them
    content = without_widgets(read_notebook(notebook))
    formulas: list[str] = []
    for cell in content.cells:
        if cell.cell_type == "markdown":
            cell.source = FORMULA.sub(lambda match: _set_aside(match, formulas), cell.source)
            cell.source = LESSON_LINK.sub(r"](\1.html\2", cell.source)
        for output in cell.get("outputs", []):
            if gif := output.get("data", {}).get("image/gif"):  # nbconvert does not know moving pictures
                alt = html.escape(output.metadata.get("image/gif", {}).get("alt", ""))
                output.data = {"text/html": f'<img alt="{alt}" src="data:image/gif;base64,{gif}">'}
    metadata = {"path": str(notebook.parent), "name": title_of(content, notebook)}
    resources = {"metadata": metadata, "generator": GENERATOR}
    exporter = HTMLExporter(
        embed_images=True, log=log, extra_loaders=[DictLoader(TEMPLATES)], template_file="page.html.j2"
    )
    body, _ = exporter.from_notebook_node(content, resources=resources)
    body = PLACE.sub(lambda match: formulas[int(match[1])], body)
    with atomic_path(page) as temporary:
        temporary.write_text(body, encoding="utf-8")


def write_site(notebooks: Sequence[Path], folder: Path) -> Path:
    """Write a page for each notebook into a folder, and index.html, which shows a picture of each and is returned.

    Raises LessonError, before anything is written, where two pages would have the same name or one would replace a
    file that is not such a page, and where a notebook cannot be read or the folder cannot be written.
    """
    index = folder / "index.html"
    pages = [folder / f"{path.stem}.html" for path in notebooks]
    for page, count in Counter([*pages, index]).items():
        if count > 1:
            raise LessonError(f"{count} pages would have the name {page.name}: write them into folders of their own")
        if page.is_file() and GENERATOR not in page.read_text(encoding="utf-8", errors="replace"):
            raise LessonError(f"{page} is not a page of this command: move it, or choose another folder with -o")
    cards = [_card(read_notebook(path), path) for path in notebooks]
    with writable(folder):
        for path, page in zip(notebooks, pages, strict=True):
            write_page(path, page)
        with atomic_path(index) as temporary:
            temporary.write_text(INDEX.format(generator=GENERATOR, cards="\n".join(cards)), encoding="utf-8")
    return index


def _set_aside(match: re.Match[str], formulas: list[str]) -> str:
    """Append a formula to `formulas` as MathML, which every browser draws, and return what keeps its place.

    Markdown would take the MathML apart. Code between backticks stays as it is.
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


def _card(notebook: NotebookNode, path: Path) -> str:
    """A lesson in the index: its title, its first sentence, and the largest of its pictures."""
    first = notebook.cells[0].source if notebook.cells else ""
    paragraphs = [p for p in first.split("\n\n") if p and not p.startswith(("#", "[!["))]
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", []) if "data" in output]
    pictures = [output for output in outputs if "image/jpeg" in output["data"]]
    best = max(pictures, key=lambda output: len(output["data"]["image/jpeg"]), default=None)
    alt = best["metadata"].get("image/jpeg", {}).get("alt", "") if best else ""
    text = html.escape(re.sub(r"[*_`]", "", paragraphs[0]) if paragraphs else "")
    picture = _thumbnail(best["data"]["image/jpeg"]) if best else ""
    title = html.escape(title_of(notebook, path))
    link = html.escape(quote(f"{path.stem}.html"))
    return CARD.format(link=link, alt=html.escape(alt), picture=picture, title=title, text=text)


def _thumbnail(encoded: str) -> str:
    """A stored picture, small, encoded as it was."""
    buffer = io.BytesIO()
    with Image.open(io.BytesIO(base64.b64decode(encoded))) as picture:
        picture.thumbnail((THUMBNAIL, THUMBNAIL))
        picture.convert("RGB").save(buffer, "JPEG", quality=85)
    return base64.b64encode(buffer.getvalue()).decode()
