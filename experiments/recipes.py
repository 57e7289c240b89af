"""Run every published recipe through lesson 04, small and on the pocket network, and store what lesson 05 shows.

`make recipes` calls this; it takes a few minutes, and writes into data/recipes/. Each run keeps its recipe's formulas,
weights, layers, start and optimizer; the size is 256 pixels, the steps are a fifth of the recipe's (200 at least), and
the network is `pocket`.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import nst_lesson as nst
from nst_lesson.course.files import find_recipe
from nst_lesson.course.lesson import read_parameters
from nst_lesson.course.runs import run_lesson

OUT = nst.data_dir() / "recipes"
SIZE, SHARE, LEAST_STEPS = 256, 5, 200
RECIPES = {  # title -> recipe and what its source tried beside it
    "gatys-2016": ("gatys-2016", {}),
    "vgg19-adam": ("vgg19-adam", {}),
    "vgg19-adam, average pooling": ("vgg19-adam", {"pooling": "avg"}),
    "vgg16-adam": ("vgg16-adam", {}),
    "vgg16-adam, style weight / 100": ("vgg16-adam", {"style_weight": 0.1}),
    "vgg16-adam, style weight x 100": ("vgg16-adam", {"style_weight": 1000.0}),
    "noise-times-content": ("noise-times-content", {}),
    "noise-times-content, sum": ("noise-times-content", {"start": "noise+content"}),
    "keras-gatys": ("keras-gatys", {}),
}


def reduced(recipe: dict) -> dict:
    """A recipe on the pocket network, at SIZE pixels and with fewer steps; the painting shrinks as the photograph."""
    steps = max(LEAST_STEPS, recipe["steps"] // SHARE)
    small = {"backbone": "pocket", "size": SIZE, "steps": steps, "snapshots": [1]}
    if "style_size" in recipe:
        small["style_size"] = recipe["style_size"] * SIZE // recipe["size"]
    return recipe | small


def main() -> None:
    """Run all, and write results.json and a picture of each run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args()
    table = {}
    for title, (name, changes) in RECIPES.items():
        values = reduced(read_parameters(find_recipe(name))) | changes
        with tempfile.TemporaryDirectory() as folder:
            run_lesson("04", values, out_dir=folder)
            run = json.loads((Path(folder) / "results.json").read_text(encoding="utf-8"))
            picture = nst.to_pil(nst.load_image(Path(folder) / "stylized.png"))
        file = title.replace(", ", "_").replace(" / ", "_over_").replace(" ", "_") + ".jpg"
        picture.save(OUT / file, quality=88)
        loss = run["results"]["loss"]
        table[title] = {
            "picture": file,
            "recipe": name,
            "changes": changes,
            "size": values["size"],
            "steps": len(loss),
            "seconds": round(run["results"]["seconds"], 1),
            "loss": [float(f"{value:.4g}") for value in loss],
        }
        print(f"{title}: loss {loss[0]:.3g} -> {loss[-1]:.3g} in {len(loss)} steps, {table[title]['seconds']} s")
    text = json.dumps({"versions": run["versions"], "runs": table}, indent=None)
    (OUT / "results.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
