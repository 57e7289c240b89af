"""The terms of the objective: content, style (Gram matrices) and total variation, in the formulas of their sources."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
from torch import Tensor

from .errors import ParameterError

FeatureExtractor = Callable[[Tensor, Iterable[str]], dict[str, Tensor]]  # a backbone, or any function like it
Layers = Sequence[str] | Mapping[str, float]  # layers that count alike, or each with its weight

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
    - "mean": the mean of (F - P)^2 for each sample (Johnson et al. 2016, eq. 2)

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
    - "mean": the mean of (G - A)^2 for each sample (Johnson et al. 2016, eq. 4, whose matrices are divided by C H W)
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


class PerceptualLoss:
    """The three terms together, against the Gram matrices of one style picture: what every method here minimizes.

    content_weight * content + style_weight * style + tv_weight * total variation (Gatys et al. 2016, eq. 7, with a
    smoothness term; the perceptual loss of Johnson et al. 2016). Content and style are means over their layers,
    weighted where these come as {layer: weight}. A `style` that is None (else (1, 3, h, w)), or a weight of zero,
    leaves its term out. Raises ParameterError for a weight that is negative or no finite number, and where no term is
    left.
    """

    def __init__(
        self,
        backbone: FeatureExtractor,
        *,
        style: Tensor | None,
        content_weight: float,
        style_weight: float,
        tv_weight: float,
        content_layers: Layers,
        style_layers: Layers,
        normalization: str = "relative",
    ) -> None:
        weights = {"content_weight": content_weight, "style_weight": style_weight, "tv_weight": tv_weight}
        check_weights(weights)
        self.backbone, self.normalization = backbone, _checked(normalization)
        self.content_weight, self.style_weight, self.tv_weight = weights.values()
        self.content_shares = layer_shares(content_layers) if content_weight else {}
        self.style_shares = layer_shares(style_layers) if style is not None and style_weight else {}
        if not (self.content_shares or self.style_shares or tv_weight):
            raise ParameterError("every weight is zero: there is nothing to optimize; give one of the terms a weight")
        with torch.no_grad():
            painted = backbone(style, self.style_shares) if self.style_shares else {}
            self.grams = {name: gram_matrix(f) for name, f in painted.items()}

    @torch.no_grad()
    def contents(self, images: Tensor | None) -> dict[str, Tensor]:
        """The target features of photographs (B, 3, H, W): {layer: (B, C, H', W')}, empty without a content term."""
        return _widened(self.backbone(images, self.content_shares)) if self.content_shares else {}

    def __call__(self, images: Tensor, contents: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The weighted terms of pictures (B, 3, H, W), means over the batch: {"content", "style", "tv": scalar}."""
        layers = {*self.content_shares, *self.style_shares}
        mine = self.backbone(images, layers) if layers else {}
        with torch.autocast(images.device.type, enabled=False):  # features may be of 16 bits, sums over them may not
            return self._terms(images, _widened(mine), contents)

    def _terms(self, images: Tensor, mine: dict[str, Tensor], contents: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The weighted terms, from the features of the pictures."""
        terms, form = {}, self.normalization
        if self.content_shares:
            losses = (s * content_loss(mine[k], contents[k], form) for k, s in self.content_shares.items())
            terms["content"] = self.content_weight * sum(losses) / len(images)
        if self.style_shares:
            grams = {k: gram_matrix(mine[k]) for k in self.style_shares}
            losses = (s * style_loss(grams[k], self.grams[k], form) for k, s in self.style_shares.items())
            terms["style"] = self.style_weight * sum(losses) / len(images)
        if self.tv_weight:
            share = 1 if self.normalization == "relative" else len(images)  # the one is a mean already, the other a sum
            terms["tv"] = self.tv_weight * total_variation(images, self.normalization) / share
        return terms


def layer_shares(layers: Layers) -> dict[str, float]:
    """Each layer's share of its term, in sum 1; a layer of weight 0 is left out.

    Raises ParameterError for a weight that is negative or no finite number, and where no layer is left.
    """
    weights = dict(layers) if isinstance(layers, Mapping) else dict.fromkeys(layers, 1.0)
    check_weights({f"the weight of {name}": weight for name, weight in weights.items()})
    if not (whole := sum(weights.values())):
        raise ParameterError("no layer has a weight: name at least one")
    return {name: weight / whole for name, weight in weights.items() if weight}


def check_weights(weights: Mapping[str, float]) -> None:
    """ParameterError for a weight, {name: value}, that is negative or no finite number."""
    for name, weight in weights.items():
        if not 0 <= weight < math.inf:
            raise ParameterError(f"{name} is {weight}; give a finite number, 0 or more")


def _widened(features: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Features of 16 bits in 32: a sum of squares over 16 bits ends at 65504."""
    return {name: f.float() if f.itemsize == 2 else f for name, f in features.items()}


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
