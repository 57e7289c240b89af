"""Faults of machines and of input, by kind: each ends in one line, and nothing is half done."""

import sys

import pytest
import torch

import nst_lesson as nst
from nst_lesson.cli import main as cli
from nst_lesson.networks import models
from nst_lesson.paths import atomic_path
from nst_lesson.pictures.images import READ_SUFFIXES


def no_memory():
    return torch.empty(1 << 55)  # no machine has that much: torch's own error


def more_than_numpy_has():
    raise MemoryError


def no_memory_on_a_gpu():
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")


@pytest.mark.parametrize("failure", [no_memory, more_than_numpy_has, no_memory_on_a_gpu])
def test_what_does_not_fit_into_memory_is_one_line(failure, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(models, "load_model", lambda name: failure())
    assert cli.main(["stylize", "rocket", "--model", "wave", "-o", "out.png"]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert "does not fit into memory" in line and "--size" in line and not list(tmp_path.iterdir())


def test_another_error_of_torch_is_not_called_one_of_memory(monkeypatch):
    def broken(name):
        raise RuntimeError("shapes differ")

    monkeypatch.setattr(models, "load_model", broken)
    with pytest.raises(RuntimeError, match="shapes differ"):
        cli.main(["stylize", "rocket", "--model", "wave", "-o", "out.png"])


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other permissions")
def test_others_may_read_what_new_files_allow(tmp_path):
    (tmp_path / "ordinary").touch()
    wanted = (tmp_path / "ordinary").stat().st_mode
    with atomic_path(tmp_path / "private") as temporary:
        temporary.touch(mode=0o600)
    nst.save_model(nst.TransformationNetwork(0.1), tmp_path / "m.safetensors")
    assert {(tmp_path / name).stat().st_mode for name in ("private", "m.safetensors")} == {wanted}


@pytest.mark.parametrize("suffix", [".gif", ".jfif", ".ppm"])
def test_a_training_folder_may_hold_any_picture_that_can_be_read(tmp_path, suffix):
    assert suffix in READ_SUFFIXES
    picture = nst.to_pil(nst.load_image("rocket", 40))
    picture.save(tmp_path / f"x{suffix}", format={".jfif": "JPEG", ".gif": "GIF", ".ppm": "PPM"}[suffix])
    crop, skipped = nst.Photographs(tmp_path, size=16)[0]
    assert crop.shape == (3, 16, 16) and not skipped
