"""The test of the any-style network, on three paintings and five photographs that it was never trained on.

    NST_LESSON_WEIGHTS=DIR python experiments/any_style.py PAINTINGS

PAINTINGS is a folder with the three of TEST_STYLES, which `nst.download_names` names. The judge is Oxford's own VGG-16:
the Gram distance to the painting at three layers, divided by what matching the colors alone reaches, and the distance
to the photograph at relu4_2. Numbers and pictures go into data/any_style/.

`data/README.md` says how the network was trained.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from torch import Tensor

import nst_lesson as nst

OUT = nst.data_dir() / "any_style"
TEST_STYLES = ("starry_night", "the_scream", "woman_with_a_hat")
LAYERS = ("relu2_1", "relu3_1", "relu4_1")
SIZE, STEPS = 384, 100  # longer side in pixels; of the optimization
SHOWN = ("chelsea", "astronaut")  # photographs whose pictures are stored


def methods() -> dict[str, Callable[[Tensor, Tensor], Tensor]]:
    """{title: photograph and painting to a picture}."""
    network, backbone = nst.load_model("any_style"), nst.load_backbone("pocket")

    def optimized(photo: Tensor, painting: Tensor) -> Tensor:
        """The picture after the last step."""
        *_, step = nst.transfer(photo, painting, backbone, steps=STEPS)
        return step.image

    return {
        "the photograph": lambda photo, painting: photo,
        "colors only": nst.match_colors,
        "any style, one pass": lambda photo, painting: nst.stylize_any(network, photo, painting),
        "optimization": optimized,
    }


def main(paintings: Path) -> None:
    """Paint all pairs with all methods, and judge them."""
    judge, rows = nst.load_backbone("vgg16-caffe"), {}
    for style in TEST_STYLES:
        painting = nst.load_image(paintings / f"{style}.jpg", SIZE)
        for name in nst.photo_names():
            photo = nst.load_image(name, SIZE)
            colors = nst.style_distance(nst.match_colors(photo, painting), painting, judge, LAYERS)
            for title, method in methods().items():
                began = time.perf_counter()
                picture = method(photo, painting)
                seconds = time.perf_counter() - began
                found = nst.style_distance(picture, painting, judge, LAYERS)
                row = {layer: round(found[layer] / colors[layer], 4) for layer in LAYERS}
                row |= {"content": round(nst.content_distance(picture, photo, judge), 4), "seconds": round(seconds, 3)}
                rows.setdefault(title, []).append({"painting": style, "photograph": name} | row)
                if title == "any style, one pass" and name in SHOWN:
                    nst.to_pil(picture).save(OUT / f"{style}-{name}.jpg", quality=88)
    medians = {
        title: {key: statistics.median(row[key] for row in found) for key in (*LAYERS, "content", "seconds")}
        for title, found in rows.items()
    }
    record = {"size": SIZE, "steps": STEPS, "medians": medians, "rows": rows}
    (OUT / "results.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    for title, row in medians.items():
        print(f"{title:20}", row)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paintings", type=Path)
    main(parser.parse_args().paintings)
