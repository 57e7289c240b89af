"""Pages to read: formulas without a script, links between pages, words for pictures, and nothing from the internet."""

import base64
import html
import io
import json
import re
from urllib.parse import unquote

import nbformat
import pytest
from PIL import Image
from pygments.styles import get_style_by_name
from tiny import write_lesson

from nst_lesson.course import pages
from nst_lesson.course.files import WIDGET, lessons
from nst_lesson.errors import LessonError

# What a browser would load on its own: sources, style sheets, imports. Links that a reader may click are allowed.
LOADED = re.compile(
    r"""(?:src|data)\s*=\s*["']https?:|<link[^>]+href\s*=\s*["']https?:|url\(["']?https?:|import\(["']"""
)


def markdown(text):
    return nbformat.v4.new_markdown_cell(text)


def picture(color, kind="jpeg", alt="a picture"):
    buffer = io.BytesIO()
    Image.new("RGB", (60, 40), color).save(buffer, kind)
    data = {f"image/{kind}": base64.b64encode(buffer.getvalue()).decode()}
    output = nbformat.v4.new_output("display_data", data, metadata={f"image/{kind}": {"alt": alt}})
    return nbformat.v4.new_code_cell("show()", outputs=[output])


@pytest.fixture
def page_of(tmp_path):
    """page_of(cells): the text of the page of a notebook with these cells."""

    def make(*cells):
        path = tmp_path / "lesson.ipynb"
        nbformat.write(nbformat.v4.new_notebook(cells=[markdown("# A lesson"), *cells]), path)
        pages.write_page(path, tmp_path / "page.html")
        return (tmp_path / "page.html").read_text(encoding="utf-8")

    return make


def test_formulas_become_mathml_and_code_stays(page_of):
    formulas = markdown("Let $x_i * y_i$ be, and\n\n$$\\sum_i x_i^2$$")
    page = page_of(formulas, markdown("but not `a $b$ c`, nor\n\n```\n$HOME$\n```"))
    assert page.count("<math") == 2 and page.count('display="block"') == 1
    assert "$b$" in page and "$HOME$" in page
    assert "from $5 to $6" in page_of(markdown("from \\$5 to \\$6"))
    assert "formula0place" not in page and "MathJax" not in page


def test_a_formula_with_a_slip_stays_as_it_was_written(page_of):
    page = page_of(markdown("A slip: $\\left( x < 1$, and $y$"))
    assert r"<code>$\left( x &lt; 1$</code>" in page and page.count("<math") == 1


def test_links_between_lessons_lead_to_pages(page_of):
    page = page_of(
        markdown("See [03](03_gram_matrices.ipynb) and [there](04_x.ipynb#start) and [nbval](https://a.b/c).")
    )
    assert 'href="03_gram_matrices.html"' in page and 'href="04_x.html#start"' in page and "https://a.b/c" in page


@pytest.mark.parametrize("kind", ["jpeg", "png", "gif"])
def test_a_picture_has_its_own_words(page_of, kind):
    page = page_of(picture("red", kind, "red < blue"))
    assert 'alt="red &lt; blue"' in page and f"data:image/{kind};base64," in page
    assert "No description" not in page


def test_widgets_which_are_dead_on_a_page_are_left_out(page_of):
    data = {WIDGET: {"model_id": "7"}, "text/plain": "IntSlider(value=0)"}
    page = page_of(nbformat.v4.new_code_cell("slide()", outputs=[nbformat.v4.new_output("display_data", data)]))
    assert "IntSlider" not in page and "slide" in page


def test_lines_that_were_printed_one_after_the_other_stand_together(page_of):
    lines = [nbformat.v4.new_output("stream", text=f"line {n}\n") for n in (1, 2)]
    assert "line 1\nline 2\n" in page_of(nbformat.v4.new_code_cell("step()", outputs=lines))


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The pages of the course, index first: name -> text."""
    index = pages.write_site(list(lessons().values()), tmp_path_factory.mktemp("site"))
    return {path.stem: path.read_text(encoding="utf-8") for path in (index, *index.parent.glob("[0-9]*.html"))}


def test_every_page_of_the_course_and_the_index_load_nothing(site):
    index = site["index"]
    for name in lessons():
        assert f'href="{name}.html"' in index
        page = site[name]
        assert LOADED.search(page) is None
        assert "No description has been provided" not in page
        prose = re.sub(r"<pre.*?</pre>|<code.*?</code>|<script.*?</script>", "", page, flags=re.DOTALL)
        assert not re.search(r"\$[^$\n<]+\$", prose)  # every formula was drawn
    assert LOADED.search(index) is None
    assert index.count("data:image/jpeg;base64,") == len(lessons())


@pytest.mark.parametrize("name", lessons())
def test_each_hint_and_solution_is_folded_and_has_its_content(site, name):
    written = "\n".join(cell.source for cell in nbformat.read(lessons()[name], as_version=4).cells)
    folded = re.findall(r"<details([^>]*)><summary>(?:Hint|Solution)</summary>(.*?)</details>", site[name], re.DOTALL)
    assert len(folded) == len(re.findall("<summary>(?:Hint|Solution)</summary>", written)) >= 6
    assert all(attributes == "" and len(re.sub("<[^>]*>|\\s", "", text)) > 10 for attributes, text in folded)


def test_each_page_leads_to_its_neighbors_to_the_index_and_to_its_own_sections(site):
    names = list(lessons())
    for name, before, after in zip(names, [None, *names], [*names[1:], None], strict=False):
        page = site[name]
        wanted = {("prev", before), ("next", after)} - {("prev", None), ("next", None)}
        assert set(re.findall(r'rel="(prev|next)" href="(.*?)\.html"', page)) == wanted
        assert page.count('href="index.html"') == 2  # above and below
        anchors = re.findall(r'<li class="h[23]"><a href="#([^"]+)"', page)
        assert len(anchors) >= 8 and all(f' id="{anchor}"' in page for anchor in anchors)


def test_the_search_knows_the_text_of_every_section(site):
    (text,) = re.findall('<script type="application/json" id="sections">(.*?)</script>', site["index"], re.DOTALL)
    found = [part for part in json.loads(text) if "gatys_style_term(features, target)" in part["text"]]
    assert {part["link"].partition("#")[0] for part in found} == {"04_gatys_style_transfer.html"}
    assert all(part["title"].startswith("04") and "¶" not in part["text"] for part in found)


def test_hidden_code_is_folded_and_other_code_is_not(page_of):
    hidden = nbformat.v4.new_code_cell("# Setup <1>\nx = 1", metadata={"jupyter": {"source_hidden": True}})
    page = page_of(hidden, nbformat.v4.new_code_cell("y = 1"))
    assert page.count('<details class="code"><summary>Setup &lt;1&gt;</summary>') == page.count("<details") == 1


def test_a_picture_beside_the_notebook_is_taken_in_and_no_other_file_is(tmp_path):
    (tmp_path / "book").mkdir()
    (tmp_path / "secret.png").write_bytes(b"secret")
    (tmp_path / "book" / "link.png").symlink_to(tmp_path / "secret.png")
    Image.new("RGB", (2, 2)).save(tmp_path / "book" / "my picture.png")
    names = ("my%20picture.png", "link.png", "../secret.png", f"{tmp_path}/secret.png", "none.png")
    cell = markdown("\n\n".join(f"![a]({name})" for name in names))
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "book" / "a.ipynb")
    pages.write_page(tmp_path / "book" / "a.ipynb", tmp_path / "a.html")
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert page.count("data:image/png") == 1
    assert base64.b64encode(b"secret").decode() not in page


def luminance(color):
    """Of #rgb or #rrggbb, relative, as WCAG 2 defines it."""
    digits = color.lstrip("#") if len(color) > 4 else "".join(2 * digit for digit in color.lstrip("#"))
    parts = [int(digits[n : n + 2], 16) / 255 for n in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(*colors):
    darker, lighter = sorted(map(luminance, colors))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("theme", pages.COLORS)
def test_text_and_code_have_enough_contrast_in_both_themes(theme):
    sheet = (pages.TEMPLATES / "style.css").read_text(encoding="utf-8")
    color = dict(re.findall(r"--(\w+): (#\w+);", sheet.split("@media")[theme == "dark"]))
    pairs = [(color[ink], color[paper]) for ink in ("ink", "faint", "link", "bad") for paper in ("paper", "code")]
    pairs += [(f"#{of['color']}", color["code"]) for kind, of in get_style_by_name(pages.COLORS[theme])
              if of["color"] and "Error" not in str(kind) and "Generic" not in str(kind)]  # fmt: skip
    assert len(pairs) > 20 and min(contrast(*pair) for pair in pairs) >= 4.5


def test_a_notebook_with_an_odd_name_or_without_cells_has_a_card(tmp_path):
    path = tmp_path / '"><script>alert(1)<script>&%.ipynb'
    nbformat.write(nbformat.v4.new_notebook(), path)
    index = pages.write_site([path], tmp_path / "site").read_text(encoding="utf-8")
    assert "<script>alert" not in index
    (link,) = re.findall('<a href="([^"]*)"', index)
    assert (tmp_path / "site" / unquote(html.unescape(link))).is_file()


@pytest.mark.parametrize("stored", ["no base64!", base64.b64encode(b"no picture").decode()])
def test_a_damaged_picture_in_a_notebook_is_one_line_that_names_it(tmp_path, stored):
    cell = picture("red")
    cell.outputs[0].data["image/jpeg"] = stored
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "odd.ipynb")
    with pytest.raises(LessonError, match="a picture stored in .*odd.ipynb is damaged"):
        pages.write_site([tmp_path / "odd.ipynb"], tmp_path / "site")
    assert not (tmp_path / "site").exists()


def test_pages_are_replaced_by_pages_and_nothing_else_is(tmp_path):
    lesson = write_lesson(tmp_path / "tiny.ipynb")
    for _ in range(2):
        pages.write_site([lesson], tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["index.html", "tiny.html", "tiny.ipynb"]
    for name in ("index.html", "tiny.html"):
        page = (tmp_path / name).read_bytes()
        (tmp_path / name).write_text("my own")
        with pytest.raises(LessonError, match=f"{name} is not a page of this command"):
            pages.write_site([lesson], tmp_path)
        assert (tmp_path / name).read_text() == "my own"
        (tmp_path / name).write_bytes(page)


@pytest.mark.parametrize("names", [["a/x", "b/x"], ["index"]])
def test_two_pages_of_one_name_are_refused(tmp_path, names):
    paths = [tmp_path / f"{name}.ipynb" for name in names]
    for path in paths:
        path.parent.mkdir(exist_ok=True)
        write_lesson(path)
    with pytest.raises(LessonError, match="2 pages would have the name"):
        pages.write_site(paths, tmp_path / "site")
    assert not (tmp_path / "site").exists()


def test_what_is_not_a_notebook_leaves_no_folder(tmp_path):
    (tmp_path / "bad.ipynb").write_text("{")
    with pytest.raises(LessonError, match="cannot be read as a notebook"):
        pages.write_site([tmp_path / "bad.ipynb"], tmp_path / "deep" / "site")
    assert [path.name for path in tmp_path.iterdir()] == ["bad.ipynb"]


def test_the_index_shows_title_first_sentence_and_largest_picture(tmp_path):
    cells = [markdown("# 01 · One\n\nWhat *it* is.\n\nMore."), picture("red", alt="red"), picture("blue", alt="blue")]
    Image.effect_noise((90, 60), 90).convert("RGB").save(buffer := io.BytesIO(), "jpeg")
    cells[2].outputs[0].data["image/jpeg"] = base64.b64encode(buffer.getvalue()).decode()
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "01_one.ipynb")
    index = pages.write_site([tmp_path / "01_one.ipynb"], tmp_path).read_text(encoding="utf-8")
    assert "<h2>01 · One</h2>" in index and "<p>What it is.</p>" in index and 'alt="blue"' in index
