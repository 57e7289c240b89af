"""Optimization against fast networks trained with few, more and many photographs: what lessons 06 and 07 show stored.

    python experiments/comparison.py train PHOTOGRAPHS WORK     # hours or an hour; goes on where it was stopped
    python experiments/comparison.py judge WORK                 # minutes; keep the machine idle, it measures seconds

Every network has the settings of the models that come with the course and sees the photographs of the folder, or the
first 100 or 400 of them in an order drawn once. Each is kept after EPOCHS epochs and after as many steps as EPOCHS
epochs of all photographs are. One more is trained with batch normalization. The bundled photographs, which none of them
saw, are the test. WORK keeps checkpoints; results.json and the pictures go into data/comparison/.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

import nst_lesson as nst

OUT = nst.data_dir() / "comparison"
STYLE, WIDTH, SIZE, STYLE_SIZE, BATCH, EPOCHS, SEED = "nocturne", 0.5, 192, 320, 4, 5, 0
WEIGHTS = {"content_weight": 1.0, "style_weight": 3.0, "tv_weight": 5.0}
COUNTS = (100, 400, 0)  # photographs; 0: all
TEST_SIZE, GATYS_STEPS, JUDGES = 384, 200, (11, 12, 13)
SHOWN = "chelsea"
FEWER_POINTS = 50  # steps that a stored point of a loss curve averages


def steps_of(photographs: int) -> int:
    """Steps that EPOCHS epochs take."""
    return photographs * EPOCHS // BATCH


def training_loss():
    """The loss of every network here; the optimization that is given the same weights has the same objective."""
    return nst.stylizing_loss(nst.load_backbone("pocket"), nst.load_image(STYLE, STYLE_SIZE), **WEIGHTS)


def folder_of(photographs: list[Path], count: int, work: Path) -> Path:
    """A folder with links to `count` of the photographs, the same ones each time."""
    folder = work / f"photographs-{count}"
    folder.mkdir(parents=True, exist_ok=True)
    for index in np.random.default_rng(SEED).permutation(len(photographs))[:count]:
        if not (link := folder / photographs[index].name).exists():  # another training may be reading the folder
            link.symlink_to(photographs[index].resolve())
    return folder


def train_all(photographs: Path, work: Path, wanted: list[str]) -> None:
    """Train every network, or those named, and keep its weights at the steps that are compared."""
    files = sorted(path for path in photographs.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    longest = steps_of(len(files))
    runs = [(count or len(files), "instance") for count in COUNTS] + [(len(files), "batch")]
    loss = training_loss()
    for count, normalization in reversed(runs):
        name = f"{normalization}-{count}"
        if wanted and name not in wanted:
            continue
        data = nst.Photographs(str(folder_of(files, count, work)), size=SIZE, seed=SEED)
        torch.manual_seed(SEED)
        network = nst.TransformationNetwork(WIDTH, normalization)
        network.compile()
        log = work / f"{name}.jsonl"
        settings = {"photographs": count, "normalization": normalization, **WEIGHTS}
        checkpoint = nst.Checkpoint(work / f"{name}.safetensors", 250, settings)
        hardware = nst.Hardware(precision="bf16", workers=1)
        options = {"steps": longest, "batch_size": BATCH, "checkpoint": checkpoint, "hardware": hardware}
        for step in nst.train(network, loss, data, **options):
            with log.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"step": step.index, "loss": step.loss, **step.terms}) + "\n")
            if step.index in (steps_of(count), longest):
                torch.save(network.state_dict(), work / f"{name}-{step.index}.pt")
            if step.index % 100 == 0:
                print(f"{name} step {step.index} of {longest}, loss {step.loss:.3f}", flush=True)


def kept_network(path: Path) -> nst.TransformationNetwork:
    """A network that `train_all` kept, as it would be shipped: through a file of 16-bit floats."""
    network = nst.TransformationNetwork(WIDTH, path.stem.split("-")[0])
    network.load_state_dict(torch.load(path, weights_only=True))
    shipped = path.with_suffix(".safetensors")
    nst.save_model(network, shipped)
    return nst.load_model(shipped)


def curve(log: Path) -> dict[str, list[float]]:
    """The loss of a run, averaged over FEWER_POINTS steps at a time. Steps that were done twice count once."""
    lines = {entry["step"]: entry for entry in map(json.loads, log.read_text(encoding="utf-8").splitlines())}
    bounds = range(0, max(lines) + 1, FEWER_POINTS)
    means = [
        {name: statistics.mean(lines[i][name] for i in range(a + 1, b + 1)) for name in ("loss", "content", "style")}
        for a, b in pairwise(bounds)
    ]
    points = {name: [float(f"{mean[name]:.4g}") for mean in means] for name in ("loss", "content", "style")}
    return {"step": list(bounds)[1:], **points}


def judged(picture: torch.Tensor, photo: torch.Tensor, style: torch.Tensor, loss) -> dict:
    """What untrained networks that nobody optimized say of a picture, and the training loss of it."""
    judges = [nst.load_backbone("random", seed=seed) for seed in JUDGES]
    with torch.no_grad():
        own = sum(term.item() for term in loss(lambda _: picture, photo).values())
    by_style = [statistics.mean(nst.style_distance(picture, style, judge).values()) for judge in judges]
    by_content = [nst.content_distance(picture, photo, judge) for judge in judges]
    return {"loss": own, "style": statistics.mean(by_style), "content": statistics.mean(by_content)}


def strip(network: nst.TransformationNetwork) -> torch.Tensor:
    """Three photographs side by side as the network paints them: one, a pale copy of it, and another."""
    first, second = (nst.load_image(name, 240) for name in (SHOWN, "coffee"))
    pictures = [nst.stylize(network, image) for image in (first, 0.5 + 0.2 * (first - 0.5), second)]
    height = min(picture.shape[2] for picture in pictures)
    return torch.cat([picture[:, :, :height] for picture in pictures], dim=3)


def step_seconds() -> float:
    """Seconds of one training step on this machine: the median of 20 after a start of 10."""
    data, network = nst.Photographs(size=SIZE), nst.TransformationNetwork(WIDTH)
    hardware = nst.Hardware(precision="bf16", workers=1)
    training = nst.train(network, training_loss(), data, steps=30, batch_size=BATCH, hardware=hardware)
    return statistics.median([step.seconds for step in training][10:])


def judge_all(work: Path) -> None:
    """Judge every kept network and the optimization on the bundled photographs, and store numbers and pictures."""
    photos = {name: nst.load_image(name, TEST_SIZE) for name in nst.photo_names()}
    backbone = nst.load_backbone("pocket")
    style, loss, per_step = nst.load_image(STYLE, STYLE_SIZE), training_loss(), step_seconds()
    rows, pictures = {}, {}

    def add(title: str, paint, facts: dict) -> None:
        seconds, numbers = [], []
        for name, photo in photos.items():
            began = time.perf_counter()
            picture = paint(photo)
            seconds.append(time.perf_counter() - began)
            numbers.append(judged(picture, photo, style, loss))
            pictures[title, name] = picture
        means = {key: float(f"{statistics.mean(n[key] for n in numbers):.4g}") for key in numbers[0]}
        rows[title] = {**facts, "seconds a picture": round(statistics.median(seconds), 3), **means}
        print(title, rows[title], flush=True)

    def optimized(**weights):
        def paint(photo):
            *_, last = nst.transfer(photo, style, backbone, steps=GATYS_STEPS, **weights)
            return last.image

        return paint

    add("the photograph itself", lambda photo: photo, {})
    add("optimization", optimized(), {"steps": GATYS_STEPS})
    add("optimization, the networks' weights", optimized(**WEIGHTS), {"steps": GATYS_STEPS})
    for path in sorted(work.glob("*-*-*.pt"), key=lambda p: [p.stem.split("-")[0], *map(int, p.stem.split("-")[1:])]):
        kind, count, steps = path.stem.split("-")
        network = kept_network(path)
        facts = {"photographs": int(count), "steps": int(steps), "epochs": round(int(steps) * BATCH / int(count), 1)}
        facts["minutes to train"] = round(int(steps) * per_step / 60, 1)
        if kind == "instance":
            facts["megabytes"] = round(path.with_suffix(".safetensors").stat().st_size / 1e6, 2)
        title = f"{count} photographs, {steps} steps" + (", batch normalization" if kind == "batch" else "")
        add(title, lambda photo, network=network: nst.stylize(network, photo), facts)
    for kind in ("instance", "batch"):
        last = max(work.glob(f"{kind}-*-*.pt"), key=lambda path: [int(part) for part in path.stem.split("-")[1:]])
        nst.to_pil(strip(kept_network(last))).save(OUT / f"normalization-{kind}.jpg", quality=85)
    curves = {path.stem: curve(path) for path in sorted(work.glob("*.jsonl"))}
    for (title, name), picture in pictures.items():
        if name == SHOWN and "itself" not in title and "batch" not in title:
            file = title.replace(", ", "_").replace(" ", "_").replace("'", "") + f"-{name}.jpg"
            nst.to_pil(picture).save(OUT / file, quality=80)
            rows[title]["picture"] = file
    facts = {"style": STYLE, "width": WIDTH, "size": SIZE, "style_size": STYLE_SIZE, "batch": BATCH, "epochs": EPOCHS}
    settings = {**facts, **WEIGHTS, "test_size": TEST_SIZE, "seconds a step": round(per_step, 3)}
    text = json.dumps({"settings": settings, "rows": rows, "curves": curves}, indent=1)
    (OUT / "results.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("train")
    command.add_argument("photographs", type=Path)
    command.add_argument("work", type=Path)
    command.add_argument("names", nargs="*", help="such as batch-628 and instance-100, to train side by side")
    commands.add_parser("judge").add_argument("work", type=Path)
    options = parser.parse_args()
    if options.command == "train":
        train_all(options.photographs, options.work, options.names)
    else:
        judge_all(options.work)
