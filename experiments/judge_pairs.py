"""Paint pairs of a photograph and a painting, and judge the results by Oxford's own VGG-16, whatever network painted.

    NST_LESSON_WEIGHTS=DIR python experiments/judge_pairs.py --photos DIR --paintings DIR --out DIR \\
        --backbones vgg16-caffe pocket

The pairs are all of PHOTOS x PAINTINGS. The table has, for each backbone, the medians over the pairs of the relative
Gram distance to the painting at VGG-16's five style layers and of the relative content distance to the photograph at
its relu4_2, and their ratios to the first backbone's. Pictures are stored as OUT/<backbone>/<pair>-<steps>.png; those
that are there already are judged, not painted again. A number says less than a look.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

import nst_lesson as nst
from nst_lesson.networks.backbones import Backbone

PHOTOS = ("tubingen", "golden_gate")
PAINTINGS = ("starry_night", "the_scream", "great_wave")
CONTENT_LAYER = "relu4_2"
SIZE = 384  # pixels of the longer side, of photographs and paintings


def distances(picture: Tensor, content: Tensor, style: Tensor, judge: Backbone) -> dict[str, float]:
    """Relative Gram distances to `style` by style layer, and the content distance, of a picture (1, 3, H, W)."""
    far = nst.style_distance(picture, style, judge)
    return far | {"content": nst.content_distance(picture, content, judge, CONTENT_LAYER)}


def paint(content: Tensor, style: Tensor, backbone: Backbone, files: dict[int, Path], options: dict) -> None:
    """Run one transfer and store its picture at each number of steps in `files`; nothing if all are there."""
    if all(file.exists() for file in files.values()):
        return
    for step in nst.transfer(content, style, backbone, steps=max(files), **options):
        if step.index in files:
            nst.save_image(step.image, files[step.index])


def print_tables(found: dict[str, dict[int, list[dict[str, float]]]]) -> None:
    """Medians over the pairs of {backbone: {steps: [distances of a pair]}}, and ratios to the first backbone's."""
    reference = next(iter(found))
    for name, by_steps in found.items():
        for steps, pairs in by_steps.items():
            columns = {key: [pair[key] for pair in pairs] for key in pairs[0]}
            print(f"{name}, {steps} steps:", "  ".join(f"{k} {np.median(v):.4f}" for k, v in columns.items()))
            if name != reference:
                others = {key: [pair[key] for pair in found[reference][steps]] for key in columns}
                ratios = {k: np.median(v) / np.median(others[k]) for k, v in columns.items()}
                print("  ratio of medians:", "  ".join(f"{k} {ratio:.2f}" for k, ratio in ratios.items()))


def main(argv: Sequence[str] | None = None) -> None:
    """Paint, judge, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for folder in ("photos", "paintings", "out"):
        parser.add_argument(f"--{folder}", type=Path, required=True)
    parser.add_argument("--backbones", nargs="+", default=["vgg16-caffe", "pocket"])
    parser.add_argument("--steps", type=int, nargs="+", default=[100], help="steps after which pictures are kept")
    parser.add_argument("--style-weight", type=float, default=20.0)
    args = parser.parse_args(argv)

    options = {"style_weight": args.style_weight, "content_layers": (CONTENT_LAYER,)}
    judge, found = nst.load_backbone("vgg16-caffe"), {}
    for name in args.backbones:
        backbone = nst.load_backbone(name)
        found[name] = {steps: [] for steps in args.steps}
        (args.out / name).mkdir(parents=True, exist_ok=True)
        for photo in PHOTOS:
            content = nst.load_image(args.photos / f"{photo}.jpg", size=SIZE)
            for painting in PAINTINGS:
                style = nst.load_image(args.paintings / f"{painting}.jpg", size=SIZE)
                files = {n: args.out / name / f"{photo}-{painting}-{n}.png" for n in args.steps}
                paint(content, style, backbone, files, options)
                for steps, file in files.items():
                    found[name][steps].append(distances(nst.load_image(file), content, style, judge))
    print_tables(found)


if __name__ == "__main__":
    main()
