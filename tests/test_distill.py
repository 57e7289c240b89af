"""Distillation: the algebra that saves the wide features, heads at their optimum, and a file that loads as pocket."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import nst_lesson as nst
from nst_lesson.methods import distillation
from nst_lesson.networks import backbones
from nst_lesson.pictures.colors import square_root

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
    root = square_root(head.T @ head, smallest=0)

    def distance(matrix: torch.Tensor) -> torch.Tensor:
        a, b = (torch.einsum("dc,bchw->bdhw", matrix, x) for x in (f, g))
        return (distillation.products(a, a) - distillation.products(b, b)).square().sum()

    assert root.shape == (5, 5)
    torch.testing.assert_close(root, root.T)
    torch.testing.assert_close(distance(root), distance(head), **CLOSE)


def test_muon_steps_along_an_orthogonal_matrix_and_keeps_the_size():
    weight = torch.nn.Parameter(1e4 * rand(8, 3, 3, 3))
    before, weight.grad = weight.detach().clone(), rand(8, 3, 3, 3, seed=1) * 1e-4
    distill.Muon([weight], lr=0.01).step()
    torch.testing.assert_close(weight.norm(), before.norm())
    moved = (weight - before * (weight * before).sum() / before.square().sum()).detach().flatten(1)
    singular = torch.linalg.svdvals(moved) / (0.01 * before.norm() / 4)  # 4: the norm of He's initialization
    # Jordan's coefficients bring singular values to about 0.7 ... 1.2, by design not to exactly one; what points
    # along the weights is lost.
    assert singular[-2] > 0.4 and singular[0] < 1.4


CPU = torch.device("cpu")


@pytest.fixture
def teacher(monkeypatch):
    """An untrained VGG-16 in the place of Oxford's; small crops, and few of them."""
    for name, value in {"SIZE": 64, "FRESH": 2, "PAINTED": 2, "EASEL": 4, "HEAD_BATCHES": 2}.items():
        monkeypatch.setattr(distill, name, value)
    monkeypatch.setattr(distill.nst, "load_backbone", lambda name, device: backbones.load_backbone("random-vgg16"))
    return distill.Teacher(CPU)


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i in range(3):
        pixels = np.random.default_rng(i).integers(0, 256, (70, 90, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((300, 260)).save(folder / f"{i}.jpg")
    return folder


def test_the_teachers_layers_are_of_one_size(teacher):
    photos = [teacher(nst.load_image(name, 256)) for name in nst.photo_names()]
    for layer in distill.LAYERS:
        # It computes in bfloat16, and its scale was measured in float32.
        assert np.mean([f[layer].mean().item() for f in photos]) == pytest.approx(1, rel=0.02)


def test_what_a_student_overlooks_between_a_picture_and_its_painting_counts(teacher):
    """An offset of both Gram matrices is forgiven there, one of a single picture is not."""
    student = distill.Student()
    for head in student.heads.values():
        head.data = torch.eye(*head.shape)
    mine = {k: rand(2, student.heads[k].shape[1], 8, 8, seed=i).abs() for i, k in enumerate(distill.LAYERS)}
    wide = {k: torch.einsum("dc,bchw->bdhw", student.heads[k], f) for k, f in mine.items()}
    assert max(distill.distillation_loss(student, mine, wide, 1)[1].values()) < 1e-5
    louder = {k: 2**0.5 * f for k, f in wide.items()}  # both Gram matrices double, and so does their difference
    only_one = {k: f * torch.tensor([2**0.5, 1]).view(2, 1, 1, 1) for k, f in wide.items()}
    for layer in distill.STYLE_LAYERS:
        g, near = distillation.products(wide[layer], wide[layer]), distill.NEAR[layer]
        for target, change in ((louder, g[0] - g[1]), (only_one, g[0])):
            true = distillation.products(target[layer], target[layer])
            scale = (true[0] - true[1]).square().sum() + near * true[1].square().sum()
            found = distill.distillation_loss(student, mine, target, 1)[1][f"painted {layer}"]
            torch.testing.assert_close(found, change.square().sum() / scale, **CLOSE)


def test_a_picture_on_the_easel_comes_nearer_to_its_painting(teacher, pictures):
    images = distill.read_images(pictures)
    generator = torch.Generator().manual_seed(0)
    photos, paintings = (distill.Crops(images, 64, generator) for _ in range(2))
    commissions = [distill.commission(photos, paintings) for _ in range(3)]
    easel, student = distill.Easel(commissions[:2], CPU), distill.Student()
    fresh = torch.stack([distill.fresh(photos, paintings) for _ in range(4)])
    teacher.find_basis([fresh])
    distill.fit_heads(student, teacher, [fresh])
    targets = easel.student_targets(student, slice(0, 2))

    def loss() -> torch.Tensor:
        with torch.no_grad():
            return easel.student_loss(student, student(easel.pictures), targets, slice(0, 2))

    before = loss()
    shown = easel.paint(student, range(2))
    assert (loss() < before).all()
    assert torch.equal(shown, torch.cat([easel.pictures, easel.style, easel.content]))
    assert easel.age.tolist() == [4, 4] and 0 <= shown.min() and shown.max() <= 1

    easel.accept(commissions[2:], range(2))  # none is done yet
    assert easel.age.tolist() == [4, 4]
    easel.life[1] = 4
    easel.accept(commissions[2:], range(2))
    assert easel.age.tolist() == [4, 0] and torch.equal(easel.style[1], commissions[2].style)


def test_a_student_trains_goes_on_and_ships(teacher, pictures, tmp_path, monkeypatch):
    images = distill.read_images(pictures)
    supply = torch.utils.data.DataLoader(distill.Supply(images, images, seed=0), None)
    trainer = distill.Trainer(teacher, supply, minutes=1e9, device=CPU, seed=0)
    terms = [trainer.step() for _ in range(6)]
    assert all(torch.isfinite(value) for step in terms for value in step.values())
    assert set(distill.LAYERS) | {f"painted {name}" for name in distill.STYLE_LAYERS} <= set(terms[0])
    assert terms[-1]["relu1_1"] < 1  # better than predicting nothing
    assert trainer.easel.age.max() == 12  # each place is visited at every other step

    again = distill.Trainer(teacher, supply, minutes=1e9, device=CPU, seed=1)
    again.load_state_dict(trainer.state_dict())
    assert again.index == 6
    for mine, kept in zip(again.student.parameters(), trainer.student.parameters(), strict=True):
        assert torch.equal(mine, kept)

    monkeypatch.setattr(backbones, "data_dir", lambda: tmp_path)
    student = trainer.student
    batches = [torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(i)) for i in range(2)]
    distill.fit_heads(student, teacher, batches)
    f, t = (
        torch.cat([network(x)["relu1_1"] for x in batches])
        for network in (student, lambda x: teacher.project(teacher(x)))
    )
    wanted = torch.linalg.lstsq(*(x.transpose(0, 1).flatten(1).T.double() for x in (f, t))).solution.T.float()
    # The ridge of 1e-4 of the mean energy moves the optimum by about as much.
    torch.testing.assert_close(student.heads["relu1_1"].detach(), wanted, rtol=1e-2, atol=1e-3)
    network = distill.pocket_network(student)
    x = torch.rand(1, 3, 40, 48)
    for name, mine in network(x, distill.LAYERS).items():
        wide = torch.einsum("dc,bchw->bdhw", student.heads[name], student.trunk(x, (name,))[name])
        ours, theirs = (distillation.products(f, f).square().sum() for f in (mine, wide))
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=0)  # float32 sums in another order

    (tmp_path / "weights").mkdir()
    distill.save_half(network, tmp_path / "weights" / "pocket.safetensors", {"steps": "9"})
    pocket = backbones.load_backbone("pocket")
    for key, kept in pocket.state_dict().items():
        assert torch.equal(kept, network.state_dict()[key].half().float())


def test_an_empty_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=str(tmp_path)):
        distill.read_images(tmp_path)
