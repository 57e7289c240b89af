"""What a GPU does with the course: seconds and pictures a second, printed as the table in README.md.

python tests/benchmarks/gpu.py
"""

import time
from collections.abc import Callable

import torch
from torch import Tensor

import nst_lesson as nst
from nst_lesson.networks.backbones import Backbone

DEVICE = "cuda"


def picture(*shape: int) -> Tensor:
    """A random picture or batch on the GPU."""
    return torch.rand(shape, generator=torch.Generator().manual_seed(sum(shape))).to(DEVICE)


def seconds(run: Callable[[], object]) -> float:
    """Of a second run: the first allocates and chooses algorithms."""
    run()
    torch.cuda.synchronize()
    began = time.perf_counter()
    run()
    torch.cuda.synchronize()
    return time.perf_counter() - began


def transfer(backbone: Backbone, size: int, steps: int) -> float:
    """Seconds of a whole `transfer` with its defaults, L-BFGS among them."""
    content, style = picture(1, 3, size, size), picture(1, 3, size, size - 32)
    return seconds(lambda: list(nst.transfer(content, style, backbone, steps=steps)))


def pictures_per_second(network: nst.TransformationNetwork, batch: int, size: int, rounds: int = 30) -> float:
    """Of a fast network in half precision that paints `batch` pictures at a time."""
    x = picture(batch, 3, size, size).half().contiguous(memory_format=torch.channels_last)

    def run() -> None:
        with torch.no_grad():
            for _ in range(rounds):
                network(x)

    return batch * rounds / seconds(run)


def main() -> None:
    """Print the table."""
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}")
    pocket, vgg19 = (nst.load_backbone(name, device=DEVICE) for name in ("pocket", "random-vgg19"))
    steps = [f"{transfer(pocket, size, 100) * 10:.1f}" for size in (256, 1024, 2048)]
    print(f"| a step of `transfer` with pocket, L-BFGS, at 256 / 1024 / 2048 px | {' / '.join(steps)} ms |")
    print(f"| `transfer` with pocket at 512 px, 200 steps | {transfer(pocket, 512, 200):.2f} s |")
    print(f"| `transfer` with VGG-19's shape at 512 px, 300 steps | {transfer(vgg19, 512, 300):.2f} s |")
    network = nst.load_model("wave").to(DEVICE).half()
    for size in (256, 1024):
        rates = [f"{pictures_per_second(network, batch, size):,.0f}" for batch in (1, 16)]
        what = f"fast network, width 0.5, fp16, {size} x {size} px: one by one / in batches of 16"
        print(f"| {what} | {' / '.join(rates)} pictures a second |")
    any_style, photo, painting = (
        nst.load_model("any_style").to(DEVICE),
        picture(1, 3, 480, 640),
        picture(1, 3, 384, 512),
    )
    taken = seconds(lambda: nst.stylize_any(any_style, photo, painting))
    print(f"| any style in one pass, 640 x 480 px | {1000 * taken:.0f} ms |")


if __name__ == "__main__":
    main()
