"""A picture for printing, from coarse to fine and directly: what lesson 09 shows stored.

    python experiments/control.py WORK      # minutes; keep the machine idle, it measures seconds and memory

Each of the two runs is a process of its own, so that each has its own peak of memory. The direct one makes as many
steps as make the same number of pixels. WORK keeps the large pictures as PNG; results.json and small JPEGs, of the
whole pictures and of a part of each at full size, go into data/control/.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import torch
import torch.nn.functional as F

import nst_lesson as nst

OUT = nst.data_dir() / "control"
CONTENT, STYLE, STEPS = "coffee", "nocturne", 40  # steps at each size
RUNS = {"coarse to fine": (256, 512, 1024, 1536), "direct": (1536,)}
SHOWN, PART, CORNER = 560, 360, (0.42, 0.30)  # pixels of the whole and the part, and where it begins


def steps_at_each_size(name: str) -> int:
    """The steps of a run at each of its sizes: in all runs steps times pixels are the same."""
    return round(STEPS * sum(size**2 for size in RUNS["coarse to fine"]) / sum(size**2 for size in RUNS[name]))


def paint(name: str, work: Path) -> None:
    """One run: its picture as PNG, its numbers as JSON.

    At each size it goes on from the enlarged result of the one before. The painting is as large as the photograph, but
    never larger than it is.
    """
    backbone, steps = nst.load_backbone("pocket"), steps_at_each_size(name)
    start: str | torch.Tensor = "content"
    seconds = 0.0
    for size in RUNS[name]:
        content, style = nst.load_image(CONTENT, size, upsample=True), nst.load_image(STYLE, size)
        if isinstance(start, torch.Tensor):
            start = F.interpolate(start, content.shape[2:], mode="bicubic").clamp(0, 1)
        for step in nst.transfer(content, style, backbone, steps=steps, start=start):
            print(f"{name} at {size}: step {step.index} of {steps}, {seconds + step.seconds:.0f} s", flush=True)
        seconds, start = seconds + step.seconds, step.image
    nst.save_image(start, work / f"{name}.png")
    height, width = start.shape[2:]
    facts = {"sizes": RUNS[name], "width": width, "height": height, "steps": steps * len(RUNS[name])}
    facts |= {"seconds": round(seconds, 1), "peak_memory_mb": round(nst.peak_memory_mb())}
    facts["torch_threads"] = torch.get_num_threads()
    (work / f"{name}.json").write_text(json.dumps(facts), encoding="utf-8")


def store(work: Path) -> None:
    """Write results.json and the small pictures from what the runs left in `work`."""
    runs = {}
    for name in RUNS:
        image, file = nst.load_image(work / f"{name}.png"), name.replace(" ", "_")
        top, left = (round(share * side) for share, side in zip(CORNER, image.shape[2:], strict=True))
        pictures = {
            "whole": nst.load_image(work / f"{name}.png", SHOWN),
            "part": image[..., top : top + PART, left : left + PART * 3 // 2],
        }
        runs[name] = json.loads((work / f"{name}.json").read_text(encoding="utf-8"))
        for part, shown in pictures.items():
            runs[name][part] = f"{file}-{part}.jpg"
            nst.to_pil(shown).save(OUT / runs[name][part], quality=85)
    settings = {"content": CONTENT, "style": STYLE, "steps_at_each_size": STEPS}
    text = json.dumps({"settings": settings, "runs": runs}, indent=1)
    (OUT / "results.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--only", choices=RUNS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    if options.only:
        paint(options.only, options.work)
    else:
        for name in RUNS:
            subprocess.run([sys.executable, __file__, str(options.work), "--only", name], check=True)
        store(options.work)
