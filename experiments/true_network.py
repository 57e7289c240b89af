"""The pocket network beside the network that it stands in for, Oxford's VGG-16: what lesson 10 shows stored.

Each network paints the same photograph in the manner of the same painting with the course's default settings, and
VGG-16 judges every picture: the relative Gram distance to the painting at the five style layers, and the relative
distance of features to the photograph at relu4_2. Each network also judges its own picture. Numbers and pictures go
into data/distillation/; what is there of networks that are not named stays as it is.

    NST_LESSON_WEIGHTS=DIR python experiments/true_network.py vgg16-caffe pocket

DIR has Oxford's weights (`vgg16-caffe` in the table of networks). VGG-16 takes a minute on two idle cores, pocket some
seconds. "first" is the first edition of pocket, which learned from VGG-19's features and was no longer shipped once an
optimizer had shown its faults. Its weights are in the history of the repository:

    git show 95f7c27:data/weights/pocket.safetensors > first.safetensors
    NST_LESSON_WEIGHTS=DIR python experiments/true_network.py first --first first.safetensors
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import Tensor

import nst_lesson as nst
from nst_lesson.networks.backbones import Backbone
from nst_lesson.paths import atomic_path

OUT = nst.data_dir() / "distillation"
JUDGE, PAINTERS = "vgg16-caffe", ("vgg16-caffe", "pocket", "first")
CONTENT, STYLE, SIZE, STEPS = "chelsea", "wave", 320, 100
CONTENT_LAYER = "relu4_2"
FIRST_CHANNELS = ((16,) * 2, (32,) * 2, (64,) * 4, (128,) * 4, (128,))
QUALITY = 88  # of the stored JPEG pictures


def first_edition(path: Path) -> Backbone:
    """The first pocket network from a file of its weights; it padded by reflection."""
    state = load_file(path)
    metric_layers = [key.split(".")[1] for key in state if key.startswith("metric.")]
    network = nst.VGG(FIRST_CHANNELS, padding_mode="reflect", metric_layers=metric_layers)
    network.load_state_dict({key: tensor.float() for key, tensor in state.items()})
    return network.requires_grad_(False).eval()


def distances(picture: Tensor, judge: Backbone, content: Tensor, style: Tensor) -> dict[str, float]:
    """Relative Gram distances to `style` by style layer and the distance to `content`; pictures are (1, 3, H, W)."""
    far = nst.style_distance(picture, style, judge)
    far["content"] = nst.content_distance(picture, content, judge, CONTENT_LAYER)
    return {name: float(f"{value:.4g}") for name, value in far.items()}


def main(argv: Sequence[str] | None = None) -> None:
    """Paint with the named networks, and bring results.json and the pictures up to date."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("painters", nargs="+", choices=PAINTERS, help="the networks whose pictures are made anew")
    parser.add_argument("--first", type=Path, help="weights of the first edition of pocket")
    args = parser.parse_args(argv)
    if "first" in args.painters and args.first is None:
        parser.error("first needs --first FILE")

    content, style = nst.load_image(CONTENT, SIZE), nst.load_image(STYLE, SIZE)
    judge, path = nst.load_backbone(JUDGE), OUT / "results.json"
    runs: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["runs"] if path.exists() else {}
    photograph = distances(content, judge, content, style)
    settings = {"content": CONTENT, "style": STYLE, "size": SIZE, "steps": STEPS, "judge": JUDGE}
    for name in args.painters:
        network = first_edition(args.first) if name == "first" else nst.load_backbone(name)
        *_, last = nst.transfer(content, style, network, steps=STEPS)
        nst.to_pil(last.image).save(OUT / f"{name}.jpg", quality=QUALITY)
        judged = {"by VGG-16": distances(last.image, judge, content, style)}
        judged["by itself"] = distances(last.image, network, content, style)
        runs[name] = {"picture": f"{name}.jpg"} | judged
        print(name, json.dumps(judged, indent=1), flush=True)
        ordered = {painter: runs[painter] for painter in PAINTERS if painter in runs}
        text = json.dumps({"settings": settings, "photograph": photograph, "runs": ordered}, indent=1)
        with atomic_path(path) as temporary:
            temporary.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
