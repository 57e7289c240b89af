"""A diagram of boxes and arrows, with pictures in it: what a lesson builds, at a glance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from IPython.display import Image
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from torch import Tensor

from ..errors import ParameterError, unknown
from ..pictures.images import to_pil
from .show import figure_image, plain

WIDE, HIGH = 0.76, 0.66  # of a box, in cells of the grid
WIDTH_INCHES = 7.5  # of the whole
CELL_INCHES = 0.9  # the height of a cell
LETTERS = 8  # points
ARROW = {"arrowstyle": "-|>,head_length=0.5,head_width=0.25", "color": "0.35", "linewidth": 1.2}


def show_diagram(
    boxes: Mapping[str, tuple[float, float]],
    arrows: Sequence[tuple[str, str]],
    pictures: Mapping[str, Tensor] | None = None,
) -> Image:
    """Boxes on a grid, {text: (column, row)} with row 0 on top, and arrows from box to box, as one JPEG.

    A box named in `pictures` shows that picture (1, 3, H, W), in [0, 1], above its text. Raises ParameterError for no
    boxes, and for an arrow or a picture whose box is not there.
    """
    if not boxes:
        raise ParameterError("there are no boxes to draw: give at least one")
    for name in [*(end for arrow in arrows for end in arrow), *(pictures or {})]:
        if name not in boxes:
            raise unknown("box", name, boxes)
    columns, rows = (1 + max(place[axis] for place in boxes.values()) for axis in (0, 1))
    figure = Figure(figsize=(WIDTH_INCHES, CELL_INCHES * rows))
    axis = figure.add_axes((0, 0, 1, 1))
    axis.set(xlim=(-0.5, columns - 0.5), ylim=(rows - 0.5, -0.5))
    axis.set_axis_off()
    shape = WIDTH_INCHES / columns / CELL_INCHES  # of a cell, its width over its height
    patches = {name: _box(axis, name, place, (pictures or {}).get(name), shape) for name, place in boxes.items()}
    for start, end in arrows:
        ends = {"patchA": patches[start], "patchB": patches[end], "shrinkA": 1, "shrinkB": 1}
        axis.annotate("", boxes[end], boxes[start], arrowprops=ARROW | ends)
    alt = "diagram: " + "; ".join(" to ".join(arrow) for arrow in arrows)
    return figure_image(figure, "jpeg", alt=alt)


def _box(axis: Axes, text: str, place: tuple[float, float], picture: Tensor | None, shape: float) -> FancyBboxPatch:
    """Draw one box around (column, row) and return its outline; `shape` is the width of a cell over its height."""
    x, y = place
    rounded = "round,pad=0,rounding_size=0.04"
    color = "white" if picture is not None else "#eef2f8"
    patch = FancyBboxPatch(
        (x - WIDE / 2, y - HIGH / 2), WIDE, HIGH, rounded, facecolor=color, edgecolor="0.6", zorder=2
    )
    axis.add_patch(patch)
    if picture is None:
        axis.text(x, y, plain(text), ha="center", va="center", fontsize=LETTERS, zorder=4)
        return patch
    pixels = np.asarray(to_pil(picture))
    high = 0.66 * HIGH  # the rest is for the text
    wide = min(WIDE - 0.04, high * pixels.shape[1] / pixels.shape[0] / shape)
    high = wide * shape * pixels.shape[0] / pixels.shape[1]
    top = y - HIGH / 2 + 0.02
    axis.imshow(pixels, extent=(x - wide / 2, x + wide / 2, top + high, top), aspect="auto", zorder=3)
    axis.text(x, y + HIGH / 2 - 0.03, plain(text), ha="center", va="bottom", fontsize=LETTERS, zorder=4)
    return patch
