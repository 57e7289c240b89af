"""The pocket network beside the network that it stands in for, Oxford's VGG-16: what lessons 04 and 10 show stored.

Each network paints the same photograph in the manner of the same painting with the course's default settings, and
VGG-16 judges every picture: the relative Gram distance to the painting at the five style layers, and the relative
distance of features to the photograph at relu4_2. Each network also judges its own picture. Numbers and pictures go
into data/transfer/ (lesson 04) or data/distillation/ (lesson 10); what is there of networks that are not named stays
as it is. Time is that of the processor, which a busy machine hardly changes: seconds on one core, or their sum.

    NST_LESSON_WEIGHTS=DIR python experiments/true_network.py transfer vgg16-caffe pocket

DIR has Oxford's weights (`vgg16-caffe` in the table of networks). VGG-16 takes minutes on two cores, pocket a fifth of
that. "first" is the first edition of pocket, which learned from VGG-19's features and was no longer shipped once an
optimizer had shown its faults. Its weights are in the history of the repository:

    git show 95f7c27:data/weights/pocket.safetensors > first.safetensors
    NST_LESSON_WEIGHTS=DIR python experiments/true_network.py distillation first --first first.safetensors
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor

import nst_lesson as nst
from nst_lesson.networks.backbones import Backbone
from nst_lesson.paths import atomic_path

JUDGE, PAINTERS = "vgg16-caffe", ("vgg16-caffe", "pocket", "first")
SETTINGS: dict[str, dict[str, Any]] = {  # by folder of data/
    "transfer": {"content": "chelsea", "style": "nocturne", "size": 384, "steps": 120},
    "distillation": {"content": "chelsea", "style": "wave", "size": 320, "steps": 100},
}
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


def rounded(values: dict[str, float]) -> dict[str, float]:
    """The same with four digits."""
    return {name: float(f"{value:.4g}") for name, value in values.items()}


def distances(picture: Tensor, judge: Backbone, content: Tensor, style: Tensor) -> dict[str, float]:
    """Relative Gram distances to `style` by style layer and the distance to `content`; pictures are (1, 3, H, W)."""
    far = nst.style_distance(picture, style, judge)
    return rounded(far | {"content": nst.content_distance(picture, content, judge, CONTENT_LAYER)})


def paper_terms(content: Tensor, style: Tensor, judge: Backbone) -> dict[str, float]:
    """{layer: 1/(4 N^2 M^2) sum (G - A)^2}, as Gatys et al. 2016 have it; `style` is cut to the size of `content`."""
    style = F.interpolate(style, content.shape[2:], mode="bilinear")
    with torch.no_grad():
        ours, theirs = (judge(image, nst.STYLE_LAYERS) for image in (content, style))
    terms = {k: nst.style_loss(nst.gram_matrix(ours[k]), nst.gram_matrix(theirs[k]), "gatys") for k in ours}
    return rounded({layer: term.item() for layer, term in terms.items()})


def main(argv: Sequence[str] | None = None) -> None:
    """Paint with the named networks, and bring results.json and the pictures up to date."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", choices=SETTINGS, help="of data/: what is painted, and where it goes")
    parser.add_argument("painters", nargs="+", choices=PAINTERS, help="the networks whose pictures are made anew")
    parser.add_argument("--first", type=Path, help="weights of the first edition of pocket")
    args = parser.parse_args(argv)
    if "first" in args.painters and args.first is None:
        parser.error("first needs --first FILE")

    settings, out = SETTINGS[args.folder], nst.data_dir() / args.folder
    names, size = (settings["content"], settings["style"]), settings["size"]
    content, style = (nst.load_image(name, size) for name in names)
    judge, path = nst.load_backbone(JUDGE), out / "results.json"
    runs: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["runs"] if path.exists() else {}
    found: dict[str, Any] = {"settings": settings | {"judge": JUDGE}}
    found["photograph"] = distances(content, judge, content, style)
    found["paper_terms"] = paper_terms(*(nst.load_image(name, size // 2) for name in names), judge)
    for name in args.painters:
        network = first_edition(args.first) if name == "first" else nst.load_backbone(name)
        before = time.process_time()
        *_, last = nst.transfer(content, style, network, steps=settings["steps"])
        run = {"picture": f"{name}.jpg", "core_seconds": round(time.process_time() - before)}
        nst.to_pil(last.image).save(out / run["picture"], quality=QUALITY)
        run["by VGG-16"] = distances(last.image, judge, content, style)
        run["by itself"] = distances(last.image, network, content, style)
        print(name, json.dumps(run, indent=1), flush=True)
        runs[name] = run
        found["runs"] = {painter: runs[painter] for painter in PAINTERS if painter in runs}
        with atomic_path(path) as temporary:
            temporary.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
