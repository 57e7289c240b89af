"""Control over a transfer: whose colors, which style where, several at once, and which statistics are compared.

Colors, regions and scales are those of Gatys et al. 2017 (*Controlling Perceptual Factors*), the patches those of
Li & Wand 2016, sliced distances those of Heitz et al. 2021.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .backbones import STYLE_LAYERS
from .errors import ParameterError
from .gatys import CONTENT_LAYERS, Objective
from .losses import Backbone, content_loss, gram_matrix, layer_shares, total_variation

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601: how bright red, green and blue are
STATISTICS = ("gram", "moments", "covariance", "sliced")
DIRECTIONS = 64  # that a sliced distance looks along
QUANTILES = 256  # that it compares in each
EPSILON = 1e-5  # keeps square roots and inverses of a covariance finite
PATCHES_AT_ONCE = 2048  # of the painting: bounds the memory of a search


# ------------------------------------------------------------------------------------------------------------- colors


def keep_luminance(painted: Tensor, photo: Tensor) -> Tensor:
    """The brightness of `painted` with the colors of `photo`, both (1, 3, H, W) in [0, 1] (Gatys et al. 2017, 4.1).

    A color that would leave [0, 1] is drawn toward gray until it does not: its hue and the brightness stay.
    """
    weights = painted.new_tensor(LUMA).view(1, 3, 1, 1)
    bright = (painted * weights).sum(1, keepdim=True)
    color = photo - (photo * weights).sum(1, keepdim=True)
    room = torch.where(color > 0, (1 - bright) / color, bright / -color)
    room = torch.where(color == 0, torch.inf, room).amin(1, keepdim=True).clamp(0, 1)
    return (bright + room * color).clamp(0, 1)


def match_colors(image: Tensor, reference: Tensor) -> Tensor:
    """`image` (1, 3, h, w) with the mean and covariance of the colors of `reference` (1, 3, H, W), clamped to [0, 1].

    The linear map is the symmetric one of Gatys et al. 2017, 4.2 (after *Image Analogies*, Hertzmann et al. 2001).
    """
    (mean, covariance), (new_mean, new_covariance) = (_mean_covariance(x) for x in (image, reference))
    transform = _root(new_covariance) @ torch.linalg.inv(_root(covariance))
    colors = transform[0] @ (image[0].flatten(1) - mean[0]) + new_mean[0]
    return colors.view_as(image).clamp(0, 1)


# ------------------------------------------------------------------------------------------- terms of an objective


@dataclass(frozen=True)
class StyleTerm:
    """A distance to one painting: `loss`({layer: features of the picture}) is a scalar, 0 for the painting itself."""

    layers: tuple[str, ...]
    loss: Callable[[Mapping[str, Tensor]], Tensor]
    where: Tensor | None = None  # the mask (1, 1, H, W) over the picture within which it counts


def style_term(
    backbone: Backbone,
    painting: Tensor,
    *,
    statistics: str = "gram",
    layers: Sequence[str] = STYLE_LAYERS,
    where: Tensor | None = None,
    where_painting: Tensor | None = None,
    seed: int = 0,
) -> StyleTerm:
    """The relative distance of statistics to those of `painting` (1, 3, h, w), as a mean over the layers.

    - "gram": Gram matrices (Gatys et al. 2016)
    - "moments": means and deviations of the channels (Huang & Belongie 2017)
    - "covariance": means and covariances, by the Wasserstein-2 distance of two normal distributions
    - "sliced": whole distributions, by the Wasserstein-2 distance along random directions, which `seed` draws

    `where` (1, 1, H, W) and `where_painting` (1, 1, h, w), in [0, 1], are masks over the picture and the painting:
    statistics are taken within them, divided by their area (`layer_mask`). Masks may overlap: both terms then pull.
    Raises ParameterError for other `statistics`, and for a mask of the wrong shape or an empty one.
    """
    if statistics not in STATISTICS:
        raise ParameterError(f"statistics is {statistics!r}; choose one of {', '.join(STATISTICS)}")
    generator = torch.Generator().manual_seed(seed)
    if where is not None:
        check_mask(where, where)
    if where_painting is not None:
        check_mask(where_painting, painting, "where_painting")
    with torch.no_grad():
        wanted = {}
        for name, features in backbone(painting, layers).items():
            directions = F.normalize(torch.randn(DIRECTIONS, features.shape[1], generator=generator)).to(features)
            wanted[name] = (directions, _statistics(features, statistics, directions, where_painting))

    def loss(found: Mapping[str, Tensor]) -> Tensor:
        distances = (
            _distance(_statistics(found[k], statistics, directions, where), target, statistics)
            for k, (directions, target) in wanted.items()
        )
        return sum(distances) / len(wanted)

    return StyleTerm(tuple(wanted), loss, where)


def patch_term(
    backbone: Backbone, painting: Tensor, *, layers: Sequence[str] = ("relu3_1", "relu4_1"), side: int = 3
) -> StyleTerm:
    """The relative distance of each patch of features to the most similar one of the painting (Li & Wand 2016).

    Similar is what has the largest normalized correlation, found by one convolution with the painting's patches as
    kernels, some thousand at a time. Patches are `side` positions wide and high.
    """
    with torch.no_grad():
        wanted = {name: F.unfold(f, side)[0].T.contiguous() for name, f in backbone(painting, layers).items()}

    def loss(found: Mapping[str, Tensor]) -> Tensor:
        distances = []
        for name, patches in wanted.items():
            mine = F.unfold(found[name], side)[0].T
            nearest = patches[nearest_patches(found[name].detach(), patches, side)]
            distances.append((mine - nearest).square().sum() / nearest.square().sum().clamp_min(EPSILON))
        return sum(distances) / len(distances)

    return StyleTerm(tuple(wanted), loss)


@torch.no_grad()
def nearest_patches(features: Tensor, patches: Tensor, side: int) -> Tensor:
    """For each patch of features (1, C, H, W), the index of the row of `patches` (N, C side side) that is most similar.

    Similarity is the correlation with a patch divided by that patch's norm: the norm of one's own patch changes no
    order. (H - side + 1) (W - side + 1) indices, row by row.
    """
    kernels = F.normalize(patches).view(len(patches), features.shape[1], side, side)
    best = index = None
    for start in range(0, len(kernels), PATCHES_AT_ONCE):
        value, place = F.conv2d(features, kernels[start : start + PATCHES_AT_ONCE])[0].flatten(1).max(0)
        if best is None:
            best, index = value, place
        else:
            index = torch.where(value > best, place + start, index)
            best = torch.maximum(best, value)
    return index


def make_control_objective(
    backbone: Backbone,
    content: Tensor | None,
    terms: Mapping[str, tuple[float, StyleTerm]],
    *,
    content_weight: float = 1.0,
    content_layers: Sequence[str] = CONTENT_LAYERS,
    tv_weight: float = 0.0,
) -> Objective:
    """An objective for `optimize`: content, total variation, and any number of style terms, {name: (weight, term)}.

    Several paintings are several terms. Without `content` there is no content term. Raises ParameterError for a term
    that is called like one of the two others, for a mask of another size than `content`, and where no term is left.
    """
    for _, term in terms.values():
        if content is not None and term.where is not None:
            check_mask(term.where, content)
    if clash := {"content", "tv"} & set(terms):
        raise ParameterError(f"a style term may not be called {clash.pop()!r}: choose another name")
    shares = layer_shares(content_layers) if content is not None and content_weight else {}
    if not (terms or shares or tv_weight):
        raise ParameterError("there is no term: give content or at least one style term")
    with torch.no_grad():
        targets = backbone(content, shares) if shares else {}
    layers = {*shares, *(name for _, term in terms.values() for name in term.layers)}

    def objective(image: Tensor) -> dict[str, Tensor]:
        found = backbone(image, layers) if layers else {}
        values = {name: weight * term.loss(found) for name, (weight, term) in terms.items()}
        if shares:
            distance = sum(share * content_loss(found[k], targets[k]) for k, share in shares.items())
            values["content"] = content_weight * distance
        if tv_weight:
            values["tv"] = tv_weight * total_variation(image)
        return values

    return objective


# -------------------------------------------------------------------------------------------------------------- masks


def check_mask(mask: Tensor, image: Tensor, name: str = "where") -> None:
    """ParameterError unless `mask` is (1, 1, H, W) of the picture's size, in [0, 1], and not empty."""
    wanted = (1, 1, *image.shape[2:])
    if tuple(mask.shape) != wanted:
        raise ParameterError(f"the mask {name} has the shape {tuple(mask.shape)}; {wanted} is expected")
    if mask.min() < 0 or mask.max() > 1:
        raise ParameterError(f"the mask {name} has values outside [0, 1]: divide a mask of 0 and 255 by 255")
    if not mask.any():
        raise ParameterError(f"the mask {name} is empty: it covers no pixel")


def layer_mask(mask: Tensor, features: Tensor) -> Tensor:
    """A mask (1, 1, H, W) at the positions of `features` (1, C, h, w): (1, 1, h, w), how much of each cell it fills.

    A region so small that it fills no cell by half keeps its shares; else those under one half count nothing, since
    such positions see more of what lies beside the region.
    """
    share = F.interpolate(mask, features.shape[2:], mode="area")
    inside = (2 * share - 1).clamp_min(0)
    return inside if inside.any() else share


def _weights(features: Tensor, where: Tensor | None) -> Tensor:
    """How much each position counts, in sum 1: (1, 1, h, w)."""
    mask = features.new_ones(1, 1, *features.shape[2:]) if where is None else layer_mask(where, features)
    return mask / mask.sum()


# --------------------------------------------------------------------------------------------------------- statistics


def _statistics(features: Tensor, statistics: str, directions: Tensor, where: Tensor | None) -> tuple[Tensor, ...]:
    """What is compared, of features (1, C, h, w), within a mask over the whole picture."""
    weights = _weights(features, where)
    if statistics == "gram":
        return (gram_matrix(features * weights.sqrt()) * weights.numel(),)
    mean = (features * weights).sum((2, 3), keepdim=True)
    if statistics == "moments":
        variance = ((features - mean).square() * weights).sum((2, 3), keepdim=True)
        return mean, (variance + EPSILON).sqrt()
    if statistics == "covariance":
        return mean, gram_matrix((features - mean) * weights.sqrt()) * weights.numel()
    kept = features[0].flatten(1)[:, weights.flatten() > 0]
    ordered = (directions @ kept).sort(dim=1).values
    return (F.interpolate(ordered[None], QUANTILES, mode="linear", align_corners=True)[0],)


def _distance(mine: tuple[Tensor, ...], wanted: tuple[Tensor, ...], statistics: str) -> Tensor:
    """The squared distance of two statistics, relative to the energy of the wanted ones."""
    if statistics != "covariance":
        energy = sum(w.square().sum() for w in wanted)
        return sum((m - w).square().sum() for m, w in zip(mine, wanted, strict=True)) / energy
    (mean, covariance), (new_mean, new_covariance) = mine, wanted
    root = _root(new_covariance)
    identity = EPSILON * torch.eye(root.shape[-1], device=root.device)
    cross = torch.linalg.eigvalsh(root @ covariance @ root + identity).clamp_min(EPSILON).sqrt().sum()
    traces = covariance.diagonal(dim1=1, dim2=2).sum() + new_covariance.diagonal(dim1=1, dim2=2).sum()
    energy = new_mean.square().sum() + new_covariance.diagonal(dim1=1, dim2=2).sum()
    return ((mean - new_mean).square().sum() + traces - 2 * cross) / energy


def _mean_covariance(image: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (1, C, 1) and covariance (1, C, C) of the colors of a picture."""
    mean = image.mean((2, 3), keepdim=True)
    return mean.flatten(2), gram_matrix(image - mean)


def _root(matrix: Tensor) -> Tensor:
    """The symmetric square root of symmetric positive semi-definite matrices (B, C, C); EPSILON keeps it invertible."""
    values, vectors = torch.linalg.eigh(matrix)
    return vectors @ torch.diag_embed(values.clamp_min(EPSILON).sqrt()) @ vectors.transpose(-1, -2)
