"""Distances by a judge network, and the file that records a run."""

import json
import math
import os
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version

import pytest
import torch

from nst_lesson.errors import LessonError
from nst_lesson.methods import metrics
from nst_lesson.methods.losses import gram_matrix
from nst_lesson.methods.metrics import content_distance, peak_memory_mb, save_results, style_distance
from nst_lesson.networks.backbones import STYLE_LAYERS, VGG


def picture(seed: int) -> torch.Tensor:
    """Random pixels, the same for the same seed."""
    return torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def judge() -> VGG:
    """A small random network with the layers that the distances name by default."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return VGG(((4,), (6,), (8,), (8, 8), (8,)))  # not frozen: a distance must not build a graph all the same


def test_style_distance_by_its_formula(judge):
    image, style = picture(1), picture(2)
    distances = style_distance(image, style, judge)
    assert list(distances) == list(STYLE_LAYERS)
    with torch.no_grad():
        g, a = (gram_matrix(judge(x, ("relu3_1",))["relu3_1"]) for x in (image, style))
    assert distances["relu3_1"] == pytest.approx(((g - a).square().sum() / a.square().sum()).item(), rel=1e-5)
    assert all(isinstance(value, float) and value > 0 for value in distances.values())


def test_content_distance_by_its_formula(judge):
    image, content = picture(1), picture(2)
    with torch.no_grad():
        f, p = (judge(x, ("relu4_2",))["relu4_2"] for x in (image, content))
    wanted = ((f - p).square().sum() / p.square().sum()).item()
    assert content_distance(image, content, judge) == pytest.approx(wanted, rel=1e-5)


def test_a_picture_is_at_no_distance_from_itself(judge):
    assert content_distance(picture(1), picture(1), judge) == 0
    assert set(style_distance(picture(1), picture(1), judge).values()) == {0.0}


def test_style_distance_takes_pictures_of_two_sizes_and_the_layers_asked_for(judge):
    distances = style_distance(picture(1), picture(2)[..., :24], judge, ("relu2_1", "relu1_1"))
    assert list(distances) == ["relu2_1", "relu1_1"]


def test_results_say_what_was_run_where_and_with_what(tmp_path):
    path = save_results(tmp_path, {"steps": 3, "style": "nocturne"}, {"loss": [0.5, torch.tensor(0.25)]})
    assert path == tmp_path / "results.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    assert record["settings"] == {"steps": 3, "style": "nocturne"}
    assert record["results"] == {"loss": [0.5, 0.25]}
    assert record["versions"]["torch"] == version("torch") and record["versions"]["python"]
    assert record["peak_memory_mb"] > 50  # torch alone takes more
    assert record["machine"]["cores"] == os.cpu_count()


def test_results_are_replaced_as_a_whole(tmp_path):
    save_results(tmp_path, {}, {"loss": 1})
    save_results(tmp_path, {}, {"loss": 2})
    assert json.loads((tmp_path / "results.json").read_text())["results"] == {"loss": 2}
    assert [p.name for p in tmp_path.iterdir()] == ["results.json"]


@pytest.mark.parametrize(
    ("value", "error"),
    [(math.nan, ValueError), (math.inf, ValueError), (torch.ones(1), TypeError), ({"deep": [math.nan]}, ValueError)],
    ids=["nan", "inf", "tensor", "nested"],
)
def test_what_json_cannot_hold_is_refused_and_nothing_is_written(tmp_path, value, error):
    with pytest.raises(error):
        save_results(tmp_path, {}, {"loss": value})
    with pytest.raises(error):
        save_results(tmp_path, {"weight": value}, {})
    assert list(tmp_path.iterdir()) == []


def test_a_refused_value_leaves_the_old_file(tmp_path):
    save_results(tmp_path, {}, {"loss": 1})
    with pytest.raises(ValueError):
        save_results(tmp_path, {}, {"loss": math.nan})
    assert json.loads((tmp_path / "results.json").read_text())["results"] == {"loss": 1}


def test_a_write_that_breaks_leaves_no_half_file(tmp_path, monkeypatch):
    save_results(tmp_path, {}, {"loss": 1})

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(LessonError, match="cannot write .*results.json .No space left on device.: choose another"):
        save_results(tmp_path, {}, {"loss": 2})
    assert [p.name for p in tmp_path.iterdir()] == ["results.json"]
    assert json.loads((tmp_path / "results.json").read_text())["results"] == {"loss": 1}


def test_results_of_a_course_that_is_not_installed(tmp_path, monkeypatch):
    """On Colab the clone is put on sys.path, and there is no installed version to ask for."""
    installed = metrics.version

    def missing(package: str) -> str:
        if package == "nst_lesson":
            raise PackageNotFoundError(package)
        return installed(package)

    monkeypatch.setattr(metrics, "version", missing)
    record = json.loads(save_results(tmp_path, {}, {}).read_text())
    assert "nst_lesson" not in record["versions"] and record["versions"]["torch"] == installed("torch")


def test_peak_memory_is_in_megabytes_and_never_falls():
    code = (
        "from nst_lesson.methods.metrics import peak_memory_mb as peak; before = peak(); block = b'x' * 300_000_000; "
        "held = peak(); del block; print(before, held, peak())"
    )
    # A bare Python in between: on Linux a process's peak begins with the memory of the one that started it.
    launch = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {code!r}], check=True)"
    out = subprocess.run([sys.executable, "-c", launch], capture_output=True, text=True, check=True).stdout
    before, held, after = map(float, out.split())
    assert 290 < held - before < 320 and after == held  # what else Python allocates is small
    assert peak_memory_mb() > 50
