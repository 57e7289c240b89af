"""The terms of the objective: content, style (Gram matrices) and total variation, in the formulas of their sources."""

from __future__ import annotations

import torch
from torch import Tensor

from .errors import ParameterError

NORMALIZATIONS = ("relative", "gatys", "mean")


def gram_matrix(features: Tensor) -> Tensor:
    """The Gram matrix F F' / M of features (B, C, H, W), with F the (C, M) matrix of M = H W positions: (B, C, C).

    Gatys et al. 2016, eq. 3, leave F F' undivided; dividing by M here lets pictures of different size be compared.
    `style_loss` puts the factor back where a formula needs it.
    """
    flat = features.flatten(2)
    return flat @ flat.transpose(1, 2) / flat.shape[2]


def content_loss(features: Tensor, target: Tensor, normalization: str = "relative") -> Tensor:
    """Distance between features F and target P, both (B, C, H, W): a scalar, summed over the batch.

    - "relative" (our default): |F - P|^2 / |P|^2 for each sample, so that one weight fits every layer and backbone
    - "gatys": 1/2 sum (F - P)^2 (Gatys et al. 2016, eq. 1)
    - "mean": the mean of (F - P)^2 for each sample

    Raises ParameterError for another `normalization`.
    """
    squares = (features - target).square().flatten(1).sum(1)
    if _checked(normalization) == "relative":
        squares = squares / _energy(target)
    elif normalization == "gatys":
        squares = squares / 2
    else:
        squares = squares / features[0].numel()
    return squares.sum()


def style_loss(gram: Tensor, target: Tensor, normalization: str = "relative") -> Tensor:
    """Distance between Gram matrices G and A of one layer, both (B, C, C) from `gram_matrix`: a scalar.

    - "relative" (our default): |G - A|^2 / |A|^2 for each sample
    - "gatys": 1/(4 N^2) sum (G - A)^2 with N = C channels (Gatys et al. 2016, eq. 4; its 1/M^2 is in `gram_matrix`)
    - "mean": the mean of (G - A)^2 for each sample

    Summed over the batch. Raises ParameterError for another `normalization`.
    """
    squares = (gram - target).square().flatten(1).sum(1)
    if _checked(normalization) == "relative":
        squares = squares / _energy(target)
    else:
        squares = squares / ((4 if normalization == "gatys" else 1) * gram.shape[1] ** 2)
    return squares.sum()


def total_variation(image: Tensor) -> Tensor:
    """Mean squared difference of neighboring pixels of an image (B, C, H, W), down plus across: a scalar.

    The anisotropic, squared form (Mahendran & Vedaldi 2015 with beta = 2): it punishes speckle more than edges.
    An image one pixel high or wide has no difference in that direction.
    """
    down = (image[:, :, 1:] - image[:, :, :-1]).square()
    across = (image[..., 1:] - image[..., :-1]).square()
    return sum((d.mean() for d in (down, across) if d.numel()), image.new_zeros(()))


def _energy(target: Tensor) -> Tensor:
    """|target|^2 for each sample (B,); a target that is zero everywhere counts as one, so nothing divides by zero."""
    energy = target.square().flatten(1).sum(1)
    return torch.where(energy > 0, energy, 1.0)


def _checked(normalization: str) -> str:
    if normalization not in NORMALIZATIONS:
        raise ParameterError(f"normalization is {normalization!r}; choose one of {', '.join(NORMALIZATIONS)}")
    return normalization
