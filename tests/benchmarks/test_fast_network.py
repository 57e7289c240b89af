"""The fast network: steps of training and passes over a picture, narrow beside full width; and its memory."""

import statistics
import subprocess
import sys
import time

import pytest
import torch

from nst_lesson.methods.training import Hardware, TrainingStep, stylizing_loss, train
from nst_lesson.networks.any_style import stylize_any
from nst_lesson.networks.backbones import load_backbone
from nst_lesson.networks.models import load_model
from nst_lesson.networks.transformer import TransformationNetwork, stylize
from nst_lesson.pictures.photographs import Photographs

ROUNDS = 7
NARROW = 0.5  # the width of the models that come with the course
SIZE, BATCH = 256, 4

LARGE = """
import sys, torch
from nst_lesson.methods.metrics import peak_memory_mb
from nst_lesson.networks.transformer import TransformationNetwork, stylize
image = torch.rand(1, 3, 4096, 4096)
stylize(TransformationNetwork(float(sys.argv[1])).eval(), image)
print(peak_memory_mb())
"""


def steps_of(backbone: str, width: float):
    """An endless training at SIZE with batches of BATCH; each `next` is a step."""
    painting = torch.rand(1, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    loss = stylizing_loss(load_backbone(backbone), painting, style_weight=10.0, tv_weight=1.0)
    network, photographs = TransformationNetwork(width), Photographs(size=SIZE)
    return train(network, loss, photographs, steps=10**6, batch_size=BATCH, hardware=Hardware(workers=1))


@pytest.mark.timeout(3600)
def test_training_step(benchmark, report):
    runs = {"pocket, narrow": steps_of("pocket", NARROW), "VGG-19's shape, full width": steps_of("random-vgg19", 1.0)}
    taken: dict[str, list[TrainingStep]] = {name: [] for name in runs}

    def everyone() -> None:
        for name, run in runs.items():
            taken[name].append(next(run))

    everyone()  # the first step allocates, and waits for the first data
    taken = {name: [] for name in runs}
    benchmark.pedantic(everyone, rounds=ROUNDS)
    narrow, full = ([step.seconds for step in steps] for steps in taken.values())
    ratio = statistics.median(b / a for a, b in zip(narrow, full, strict=True))
    waited = sum(step.waited for step in taken["pocket, narrow"]) / sum(narrow)
    for name, steps in taken.items():
        median = statistics.median(step.seconds for step in steps)
        report(f"training step at {SIZE} px, {BATCH} pictures, {name}: {median:.2f} s")
    report(f"training step, full / narrow (at least 5): {ratio:.1f}")
    report(f"training step, narrow, waiting for data (at most 5 %): {waited:.1%}")
    benchmark.extra_info.update(ratio=ratio, waited=waited)


@pytest.mark.timeout(3600)
def test_applying(benchmark, report):
    image = torch.rand(1, 3, 1024, 1024, generator=torch.Generator().manual_seed(0))
    networks = {
        "narrow": TransformationNetwork(NARROW).eval().to(memory_format=torch.channels_last),
        "full width, float32": TransformationNetwork().eval(),
    }
    seconds: dict[str, list[float]] = {name: [] for name in networks}

    def everyone() -> None:
        for name, network in networks.items():
            began = time.perf_counter()
            stylize(network, image)
            seconds[name].append(time.perf_counter() - began)

    everyone()
    seconds = {name: [] for name in networks}
    benchmark.pedantic(everyone, rounds=ROUNDS)
    narrow, full = seconds.values()
    ratio = statistics.median(b / a for a, b in zip(narrow, full, strict=True))
    for name, values in seconds.items():
        report(f"one pass at 1024 px, {name}: {statistics.median(values):.2f} s")
    report(f"one pass at 1024 px, full / narrow (at least 2.5): {ratio:.1f}")
    benchmark.extra_info.update(ratio=ratio)


@pytest.mark.timeout(3600)
def test_memory_of_a_large_picture(benchmark, report):
    def run() -> float:
        command = [sys.executable, "-c", LARGE, str(NARROW)]
        return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    peak = benchmark.pedantic(run, rounds=1)
    report(f"peak memory of a 4096 x 4096 picture, narrow (under 4000 MB): {peak:.0f} MB")


@pytest.mark.timeout(3600)
def test_any_style(benchmark, report):
    photo, painting = (torch.rand(1, 3, 512, 512, generator=torch.Generator().manual_seed(n)) for n in (0, 1))
    fast, any_style = load_model("wave"), load_model("any_style")
    work = {"fast": lambda: stylize(fast, photo), "any style": lambda: stylize_any(any_style, photo, painting)}
    seconds: dict[str, list[float]] = {name: [] for name in work}

    def everyone() -> None:
        for name, run in work.items():
            began = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - began)

    everyone()
    seconds = {name: [] for name in work}
    benchmark.pedantic(everyone, rounds=ROUNDS)
    ratio = statistics.median(b / a for a, b in zip(*seconds.values(), strict=True))
    for name, values in seconds.items():
        report(f"one pass at 512 px, {name}: {statistics.median(values):.2f} s")
    report(f"one pass at 512 px, any style / fast network (at most 6): {ratio:.2f}")
    benchmark.extra_info.update(ratio=ratio)
