"""Distillation: the algebra that saves the wide features, heads at their optimum, and a file that loads as pocket."""

from __future__ import annotations

import importlib.util
import itertools
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from nst_lesson.methods import distillation
from nst_lesson.networks import backbones
from nst_lesson.networks.backbones import CONVS, STYLE_LAYERS, WIDTHS

SCRIPT = Path(__file__).parents[1] / "experiments" / "pocket.py"
spec = importlib.util.spec_from_file_location("pocket", SCRIPT)
distill = importlib.util.module_from_spec(spec)
sys.modules["pocket"] = distill  # where dataclasses look up their annotations
spec.loader.exec_module(distill)

# Sums of a few hundred float32 products of size one agree to about 1e-5.
CLOSE = {"rtol": 1e-4, "atol": 1e-5}


def rand(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_layer_errors_are_those_of_the_wide_features():
    head, f, t = rand(9, 4), rand(3, 4, 5, 7, seed=1), rand(3, 9, 5, 7, seed=2)
    wide = torch.einsum("dc,bchw->bdhw", head, f)
    gram, wanted = distillation.products(wide, wide), distillation.products(t, t)
    pairs = distillation.products(f, f), distillation.products(t, f)
    error, gram_error = distillation.layer_errors(head, *pairs, wanted)
    torch.testing.assert_close(error, (wide - t).square().sum() / t.square().sum(), **CLOSE)
    torch.testing.assert_close(gram_error, (gram - wanted).square().sum() / wanted.square().sum(), **CLOSE)


def test_the_square_root_keeps_gram_distances():
    head, f, g = rand(12, 5), rand(1, 5, 6, 8, seed=1), rand(1, 5, 6, 8, seed=2)
    root = distillation.square_root(head.T @ head)

    def distance(matrix: torch.Tensor) -> torch.Tensor:
        a, b = (torch.einsum("dc,bchw->bdhw", matrix, x) for x in (f, g))
        return (distillation.products(a, a) - distillation.products(b, b)).square().sum()

    assert root.shape == (5, 5)
    torch.testing.assert_close(root, root.T)
    torch.testing.assert_close(distance(root), distance(head), **CLOSE)


def test_a_head_is_fitted_by_least_squares():
    teacher = {"relu2_1": torch.zeros(1, 6, 1, 1)}
    student = distill.Student(teacher)
    f, t = rand(2, WIDTHS["pocket"][1], 9, 11, seed=1), rand(2, 6, 9, 11, seed=2)
    student.fit("relu2_1", distillation.products(f, f), distillation.products(t, f))
    rows = [x.transpose(0, 1).flatten(1).T.double() for x in (f, t)]
    wanted = torch.linalg.lstsq(*rows).solution.T.float()
    # The ridge of 1e-4 of the mean energy moves the optimum by about as much.
    torch.testing.assert_close(student.heads["relu2_1"], wanted, rtol=1e-3, atol=1e-4)


def test_muon_steps_along_an_orthogonal_matrix():
    weight = torch.nn.Parameter(torch.zeros(8, 3, 3, 3))
    weight.grad = rand(8, 3, 3, 3) * 1e-4
    distill.Muon([weight], lr=0.5).step()
    singular = torch.linalg.svdvals(weight.detach().flatten(1)) / 0.5
    # Jordan's coefficients bring singular values to about 0.7 ... 1.2, by design not to exactly one.
    assert singular.min() > 0.5 and singular.max() < 1.3


@pytest.fixture
def teachers(tmp_path):
    """Teachers' files of the right names and shapes, with random weights."""
    folder, channels, index = tmp_path / "teachers", 3, 0
    folder.mkdir()
    true, encoder = {}, {"input.weight": torch.eye(3)[:, :, None, None], "input.bias": torch.zeros(3)}
    for block, count in enumerate((2, 2, 4)):
        for _ in range(count):
            width = WIDTHS["vgg19"][block]
            true[f"features.{index}.weight"] = rand(width, channels, 3, 3, seed=index) * (2 / channels / 9) ** 0.5
            true[f"features.{index}.bias"] = torch.zeros(width)
            channels, index = width, index + 2
        index += 1
    channels = 3
    for block, (count, width) in enumerate(zip(CONVS["pocket"], WIDTHS["pocket"], strict=True), start=1):
        for i in range(1, count + 1):
            weight = rand(width, channels, 3, 3, seed=10 * block + i) * (2 / channels / 9) ** 0.5
            encoder |= {f"conv{block}_{i}.weight": weight, f"conv{block}_{i}.bias": torch.zeros(width)}
            channels = width
        wide = WIDTHS["vgg19"][block - 1]
        encoder[f"conv{block}_1_to_vgg19.weight"] = rand(wide, width, 1, 1, seed=block) / width**0.5
        encoder[f"conv{block}_1_to_vgg19.bias"] = torch.zeros(wide)
    save_file(true, folder / "vgg19_conv1_1_to_conv3_4.safetensors")
    save_file(encoder, folder / "vgg19_16x_encoder.safetensors")
    return folder


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i in range(3):
        pixels = np.random.default_rng(i).integers(0, 256, (70, 90, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((300, 260)).save(folder / f"{i}.jpg")
    return folder


def test_targets_have_the_distances_of_the_wide_maps(teachers):
    teacher = distill.Teacher(teachers)
    x, y = torch.rand(1, 3, 32, 32), torch.rand(1, 3, 32, 32)
    f, g = (teacher.encoder(image, ("relu2_1",))["relu2_1"] for image in (x, y))
    weight = load_file(teachers / "vgg19_16x_encoder.safetensors")["conv2_1_to_vgg19.weight"]
    wide = torch.nn.functional.conv2d(f - g, weight).square().sum()
    near = (teacher(x)["relu2_1"] - teacher(y)["relu2_1"]).square().sum()
    # The teacher runs in bfloat16, whose rounding (0.4 %) weighs on a difference of features.
    torch.testing.assert_close(near, wide, rtol=0.05, atol=0)


def test_a_student_trains_and_ships(teachers, pictures, tmp_path, monkeypatch):
    teacher = distill.Teacher(teachers)
    images = distill.read_images(pictures, 64)
    training = distill.distill(teacher, images, images, minutes=60, sizes=(32,))
    steps = list(itertools.islice(training, 8))
    assert [step.index for step in steps] == list(range(1, 9))
    assert all(
        np.isfinite(step.loss) and set(step.terms) == set(teacher(images[0][None, :, :32, :32] / 255)) for step in steps
    )
    assert steps[-1].terms["relu1_1"] < 1  # better than predicting nothing

    student = steps[-1].student
    before = student.heads["relu1_1"].clone()
    distill.fit_heads(student, teacher, [torch.rand(2, 3, 32, 32)])
    assert not torch.equal(student.heads["relu1_1"], before)
    distill.save_state(student, tmp_path / "student.safetensors", {"steps": 8})
    (tmp_path / "weights").mkdir()
    out = tmp_path / "weights" / "pocket.safetensors"
    folders = [
        f"--{name}={path}" for name, path in {"images": pictures, "teachers": teachers, "validation": pictures}.items()
    ]
    distill.main(["export", *folders, f"--student={tmp_path / 'student.safetensors'}", f"--out={out}"])

    monkeypatch.setattr(backbones, "data_dir", lambda: tmp_path)
    pocket = backbones.load_backbone("pocket")
    x = torch.rand(1, 3, 40, 48)
    for name, mine in pocket(x, STYLE_LAYERS).items():
        wide = torch.einsum("dc,bchw->bdhw", student.heads[name], student.trunk(x, (name,))[name])
        ours, theirs = (distillation.products(f, f).square().sum() for f in (mine, wide))
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=0)  # float32 sums in another order


def test_an_empty_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=str(tmp_path)):
        distill.read_images(tmp_path)
