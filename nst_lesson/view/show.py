"""Pictures and curves for the lessons, each returned as a still image, which any notebook viewer shows."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from IPython.display import Image
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import LogLocator, NullFormatter
from torch import Tensor

from ..errors import ParameterError, check_counts, printable
from ..methods.gatys import Step
from ..pictures.images import to_pil

DPI = 128  # pixels of a stored picture per inch: 960 of 7.5 inches, so that strokes can be seen
JPEG_QUALITY = 60  # a lesson stores ten pictures in 1.5 MB; at this size the eye finds no fault in them
LETTERS = 15  # of a title per inch


def show_images(images: Mapping[str, Tensor], *, columns: int | None = None, width: float = 7.5) -> Image:
    """Pictures (1, 3, H, W) in [0, 1] in a grid under their titles, framed, as one JPEG `width` inches wide.

    `columns` None puts up to three in a row, and four in two rows; a row is as high as its tallest picture, and a title
    longer than its picture is wide is broken. Raises ParameterError where there are no pictures.
    """
    pictures = {title: np.asarray(to_pil(image)) for title, image in images.items()}
    return figure_image(_grid(pictures, columns, width)[0], "jpeg", alt="pictures: " + ", ".join(pictures))


def closeup(image: Tensor, zoom: int = 2) -> Tensor:
    """The middle of a picture (B, 3, H, W), each of its pixels a square of `zoom` x `zoom`: about the same shape.

    Raises ParameterError for a zoom that is not a whole number, or below 1.
    """
    check_counts(zoom=zoom)
    height, width = (max(1, side // zoom) for side in image.shape[2:])
    top, left = (image.shape[2] - height) // 2, (image.shape[3] - width) // 2
    middle = image[..., top : top + height, left : left + width]
    return middle.repeat_interleave(zoom, 2).repeat_interleave(zoom, 3)


def show_maps(
    maps: Mapping[str, Tensor],
    *,
    columns: int | None = None,
    width: float = 7.5,
    shared: bool = False,
    signed: bool = False,
    label: str = "",
    axes: tuple[str, str] = ("", ""),
) -> Image:
    """Maps of numbers (H, W), such as feature maps and Gram matrices, in a grid as heat maps with color bars.

    Each runs from its own least to its greatest value, dark to bright; with `shared`, all run from the least to the
    greatest of all, so that they can be compared. With `signed`, all share a scale on which 0 is white, positive values
    are red and negative ones blue; it ends where 1 % of the values are larger, since a Gram matrix has a few that dwarf
    the others. `label` says beside a shared color bar what the numbers are, `axes` below and left of all maps what runs
    across and down. `columns`, `width` and errors are as in `show_images`.
    """
    arrays = {title: m.detach().cpu().float().numpy() for title, m in maps.items()}  # numpy has no bfloat16
    options: dict[str, Any] = {"cmap": "magma", "interpolation": "nearest"}
    if signed and arrays:
        limit = np.quantile(np.abs(np.concatenate([a.ravel() for a in arrays.values()])), 0.99)
        options |= {"cmap": "RdBu_r", "vmin": -(limit or 1), "vmax": limit or 1}
    elif shared and arrays:
        options |= {"vmin": min(a.min() for a in arrays.values()), "vmax": max(a.max() for a in arrays.values())}
    figure, drawn = _grid(arrays, columns, width, **options)
    if shared or signed:
        extend = "both" if signed else "neither"
        bars = [figure.colorbar(drawn[0], ax=[image.axes for image in drawn], extend=extend, label=plain(label))]
    else:  # a bar in the frame of its map is as high as the map
        bars = [figure.colorbar(image, cax=image.axes.inset_axes((1.03, 0, 0.05, 1))) for image in drawn]
    for bar in bars:
        bar.ax.tick_params(labelsize=8)
    for text, name in zip(axes, (figure.supxlabel, figure.supylabel), strict=True):
        if text:
            name(plain(text), fontsize=9)
    return figure_image(figure, "jpeg", alt="heat maps: " + ", ".join(arrays))


def _grid(
    pictures: Mapping[str, np.ndarray], columns: int | None, width: float, **options: Any
) -> tuple[Figure, list[AxesImage]]:
    """A figure of arrays (H, W, 3) or (H, W) in rows, each under its title; `options` go to matplotlib's imshow."""
    if not pictures:
        raise ParameterError("there are no pictures to show: give at least one, as {title: picture}")
    columns = columns or (2 if len(pictures) == 4 else min(3, len(pictures)))
    letters = int(LETTERS * width / columns)
    titles = ["\n".join(textwrap.fill(line, letters) for line in plain(title).splitlines()) for title in pictures]
    needed = [
        (picture.shape[0] / picture.shape[1] * width / columns, 0.22 * (title.count("\n") + 1))
        for title, picture in zip(titles, pictures.values(), strict=True)
    ]
    rows = [needed[i : i + columns] for i in range(0, len(needed), columns)]
    heights = [max(height for height, _ in row) + max(room for _, room in row) for row in rows]
    figure = Figure(figsize=(width, sum(heights)), layout="constrained")
    axes = figure.subplots(len(rows), columns, squeeze=False, height_ratios=heights)
    drawn = []
    for axis, title, picture in zip(axes.flat, titles, pictures.values(), strict=False):
        drawn.append(axis.imshow(picture, **{"interpolation": "lanczos"} | options))
        axis.set_title(title, fontsize=9, pad=3)
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set(color="0.7", linewidth=0.6)  # so that white shows on white
    for axis in axes.flat[len(drawn) :]:
        axis.set_axis_off()
    return figure, drawn


def plain_ticks(axis: Axes) -> None:
    """Number the logarithmic sides of a plot as 0.5, 1, 2, 5, in place of powers of ten: call it when all is drawn."""
    for side, limits in ((axis.xaxis, axis.get_xlim()), (axis.yaxis, axis.get_ylim())):
        if side.get_scale() == "log":
            short = max(limits) < 150 * min(limits)  # over more than two powers of ten the numbers would overlap
            side.set_major_locator(LogLocator(subs=(1, 2, 5) if short else (1,)))
            side.set_major_formatter(lambda value, _: f"{value:,.10g}")
            side.set_minor_formatter(NullFormatter())


def plot_losses(runs: Mapping[str, Sequence[Step]], *, terms: bool = False) -> Image:
    """The loss of each run against its steps, both axes logarithmic; with `terms`, each of its terms as a thin line.

    A term that begins near zero, as content does, does not stretch the axis: it reaches down to where the lines end.
    Raises ParameterError for no runs, and for a run without steps.
    """
    if not runs:
        raise ParameterError("there are no runs to draw: give at least one, as {name: steps}")
    if empty := [name for name, steps in runs.items() if not steps]:
        raise ParameterError(f"{printable(empty[0])} has no steps to draw: run it first")
    figure = Figure(figsize=(7.5, 3.6), layout="constrained")
    axis, ends = figure.subplots(), []
    for name, steps in runs.items():
        label = f" {plain(name)}"  # matplotlib leaves out of the legend what begins with _
        ends += [steps[-1].loss, *(steps[-1].terms.values() if terms else ())]
        index = [step.index for step in steps]
        axis.loglog(index, [step.loss for step in steps], linewidth=3 if terms else 1.5, label=label)
        for term in steps[0].terms if terms else ():
            values = [step.terms[term] for step in steps]
            style = ":" if term == "tv" else "--"
            axis.loglog(index, values, linewidth=1, linestyle=style, label=f"{label}: {plain(term)}")
    axis.set(xlabel="step", ylabel="loss")
    if terms and (positive := [value for value in ends if value > 0]):
        axis.set_ylim(bottom=min(positive) / 4)
    plain_ticks(axis)
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8)
    return figure_image(figure, "png", alt="loss against steps: " + ", ".join(runs))


def figure_image(figure: Figure, format: str = "png", *, alt: str) -> Image:
    """A matplotlib figure as a still "png" or "jpeg", which a notebook stores; `alt` says in words what it shows."""
    buffer = io.BytesIO()
    options: dict[str, Any] = {"pil_kwargs": {"quality": JPEG_QUALITY, "optimize": True}} if format == "jpeg" else {}
    figure.savefig(buffer, format=format, dpi=DPI, **options)
    words = printable(" ".join(alt.split()))
    return Image(data=buffer.getvalue(), format=format, metadata={"alt": words})  # IPython 7 has no argument alt


def plain(text: str) -> str:
    """A text, such as the name of a file, that matplotlib draws as it is, without formulas between two $."""
    return "\n".join(map(printable, text.splitlines())).replace("$", r"\$")
