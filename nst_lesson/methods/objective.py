"""The objective of everything here: terms by name, each with its weight, over one backbone.

    terms = {"content": (1.0, Content(photo)), "style": (20.0, Style(painting)), "tv": (20.0, Smoothness())}
    objective = Objective(backbone, terms)  # objective(image) gives {"content": ..., "style": ..., "tv": ...}, weighted

A term says what is wanted and knows no network; `Objective` computes its targets once. Several paintings are several
style terms, and a mask says where each counts.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol, Self, TypedDict

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import ParameterError, check_counts, check_weights, unknown
from ..networks.backbones import CONTENT_LAYERS, STYLE_LAYERS
from ..pictures.colors import EPSILON, square_root
from ..pictures.images import check_same_size, resize
from .losses import (
    NORMALIZATION,
    FeatureExtractor,
    Layers,
    content_loss,
    layer_shares,
    style_loss,
    total_variation,
)
from .statistics import (
    DIRECTIONS,
    MARGIN,
    STATISTICS,
    check_mask,
    measure,
    nearest_patches,
    position_weights,
    squared_distance,
    wasserstein,
)

STYLE_WEIGHT = 20.0  # the default weight of style against content
# The default share of each style layer, chosen by looking. Equal shares, as Gatys et al. 2016 have them, press the
# shallow layers into grain and paint the painting's objects (relu4_1, relu5_1) into the photograph.
STYLE_SHARES = dict(zip(STYLE_LAYERS, (0.3, 0.6, 1.0, 0.2, 0.05), strict=True))
PATCH_LAYERS = ("relu3_1", "relu4_1")  # Li & Wand 2016


class Prepared(NamedTuple):
    """A term with its targets: `loss`(images, {layer: their features}) is its mean over the batch, a scalar."""

    layers: tuple[str, ...]
    loss: Callable[[Tensor, Mapping[str, Tensor]], Tensor]


class Term(Protocol):
    """What an objective is made of."""

    def prepare(self, backbone: FeatureExtractor) -> Prepared:
        """The term with its targets as the backbone sees them."""
        ...

    def resized(self, scale: float) -> Self:
        """The same term for pictures of `scale` times the size."""
        ...


Terms = Mapping[str, tuple[float, Term]]  # {name: (weight, term)}


@dataclass(frozen=True)
class Content:
    """The distance of features to those of `image` (B, 3, H, W): eq. 1 of Gatys et al. 2016, as a mean over layers."""

    image: Tensor
    layers: Layers = CONTENT_LAYERS
    normalization: str = NORMALIZATION

    def prepare(self, backbone: FeatureExtractor) -> Prepared:
        """The term with the features of `image` as targets."""
        shares = layer_shares(self.layers)
        targets = _features(backbone, self.image, shares)

        def loss(images: Tensor, features: Mapping[str, Tensor]) -> Tensor:
            """The mean distance over layers and pictures."""
            check_same_size(image=images, content=self.image)
            losses = [share * content_loss(features[k], targets[k], self.normalization) for k, share in shares.items()]
            return torch.stack(losses).sum() / len(images)

        return Prepared(tuple(shares), loss)

    def resized(self, scale: float) -> Content:
        """The term for pictures of `scale` times the size."""
        return replace(self, image=resize(self.image, scale))


@dataclass(frozen=True)
class Style:
    """The distance of `statistics` of features to those of `painting` (1, 3, h, w), as a mean over `layers`.

    - "gram": Gram matrices (Gatys et al. 2016, eq. 4), in the formula that `normalization` names
    - "moments": means and deviations of the channels (Huang & Belongie 2017)
    - "covariance": means and covariances, by the Wasserstein-2 distance of two normal distributions
    - "sliced": whole distributions, by the Wasserstein-2 distance along random directions, which `seed` draws

    The last three are relative to the energy of their target. `layers` None are those of `transfer`. `where`
    (1, 1, H, W) and `where_painting` (1, 1, h, w), of bool or in [0, 1], are masks over the picture and the painting:
    statistics are taken within them, `margin` cells away from their borders, and divided by their area (`layer_mask`).
    Masks of several terms may overlap: there all of them pull.
    """

    painting: Tensor
    layers: Layers | None = None
    statistics: str = "gram"
    normalization: str = NORMALIZATION
    where: Tensor | None = None
    where_painting: Tensor | None = None
    margin: int = MARGIN
    seed: int = 0

    def prepare(self, backbone: FeatureExtractor) -> Prepared:
        """The term with the painting's statistics as targets.

        Raises ParameterError for unknown or impossible settings, and for a mask of the wrong shape or an empty one.
        """
        self._check()
        if self.statistics not in STATISTICS:
            raise unknown("statistics", self.statistics, STATISTICS)
        if self.statistics != "gram" and self.normalization != "relative":
            raise ParameterError(f"normalization {self.normalization!r} is for statistics 'gram': leave it out")
        generator = torch.Generator().manual_seed(self.seed)
        shares = layer_shares(STYLE_SHARES if self.layers is None else self.layers)
        distances = {}
        for name, features in _features(backbone, self.painting, shares).items():
            directions = F.normalize(torch.randn(DIRECTIONS, features.shape[1], generator=generator)).to(features)
            distances[name] = self._distance_to(features, directions)

        def loss(images: Tensor, features: Mapping[str, Tensor]) -> Tensor:
            """The mean distance over layers and pictures."""
            if self.where is not None and self.where.shape[2:] != images.shape[2:]:
                check_mask(self.where, image=images)
            losses = [share * distances[name](features[name]) for name, share in shares.items()]
            return torch.stack(losses).sum() / len(images)

        return Prepared(tuple(shares), loss)

    def resized(self, scale: float) -> Style:
        """The term for pictures and a painting of `scale` times the size. Raises ParameterError as `prepare` does."""
        self._check()
        where, where_painting = (
            None if mask is None else resize(mask.to(self.painting), scale).clamp(0, 1)
            for mask in (self.where, self.where_painting)
        )
        return replace(self, painting=resize(self.painting, scale), where=where, where_painting=where_painting)

    def _check(self) -> None:
        """ParameterError for what is not one painting, or not its masks."""
        _expect_one(self.painting)
        if self.where is not None:
            check_mask(self.where)
        if self.where_painting is not None:
            check_mask(self.where_painting, "where_painting", self.painting)

    def _distance_to(self, features: Tensor, directions: Tensor) -> Callable[[Tensor], Tensor]:
        """The distance from features (B, C, h, w) of one layer to the painting's: a scalar, summed over the batch."""
        target = measure(
            features, self.statistics, position_weights(features, self.where_painting, self.margin), directions
        )
        root = square_root(target[1]) if self.statistics == "covariance" else None
        weights: dict[torch.Size, Tensor | None] = {}  # by the size of the layer, at which a mask is the same each time

        def distance(mine: Tensor) -> Tensor:
            """The distance of the statistics."""
            if mine.shape[2:] not in weights:
                weights[mine.shape[2:]] = position_weights(mine, self.where, self.margin)
            found = measure(mine, self.statistics, weights[mine.shape[2:]], directions)
            if self.statistics == "gram":
                return style_loss(found[0], target[0], self.normalization)
            return squared_distance(found, target) if root is None else wasserstein(found, target, root)

        return distance


@dataclass(frozen=True)
class Patches:
    """The distance of each patch of features to the most similar one of `painting` (1, 3, h, w) (Li & Wand 2016).

    Similar is what has the largest normalized correlation (`nearest_patches`). Patches are `side` positions wide and
    high; the distance is relative to the energy of the patches that were found, and a mean over `layers`.
    """

    painting: Tensor
    layers: Layers = PATCH_LAYERS
    side: int = 3

    def prepare(self, backbone: FeatureExtractor) -> Prepared:
        """The term with the painting's patches to choose from. It takes one picture at a time.

        Raises ParameterError for a painting without a patch, and, when it is measured, for several pictures.
        """
        _expect_one(self.painting)
        check_counts(side=self.side)
        shares = layer_shares(self.layers)
        features = _features(backbone, self.painting, shares)
        self._expect_patches("painting", features)
        wanted = {name: F.unfold(f, self.side)[0].T.contiguous() for name, f in features.items()}

        def loss(images: Tensor, features: Mapping[str, Tensor]) -> Tensor:
            """The mean distance over the layers."""
            if len(images) > 1:
                raise ParameterError(f"Patches takes one picture at a time, not {len(images)}: give batch_size 1")
            self._expect_patches("picture", {name: features[name] for name in shares})
            losses = []
            for name, share in shares.items():
                mine = F.unfold(features[name], self.side)[0].T
                nearest = wanted[name][nearest_patches(features[name].detach(), wanted[name], self.side)]
                energy = nearest.square().sum().clamp_min(EPSILON)
                losses.append(share * (mine - nearest).square().sum() / energy)
            return torch.stack(losses).sum()

        return Prepared(tuple(shares), loss)

    def resized(self, scale: float) -> Patches:
        """The term for a painting of `scale` times the size."""
        _expect_one(self.painting)
        return replace(self, painting=resize(self.painting, scale))

    def _expect_patches(self, what: str, features: Mapping[str, Tensor]) -> None:
        """ParameterError where a layer is smaller than one patch."""
        if tiny := [name for name, f in features.items() if min(f.shape[2:]) < self.side]:
            patch = f"{self.side} x {self.side}"
            raise ParameterError(f"the {what} has no patch of {patch} at {tiny[0]}: take a larger one")


@dataclass(frozen=True)
class Smoothness:
    """Total variation of the picture, which no layer sees (`total_variation` has the formulas)."""

    normalization: str = NORMALIZATION

    def prepare(self, backbone: FeatureExtractor) -> Prepared:
        """The term, which has no target."""

        def loss(images: Tensor, features: Mapping[str, Tensor]) -> Tensor:
            """The mean over the pictures: our own formula is a mean already, the published ones are sums."""
            share = 1 if self.normalization == "relative" else len(images)
            return total_variation(images, self.normalization) / share

        return Prepared((), loss)

    def resized(self, scale: float) -> Smoothness:
        """The same term."""
        return self


class Objective:
    """Weighted terms over one backbone: `objective(images)` gives {name: weight * loss} of (B, 3, H, W) in [0, 1].

    Targets are computed once, here. `objective | terms` has further terms, or others in place of those of the same
    name. A weight of zero leaves its term out. Raises ParameterError for a weight that is negative or not a finite
    number, and when it is called without any term.
    """

    def __init__(self, backbone: FeatureExtractor, terms: Terms) -> None:
        if not callable(backbone):
            raise ParameterError(f"the backbone is {backbone!r}; give a network, as nst.load_backbone returns it")
        check_weights({f"the weight of {name}": weight for name, (weight, _) in terms.items()})
        self.backbone = backbone
        self.terms = {name: (weight, term.prepare(backbone)) for name, (weight, term) in terms.items() if weight}

    def __or__(self, terms: Terms) -> Objective:
        """This objective with `terms` as well; what is here already is not prepared again."""
        more = copy.copy(self)
        kept = {name: term for name, term in self.terms.items() if name not in terms}
        more.terms = kept | Objective(self.backbone, terms).terms
        return more

    def __call__(self, images: Tensor) -> dict[str, Tensor]:
        """The weighted terms, scalars by name, means over the batch."""
        if not self.terms:
            raise ParameterError("every weight is zero: there is nothing to optimize; give one of the terms a weight")
        layers = {layer for _, term in self.terms.values() for layer in term.layers}
        features = self.backbone(images, layers) if layers else {}
        with torch.autocast(images.device.type, enabled=False):  # features may be of 16 bits, sums over them may not
            features = _widened(features)
            return {name: weight * term.loss(images, features) for name, (weight, term) in self.terms.items()}


class Weights(TypedDict, total=False):
    """The keywords of `transfer_terms`, which `transfer` and the trainings take as well."""

    content_weight: float
    style_weight: float
    tv_weight: float
    content_layers: Layers
    style_layers: Layers
    normalization: str


def transfer_terms(
    content: Tensor | None,
    style: Tensor | Mapping[str, tuple[float, Term]] | None,
    *,
    content_weight: float = 1.0,
    style_weight: float = STYLE_WEIGHT,
    tv_weight: float = 20.0,
    content_layers: Layers = CONTENT_LAYERS,
    style_layers: Layers = STYLE_SHARES,
    normalization: str = NORMALIZATION,
) -> dict[str, tuple[float, Term]]:
    """The terms of style transfer: content, style and smoothness (Gatys et al. 2016, eq. 7; Johnson et al. 2016).

    content_weight * content + style_weight * style + tv_weight * total variation. `content` is (B, 3, H, W), `style` a
    painting (1, 3, h, w) or {name: (share, term)} of several, each with the share of `style_weight` that it gets;
    None leaves either out. A `Style` among them whose layers are None gets `style_layers`. Raises ParameterError for a
    style that is called like one of the other terms or has no share, and for weights that are not numbers.
    """
    if isinstance(style, Tensor):
        style = {"style": (1.0, Style(style, normalization=normalization))}
    styles: Terms = style or {}
    if clash := {"content", "tv"} & set(styles):
        raise ParameterError(f"a style may not be called {clash.pop()!r}: choose another name")
    check_styles(styles)
    weights = {"content": content_weight, "style": style_weight, "tv": tv_weight}
    check_weights({f"the weight of {name}": weight for name, weight in weights.items()})
    check_weights({f"the share of {name}": share for name, (share, _) in styles.items()})
    terms: dict[str, tuple[float, Term]] = {}
    if content is not None:
        terms["content"] = (content_weight, Content(content, content_layers, normalization))
    for name, (share, term) in styles.items():
        if isinstance(term, Style) and term.layers is None:
            term = replace(term, layers=style_layers)
        terms[name] = (style_weight * share, term)
    return terms | {"tv": (tv_weight, Smoothness(normalization))}


def check_styles(styles: Terms) -> None:
    """ParameterError for a style, {name: (share, term)}, without its share, or with a painting in place of its term."""
    for name, pair in styles.items():
        if not isinstance(pair, Sequence) or len(pair) != 2 or not hasattr(pair[1], "prepare"):
            raise ParameterError(f"style {name!r} is to be its share and its term: give (1.0, nst.Style(painting))")


def _expect_one(painting: Tensor) -> None:
    """ParameterError for what is not one picture, for this backbone: it need not have colors."""
    shape = tuple(painting.shape) if isinstance(painting, Tensor) else type(painting).__name__
    if not isinstance(painting, Tensor) or painting.ndim != 4 or len(painting) != 1:
        raise ParameterError(f"the painting is {shape}; give one, (1, 3, H, W)")


@torch.no_grad()
def _features(backbone: FeatureExtractor, images: Tensor, layers: Mapping[str, float]) -> dict[str, Tensor]:
    """Features to be targets, in at least 32 bits."""
    return _widened(backbone(images, layers))


def _widened(features: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Features of 16 bits in 32: a sum of squares over 16 bits ends at 65504."""
    return {name: f.float() if f.itemsize == 2 else f for name, f in features.items()}
