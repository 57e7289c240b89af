"""Seconds per closure (objective and gradient) beside the bare convolutions, and VGG-19 beside pocket.

The contenders take turns in every round, and a ratio is the median of the rounds' ratios: what else the machine does
then hits all of them alike. With OMP_NUM_THREADS=1 the seconds are those that the one thread had the processor for,
so that ratios can be had from a busy machine as well.
"""

import statistics
import time
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from nst_lesson.methods.objective import Objective, transfer_terms
from nst_lesson.networks.backbones import STYLE_LAYERS, VGG, load_backbone

ROUNDS = 7
CLOCK = time.thread_time if torch.get_num_threads() == 1 else time.perf_counter
LAYOUTS = {"channels last": torch.channels_last, "channels first": torch.contiguous_format}


def picture(size: int, seed: int) -> Tensor:
    """A random picture (1, 3, size, size)."""
    return torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(seed))


def closure(backbone: VGG, size: int) -> Callable[[], None]:
    """One evaluation as `transfer` runs it with its default layers and terms."""
    content, style = picture(size, 1), picture(size, 2)
    objective = Objective(backbone, transfer_terms(content, style))
    image = content.clone().requires_grad_()

    def run() -> None:
        image.grad = None
        sum(objective(image).values()).backward()

    return run


def bare(backbone: VGG, size: int, layout: torch.memory_format) -> Callable[[], None]:
    """Forward and backward to the picture of the same convolutions, ReLUs and poolings, with nothing else."""
    names = backbone.layers[: backbone.layers.index(STYLE_LAYERS[-1]) + 1]
    modules = [backbone.body.get_submodule(name) for name in names]
    # In place, as nobody asks for a feature here.
    network = nn.Sequential(*(nn.ReLU(inplace=True) if isinstance(m, nn.ReLU) else m for m in modules))
    image = picture(size, 1).contiguous(memory_format=layout).requires_grad_()
    ones = torch.ones_like(network(image))

    def run() -> None:
        image.grad = None
        network(image).backward(ones)

    return run


def contenders(size: int) -> dict[str, Callable[[], None]]:
    """What takes turns. Each has a network of its own, as a layout belongs to the weights."""
    found = {}
    for name in ("random-vgg19", "pocket"):
        found[f"{name} closure"] = closure(load_backbone(name), size)
        for label, layout in LAYOUTS.items():
            found[f"{name} bare, {label}"] = bare(load_backbone(name).to(memory_format=layout), size, layout)
    return found


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("size", [256, 384, 512])
def test_closure(benchmark, report, size):
    runs, seconds = contenders(size), {}

    def everyone() -> None:
        for name, run in runs.items():
            began = CLOCK()
            run()
            seconds.setdefault(name, []).append(CLOCK() - began)

    everyone()  # the first evaluation allocates and chooses algorithms
    seconds.clear()
    benchmark.pedantic(everyone, rounds=ROUNDS)
    medians = {name: statistics.median(values) for name, values in seconds.items()}

    def fastest(network: str) -> str:
        return min((name for name in medians if name.startswith(f"{network} bare")), key=medians.get)

    def ratio(name: str, other: str) -> float:
        return statistics.median(a / b for a, b in zip(seconds[name], seconds[other], strict=True))

    pairs = {
        "VGG-19 closure / bare (at most 1.10)": ("random-vgg19 closure", fastest("random-vgg19")),
        "pocket closure / bare": ("pocket closure", fastest("pocket")),
        "VGG-19 closure / pocket closure (at least 5.5 at 384 px)": ("random-vgg19 closure", "pocket closure"),
    }
    ratios = {what: round(ratio(*names), 3) for what, names in pairs.items()}
    benchmark.extra_info.update(seconds=medians, ratios=ratios)
    for name, value in medians.items():
        report(f"{size} px  {name}: {value:.3f} s")
    for what, value in ratios.items():
        report(f"{size} px  {what}: {value:.2f}")
