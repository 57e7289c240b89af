"""Optimizing the pixels of an image (Gatys et al. 2015, 2016): style transfer, reconstruction, texture synthesis.

Each of the three is a generator that yields one `Step` per step of its solver (with ours: per evaluation of the
objective and its gradient), so that a progress bar, a live preview, a Stop button, a loss curve and a test all use the
same loop.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from numbers import Integral, Real
from typing import Any, Unpack

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import LessonError, ParameterError, check_counts, unknown
from ..networks.backbones import CONTENT_LAYERS, STYLE_LAYERS
from ..pictures.images import check_images, resize
from .lbfgs import LBFGS
from .losses import FeatureExtractor, Layers
from .objective import Content, Objective, Smoothness, Style, Term, Terms, Weights, check_styles, transfer_terms

STEPS = 200
OPTIMIZER = "lbfgs"
LEARNING_RATES = {"lbfgs": 1.0, "adam": 0.03}
RESTART = 2.0  # times the lowest loss: from there on the curvature that L-BFGS remembers is taken to be wrong
STARTS = ("content", "noise", "noise*content", "noise+content")

Solver = Callable[[list[Tensor]], torch.optim.Optimizer]  # what `solver` gives: the optimizer of some tensors


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
    style: Tensor | Mapping[str, tuple[float, Term]],
    backbone: FeatureExtractor,
    *,
    steps: int = STEPS,
    optimizer: str | Solver = OPTIMIZER,
    start: str | Tensor = "content",
    seed: int = 0,
    **weights: Unpack[Weights],
) -> Iterator[Step]:
    """Paint `content` (1, 3, H, W) in the manner of `style`, RGB in [0, 1], and yield each step (Gatys et al. 2016).

    `style` is a painting (1, 3, h, w), or several with masks and patches; it and `weights` are those of
    `transfer_terms`. `optimizer` is "lbfgs", "adam" or what `solver` gives; `start` a name in STARTS or a picture of
    content's size to go on from; `seed` draws the noise.

    Pictures with values far from [0, 1] are not refused: lesson 00 shows what comes of them. Raises ParameterError for
    a setting that makes no sense, and LessonError when the loss is no longer a number.
    """
    check_images(content=content, **({} if isinstance(style, Mapping) else {"style": style}))
    objective = Objective(backbone, transfer_terms(content, style, **weights))
    yield from optimize(start_image(content, start, seed), objective, steps, optimizer)


def reconstruct(
    image: Tensor,
    backbone: FeatureExtractor,
    layers: Layers = CONTENT_LAYERS,
    *,
    steps: int = STEPS,
    tv_weight: float = 0.0,
    optimizer: str | Solver = OPTIMIZER,
    start: str | Tensor = "noise",
    seed: int = 0,
) -> Iterator[Step]:
    """Search for a picture with the features of `image` (1, 3, H, W) at `layers`, and yield each step.

    Feature reconstruction: Mahendran & Vedaldi 2015; fig. 1 of Gatys et al. 2016. Raises as `transfer` does.
    """
    check_images(image=image)
    terms: Terms = {"content": (1.0, Content(image, layers)), "tv": (tv_weight, Smoothness())}
    yield from optimize(start_image(image, start, seed), Objective(backbone, terms), steps, optimizer)


def synthesize_texture(
    style: Tensor,
    backbone: FeatureExtractor,
    layers: Layers = STYLE_LAYERS,
    *,
    size: tuple[int, int] | None = None,
    steps: int = STEPS,
    tv_weight: float = 0.0,
    optimizer: str | Solver = OPTIMIZER,
    seed: int = 0,
) -> Iterator[Step]:
    """Search, from noise, for a picture with the Gram matrices of `style` (1, 3, h, w), and yield each step.

    Texture synthesis: Gatys et al. 2015 (NIPS), who take conv1_1 and pool1 to pool4. The picture has `size` (height,
    width), by default the style's own. Raises as `transfer` does.
    """
    check_images(style=style)
    terms: Terms = {"style": (1.0, Style(style, layers)), "tv": (tv_weight, Smoothness())}
    if size is not None and not (isinstance(size, Sequence) and len(size) == 2):
        raise ParameterError(f"size is {size!r}; give (height, width)")
    height, width = style.shape[2:] if size is None else size
    check_counts(height=height, width=width)
    canvas = style.new_zeros(1, 3, height, width)
    yield from optimize(start_image(canvas, "noise", seed), Objective(backbone, terms), steps, optimizer)


def coarse_to_fine(
    content: Tensor,
    style: Tensor | Mapping[str, tuple[float, Term]],
    backbone: FeatureExtractor,
    *,
    levels: int = 3,
    steps: int = STEPS,
    start: str | Tensor = "content",
    **options: Any,
) -> Iterator[Step]:
    """Run `transfer` at 1/2^(levels-1) ... 1/2 and full size, each level from the enlarged result of the one before.

    Strokes that are laid small grow large: the result keeps marks wider than the backbone's receptive field (Gatys et
    al. 2017, section 6). Each level gets an equal share of `steps`, and yields pictures of its own size. `style` and
    `options` are those of `transfer`; masks shrink with the pictures. Raises as it does, and ParameterError for too
    many `levels` for the pictures or the steps.
    """
    paintings = {} if isinstance(style, Mapping) else {"style": style}
    check_images(content=content, **paintings)
    if isinstance(style, Mapping):
        check_styles(style)
    sides = [side for image in (content, *paintings.values()) for side in image.shape[2:]]
    check_counts(steps=steps, levels=levels)
    if min(sides) >> (levels - 1) < 1:
        raise ParameterError(f"levels is {levels}; give few enough to leave a pixel of each picture")
    if steps < levels:
        raise ParameterError(f"steps is {steps}; give at least 1 for each of the {levels} levels")
    start_image(content, start)  # raises for a start of the wrong size, which would be stretched below
    index, seconds = 0, 0.0
    for level in range(levels):
        scale = 0.5 ** (levels - 1 - level)
        small = resize(content, scale)
        if isinstance(start, Tensor):
            start = F.interpolate(start.float(), small.shape[2:], mode="bicubic", antialias=True).clamp(0, 1)
        share = steps * (level + 1) // levels - steps * level // levels
        for step in transfer(small, _resized(style, scale), backbone, steps=share, start=start, **options):
            yield replace(step, index=index + step.index, seconds=seconds + step.seconds)
        index, seconds, start = index + share, seconds + step.seconds, step.image


def optimize(
    start: Tensor,
    objective: Callable[[Tensor], Mapping[str, Tensor] | Tensor],
    steps: int = STEPS,
    optimizer: str | Solver = OPTIMIZER,
) -> Iterator[Step]:
    """Minimize `objective` over the pixels from `start` (1, 3, H, W) and yield each step; the loop of the course.

    `objective`(image) gives the terms of the loss, scalars by name, or the loss itself. Adam (Kingma & Ba 2015) or
    L-BFGS (Liu & Nocedal 1989), projected: the pixels are clamped to [0, 1] after each step, never inside the closure.
    Left free, L-BFGS wanders out of range, and one clamp at the end spoils what was found (lesson 04, section 7.1).
    Where pixels lie at the ends of the range, the curvature can go wrong for good, and the loss then creeps up without
    end: at RESTART times the lowest loss, L-BFGS forgets what it remembers.

    A step reads its terms from the device at once, and nothing else: a GPU waits for each reading.

    Raises ParameterError for bad settings, and LessonError when the loss is no longer a number.
    """
    check_counts(steps=steps)
    if torch.is_inference_mode_enabled():
        raise ParameterError("gradients are off for good in torch.inference_mode(): optimize outside of it")
    make = solver(optimizer) if isinstance(optimizer, str) else optimizer
    image = start.detach().to(torch.promote_types(start.dtype, torch.float32), copy=True).requires_grad_()
    optimizing = make([image])
    terms: Mapping[str, Tensor] = {}
    lowest = math.inf

    def closure() -> Tensor:
        """Evaluate the loss and its gradient once; this is what the solver calls."""
        nonlocal terms
        optimizing.zero_grad()
        found = objective(image)
        terms = {"loss": found} if isinstance(found, Tensor) else found
        _expect_scalars(terms)
        loss = torch.stack(list(terms.values())).sum()
        loss.backward()
        return loss

    began = time.monotonic()
    for index in range(1, steps + 1):
        optimizing.step(closure)  # type: ignore[arg-type]  # torch says that it returns a float
        with torch.no_grad():
            image.clamp_(0, 1)
        values = dict(zip(terms, torch.stack(list(terms.values())).tolist(), strict=True))
        loss = sum(values.values())
        if not math.isfinite(loss):
            name, rate = type(optimizing).__name__, optimizing.param_groups[0]["lr"]
            raise LessonError(
                f"the loss is {loss} at step {index} ({name}, learning rate {rate:g}): "
                "lower learning_rate, bring the weights closer together, or take optimizer='adam'"
            )
        if isinstance(optimizing, LBFGS) and loss > RESTART * lowest:
            optimizing.forget()
            lowest = loss
        lowest = min(lowest, loss)
        yield Step(index, image.detach().clone(), loss, values, time.monotonic() - began)


def solver(name: str = OPTIMIZER, learning_rate: float | None = None, **options: Any) -> Solver:
    """The optimizer "lbfgs" or "adam" with settings of its own, for `transfer`, `optimize` and the like.

    `learning_rate` None takes the one in LEARNING_RATES; `options` go to the class: `betas` and `eps` to torch's Adam,
    `history_size` to our `LBFGS`. Raises ParameterError for settings that they refuse.
    """
    if name not in LEARNING_RATES:
        raise unknown("optimizer", name, LEARNING_RATES)
    rate = LEARNING_RATES[name] if learning_rate is None else learning_rate
    if not isinstance(rate, Real) or not 0 < rate < math.inf:
        raise ParameterError(f"learning_rate is {rate!r}; give a number above 0")
    kind: Callable[..., torch.optim.Optimizer] = torch.optim.Adam if name == "adam" else LBFGS
    try:
        make = partial(kind, lr=rate, **options)
        make([torch.zeros(1, requires_grad=True)])
    except (IndexError, TypeError, ValueError) as error:
        reason = "betas are two numbers" if isinstance(error, IndexError) else error
        raise ParameterError(f"the optimizer {name!r} cannot have these settings: {reason}") from None
    return make


def start_image(content: Tensor, start: str | Tensor, seed: int = 0) -> Tensor:
    """The picture (1, 3, H, W) to start from: a name in STARTS, or a given one of that size.

    The noise is uniform in [0, 1]; "noise+content" is the mean of the two, which stays in that range.
    """
    if isinstance(start, Tensor):
        if start.shape != content.shape:
            raise ParameterError(f"start has the shape {tuple(start.shape)}; it must be {tuple(content.shape)}")
        return start
    if start not in STARTS:
        raise unknown("start", start, STARTS)
    if start == "content":
        return content
    if not isinstance(seed, Integral) or not 0 <= seed < 2**63:
        raise ParameterError(f"seed is {seed!r}; give a whole number from 0 to {2**63 - 1}")
    # Drawn on the CPU, so that a seed means the same noise on every device.
    noise = torch.rand(content.shape, generator=torch.Generator().manual_seed(seed)).to(content)
    return {"noise": noise, "noise*content": noise * content, "noise+content": (noise + content) / 2}[start]


def _resized(style: Tensor | Mapping[str, tuple[float, Term]], scale: float) -> Tensor | dict[str, tuple[float, Term]]:
    """A painting, or each of several terms, at `scale` times the size."""
    if isinstance(style, Tensor):
        return resize(style, scale)
    return {name: (share, term.resized(scale)) for name, (share, term) in style.items()}


def _expect_scalars(terms: object) -> None:
    """ParameterError unless an objective has given terms of a loss, {name: scalar tensor}."""
    found = list(terms.values()) if isinstance(terms, Mapping) else []
    if not found or any(not isinstance(term, Tensor) or term.ndim for term in found):
        raise ParameterError("the objective gives no loss: it must return a scalar tensor, or {name: scalar tensor}")
