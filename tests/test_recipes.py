"""The published recipes: settings as their sources state them, losses of the size they report, and runs on pocket."""

import json
import math
from pathlib import Path

import nbformat
import pytest
import torch

import nst_lesson as nst
from nst_lesson.cli import main as cli
from nst_lesson.course.files import find_lesson, find_recipe
from nst_lesson.course.lesson import Lesson, read_parameters
from nst_lesson.methods.gatys import start_image
from nst_lesson.paths import notebooks_dir

FILES = sorted((notebooks_dir() / "recipes").glob("*.yaml"))
STORED = Path(__file__).resolve().parents[1] / "data" / "recipes"
OBJECTIVE = ("content_weight", "style_weight", "tv_weight", "content_layers", "style_layers", "normalization")

# What the sources state, word by word; what is assumed is marked as such in the files.
STATED = {
    "gatys-2016": {
        "backbone": "vgg19",
        "normalized": True,
        "pooling": "avg",
        "content_layers": ["relu4_2"],
        "normalization": "gatys",
        "start": "noise",
        "optimizer": "lbfgs",
    },
    "vgg19-adam": {
        "backbone": "vgg19",
        "content_layers": ["relu4_2"],
        "content_weight": 1e3,
        "style_weight": 1e-2,
        "normalization": "mean",
        "start": "content",
        "optimizer": "adam",
        "steps": 2000,
    },
    "vgg16-adam": {
        "backbone": "vgg16",
        "content_layers": ["relu5_3"],
        "size": 384,
        "style_size": 256,
        "start": "content",
        "optimizer": "adam",
        "learning_rate": 0.01,
        "steps": 1000,
    },
    "noise-times-content": {
        "backbone": "vgg19",
        "content_layers": ["relu4_2"],
        "normalization": "sum",
        "start": "noise*content",
        "steps": 3000,
        "snapshots": [1, 1065, 2999],
    },
    "keras-gatys": {
        "backbone": "vgg19",
        "size": 512,
        "content_layers": ["relu5_2"],
        "content_weight": 1e4,
        "style_weight": 1e-2,
        "tv_weight": 4e-4,
        "normalization": "mean",
        "start": "content",
        "optimizer": "adam",
        "learning_rate": 0.02,
        "adam_betas": [0.99, 0.999],
        "adam_epsilon": 0.1,
        "steps": 1000,
    },
    "johnson-vgg19": {
        "backbone": "vgg19",
        "content_layers": ["relu4_2"],
        "content_weight": 1e1,
        "style_weight": 1e2,
        "normalization": "mean",
        "crop": 256,
        "style_size": 256,
        "stretch_style": True,
        "batch_size": 4,
        "learning_rate": 1e-3,
        "checkpoint_every": 1000,
    },
}
TRAINING = {"johnson-vgg19"}  # for lesson 06; the others are for lesson 04

each_recipe = pytest.mark.parametrize("file", FILES, ids=lambda path: path.stem)


def objective_of(recipe, content, style):
    """The objective of a recipe on the pocket network."""
    pocket = nst.load_backbone("pocket", activation_scale=recipe["activation_scale"])
    settings = {key: recipe[key] for key in OBJECTIVE}
    settings["content_layers"] = list(nst.stand_ins(pocket, recipe["content_layers"]).values())
    return nst.Objective(pocket, nst.transfer_terms(content, style, **settings))


def test_every_recipe_of_the_course_is_there():
    assert {file.stem for file in FILES} == set(STATED)


@each_recipe
def test_a_recipe_fits_the_parameters_of_its_lesson(file):
    lesson = find_lesson("06" if file.stem in TRAINING else "04")
    values = Lesson.read(lesson).check(read_parameters(file))
    assert values["style_layers"] == list(nst.STYLE_LAYERS)
    assert {key: values[key] for key in STATED[file.stem]} == STATED[file.stem]
    assert "ssumed" in file.read_text(encoding="utf-8")


def test_the_ratio_of_gatys_2016():
    recipe = read_parameters(find_recipe("gatys-2016"))
    assert recipe["content_weight"] / recipe["style_weight"] == 1e-3


@pytest.mark.parametrize(
    ("photo", "painting"), [("chelsea", "nocturne"), ("coffee", "wave"), ("astronaut", "stained_glass")]
)
def test_the_first_loss_of_vgg19_adam_is_of_the_reported_size(photo, painting):
    """19.7 million at step 0. The pictures and the network are others, so the order of magnitude is what can agree."""
    recipe = read_parameters(find_recipe("vgg19-adam"))
    content, style = nst.load_image(photo, 256), nst.load_image(painting, 256)
    terms = objective_of(recipe, content, style)(start_image(content, recipe["start"]))
    assert terms["content"] == 0  # it starts from the content picture
    assert 19.7e6 / 10 < sum(terms.values()).item() < 19.7e6 * 10


def test_the_loss_of_keras_gatys_after_a_hundred_steps_is_of_the_reported_size():
    """16.9 million after the first hundred, with other pictures and a network of four times the width."""
    recipe = read_parameters(find_recipe("keras-gatys"))
    content, style = nst.load_image("chelsea", 160), nst.load_image("wave", 160)
    adam = nst.solver("adam", recipe["learning_rate"], betas=recipe["adam_betas"], eps=recipe["adam_epsilon"])
    losses = [step.loss for step in nst.optimize(content, objective_of(recipe, content, style), 100, adam)]
    assert 16.9e6 / 10 < losses[-1] < 16.9e6 * 10
    assert losses[-1] < max(losses) / 1.5  # it rises first: at the start, the content picture, one term is zero


def test_a_recipe_runs_on_pocket_when_asked_and_says_which_layer_stands_in(tmp_path):
    options = ["-p", "backbone", "pocket", "-p", "size", "128", "-p", "steps", "2", "-o", str(tmp_path)]
    assert cli.main(["run", "04", "--recipe", "keras-gatys", "--no-extras", *options]) == 0
    used = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))["settings"]
    assert (used["content_layers"], used["adam_epsilon"], used["activation_scale"]) == (["relu5_1"], 0.1, 57)
    notebook = nbformat.read(tmp_path / "04_gatys_style_transfer.ipynb", as_version=4)
    printed = "".join(output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", []))
    assert "pocket ends before relu5_2: relu5_1 stands in" in printed


def test_the_total_variation_of_the_training_recipe_is_on_the_scale_of_its_source():
    recipe = read_parameters(find_recipe("johnson-vgg19"))
    assert recipe["tv_weight"] == pytest.approx(0.004 * 255)  # the source's pictures reach from 0 to 255


def test_the_training_recipe_runs_small_on_pocket(tmp_path):
    small = {"backbone": "pocket", "crop": 64, "steps": 2, "width": 0.1, "out_dir": str(tmp_path)}
    options = [word for name, value in small.items() for word in ("-p", name, str(value))]
    assert cli.main(["run", "06", "--recipe", "johnson-vgg19", "--no-extras", *options]) == 0
    used = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert used["settings"]["style_weight"] == 100 and len(used["results"]["loss"]) == 2


def test_a_recipe_without_its_weights_says_so_and_names_pocket(tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")  # nobody listens there: offline, wherever this runs
    monkeypatch.setenv("NST_LESSON_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "hub"))
    monkeypatch.delenv("NST_LESSON_WEIGHTS", raising=False)
    assert cli.main(["run", "04", "--recipe", "vgg16-adam", "-o", str(tmp_path / "out")]) == 2
    message = capfd.readouterr().err.splitlines()[-1]
    assert "vgg16-397923af.pth" in message and '"pocket"' in message


def test_an_unknown_recipe_is_one_line(capfd):
    assert cli.main(["run", "04", "--recipe", "vgg16"]) == 2
    assert "unknown recipe 'vgg16': did you mean 'vgg16-adam'?" in capfd.readouterr().err


def test_a_recipe_and_a_file_exclude_each_other(capfd):
    assert cli.main(["run", "04", "--recipe", "gatys-2016", "-f", "mine.yaml"]) == 2
    assert "not allowed with" in capfd.readouterr().err


def test_the_stored_table_has_every_recipe_with_its_picture_and_its_curve():
    parts = json.loads((STORED / "results.json").read_text(encoding="utf-8"))
    assert {run["recipe"] for run in parts["runs"].values()} == set(STATED) - TRAINING
    largest = max(nst.load_image("chelsea").shape[2:])  # the photograph of them all, which is never enlarged
    runs = [run for part in parts.values() for run in part.values()]
    for run in runs:
        assert len(run["loss"]) == run["steps"] and all(map(math.isfinite, run["loss"]))
        picture = nst.load_image(STORED / run["picture"])
        assert max(picture.shape[2:]) == min(run["size"], largest) and picture.std() > 0.05
        assert run["seconds"] > 0
    assert torch.tensor([run["loss"][-1] < run["loss"][0] for run in runs]).all()
