"""What is compared of a painting's features, and where: Gram matrices and others, patches, masks.

Regions are after Gatys et al. 2017 (*Controlling Perceptual Factors*). They multiply features by the mask, so that a
position of 0.3 counts 0.09 times in a Gram matrix; here it counts 0.3 times. Patches are those of Li & Wand 2016,
sliced distances those of Heitz et al. 2021.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import ParameterError
from ..pictures.colors import EPSILON
from .losses import gram_matrix

STATISTICS = ("gram", "moments", "covariance", "sliced")
DIRECTIONS = 64  # a sliced distance looks along so many
QUANTILES = 256  # and compares so many values in each
SCORES_AT_ONCE = 2**24  # of positions times patches: a search holds 64 MB of them, however large the picture
MARGIN = 1  # cells that a region's border is kept away from


@torch.no_grad()
def nearest_patches(features: Tensor, patches: Tensor, side: int) -> Tensor:
    """For each patch of features (1, C, H, W), the index of the row of `patches` (N, C side side) that is most similar.

    Similarity is the correlation with a patch divided by that patch's norm: the norm of one's own patch changes no
    order. (H - side + 1) (W - side + 1) indices, row by row. As many patches are compared at once as keep the scores
    within SCORES_AT_ONCE; of these only the best of each position is kept. Raises ParameterError for no patches.
    """
    if not len(patches):
        raise ParameterError("there are no patches to compare with: give a picture of at least one patch")
    kernels = F.normalize(patches).view(len(patches), features.shape[1], side, side)
    at_once = max(1, SCORES_AT_ONCE // features[0, 0].numel())
    scores = (F.conv2d(features, part)[0].flatten(1).max(0) for part in kernels.split(at_once))
    best, index = next(scores)
    for number, (value, place) in enumerate(scores, start=1):
        index = torch.where(value > best, place + number * at_once, index)
        best = torch.maximum(best, value)
    return index


# -------------------------------------------------------------------------------------------------------------- masks


def check_mask(mask: Tensor, name: str = "where", image: Tensor | None = None) -> None:
    """ParameterError unless `mask` is a tensor (1, 1, H, W), of bool or in [0, 1], not empty, and as large as `image`.

    An `image` that is not known yet is None.
    """
    if not isinstance(mask, Tensor):
        raise ParameterError(f"the mask {name!r} is {type(mask).__name__}; give a tensor (1, 1, H, W)")
    if mask.ndim != 4 or mask.shape[:2] != (1, 1) or (image is not None and mask.shape[2:] != image.shape[2:]):
        size = "H, W" if image is None else f"{image.shape[2]}, {image.shape[3]}"
        raise ParameterError(f"the mask {name!r} has the shape {tuple(mask.shape)}; (1, 1, {size}) is expected")
    if not (mask.min() >= 0 and mask.max() <= 1):  # true for NaN, too
        raise ParameterError(f"the mask {name!r} has values outside [0, 1]: divide a mask of 0 and 255 by 255")
    if not mask.any():
        raise ParameterError(f"the mask {name!r} is empty: it covers no pixel")


def layer_mask(mask: Tensor, features: Tensor, margin: int = MARGIN) -> Tensor:
    """A mask (1, 1, H, W) at the positions of `features` (B, C, h, w): (1, 1, h, w), how much each position counts.

    It is the share of each cell that the region fills, and counts from one half on. A position sees more than its own
    cell, so it counts as little as the worst of the cells within `margin` of it: the deeper the layer, the more pixels
    the border is kept away from. The edge of the picture is no border. A region that would vanish gets less margin, and
    in the end its plain shares. One that lies in the last rows or columns alone, which poolings drop, counts at the
    positions nearest to it. (The receptive field is larger still: at relu5_1 of a VGG-19 it has 156 pixels, and
    regions eroded by half of that would be gone. Its outer part has little influence: Luo et al. 2016.)
    """
    mask, size = mask.detach().to(features), features.shape[2:]
    share = mask
    while share.shape[2] >= 2 * size[0] and share.shape[3] >= 2 * size[1]:
        share = F.avg_pool2d(share, 2)  # as the network does, which drops the last row of an odd number
    if share.shape[2:] != size or not share.any():  # a network that does otherwise, or nothing is left
        share = F.interpolate(mask, size, mode="area")
    for cells in range(margin, -1, -1):
        worst = -F.max_pool2d(-share, 2 * cells + 1, stride=1, padding=cells)
        if (inside := (2 * worst - 1).clamp_min(0)).any():
            return inside
    return share


def position_weights(features: Tensor, where: Tensor | None, margin: int = MARGIN) -> Tensor | None:
    """How much each position of features (B, C, h, w) counts: (1, 1, h, w), on average 1. None: all count alike."""
    if where is None:
        return None
    mask = layer_mask(where, features, margin)
    return mask / mask.mean()


# --------------------------------------------------------------------------------------------------------- statistics


def measure(features: Tensor, statistics: str, weights: Tensor | None, directions: Tensor) -> tuple[Tensor, ...]:
    """What is compared of features (B, C, h, w): a tuple of tensors, whose first axis is the batch.

    - "gram": the Gram matrix (B, C, C) (Gatys et al. 2016)
    - "moments": mean and deviation of each channel (B, C, 1, 1) (Huang & Belongie 2017)
    - "covariance": mean (B, C, 1, 1) and covariance (B, C, C)
    - "sliced": QUANTILES quantiles along each of `directions` (D, C): (B, D, QUANTILES) (Heitz et al. 2021)

    Positions count as in `weights` (`position_weights`). "sliced" takes those above 0, all alike.
    """
    if statistics == "sliced":
        kept = features.flatten(2) if weights is None else features.flatten(2)[:, :, weights.flatten() > 0]
        ordered = (directions @ kept).sort(dim=2).values
        return (F.interpolate(ordered, QUANTILES, mode="linear", align_corners=True),)
    if statistics == "gram":
        return (gram_matrix(features if weights is None else features * weights.sqrt()),)
    weights = features.new_ones(()) if weights is None else weights
    mean = (features * weights).mean((2, 3), keepdim=True)
    if statistics == "covariance":
        return mean, gram_matrix((features - mean) * weights.sqrt())
    variance = ((features - mean).square() * weights).mean((2, 3), keepdim=True)
    return mean, (variance + EPSILON).sqrt()


def squared_distance(mine: tuple[Tensor, ...], wanted: tuple[Tensor, ...]) -> Tensor:
    """The squared distance of two measures, relative to the energy of the wanted one: a scalar, summed over the batch.

    (For "covariance" `wasserstein` is the distance that has a meaning.)
    """
    squares = [(m - w).square().sum() for m, w in zip(mine, wanted, strict=True)]
    return torch.stack(squares).sum() / torch.stack([w.square().sum() for w in wanted]).sum()


def wasserstein(mine: tuple[Tensor, ...], wanted: tuple[Tensor, ...], root: Tensor) -> Tensor:
    """The squared Wasserstein-2 distance of two normal distributions, given as mean and covariance: a scalar.

    |m - n|^2 + tr(A) + tr(B) - 2 tr((R A R)^(1/2)) with R = B^(1/2), the `root` of the wanted covariance (Olkin &
    Pukelsheim 1982), relative to |n|^2 + tr(B), summed over the batch.
    """
    (mean, covariance), (new_mean, new_covariance) = mine, wanted
    values = torch.linalg.eigvalsh(root @ covariance @ root).clamp_min(0)
    cross = ((values + EPSILON).sqrt() - EPSILON**0.5).sum()  # a root with a finite slope at 0, and below the true one
    trace = new_covariance.diagonal(dim1=1, dim2=2).sum()
    traces = covariance.diagonal(dim1=1, dim2=2).sum() + len(covariance) * trace
    return ((mean - new_mean).square().sum() + traces - 2 * cross) / (new_mean.square().sum() + trace)
