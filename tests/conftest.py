"""What several test modules share: a run of a lesson, executed once, and a folder of pictures."""

import collections
import functools
import json

import pytest
from lesson_run import run_copy
from PIL import Image

from nst_lesson.course.files import find_lesson


def pytest_collection_modifyitems(items):
    """Files with a test that may take long come first: with `--dist loadfile` no worker then ends with one alone."""
    longest = collections.defaultdict(int)
    for item in items:
        mark = item.get_closest_marker("timeout")
        longest[item.path] = max(longest[item.path], mark.args[0] if mark else 0)
    items.sort(key=lambda item: -longest[item.path])


@pytest.fixture(scope="session")
def results_of(tmp_path_factory):
    """results_of(lesson, **parameters): what a lesson's run, which happens once, writes into results.json.

    The run needs no folder but that of its results, and leaves nothing elsewhere.
    """

    @functools.cache
    def run(lesson, extras=True, **parameters):
        path, folder = find_lesson(lesson), tmp_path_factory.mktemp("run")
        result = run_copy(path, folder, extras, **parameters)
        assert result.returncode == 0, result.stdout[-5000:]
        assert [file.name for file in (folder / "copy").iterdir()] == [path.name]
        assert list((folder / "elsewhere").iterdir()) == []
        return json.loads((folder / "out" / "results.json").read_text(encoding="utf-8"))["results"]

    return run


@pytest.fixture
def folder(tmp_path):
    """A folder with pictures in it and below it, a broken one, and a text."""
    colors = ["red", "lime", "blue", "white"]
    for number, color in enumerate(colors):
        path = tmp_path / ("deep/deeper" if number % 2 else ".") / f"{color}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40 + number, 30), color).save(path)
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    (tmp_path / "notes.txt").write_text("not an image")
    return tmp_path
