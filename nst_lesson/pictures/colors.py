"""Colors of pictures: keep a photograph's, or take those of another picture (after Gatys et al. 2017)."""

from __future__ import annotations

import torch
from torch import Tensor

from .images import check_same_size, check_values

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601: how bright red, green and blue are
SUMMED = 2**16  # positions whose products are added in 32 bits: the more there are, the more digits are lost
EPSILON = 1e-5  # keeps square roots and inverses of a covariance finite

Moments = tuple[Tensor, Tensor]  # mean (B, C, 1) and covariance (B, C, C) of colors or features, in 64 bits


def luminance(image: Tensor) -> Tensor:
    """The brightness (B, 1, H, W) of pictures (B, 3, H, W), as LUMA weighs their colors."""
    red, green, blue = image.split(1, dim=1)
    return (LUMA[0] * red).add_(LUMA[1] * green).add_(LUMA[2] * blue)  # in place: pictures may be large


def keep_luminance(painted: Tensor, photo: Tensor) -> Tensor:
    """The brightness of `painted` with the colors of `photo`, both (1, 3, H, W) in [0, 1].

    After Gatys et al. 2017, section 5.1, who let the run itself see luminance only; here its result is recolored.

    A color that would leave [0, 1] is drawn toward gray until it does not: its hue and the brightness stay. Raises
    ParameterError for what is not a picture, as `match_colors` does.
    """
    check_values(painted=painted, photo=photo)
    check_same_size(painted=painted, photo=photo)
    bright = luminance(painted)
    color = photo - luminance(photo)
    room = torch.where(color > 0, (1 - bright) / color, bright / -color)
    room = torch.where(color == 0, torch.inf, room).amin(1, keepdim=True).clamp(0, 1)
    return (bright + room * color).clamp(0, 1)


def match_colors(image: Tensor, reference: Tensor) -> Tensor:
    """`image` (B, 3, h, w) with the mean and covariance of the colors of `reference` (B or 1, 3, H, W), in [0, 1].

    The linear map is the symmetric one of Gatys et al. 2017 (after *Image Analogies*, Hertzmann et al. 2001).
    """
    check_values(image=image, reference=reference)
    (mean, covariance), (new_mean, new_covariance) = moments(image), moments(reference)
    transform = square_root(new_covariance) @ torch.linalg.inv(square_root(covariance))
    colors = transform @ (image.flatten(2) - mean) + new_mean
    return colors.view_as(image).clamp(0, 1).to(image.dtype)


def moments(features: Tensor) -> Moments:
    """Mean (B, C, 1) and covariance (B, C, C) of colors or features (B, C, H, W) over their positions, as 64 bits.

    Multiplied in 32 bits, or in 64 if the features have them, and added up in 64: errors of a millionth, in a tenth of
    the time that 64 bits take.
    """
    pixels = features.permute(0, 2, 3, 1).flatten(1, 2)  # (B, M, C): a view where channels are last in memory
    pixels = pixels if pixels.dtype == torch.float64 else pixels.float()
    mean = pixels.mean(1, keepdim=True, dtype=torch.float64).to(pixels.dtype)
    centered = pixels - mean  # the mean's square may be far larger than the variance, and hide it
    products = ((part.mT @ part).double() for part in centered.split(SUMMED, 1))
    return mean.mT.double(), torch.stack(list(products)).sum(0) / pixels.shape[1]


def square_root(matrix: Tensor, smallest: float = EPSILON) -> Tensor:
    """The symmetric square root of symmetric positive semi-definite matrices (..., C, C), computed in 64 bits.

    Eigenvalues below `smallest` are taken to have that value, which keeps the root invertible.
    """
    values, vectors = torch.linalg.eigh(matrix.double())
    root = vectors @ torch.diag_embed(values.clamp_min(smallest).sqrt()) @ vectors.mT
    return root.to(matrix.dtype)
