"""The formulas: content loss, Gram matrix and style loss, total variation, each as its sources have it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor

from ..errors import ParameterError, check_weights, unknown
from ..networks.backbones import layer_names

FeatureExtractor = Callable[[Tensor, Iterable[str]], dict[str, Tensor]]  # a backbone, or any function like it
Layers = str | Iterable[str] | Mapping[str, float]  # layers that count alike, or each with its weight

NORMALIZATIONS = ("relative", "gatys", "mean", "sum")
NORMALIZATION = "relative"  # our default


def gram_matrix(features: Tensor) -> Tensor:
    """The Gram matrix F F' / M of features (B, C, H, W), with F the (C, M) matrix of M = H W positions: (B, C, C).

    Gatys et al. 2016, eq. 3, leave F F' undivided; dividing by M here lets pictures of different size be compared.
    `style_loss` puts the factor back where a formula needs it.
    """
    pixels = features.permute(0, 2, 3, 1).flatten(1, 2)  # (B, M, C): a view where channels are last in memory
    # Picture by picture: torch gives both gradients of a product of matrices one layout, those of a batch of them two.
    return torch.stack([f.T @ f for f in pixels]) / pixels.shape[1]


def content_loss(features: Tensor, target: Tensor, normalization: str = NORMALIZATION) -> Tensor:
    """Distance between features F and target P, both (B, C, H, W): a scalar, summed over the batch.

    - "relative" (our default): |F - P|^2 / |P|^2 for each sample, so that one weight fits every layer and backbone
    - "gatys" and "sum": 1/2 sum (F - P)^2 (Gatys et al. 2016, eq. 1)
    - "mean": the mean of (F - P)^2 for each sample (Johnson et al. 2016, eq. 2)

    Raises ParameterError for another `normalization`.
    """
    return _distance(features, target, normalization, {"gatys": 2, "mean": features[0].numel(), "sum": 2})


def style_loss(gram: Tensor, target: Tensor, normalization: str = NORMALIZATION) -> Tensor:
    """Distance between Gram matrices G and A of one layer, both (B, C, C) from `gram_matrix`: a scalar.

    - "relative" (our default): |G - A|^2 / |A|^2 for each sample
    - "gatys": 1/(4 N^2) sum (G - A)^2 with N = C channels (Gatys et al. 2016, eq. 4; its 1/M^2 is in `gram_matrix`)
    - "mean": the mean of (G - A)^2 for each sample (Johnson et al. 2016, eq. 4, whose matrices are divided by C H W)
    - "sum": 1/2 sum (G - A)^2

    Summed over the batch. Raises ParameterError for another `normalization`.
    """
    entries = gram.shape[1] ** 2
    return _distance(gram, target, normalization, {"gatys": 4 * entries, "mean": entries, "sum": 2})


def total_variation(image: Tensor, normalization: str = NORMALIZATION) -> Tensor:
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


def layer_shares(layers: Layers) -> dict[str, float]:
    """Each layer's share of its term, summing to 1; a layer of weight 0 is left out.

    Raises ParameterError for a weight that is negative or no finite number, and where no layer is left.
    """
    weights = dict(layers) if isinstance(layers, Mapping) else dict.fromkeys(layer_names(layers), 1.0)
    check_weights({f"the weight of {name}": weight for name, weight in weights.items()})
    if not (whole := sum(weights.values())):
        raise ParameterError("no layer has a weight: name at least one")
    return {name: weight / whole for name, weight in weights.items() if weight}


def _distance(x: Tensor, target: Tensor, normalization: str, divisors: Mapping[str, int]) -> Tensor:
    """|x - target|^2 of each sample over |target|^2 (1 where that is zero), or over one of `divisors`, summed."""
    if _checked(normalization) == "relative":
        energy = _energy(target)
        return (_energy(x - target) / torch.where(energy > 0, energy, 1.0)).sum()
    return (_energy(x - target) / divisors[normalization]).sum()


def _energy(x: Tensor) -> Tensor:
    """|x|^2 of each sample (B,): summed over three axes, since flattening would copy features with channels last."""
    return x.square().sum(tuple(range(1, x.ndim)))


def _checked(normalization: str) -> str:
    if normalization not in NORMALIZATIONS:
        raise unknown("normalization", normalization, NORMALIZATIONS)
    return normalization
