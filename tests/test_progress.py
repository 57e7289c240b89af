"""A loop with a bar: every item comes through, and a notebook keeps one line of it."""

import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

from nst_lesson.course.runs import OwnKernel
from nst_lesson.view import progress as module
from nst_lesson.view.progress import progress


class Shown:
    """In the place of IPython's display and its handle."""

    def __init__(self):
        self.lines = []

    def __call__(self, line, raw, display_id):
        assert raw and display_id
        self.lines.append(line)
        return self

    def update(self, line, raw):
        self.lines.append(line)


@pytest.fixture
def shown(monkeypatch):
    class Shell:
        kernel = True

    shown = Shown()
    monkeypatch.setattr(module, "get_ipython", Shell)
    monkeypatch.setattr(module, "display", shown)
    monkeypatch.setattr(module, "REDRAW_SECONDS", 0)
    return shown


def test_every_item_comes_through_with_what_is_left(shown):
    assert list(progress(iter("abcd"), 4, "<letters>")) == list("abcd")
    texts = [line["text/plain"] for line in shown.lines]
    assert texts[0] == "<letters>: 0 of 4" and texts[2].startswith("<letters>: 2 of 4, ") and "s left" in texts[2]
    assert 'value="2"' in shown.lines[2]["text/html"] and "&lt;letters&gt;" in shown.lines[2]["text/html"]
    assert shown.lines[-1] == {"text/plain": "<letters>: 4 of 4"}


def test_a_loop_that_is_left_or_fails_says_where(shown):
    for item in progress(range(10)):
        if item == 2:
            break
    assert shown.lines[-1] == {"text/plain": "3 of 10"}
    with pytest.raises(ZeroDivisionError):
        list(progress((1 / n for n in (1, 0)), 2))
    assert shown.lines[-1] == {"text/plain": "1 of 2"}


def test_without_a_notebook_or_a_terminal_it_is_silent(capsys):
    assert list(progress([1, 2])) == [1, 2]
    assert "".join(capsys.readouterr()) == ""


def test_a_notebook_keeps_one_line():
    code = "import nst_lesson as nst\nfor _ in nst.progress(range(3), what='three'): pass"
    notebook = new_notebook(cells=[new_code_cell(code)])
    NotebookClient(notebook, kernel_manager_class=OwnKernel, timeout=600).execute()
    assert [output["data"] for output in notebook.cells[0].outputs] == [{"text/plain": "three: 3 of 3"}]
