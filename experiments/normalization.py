"""Instance beside batch normalization: two networks that differ in nothing else, which lesson 06 shows stored.

    python experiments/normalization.py train PHOTOGRAPHS WORK instance     # a quarter of an hour on a core, like batch
    python experiments/normalization.py train PHOTOGRAPHS WORK batch
    python experiments/normalization.py judge PHOTOGRAPHS WORK

Both begin with the same random numbers and see the same crops. A training goes on where it was stopped. WORK keeps
checkpoints and networks; results.json and the pictures go into data/normalization/.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from pathlib import Path
from statistics import fmean

import torch

import nst_lesson as nst

OUT = nst.data_dir() / "normalization"
NORMALIZATIONS = ("instance", "batch")
STYLE, STYLE_SIZE, WIDTH, SIZE, BATCH, STEPS, SEED = "nocturne", 256, 0.5, 128, 4, 2000, 0
WEIGHTS = {"content_weight": 1.0, "style_weight": 10.0, "tv_weight": 5.0, "content_layers": ["relu3_3"]}
LAYERS = {"style_layers": list(nst.STYLE_LAYERS)}
SHOWN, PALE, TEST_SIZE = ("chelsea", "coffee"), 0.2, 320  # the first of SHOWN also with so much of its contrast


def training_loss():
    """The loss of both networks."""
    return nst.stylizing_loss(nst.load_backbone("pocket"), nst.load_image(STYLE, STYLE_SIZE), **WEIGHTS, **LAYERS)


def train(normalization: str, photographs: Path, work: Path) -> None:
    """Train the network with this normalization, unless it is there."""
    if (done := work / f"{normalization}.safetensors").exists():
        return
    torch.manual_seed(SEED)
    network = nst.TransformationNetwork(WIDTH, normalization)
    checkpoint = nst.Checkpoint(work / f"{normalization}.checkpoint", 200, {"normalization": normalization, **WEIGHTS})
    data = nst.Photographs(photographs, size=SIZE, seed=SEED)
    options = {"batch_size": BATCH, "schedule": "cosine", "hardware": nst.Hardware(precision="bf16")}
    for step in nst.train(network, training_loss(), data, steps=STEPS, checkpoint=checkpoint, **options):
        if step.index % 100 == 0:
            print(normalization, step.index, f"loss {step.loss:.3f}", flush=True)
    nst.save_model(network, done)
    checkpoint.path.unlink()


def pale(photo: torch.Tensor) -> torch.Tensor:
    """The photograph with PALE of its contrast."""
    mean = photo.mean((2, 3), keepdim=True)
    return mean + PALE * (photo - mean)


@torch.no_grad()
def mean_terms(loss, network: torch.nn.Module, pictures: Iterable[torch.Tensor]) -> dict[str, float]:
    """The terms of the loss, means over the pictures."""
    rows = [loss(network, picture) for picture in pictures]
    return {name: fmean(row[name].item() for row in rows) for name in rows[0]}


def judge(work: Path) -> None:
    """The mean terms on the bundled photographs, and on pale copies; and how three of these pictures look painted."""
    loss, runs = training_loss(), {}
    photos = {name: nst.load_image(name, TEST_SIZE) for name in nst.photo_names()}
    shown = [photos[SHOWN[0]], pale(photos[SHOWN[0]]), photos[SHOWN[1]]]
    height = min(photo.shape[2] for photo in shown)
    for normalization in NORMALIZATIONS:
        network = nst.load_model(work / f"{normalization}.safetensors")

        nst.save_image(
            torch.cat([nst.stylize(network, photo)[:, :, :height] for photo in shown], dim=3),
            OUT / f"{normalization}.jpg",
        )
        whole = mean_terms(loss, network, photos.values())
        faded = mean_terms(loss, network, map(pale, photos.values()))
        found = {"loss": sum(whole.values()), "style": whole["style"], "style_of_pale": faded["style"]}
        runs[normalization] = {name: round(value, 4) for name, value in found.items()}
        runs[normalization] |= {"picture": f"{normalization}.jpg"}
        print(normalization, runs[normalization])
    settings = {"style": STYLE, "style_size": STYLE_SIZE, "width": WIDTH, "size": SIZE, "batch_size": BATCH}
    settings |= {"steps": STEPS, "seed": SEED, **WEIGHTS, **LAYERS, "test_size": TEST_SIZE, "pale": PALE}
    text = json.dumps({"settings": settings, "runs": runs}, indent=1)
    (OUT / "results.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("train", "judge"))
    parser.add_argument("photographs", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("normalization", nargs="?", choices=NORMALIZATIONS, help="the one to train; default: both")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    if options.command == "judge":
        judge(options.work)
    else:
        for one in [options.normalization] if options.normalization else NORMALIZATIONS:
            train(one, options.photographs, options.work)
