"""What moved from one frame of a film to the next, and how to let what did not change stay as it was painted."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import ParameterError
from .colors import luminance
from .images import check_same_size, check_values

FLOW_SIZE = 256  # longer side in pixels at which motion is measured
KEPT = 0.8  # of the frame before, where nothing but motion changed
TOLERANCE = 0.05  # of brightness: a difference as large as this, in a frame moved onto the next, is a change


def steadied(painted: Tensor, frame: Tensor, before: Tensor, painted_before: Tensor) -> Tensor:
    """`painted` blended with the painted frame before, moved along with what it shows: all (1, 3, H, W) in [0, 1].

    `frame` and `before` are the film's own frames. Motion is their optical flow (Le Besnerais & Champagnat 2005). Where
    the frame before, moved, looks like this one, KEPT of its painting is kept: noise and the network's flicker are
    averaged away over about 1 / (1 - KEPT) frames. Where something else came into view the new painting stands.
    Raises ParameterError for what is not a picture, for several at once, and for pictures of different sizes.
    """
    pictures = {"painted": painted, "frame": frame, "before": before, "painted_before": painted_before}
    check_values(**pictures)
    check_same_size(**pictures)
    if len(painted) > 1:
        raise ParameterError(f"a film is steadied frame by frame: give one of each, not {len(painted)}")
    kind, frame, before, painted_before = painted.dtype, frame.float(), before.float(), painted_before.float()
    places = _places(frame, before)
    moved, painted_moved = (
        F.grid_sample(image, places, mode="bicubic", padding_mode="border", align_corners=False)
        for image in (before, painted_before)
    )
    change = F.avg_pool2d(luminance(moved) - luminance(frame), 5, 1, padding=2, count_include_pad=False)
    kept = KEPT * torch.exp(-(change / TOLERANCE).square())
    return painted.float().lerp(painted_moved, kept).clamp(0, 1).to(kind)


def _places(frame: Tensor, before: Tensor) -> Tensor:
    """For each pixel of `frame`, where it was in the frame before: (1, H, W, 2), x and y from -1 to 1."""
    from skimage.registration import optical_flow_ilk  # brings half of SciPy along

    height, width = frame.shape[2:]
    scale = min(1.0, FLOW_SIZE / max(height, width))
    size = [max(8, round(side * scale)) for side in (height, width)]
    now, then = (F.interpolate(luminance(x), size, mode="area")[0, 0].float().cpu().numpy() for x in (frame, before))
    flow = torch.from_numpy(np.stack(optical_flow_ilk(now, then, radius=5)[::-1])).float()[None]  # x, y in pixels
    flow = F.interpolate(flow, (height, width), mode="bilinear", align_corners=False)
    flow = flow * torch.tensor([2 / size[1], 2 / size[0]]).view(1, 2, 1, 1)
    still = F.affine_grid(torch.eye(2, 3)[None], [1, 1, height, width], align_corners=False)
    return (still + flow.permute(0, 2, 3, 1)).to(frame)
