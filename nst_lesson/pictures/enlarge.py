"""Bring what was painted small to the size of its photograph, with the strokes large and the edges sharp."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from .colors import luminance

DETAIL = 0.5  # of the photograph's fine luminance that is added: at 0 edges are soft, at 1 it looks like a photograph


def enlarge(painted: Tensor, small: Tensor, photo: Tensor) -> Tensor:
    """`painted` (1, 3, h, w) at the size of `photo` (1, 3, H, W), all in [0, 1]; `small` (1, 3, h, w) was painted.

    What the small photograph lacks of the large one's brightness, the finest bands of a Laplacian pyramid (Burt &
    Adelson 1983), is added, DETAIL of it: the strokes are as large as if the picture had been painted small.
    """
    size = photo.shape[2:]

    def enlarged(image: Tensor) -> Tensor:
        return F.interpolate(image, size, mode="bicubic", align_corners=False)

    fine = luminance(photo).sub_(enlarged(luminance(small)))
    return enlarged(painted).add_(fine.mul_(DETAIL)).clamp_(0, 1)
