"""A mask that a student paints over a picture, or puts together from regions."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import anywidget
import numpy as np
import torch
import traitlets
from numpy.typing import ArrayLike
from torch import Tensor

from ..errors import ParameterError
from ..pictures.images import check_images, encoded

MAX_REGIONS = 1 << 16  # a pixel's region travels in two bytes


class MaskPainter(anywidget.AnyWidget):
    """A picture over which a mask is painted with a brush or, with `regions`, put together by clicks.

    `image` is (1, 3, H, W) in [0, 1], shown with the longer side `size` pixels long. `regions` is an (H, W) array of
    whole numbers, the label of each pixel's region, for instance from `skimage.segmentation.slic`: a click takes a
    region into the mask or out of it. `chosen` are the labels that are in the mask from the start, so that there is a
    mask when nobody clicks, as in a batch run. `mask` is the current mask.

    Raises ParameterError for an image that is not a picture, for regions that are not whole numbers (H, W), and for a
    label that none of them has.
    """

    _regions: np.ndarray | None  # of each pixel: the index of its label in _labels
    _esm = Path(__file__).with_name("masks.js").read_text(encoding="utf-8")
    chosen = traitlets.List(traitlets.CInt()).tag(sync=True)  # CInt takes numpy's numbers, too
    # The mask at the end of each stroke: a bit for each pixel, row by row, the first pixel in the highest bit.
    _painted = traitlets.Bytes().tag(sync=True, from_json=lambda sent, _: bytes(sent))
    _picture = traitlets.Bytes().tag(sync=True)
    _shape = traitlets.List(traitlets.Int()).tag(sync=True)  # [H, W]
    _width = traitlets.Int().tag(sync=True)  # on the page, in CSS pixels
    _labels = traitlets.List(traitlets.Int()).tag(sync=True)  # the label of each region, ascending
    _places = traitlets.Bytes().tag(sync=True)  # of each pixel: the index of its label in _labels, low byte first

    def __init__(
        self, image: Tensor, regions: ArrayLike | None = None, chosen: Iterable[int] = (), *, size: int = 384
    ) -> None:
        check_images(image=image)
        self._device, (height, width) = image.device, image.shape[2:]
        labels, self._regions = ([], None) if regions is None else _numbered(regions, (height, width))
        try:
            taken = [operator.index(label) for label in chosen]
        except TypeError:
            raise ParameterError(f"chosen is {chosen!r}; give labels of regions, such as [0, 3]") from None
        picture = encoded(image, "jpeg", 2 * size, quality=85)  # twice the size, for screens with small pixels
        super().__init__(
            _labels=labels,
            _places=b"" if self._regions is None else self._regions.astype("<u2").tobytes(),
            _painted=bytes((height * width + 7) // 8),
            _picture=picture,
            _shape=[height, width],
            _width=round(size * width / max(height, width)),
            chosen=taken,
        )

    @property
    def mask(self) -> Tensor:
        """The current mask (1, 1, H, W): float32, 1 where something was painted or chosen and 0 elsewhere."""
        height, width = self._shape
        if self._regions is None:
            bits = np.unpackbits(np.frombuffer(self._painted, np.uint8), count=height * width)
            inside = bits.reshape(height, width).astype(bool)
        else:
            inside = np.isin(np.array(self._labels), self.chosen)[self._regions]
        return torch.from_numpy(inside.astype(np.float32))[None, None].to(self._device)

    @traitlets.validate("chosen")
    def _check_chosen(self, proposal: dict[str, Any]) -> list[int]:
        unknown = sorted(set(proposal["value"]) - set(self._labels))
        if unknown and not self._labels:
            raise ParameterError(f"there is no region {unknown}: give `regions`, an (H, W) array of labels, as well")
        if unknown:
            first, last = self._labels[0], self._labels[-1]
            raise ParameterError(f"regions has no label {unknown}: its {len(self._labels)} are from {first} to {last}")
        return sorted(set(proposal["value"]))


def _numbered(regions: ArrayLike, shape: tuple[int, int]) -> tuple[list[int], np.ndarray]:
    """The labels, ascending, and for each pixel the index of its label among them."""
    try:
        array = np.asarray(regions.cpu() if isinstance(regions, Tensor) else regions)
    except ValueError:  # rows of different lengths
        raise ParameterError(f"regions is not an array; whole numbers {shape}, one per pixel, are needed") from None
    if array.shape != shape or array.dtype.kind not in "biu":
        found = f"{array.dtype} {array.shape}"
        raise ParameterError(f"regions is {found}; whole numbers {tuple(shape)}, one per pixel, are needed")
    labels, places = np.unique(array, return_inverse=True)
    if len(labels) > MAX_REGIONS:
        raise ParameterError(f"regions has {len(labels)} labels; {MAX_REGIONS} at most can be shown: make larger ones")
    return labels.astype(int).tolist(), places.reshape(shape)
