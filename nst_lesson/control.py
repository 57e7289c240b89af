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
from .losses import FeatureExtractor, check_weights, content_loss, gram_matrix, layer_shares, total_variation

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601: how bright red, green and blue are
STATISTICS = ("gram", "moments", "covariance", "sliced")
DIRECTIONS = 64  # that a sliced distance looks along
QUANTILES = 256  # that it compares in each
EPSILON = 1e-5  # keeps square roots and inverses of a covariance finite
SCORES_AT_ONCE = 2**24  # of positions times patches: a search holds 64 MB of them, however large the picture
MARGIN = 1  # cells that a region's border is kept away from


# ------------------------------------------------------------------------------------------------------------- colors


def keep_luminance(painted: Tensor, photo: Tensor) -> Tensor:
    """The brightness of `painted` with the colors of `photo`, both (1, 3, H, W) in [0, 1] (Gatys et al. 2017).

    A color that would leave [0, 1] is drawn toward gray until it does not: its hue and the brightness stay.
    """
    weights = painted.new_tensor(LUMA).view(1, 3, 1, 1)
    bright = (painted * weights).sum(1, keepdim=True)
    color = photo - (photo * weights).sum(1, keepdim=True)
    room = torch.where(color > 0, (1 - bright) / color, bright / -color)
    room = torch.where(color == 0, torch.inf, room).amin(1, keepdim=True).clamp(0, 1)
    return (bright + room * color).clamp(0, 1)


def match_colors(image: Tensor, reference: Tensor) -> Tensor:
    """`image` (B, 3, h, w) with the mean and covariance of the colors of `reference` (B or 1, 3, H, W), in [0, 1].

    The linear map is the symmetric one of Gatys et al. 2017 (after *Image Analogies*, Hertzmann et al. 2001).
    """
    (mean, covariance), (new_mean, new_covariance) = (_mean_covariance(x) for x in (image, reference))
    transform = _root(new_covariance) @ torch.linalg.inv(_root(covariance))
    colors = transform @ (image.flatten(2) - mean) + new_mean
    return colors.view_as(image).clamp(0, 1)


# ------------------------------------------------------------------------------------------- terms of an objective


@dataclass(frozen=True)
class StyleTerm:
    """A distance to one painting: `loss`({layer: features of the picture}) is a scalar, 0 for the painting itself."""

    layers: tuple[str, ...]
    loss: Callable[[Mapping[str, Tensor]], Tensor]
    where: Tensor | None = None  # the mask (1, 1, H, W) over the picture within which it counts


def style_term(
    backbone: FeatureExtractor,
    painting: Tensor,
    *,
    statistics: str = "gram",
    layers: Sequence[str] = STYLE_LAYERS,
    where: Tensor | None = None,
    where_painting: Tensor | None = None,
    margin: int = MARGIN,
    seed: int = 0,
) -> StyleTerm:
    """The relative distance of statistics to those of `painting` (1, 3, h, w), as a mean over the layers.

    - "gram": Gram matrices (Gatys et al. 2016)
    - "moments": means and deviations of the channels (Huang & Belongie 2017)
    - "covariance": means and covariances, by the Wasserstein-2 distance of two normal distributions
    - "sliced": whole distributions, by the Wasserstein-2 distance along random directions, which `seed` draws

    `where` (1, 1, H, W) and `where_painting` (1, 1, h, w), in [0, 1], are masks over the picture and the painting:
    statistics are taken within them, `margin` cells away from their borders, and divided by their area (`layer_mask`).
    Masks of several terms may overlap: there all of them pull. Raises ParameterError for other `statistics`, and for a
    mask of the wrong shape or an empty one.
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
            found = _statistics(features, statistics, directions, _weights(features, where_painting, margin))
            wanted[name] = (directions, (*found, _root(found[1])) if statistics == "covariance" else found)

    def loss(found: Mapping[str, Tensor]) -> Tensor:
        """The mean distance over the layers, of the picture's features {layer: (1, C, H, W)}."""
        distances = (
            _distance(_statistics(found[k], statistics, directions, _weights(found[k], where, margin)), target)
            for k, (directions, target) in wanted.items()
        )
        return sum(distances) / len(wanted)

    return StyleTerm(tuple(wanted), loss, where)


def patch_term(
    backbone: FeatureExtractor, painting: Tensor, *, layers: Sequence[str] = ("relu3_1", "relu4_1"), side: int = 3
) -> StyleTerm:
    """The relative distance of each patch of features to the most similar one of the painting (Li & Wand 2016).

    Similar is what has the largest normalized correlation, found by one convolution with the painting's patches as
    kernels (`nearest_patches`). Patches are `side` positions wide and high.
    """
    with torch.no_grad():
        wanted = {name: F.unfold(f, side)[0].T.contiguous() for name, f in backbone(painting, layers).items()}

    def loss(found: Mapping[str, Tensor]) -> Tensor:
        """The mean distance over the layers, of the picture's features {layer: (1, C, H, W)}."""
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
    order. (H - side + 1) (W - side + 1) indices, row by row. As many patches are compared at once as keep the scores
    within SCORES_AT_ONCE; of these only the best of each position is kept.
    """
    kernels = F.normalize(patches).view(len(patches), features.shape[1], side, side)
    best = index = None
    at_once = max(1, SCORES_AT_ONCE // features[0, 0].numel())
    for start in range(0, len(kernels), at_once):
        value, place = F.conv2d(features, kernels[start : start + at_once])[0].flatten(1).max(0)
        if best is None:
            best, index = value, place
        else:
            index = torch.where(value > best, place + start, index)
            best = torch.maximum(best, value)
    return index


def make_control_objective(
    backbone: FeatureExtractor,
    content: Tensor | None,
    terms: Mapping[str, tuple[float, StyleTerm]],
    *,
    content_weight: float = 1.0,
    content_layers: Sequence[str] = CONTENT_LAYERS,
    tv_weight: float = 0.0,
) -> Objective:
    """An objective for `optimize`: content, total variation, and any number of style terms, {name: (weight, term)}.

    Several paintings are several terms. Without `content` there is no content term, and a weight of zero leaves its
    term out. Raises ParameterError for a term that is called like one of the two others, for a weight that is negative
    or no finite number, for a mask of another size than `content`, and where no term is left.
    """
    for _, term in terms.values():
        if content is not None and term.where is not None:
            check_mask(term.where, content)
    if clash := {"content", "tv"} & set(terms):
        raise ParameterError(f"a style term may not be called {clash.pop()!r}: choose another name")
    style_weights = {f"the weight of {name}": weight for name, (weight, _) in terms.items()}
    check_weights({"content_weight": content_weight, "tv_weight": tv_weight, **style_weights})
    terms = {name: pair for name, pair in terms.items() if pair[0]}
    shares = layer_shares(content_layers) if content is not None and content_weight else {}
    if not (terms or shares or tv_weight):
        raise ParameterError("there is no term: give content or at least one style term")
    with torch.no_grad():
        targets = backbone(content, shares) if shares else {}
    layers = {*shares, *(name for _, term in terms.values() for name in term.layers)}

    def objective(image: Tensor) -> dict[str, Tensor]:
        """The weighted terms of a picture (1, 3, H, W)."""
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


def layer_mask(mask: Tensor, features: Tensor, margin: int = MARGIN) -> Tensor:
    """A mask (1, 1, H, W) at the positions of `features` (1, C, h, w): (1, 1, h, w), how much each position counts.

    It is the share of each cell that the region fills, and counts from one half on. A position sees more than its own
    cell, so it counts as little as the worst of the cells within `margin` of it: the deeper the layer, the more pixels
    the border is kept away from. The edge of the picture is no border. A region that would vanish gets less margin, and
    in the end its plain shares. (The receptive field is larger still: at relu5_1 of a VGG-19 it has 156 pixels, and
    regions eroded by half of that would be gone. Its outer part has little influence: Luo et al. 2016.)
    """
    share, size = mask, features.shape[2:]
    while share.shape[2] >= 2 * size[0] and share.shape[3] >= 2 * size[1]:
        share = F.avg_pool2d(share, 2)  # as the network does, which drops the last row of an odd number
    if share.shape[2:] != size:  # a network that does otherwise
        share = F.interpolate(mask, size, mode="area")
    for cells in range(margin, -1, -1):
        worst = -F.max_pool2d(-share, 2 * cells + 1, stride=1, padding=cells)
        if (inside := (2 * worst - 1).clamp_min(0)).any():
            return inside
    return share


def _weights(features: Tensor, where: Tensor | None, margin: int) -> Tensor:
    """How much each position counts, in sum 1: (1, 1, h, w)."""
    mask = features.new_ones(1, 1, *features.shape[2:]) if where is None else layer_mask(where, features, margin)
    return mask / mask.sum()


# --------------------------------------------------------------------------------------------------------- statistics


def _statistics(features: Tensor, statistics: str, directions: Tensor, weights: Tensor) -> tuple[Tensor, ...]:
    """What is compared, of features (1, C, h, w) whose positions count as in weights (1, 1, h, w), in sum 1."""
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


def _distance(mine: tuple[Tensor, ...], wanted: tuple[Tensor, ...]) -> Tensor:
    """The squared distance of two statistics, relative to the energy of the wanted ones.

    Of a covariance also the root is wanted: the distance is then the one of Wasserstein, between normal distributions.
    """
    if len(wanted) < 3:
        energy = sum(w.square().sum() for w in wanted)
        return sum((m - w).square().sum() for m, w in zip(mine, wanted, strict=True)) / energy
    (mean, covariance), (new_mean, new_covariance, root) = mine, wanted
    identity = EPSILON * torch.eye(root.shape[-1], device=root.device)
    cross = torch.linalg.eigvalsh(root @ covariance @ root + identity).clamp_min(EPSILON).sqrt().sum()
    traces = covariance.diagonal(dim1=1, dim2=2).sum() + new_covariance.diagonal(dim1=1, dim2=2).sum()
    energy = new_mean.square().sum() + new_covariance.diagonal(dim1=1, dim2=2).sum()
    return ((mean - new_mean).square().sum() + traces - 2 * cross) / energy


def _mean_covariance(image: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (B, C, 1) and covariance (B, C, C) of the colors of pictures."""
    mean = image.mean((2, 3), keepdim=True)
    return mean.flatten(2), gram_matrix(image - mean)


def _root(matrix: Tensor) -> Tensor:
    """The symmetric square root of symmetric positive semi-definite matrices (B, C, C); EPSILON keeps it invertible."""
    values, vectors = torch.linalg.eigh(matrix)
    return vectors @ torch.diag_embed(values.clamp_min(EPSILON).sqrt()) @ vectors.transpose(-1, -2)
