"""Few, more and many photographs, for equal epochs and for equal steps: what lesson 07 shows stored.

    python experiments/comparison.py train PHOTOGRAPHS WORK     # 20 minutes on one core; goes on where it was stopped
    python experiments/comparison.py judge PHOTOGRAPHS WORK     # two minutes

Every network starts from random weights: one that already paints has seen photographs, and all of ours have seen all of
these. A seed decides on the weights, on which 100 or 400 of the photographs there are, and on the crops. The
bundled photographs, which none of them saw, are the test. WORK keeps checkpoints and networks; results.json and the
pictures go into data/comparison/.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

import nst_lesson as nst

OUT = nst.data_dir() / "comparison"
STYLE, STYLE_SIZE, WIDTH, SIZE, BATCH, EPOCHS = "nocturne", 256, 0.5, 80, 4, 4
WEIGHTS = {"content_weight": 1.0, "style_weight": 10.0, "tv_weight": 5.0}
LAYERS = {"content_layers": ["relu3_3"], "style_layers": list(nst.STYLE_LAYERS)}
COUNTS, SEEDS = (100, 400, 628), (0, 1, 2)
TEST_SIZE, OWN_CROPS = 320, 40
SHOWN = "chelsea"
OPTIONS = {"batch_size": BATCH, "schedule": "cosine", "hardware": nst.Hardware(precision="bf16")}


class Run(NamedTuple):
    """One training; its `name` is that of its files."""

    count: int
    steps: int
    seed: int

    @property
    def name(self) -> str:
        return f"{self.count}-photographs-{self.steps}-steps-{self.seed}"


def runs() -> list[Run]:
    """All trainings: equal steps, and the fewest photographs for equal epochs."""
    few, some, all_of_them = COUNTS
    longest = all_of_them * EPOCHS // BATCH
    equal_steps = [Run(count, longest, seed) for seed in SEEDS for count in (few, all_of_them)]
    equal_epochs = [Run(few, few * EPOCHS // BATCH, seed) for seed in SEEDS]
    return [*equal_steps, *equal_epochs, *(Run(some, longest, seed) for seed in SEEDS)]


def training_loss():
    """The loss of every network here."""
    return nst.stylizing_loss(nst.load_backbone("pocket"), nst.load_image(STYLE, STYLE_SIZE), **WEIGHTS, **LAYERS)


def photographs_of(run: Run, photographs: Path, work: Path) -> nst.Photographs:
    """The photographs of a training, as a folder of links in `work`, the same ones each time."""
    files = sorted(path for path in photographs.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    if len(files) != max(COUNTS):
        raise SystemExit(f"{photographs} has {len(files)} photographs, not {max(COUNTS)}")
    folder = work / f"photographs-{run.count}-{run.seed}"
    folder.mkdir(parents=True, exist_ok=True)
    for index in np.random.default_rng(run.seed).permutation(len(files))[: run.count]:
        if not (link := folder / files[index].name).exists():
            link.symlink_to(files[index].resolve())
    return nst.Photographs(folder, size=SIZE, seed=run.seed)


def train_all(photographs: Path, work: Path) -> None:
    """Train every network that is not there yet."""
    loss = training_loss()
    for run in runs():
        done = work / f"{run.name}.safetensors"
        if done.exists():
            continue
        data = photographs_of(run, photographs, work)
        torch.manual_seed(run.seed)
        network = nst.TransformationNetwork(WIDTH)
        checkpoint = nst.Checkpoint(work / f"{run.name}.checkpoint", 200, {**run._asdict(), **WEIGHTS})
        for step in nst.train(network, loss, data, steps=run.steps, checkpoint=checkpoint, **OPTIONS):
            if step.index % 100 == 0:
                print(run.name, step.index, f"loss {step.loss:.3f}", flush=True)
        nst.save_model(network, done)
        checkpoint.path.unlink()


def judged(run: Run, photographs: Path, work: Path, loss) -> dict:
    """The losses of a network, means of 40 crops of its own photographs and of the test, and of the whole test."""
    network = nst.load_model(work / f"{run.name}.safetensors")
    own, test = photographs_of(run, photographs, work), nst.Photographs(size=SIZE, crops=OWN_CROPS)
    crops = [sum(nst.evaluate(network, loss, data, count=OWN_CROPS).values()) for data in (own, test)]
    whole = {}
    for name in nst.photo_names():
        photo = nst.load_image(name, TEST_SIZE)
        picture = nst.stylize(network, photo)
        with torch.no_grad():
            whole[name] = {k: term.item() for k, term in loss(lambda _, picture=picture: picture, photo).items()}
    means = {term: statistics.fmean(terms[term] for terms in whole.values()) for term in ("content", "style", "tv")}
    row = {"own_crops": crops[0], "test_crops": crops[1], "test": sum(means.values()), **means}
    return {**run._asdict(), **{name: float(f"{value:.4g}") for name, value in row.items()}}


def judge_all(photographs: Path, work: Path) -> None:
    """Judge every network that is there on the bundled photographs, and store numbers and pictures."""
    loss, rows = training_loss(), []
    for run in runs():
        if not (work / f"{run.name}.safetensors").exists():
            continue
        rows.append(judged(run, photographs, work, loss))
        if run.seed == SEEDS[0]:
            rows[-1]["picture"] = f"{run.name}-{SHOWN}.jpg"
            network, photo = nst.load_model(work / f"{run.name}.safetensors"), nst.load_image(SHOWN, TEST_SIZE)
            nst.save_image(nst.stylize(network, photo), OUT / rows[-1]["picture"])
        print(json.dumps(rows[-1]), flush=True)
    facts = {"style": STYLE, "style_size": STYLE_SIZE, "width": WIDTH, "size": SIZE, "batch_size": BATCH}
    settings = {**facts, "epochs": EPOCHS, **WEIGHTS, **LAYERS, "test_size": TEST_SIZE}
    text = json.dumps({"settings": settings, "rows": rows}, indent=1)
    (OUT / "results.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("train", "judge"))
    parser.add_argument("photographs", type=Path)
    parser.add_argument("work", type=Path)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    {"train": train_all, "judge": judge_all}[options.command](options.photographs, options.work)
