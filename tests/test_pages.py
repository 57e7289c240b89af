"""Pages to read: formulas without a script, links between pages, words for pictures, and nothing from the internet."""

import base64
import html
import io
import re
from urllib.parse import unquote

import nbformat
import pytest
from PIL import Image
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


def test_every_page_of_the_course_and_the_index_load_nothing(tmp_path):
    paths = list(lessons().values())
    index = pages.write_site(paths, tmp_path).read_text(encoding="utf-8")
    for path in paths:
        assert f'href="{path.stem}.html"' in index
        page = (tmp_path / f"{path.stem}.html").read_text(encoding="utf-8")
        assert LOADED.search(page) is None
        assert "No description has been provided" not in page
        prose = re.sub(r"<pre.*?</pre>|<code.*?</code>|<script.*?</script>", "", page, flags=re.DOTALL)
        assert not re.search(r"\$[^$\n<]+\$", prose)  # every formula was drawn
    assert LOADED.search(index) is None
    assert index.count("data:image/jpeg;base64,") == len(paths)


def test_a_notebook_with_an_odd_name_or_without_cells_has_a_card(tmp_path):
    path = tmp_path / '"><script>alert(1)<script>&%.ipynb'
    nbformat.write(nbformat.v4.new_notebook(), path)
    index = pages.write_site([path], tmp_path / "site").read_text(encoding="utf-8")
    assert "<script>" not in index
    (link,) = re.findall('href="([^"]*)"', index)
    assert (tmp_path / "site" / unquote(html.unescape(link))).is_file()


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
