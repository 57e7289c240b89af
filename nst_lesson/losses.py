"""The terms of the objective: content, style (Gram matrices) and total variation, in the formulas of their sources."""

from __future__ import annotations

import torch
from torch import Tensor

from .errors import ParameterError

NORMALIZATIONS = ("relative", "gatys", "mean", "sum")


def gram_matrix(features: Tensor) -> Tensor:
    """The Gram matrix F F' / M of features (B, C, H, W), with F the (C, M) matrix of M = H W positions: (B, C, C).

    Gatys et al. 2016, eq. 3, leave F F' undivided; dividing by M here lets pictures of different size be compared.
    `style_loss` puts the factor back where a formula needs it. Differentiable once, in any function of the matrix.
    """
    pixels = features.permute(0, 2, 3, 1).flatten(1, 2)  # (B, M, C), a view also of features with channels last
    gram = pixels.detach().transpose(1, 2) @ pixels / pixels.shape[1]
    # This is still the Gram matrix. By its symmetry the gradient of one factor is that of the other, transposed: the
    # costly half of the backward pass is saved.
    return gram + gram.transpose(1, 2) - gram.detach()


def content_loss(features: Tensor, target: Tensor, normalization: str = "relative") -> Tensor:
    """Distance between features F and target P, both (B, C, H, W): a scalar, summed over the batch.

    - "relative" (our default): |F - P|^2 / |P|^2 for each sample, so that one weight fits every layer and backbone
    - "gatys" and "sum": 1/2 sum (F - P)^2 (Gatys et al. 2016, eq. 1)
    - "mean": the mean of (F - P)^2 for each sample

    Raises ParameterError for another `normalization`.
    """
    squares = _energy(features - target)
    if _checked(normalization) == "relative":
        squares = squares / _nonzero(_energy(target))
    else:
        squares = squares / (features[0].numel() if normalization == "mean" else 2)
    return squares.sum()


def style_loss(gram: Tensor, target: Tensor, normalization: str = "relative") -> Tensor:
    """Distance between Gram matrices G and A of one layer, both (B, C, C) from `gram_matrix`: a scalar.

    - "relative" (our default): |G - A|^2 / |A|^2 for each sample
    - "gatys": 1/(4 N^2) sum (G - A)^2 with N = C channels (Gatys et al. 2016, eq. 4; its 1/M^2 is in `gram_matrix`)
    - "mean": the mean of (G - A)^2 for each sample
    - "sum": 1/2 sum (G - A)^2

    Summed over the batch. Raises ParameterError for another `normalization`.
    """
    squares = _energy(gram - target)
    if _checked(normalization) == "relative":
        squares = squares / _nonzero(_energy(target))
    else:
        squares = squares / {"gatys": 4 * gram.shape[1] ** 2, "mean": gram.shape[1] ** 2, "sum": 2}[normalization]
    return squares.sum()


def total_variation(image: Tensor, normalization: str = "relative") -> Tensor:
    """Differences d of neighboring pixels of an image (B, C, H, W), down plus across: a scalar.

    - "relative" (our default): the mean of d^2 (Mahendran & Vedaldi 2015 with beta = 2), which does not depend on the
      size and punishes speckle more than edges
    - any other: the sum of |d|, which is what published code adds to the sums of the other formulas

    An image one pixel high or wide has no difference in that direction. Raises ParameterError for another
    `normalization`.
    """
    differences = [d for d in (image.diff(dim=2), image.diff(dim=3)) if d.numel()]
    if _checked(normalization) == "relative":
        return sum((d.square().mean() for d in differences), image.new_zeros(()))
    return sum((d.abs().sum() for d in differences), image.new_zeros(()))


def _energy(x: Tensor) -> Tensor:
    """|x|^2 of each sample (B,). Summed in place of being flattened, which would copy features with channels last."""
    return x.square().sum(tuple(range(1, x.ndim)))


def _nonzero(energy: Tensor) -> Tensor:
    """`energy`, with 1 for a target that is zero everywhere, so that nothing divides by zero."""
    return torch.where(energy > 0, energy, 1.0)


def _checked(normalization: str) -> str:
    if normalization not in NORMALIZATIONS:
        raise ParameterError(f"normalization is {normalization!r}; choose one of {', '.join(NORMALIZATIONS)}")
    return normalization
