"""Slides: every picture that a deck names is in its page, which loads nothing; what is not there is named."""

import re

import pytest

from nst_lesson.cli import main as cli
from nst_lesson.course.files import lessons
from nst_lesson.course.slides import workshop_deck, write_slides
from nst_lesson.errors import LessonError
from nst_lesson.paths import notebooks_dir

DECK = notebooks_dir() / "slides.md"


def test_the_workshop_has_every_lesson_and_all_its_pictures(tmp_path):
    text = DECK.read_text(encoding="utf-8")
    assert {name[:2] for name in lessons()} <= set(re.findall(r"\b(?:0\d|10)\b", text))
    count = write_slides(tmp_path / "slides.html", workshop_deck())
    page = (tmp_path / "slides.html").read_text(encoding="utf-8")
    assert count == text.count("\n---\n") + 1 == page.count("jp-MarkdownCell")
    assert page.count("<img") == text.count("![") == len(re.findall('alt="[^"]+" src="data:image/', page)) > 20
    without_pictures = re.sub(r'xmlns="[^"]*"|src="data:image/[^"]*"', "", page)  # whose letters may spell anything
    assert page.count("<math") >= 3 and "http" not in without_pictures and "<script" not in page


@pytest.mark.parametrize(
    ("picture", "said"),
    [
        ("04_gatys_style_transfer.ipynb#5.1:9", "section 5.1 of 04_gatys_style_transfer stores 1 pictures"),
        ("04_gatys_style_transfer.ipynb#77", "section 77 of 04_gatys_style_transfer stores 0 pictures"),
        ("04_gaty.ipynb#4", "unknown lesson"),
    ],
)
def test_a_picture_that_is_not_there_is_named_and_nothing_written(tmp_path, picture, said):
    (tmp_path / "deck.md").write_text(f"# One\n\n---\n\n![a]({picture})\n")
    with pytest.raises(LessonError, match=re.escape(said)):
        write_slides(tmp_path / "slides.html", tmp_path / "deck.md")
    assert not (tmp_path / "slides.html").exists()


def test_the_command_replaces_nothing_unasked(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "deck.md").write_text("# One\n\n---\n\n# Two $x$\n")
    assert cli.main(["slides", "deck.md", "-o", "slides.html"]) == 0
    assert capsys.readouterr().out == "2 slides in slides.html\n"
    assert cli.main(["slides", "deck.md", "-o", "slides.html"]) == 2
    (tmp_path / "marked.md").write_text("# One\n", encoding="utf-8-sig")  # as Notepad writes it
    assert cli.main(["slides", "marked.md", "-o", "marked.html"]) == 0
    assert "<h1" in (tmp_path / "marked.html").read_text(encoding="utf-8")
    assert cli.main(["slides", "none.md", "-o", "other.html"]) == 2
    assert "cannot be read as slides" in capsys.readouterr().err


def test_the_deck_of_the_workshop_is_not_replaced_by_its_own_slides(capsys):
    before = workshop_deck().read_bytes()
    assert cli.main(["slides", "-o", str(workshop_deck()), "--overwrite"]) == 2
    assert "is read by this command" in capsys.readouterr().err
    assert workshop_deck().read_bytes() == before
