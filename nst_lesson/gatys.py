"""Optimizing the pixels of an image (Gatys et al. 2015, 2016): style transfer, reconstruction, texture synthesis.

Each of the three is a generator that yields one `Step` per evaluation of the objective and its gradient, so that a
progress bar, a live preview, a Stop button, a loss curve and a test all use the same loop.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .backbones import STYLE_LAYERS
from .errors import LessonError, ParameterError
from .losses import FeatureExtractor, Layers, PerceptualLoss

CONTENT_LAYERS = ("relu4_2",)
LEARNING_RATES = {"lbfgs": 1.0, "adam": 0.03}
ADAM_BETAS, ADAM_EPSILON = (0.9, 0.999), 1e-8  # those of Kingma & Ba 2015
LBFGS_START = 1e6  # the loss is scaled to this at the start: L-BFGS drops curvature pairs under 1e-10
LBFGS_RESTART = 2.0  # times the lowest loss: from there on the curvature that it remembers is taken to be wrong
LBFGS_MAX_STEP = 0.05  # root mean square over the pixel values: without it some pictures drown in noise at step 3
STARTS = ("content", "noise", "noise*content", "noise+content")

Objective = Callable[[Tensor], dict[str, Tensor]]  # image (1, 3, H, W) -> its weighted terms, scalars by name


@dataclass(frozen=True)
class Step:
    """One evaluation of the objective.

    `image` (1, 3, H, W), in [0, 1], is a copy of the picture after the step; `loss` and its weighted `terms` were
    measured before it; `seconds` is the time since the start.
    """

    index: int
    image: Tensor
    loss: float
    terms: dict[str, float]
    seconds: float


def transfer(
    content: Tensor,
    style: Tensor,
    backbone: FeatureExtractor,
    *,
    steps: int = 200,
    content_weight: float = 1.0,
    style_weight: float = 1e3,
    tv_weight: float = 20.0,
    content_layers: Layers = CONTENT_LAYERS,
    style_layers: Layers = STYLE_LAYERS,
    optimizer: str = "lbfgs",
    learning_rate: float | None = None,
    adam_betas: Sequence[float] = ADAM_BETAS,
    adam_epsilon: float = ADAM_EPSILON,
    start: str | Tensor = "content",
    normalization: str = "relative",
    seed: int = 0,
) -> Iterator[Step]:
    """Paint `content` (1, 3, H, W) in the manner of `style` (1, 3, h, w), both RGB in [0, 1], and yield each step.

    The objective is content_weight * content + style_weight * style + tv_weight * total variation (Gatys et al. 2016,
    eq. 7, and a smoothness term); content and style are means over their layers, weighted where the layers come as
    {layer: weight}. `start` is a name in STARTS or a picture of content's size to go on from. `learning_rate` None
    takes the optimizer's own in LEARNING_RATES.

    Raises ParameterError for a value that makes no sense, and LessonError when the loss is no longer a number.
    """
    check_images(content=content, style=style)
    objective = make_objective(
        backbone,
        content=content,
        style=style,
        content_weight=content_weight,
        style_weight=style_weight,
        tv_weight=tv_weight,
        content_layers=content_layers,
        style_layers=style_layers,
        normalization=normalization,
    )
    first = start_image(content, start, seed)
    yield from optimize(first, objective, steps, optimizer, learning_rate, adam_betas, adam_epsilon)


def reconstruct(
    image: Tensor,
    backbone: FeatureExtractor,
    layers: Layers = CONTENT_LAYERS,
    *,
    steps: int = 200,
    tv_weight: float = 0.0,
    optimizer: str = "lbfgs",
    learning_rate: float | None = None,
    start: str | Tensor = "noise",
    normalization: str = "relative",
    seed: int = 0,
) -> Iterator[Step]:
    """Search, from noise, for a picture with the features of `image` (1, 3, H, W) at `layers`, and yield each step.

    Feature reconstruction: Mahendran & Vedaldi 2015; fig. 1 of Gatys et al. 2016. Raises as `transfer` does.
    """
    check_images(image=image)
    objective = make_objective(
        backbone, content=image, content_layers=layers, tv_weight=tv_weight, normalization=normalization
    )
    yield from optimize(start_image(image, start, seed), objective, steps, optimizer, learning_rate)


def synthesize_texture(
    style: Tensor,
    backbone: FeatureExtractor,
    layers: Layers = STYLE_LAYERS,
    *,
    size: tuple[int, int] | None = None,
    steps: int = 200,
    tv_weight: float = 0.0,
    optimizer: str = "lbfgs",
    learning_rate: float | None = None,
    normalization: str = "relative",
    seed: int = 0,
) -> Iterator[Step]:
    """Search, from noise, for a picture with the Gram matrices of `style` (1, 3, h, w), and yield each step.

    Texture synthesis: Gatys et al. 2015 (NIPS). The picture has `size` (height, width), by default the style's own.
    Raises as `transfer` does.
    """
    check_images(style=style)
    objective = make_objective(
        backbone, style=style, style_weight=1.0, style_layers=layers, tv_weight=tv_weight, normalization=normalization
    )
    canvas = style.new_zeros(1, 3, *(size or style.shape[2:]))
    yield from optimize(start_image(canvas, "noise", seed), objective, steps, optimizer, learning_rate)


def coarse_to_fine(
    content: Tensor, style: Tensor, backbone: FeatureExtractor, *, levels: int = 3, steps: int = 200, **options: Any
) -> Iterator[Step]:
    """Run `transfer` at 1/2^(levels-1) ... 1/2 and full size, each level from the enlarged result of the one before.

    Strokes that are laid small grow large: the result keeps marks wider than the backbone's receptive field (Gatys et
    al. 2017, section 6). Each level gets an equal share of `steps`, and yields pictures of its own
    size. `options` are those of `transfer`. Raises as it does, and ParameterError for too many `levels` for the
    pictures or the steps.
    """
    check_images(content=content, style=style)
    if levels < 1 or min(*content.shape[2:], *style.shape[2:]) >> (levels - 1) < 1:
        raise ParameterError(f"levels is {levels}; give at least 1, and few enough to leave a pixel of each picture")
    if steps < levels:
        raise ParameterError(f"steps is {steps}; give at least 1 for each of the {levels} levels")
    start, index, seconds = options.pop("start", "content"), 0, 0.0
    start_image(content, start)  # raises for a start of the wrong size, which would be stretched below
    for level in range(levels):
        small_content, small_style = (resize(x, 0.5 ** (levels - 1 - level)) for x in (content, style))
        if isinstance(start, Tensor):
            start = F.interpolate(start, small_content.shape[2:], mode="bicubic", antialias=True).clamp(0, 1)
        share = steps * (level + 1) // levels - steps * level // levels
        for step in transfer(small_content, small_style, backbone, steps=share, start=start, **options):
            yield Step(index + step.index, step.image, step.loss, step.terms, seconds + step.seconds)
        index, seconds, start = index + share, seconds + step.seconds, step.image


def make_objective(
    backbone: FeatureExtractor,
    *,
    content: Tensor | None = None,
    style: Tensor | None = None,
    content_weight: float = 1.0,
    style_weight: float = 1e3,
    tv_weight: float = 0.0,
    content_layers: Layers = CONTENT_LAYERS,
    style_layers: Layers = STYLE_LAYERS,
    normalization: str = "relative",
) -> Objective:
    """The function that all three methods minimize: image -> {"content": ..., "style": ..., "tv": ...}, weighted.

    A picture that is None, or a weight of zero, leaves its term out. Targets are computed once, here. Raises
    ParameterError for a weight that is negative or no finite number, and where no term is left.
    """
    loss = PerceptualLoss(
        backbone,
        style=style,
        content_weight=content_weight if content is not None else 0.0,
        style_weight=style_weight,
        tv_weight=tv_weight,
        content_layers=content_layers,
        style_layers=style_layers,
        normalization=normalization,
    )
    contents = loss.contents(content)
    return lambda image: loss(image, contents)


def optimize(
    start: Tensor,
    objective: Objective,
    steps: int,
    optimizer: str = "lbfgs",
    learning_rate: float | None = None,
    adam_betas: Sequence[float] = ADAM_BETAS,
    adam_epsilon: float = ADAM_EPSILON,
) -> Iterator[Step]:
    """Minimize `objective` over the pixels from `start` (1, 3, H, W) and yield each step; the loop of the course.

    Adam (Kingma & Ba 2015) or L-BFGS (Liu & Nocedal 1989), projected: the pixels are clamped to [0, 1] after each step,
    never inside the closure. For L-BFGS that blurs the curvature which it estimates from successive steps, but left
    free it wanders out of range, and one clamp at the end spoils what was found: over six pairs of pictures the clamped
    result had 1.2 to 26 times the loss of the projected one (lesson 04, section 7.1, shows it). Torch's L-BFGS takes
    steps without a line search, and its first guess of the scale can be wild: a step is shortened to LBFGS_MAX_STEP.
    Where pixels lie at the ends of the range, the curvature can go wrong for good, and the loss then creeps up without
    end: at LBFGS_RESTART times the lowest loss, L-BFGS forgets what it remembers.

    Raises ParameterError for bad settings, and LessonError when the loss is no longer a number.
    """
    if optimizer not in LEARNING_RATES:
        raise ParameterError(f"optimizer is {optimizer!r}; choose one of {', '.join(LEARNING_RATES)}")
    if steps < 1:
        raise ParameterError(f"steps is {steps}; give at least 1")
    rate = LEARNING_RATES[optimizer] if learning_rate is None else learning_rate
    if not 0 < rate < math.inf:
        raise ParameterError(f"learning_rate is {rate}; give a number above 0")
    if len(adam_betas) != 2 or not all(0 <= beta < 1 for beta in adam_betas) or not 0 < adam_epsilon < math.inf:
        raise ParameterError("adam_betas must be two numbers in [0, 1), and adam_epsilon a number above 0")
    image = start.detach().clone().requires_grad_()
    if optimizer == "adam":
        solver, scale = torch.optim.Adam([image], lr=rate, betas=tuple(adam_betas), eps=adam_epsilon), 1.0
    else:
        # One evaluation per step, the state carried on. Torch's default tolerances would stop a small loss at once.
        solver = torch.optim.LBFGS([image], rate, max_iter=1, history_size=20, tolerance_grad=0, tolerance_change=0)
        scale = None  # the first evaluation gives it
    terms: dict[str, Tensor] = {}
    lowest = math.inf

    def closure() -> Tensor:
        """Evaluate the loss and its gradient once; this is what the solver calls."""
        nonlocal scale
        solver.zero_grad()
        terms.update(objective(image))
        loss = total(terms)
        if scale is None:
            scale = LBFGS_START / max(loss.item(), 1e-12)
        loss = scale * loss
        loss.backward()
        return loss

    began = time.monotonic()
    for index in range(1, steps + 1):
        before = image.detach().clone()
        solver.step(closure)
        with torch.no_grad():
            if optimizer == "lbfgs":
                shorten_step(solver, image, before)
            image.clamp_(0, 1)
        values = {name: term.item() for name, term in terms.items()}
        loss = sum(values.values())
        if not math.isfinite(loss):
            raise LessonError(
                f"the loss is {loss} at step {index} ({optimizer}, learning rate {rate:g}): "
                "lower learning_rate, bring the weights closer together, or take optimizer='adam'"
            )
        if optimizer == "lbfgs" and loss > LBFGS_RESTART * lowest:
            solver.state.clear()
            lowest = loss
        lowest = min(lowest, loss)
        yield Step(index, image.detach().clone(), loss, values, time.monotonic() - began)


def shorten_step(solver: torch.optim.LBFGS, image: Tensor, before: Tensor) -> None:
    """Bring a step of L-BFGS from `before` to `image` down to LBFGS_MAX_STEP, in place.

    `solver` is told: it makes its next curvature pair of the step that it believes to have taken, d times t.
    """
    length = (image - before).square().mean().sqrt()
    if length > LBFGS_MAX_STEP:
        share = LBFGS_MAX_STEP / length
        image.copy_(torch.lerp(before, image, share))
        solver.state[image]["t"] *= share.item()


def total(terms: dict[str, Tensor]) -> Tensor:
    """The sum of the terms."""
    return torch.stack(list(terms.values())).sum()


def start_image(content: Tensor, start: str | Tensor, seed: int = 0) -> Tensor:
    """The picture (1, 3, H, W) to start from: a name in STARTS, or a given one of that size.

    The noise is uniform in [0, 1]; "noise+content" is the mean of the two, which stays in that range.
    """
    if isinstance(start, Tensor):
        if start.shape != content.shape:
            raise ParameterError(f"start has the shape {tuple(start.shape)}; it must be {tuple(content.shape)}")
        return start
    if start not in STARTS:
        raise ParameterError(f"start is {start!r}; choose one of {', '.join(STARTS)}, or give a picture")
    if start == "content":
        return content
    # Drawn on the CPU, so that a seed means the same noise on every device.
    noise = torch.rand(content.shape, generator=torch.Generator().manual_seed(seed)).to(content)
    return {"noise": noise, "noise*content": noise * content, "noise+content": (noise + content) / 2}[start]


def resize(image: Tensor, scale: float) -> Tensor:
    """`image` (1, 3, H, W) at `scale` times its size, antialiased; no side falls under one pixel."""
    size = [max(1, round(side * scale)) for side in image.shape[2:]]
    return F.interpolate(image, size, mode="bilinear", antialias=True, align_corners=False)


def check_images(**images: Tensor) -> None:
    """Raise ParameterError unless every named picture is a float tensor of shape (1, 3, H, W)."""
    for name, image in images.items():
        shape = tuple(image.shape) if isinstance(image, Tensor) else ()
        if len(shape) != 4 or shape[:2] != (1, 3) or 0 in shape or not image.is_floating_point():
            found = f"{image.dtype} {shape}" if isinstance(image, Tensor) else type(image).__name__
            raise ParameterError(f"{name} is {found}; give a float tensor (1, 3, H, W) in [0, 1] from nst.load_image")
