"""The any-style network that comes with the course: tuned, trained, and tested once.

    python experiments/any_style.py grid PHOTOGRAPHS VALIDATION PAINTINGS WORK     # short trainings; minutes each
    python experiments/any_style.py search PHOTOGRAPHS VALIDATION PAINTINGS WORK   # long, with early stopping
    python experiments/any_style.py final PHOTOGRAPHS VALIDATION PAINTINGS WORK    # as long, trained on all styles
    python experiments/any_style.py test PHOTOGRAPHS VALIDATION PAINTINGS WORK     # at the very end, once

PHOTOGRAPHS train, VALIDATION tunes, and the bundled photographs are the test. Of the bundled styles and the six files
of PAINTINGS, VALIDATION_STYLES tune and TEST_STYLES test; what is left trains. `search` says after how many steps the
validation loss was lowest; `final`, which may run beside it, trains with VALIDATION_STYLES as well and keeps its
weights on the way, and `test` takes those of that step. Each goes on where it was stopped. Numbers and pictures go
into data/any_style/, the network into data/models/.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import torch

import nst_lesson as nst
from nst_lesson.methods.any_style import WEIGHTS
from nst_lesson.pictures.photographs import PAINTING_SHARES

OUT = nst.data_dir() / "any_style"
VALIDATION_STYLES = ("stained_glass", "tahiti")
TEST_STYLES = ("starry_night", "the_scream", "woman_with_a_hat")
VALIDATION_PAIRS = 32
CHOSEN = {"learning_rate": 1e-3, "style_weight": 100.0, "recolor": False}  # from the grid, and by looking
GRID = {"learning_rate": (1e-3, 3e-3), "style_weight": (30.0, 100.0), "recolor": (False, True)}
GRID_STEPS, GRID_SIZE = 160, 96
STEPS, SIZE, EVERY, PATIENCE = 6000, 128, 200, 8
TEST_SIZE, GATYS_STEPS, JUDGES, SEED, BATCH = 384, 80, (11, 12, 13), 0, 4


def linked(files: list[Path], folder: Path) -> str:
    """A folder with links to `files`; another process may make the same one at the same time."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        with contextlib.suppress(FileExistsError):
            (folder / file.name).symlink_to(file.resolve())
    return str(folder)


def styles_for(split: str, options: argparse.Namespace) -> str:
    """The folder of the paintings of a split: "search", "final", "validation" or "test"."""
    files = [*(nst.data_dir() / "styles").glob("*.jpg"), *options.paintings.glob("*.jpg")]
    wanted = {
        "search": lambda name: name not in (*VALIDATION_STYLES, *TEST_STYLES),
        "final": lambda name: name not in TEST_STYLES,
        "validation": lambda name: name in VALIDATION_STYLES,
        "test": lambda name: name in TEST_STYLES,
    }[split]
    folder = options.work / f"styles-{split}"
    return linked([file for file in files if wanted(file.stem)], folder)


def run(split: str, settings: dict, steps: int, size: int, options: argparse.Namespace) -> Iterator[dict]:
    """Train and yield, every EVERY steps and at the end, the step, the terms in training since and in validation.

    Terms are divided by their weights, so that settings can be compared. The weights of the network are kept in WORK.
    """
    name = f"{split}-" + "-".join(f"{value:g}" for value in settings.values()) + f"-{size}"
    log, work = options.work / f"{name}.jsonl", options.work
    known = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()] if log.exists() else []
    yield from known
    if known and known[-1]["step"] >= steps:
        return
    torch.manual_seed(SEED)
    network, backbone = nst.AnyStyleNetwork(), nst.load_backbone("pocket")
    weights = weights_of(settings)
    loss = nst.any_style_loss(backbone, **weights)
    plain = nst.any_style_loss(backbone, **dict.fromkeys(WEIGHTS, 1.0))
    crops = {"size": size, "shares": PAINTING_SHARES}
    paintings = nst.Photographs(styles_for(split, options), recolor=settings["recolor"], **crops)
    data = nst.Pairs(nst.Photographs(str(options.photographs), size=size), paintings)
    validation = nst.Pairs(
        nst.Photographs(str(options.validation), size=size),
        nst.Photographs(styles_for("validation", options), **crops),
    )
    training = nst.train(
        network,
        loss,
        data,
        steps=steps,
        batch_size=BATCH,
        learning_rate=settings["learning_rate"],
        checkpoint=nst.Checkpoint(work / f"{name}.safetensors", EVERY, settings | {"size": size}),
        hardware=nst.Hardware(precision="bf16", workers=1),
    )
    recent: list[dict] = []
    for step in training:
        recent.append(step.terms)
        if step.index % EVERY and step.index != steps:
            continue
        means = {key: statistics.mean(r[key] for r in recent) / weights[f"{key}_weight"] for key in step.terms}
        found = nst.evaluate(network, plain, validation, count=VALIDATION_PAIRS)
        recent, entry = [], {"step": step.index, "training": rounded(means), "validation": rounded(found)}
        entry["seconds"] = round(step.seconds, 3)
        nst.save_model(network, work / f"{name}-{step.index}.safetensors")
        with log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")
        yield entry


def weights_of(settings: dict) -> dict[str, float]:
    """The weights of the loss's terms."""
    return WEIGHTS | {"style_weight": settings["style_weight"]}


def rounded(numbers: dict[str, float]) -> dict[str, float]:
    """Four significant digits."""
    return {name: float(f"{number:.4g}") for name, number in numbers.items()}


def total(terms: dict[str, float], settings: dict) -> float:
    """The weighted loss that unweighted terms amount to."""
    weights = weights_of(settings)
    return sum(weights[f"{name}_weight"] * value for name, value in terms.items())


def grid(options: argparse.Namespace) -> None:
    """Short trainings with every setting of GRID, or with every second one (--part 0 or 1, to run two side by side)."""
    for number, values in enumerate(itertools.product(*GRID.values())):
        if options.part is None or number % 2 == options.part:
            settings = dict(zip(GRID, values, strict=True))
            *_, last = run("search", settings, GRID_STEPS, GRID_SIZE, options)
            print(settings, last, flush=True)


def search(options: argparse.Namespace) -> None:
    """Train until the validation loss has not fallen PATIENCE times."""
    losses: list[float] = []
    for entry in run("search", CHOSEN, STEPS, SIZE, options):
        losses.append(total(entry["validation"], CHOSEN))
        print(entry["step"], f"validation loss {losses[-1]:.4f}", entry, flush=True)
        if len(losses) - losses.index(min(losses)) > PATIENCE:
            break


def final(options: argparse.Namespace) -> None:
    """Train with all styles but those of the test."""
    for entry in run("final", CHOSEN, STEPS, SIZE, options):
        print(entry, flush=True)


def entries(name: str, options: argparse.Namespace) -> list[dict]:
    """What `run` has written."""
    return [json.loads(line) for line in (options.work / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


def test(options: argparse.Namespace) -> None:
    """Store the network of the step that `search` found best, the grid's table, and what the test says."""
    chosen = "-".join(f"{value:g}" for value in CHOSEN.values())
    curve = entries(f"search-{chosen}-{SIZE}", options)
    best = min(curve, key=lambda entry: total(entry["validation"], CHOSEN))["step"]
    target = nst.data_dir() / "models" / "any_style.safetensors"
    target.write_bytes((options.work / f"final-{chosen}-{SIZE}-{best}.safetensors").read_bytes())
    network, backbone = nst.load_model("any_style"), nst.load_backbone("pocket")
    judges = [nst.load_backbone("random", seed=seed) for seed in JUDGES]
    rows: dict[str, list[dict]] = {}
    for file in sorted(Path(styles_for("test", options)).glob("*.jpg")):
        painting = nst.load_image(str(file), TEST_SIZE)
        for name in nst.photo_names():
            photo = nst.load_image(name, TEST_SIZE)
            began = time.perf_counter()
            painted = nst.stylize_any(network, photo, painting)
            seconds = {"any style, one pass": time.perf_counter() - began, "the photograph": 0.0}
            pictures = {"any style, one pass": painted, "the photograph": photo}
            *_, step = nst.transfer(photo, painting, backbone, steps=GATYS_STEPS)
            pictures["optimization"], seconds["optimization"] = step.image, step.seconds
            for title, picture in pictures.items():
                by_style = [statistics.mean(nst.style_distance(picture, painting, judge).values()) for judge in judges]
                by_content = [nst.content_distance(picture, photo, judge) for judge in judges]
                row = {"style": statistics.mean(by_style), "content": statistics.mean(by_content)}
                rows.setdefault(title, []).append({"painting": file.stem, "photograph": name} | rounded(row))
                rows[title][-1]["seconds"] = round(seconds[title], 3)
            nst.to_pil(painted).save(OUT / f"{file.stem}-{name}.jpg", quality=80)
            print(file.stem, name, flush=True)
    grids = []
    for values in itertools.product(*GRID.values()):
        settings = dict(zip(GRID, values, strict=True))
        names = "-".join(f"{value:g}" for value in values)
        grids.append(settings | entries(f"search-{names}-{GRID_SIZE}", options)[-1])
    facts = {"steps": best, "size": SIZE, "batch": BATCH, **CHOSEN, "test_size": TEST_SIZE, "gatys_steps": GATYS_STEPS}
    record = {"settings": facts, "grid": grids, "search": curve, "test": rows}
    record["final"] = [e for e in entries(f"final-{chosen}-{SIZE}", options) if e["step"] <= best]
    (OUT / "results.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = {"grid": grid, "search": search, "final": final, "test": test}
    parser.add_argument("command", choices=commands)
    for folder in ("photographs", "validation", "paintings", "work"):
        parser.add_argument(folder, type=Path)
    parser.add_argument("--part", type=int, choices=(0, 1))
    options = parser.parse_args()
    commands[options.command](options)
