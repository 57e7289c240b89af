"""What several test modules share: a run of a lesson, executed once."""

import functools
import json

import pytest

from nst_lesson import course


@pytest.fixture(scope="session")
def results_of(tmp_path_factory):
    """results_of(lesson, **parameters): the results in the results.json of a lesson's run, which happens once."""

    @functools.cache
    def run(lesson, **parameters):
        folder = course.run_lesson(lesson, parameters, out_dir=str(tmp_path_factory.mktemp("run") / "out"))
        return json.loads((folder / "results.json").read_text(encoding="utf-8"))["results"]

    return run
