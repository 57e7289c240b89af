"""Run every published recipe small, and store what lesson 05 shows: pictures and losses, in data/recipes/.

    python experiments/recipes.py                         # all of them on the pocket network; `make recipes` calls this
    python experiments/recipes.py --backbone vgg16-caffe  # three of them on Oxford's own VGG-16 (minutes on a GPU)
    python experiments/recipes.py --backbone vgg16-caffe --full --device cuda  # these at their own size and steps

Each run keeps its recipe's formulas, weights, layers, start and optimizer; the size is 256 pixels, and the steps are a
fifth of the recipe's (200 at least), but for `--full`. Other runs stay as they are stored.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from typing import Any

import nst_lesson as nst
from nst_lesson.course.files import find_lesson, find_recipe
from nst_lesson.course.lesson import Lesson, read_parameters
from nst_lesson.networks.backbones import Backbone

OUT = nst.data_dir() / "recipes"
SIZE, SHARE, LEAST_STEPS = 256, 5, 200
CAFFE_SCALE = 57.0  # Caffe's activations over torchvision's
RUNS: dict[str, dict[str, tuple[str, dict[str, Any]]]] = {  # backbone -> title -> recipe, what its source tried as well
    "pocket": {
        "gatys-2016": ("gatys-2016", {}),
        "vgg19-adam": ("vgg19-adam", {}),
        "vgg19-adam, average pooling": ("vgg19-adam", {"pooling": "avg"}),
        "vgg16-adam": ("vgg16-adam", {}),
        "vgg16-adam, style weight / 100": ("vgg16-adam", {"style_weight": 0.1}),
        "vgg16-adam, style weight x 100": ("vgg16-adam", {"style_weight": 1000.0}),
        "noise-times-content": ("noise-times-content", {}),
        "noise-times-content, sum": ("noise-times-content", {"start": "noise+content"}),
        "keras-gatys": ("keras-gatys", {}),
    },
    "vgg16-caffe": {
        f"{name}, real VGG-16": (name, {"backbone": "vgg16-caffe"})
        for name in ("gatys-2016", "keras-gatys", "vgg16-adam")
    },
}
WEIGHTS = ("content_weight", "style_weight", "tv_weight", "style_layers", "normalization")


def reduced(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe at SIZE pixels and with fewer steps; the painting shrinks as the photograph."""
    steps = max(LEAST_STEPS, recipe["steps"] // SHARE)
    painting = (recipe.get("style_size") or recipe["size"]) * SIZE // recipe["size"]
    return dict(recipe) | {"size": SIZE, "style_size": painting, "steps": steps}


def load(values: Mapping[str, Any], device: str) -> Backbone:
    """The network of a run. Recipes name torchvision's scale of activations; Caffe's own weights need no factor."""
    scale = values["activation_scale"]
    if values["backbone"] == "vgg16-caffe" and not values["normalized"]:
        scale /= CAFFE_SCALE
    options = {"pooling": values["pooling"], "normalized": values["normalized"], "activation_scale": scale}
    return nst.load_backbone(values["backbone"], device=device, **options)


def run(values: Mapping[str, Any], device: str) -> list[nst.Step]:
    """All steps of one run of lesson 04's method."""
    backbone = load(values, device)
    content = nst.load_image(values["content"], values["size"], device=device)
    style = nst.load_image(values["style"], values["style_size"] or values["size"], device=device)
    adam = {"betas": values["adam_betas"], "eps": values["adam_epsilon"]} if values["optimizer"] == "adam" else {}
    optimizer = nst.solver(values["optimizer"], values["learning_rate"] or None, **adam)
    options = {key: values[key] for key in (*WEIGHTS, "start", "seed", "steps")}
    options["content_layers"] = list(nst.stand_ins(backbone, values["content_layers"]).values())
    return list(nst.transfer(content, style, backbone, optimizer=optimizer, **options))


def main() -> None:
    """Run those of one network, and write results.json and a picture of each run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", choices=RUNS, default="pocket")
    parser.add_argument("--full", action="store_true", help="at the recipes' own size and steps")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    defaults = Lesson.read(find_lesson("04")).defaults
    for title, (name, changes) in RUNS[options.backbone].items():
        recipe = defaults | read_parameters(find_recipe(name)) | {"backbone": "pocket"} | changes
        values = recipe if options.full else recipe | reduced(recipe)
        steps = run(values, options.device)
        file = title.replace(", ", "_").replace(" / ", "_over_").replace(" ", "_")
        file += "_full.jpg" if options.full else ".jpg"
        nst.to_pil(steps[-1].image).save(OUT / file, quality=88)
        loss = [float(f"{step.loss:.4g}") for step in steps]
        seconds = round(steps[-1].seconds, 1)
        found = {"picture": file, "recipe": name, "changes": changes, "size": values["size"]}
        found |= {"steps": len(loss), "seconds": seconds, "loss": loss}
        store("full" if options.full else "runs", title, found)
        print(f"{title}: loss {loss[0]:.3g} -> {loss[-1]:.3g} in {len(loss)} steps, {seconds} s", flush=True)


def store(part: str, title: str, found: Mapping[str, Any]) -> None:
    """Put one run into a part of results.json, in the order of RUNS."""
    path = OUT / "results.json"
    parts = json.loads(path.read_text(encoding="utf-8"))
    runs = parts.get(part, {}) | {title: found}
    parts[part] = {title: runs[title] for table in RUNS.values() for title in table if title in runs}
    path.write_text(json.dumps(parts) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
