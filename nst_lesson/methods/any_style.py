"""The loss that trains one network for any painting (Huang & Belongie 2017)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..errors import unknown
from ..networks.adain import SCALES, adain, moments
from .losses import FeatureExtractor, content_loss, gram_matrix, style_loss, total_variation
from .training import BatchLoss

CONTENT_LAYER = SCALES[-1]  # where content is compared
LOSS_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")  # where style is compared
WEIGHTS = {"content_weight": 1.0, "style_weight": 100.0, "identity_weight": 30.0, "tv_weight": 3.0}
STATISTICS = ("moments", "gram")


def any_style_loss(
    backbone: FeatureExtractor,
    *,
    content_weight: float = WEIGHTS["content_weight"],
    style_weight: float = WEIGHTS["style_weight"],
    identity_weight: float = WEIGHTS["identity_weight"],
    tv_weight: float = WEIGHTS["tv_weight"],
    statistics: str = "moments",
) -> BatchLoss:
    """The loss that trains an AnyStyleNetwork on pairs (B, 6, S, S): a photograph and a painting, one over the other.

    Content is the distance to what `adain` gives at CONTENT_LAYER (Huang & Belongie 2017, eq. 12). Style is compared
    in "moments" (eq. 13) or in "gram" matrices, as a mean over LOSS_LAYERS. Identity is the squared error of a picture
    painted like itself (Park & Lee 2019): from it the decoder learns colors early. The first two are relative to their
    target's energy, for each pair: a departure from the paper, so that the weights fit every backbone. Raises
    ParameterError for other `statistics`.
    """
    if statistics not in STATISTICS:
        raise unknown("statistics", statistics, STATISTICS)

    def distance(mine: Tensor, wanted: Tensor) -> Tensor:
        """Of features of one layer (B, C, H, W), relative and summed over the batch: a scalar."""
        if statistics == "gram":
            return style_loss(gram_matrix(mine), gram_matrix(wanted))
        return content_loss(torch.cat(moments(mine), dim=1), torch.cat(moments(wanted), dim=1))

    def batch_loss(network: nn.Module, pairs: Tensor) -> dict[str, Tensor]:
        """The weighted terms, means over the pairs (B, 6, S, S)."""
        photographs, paintings = pairs.split(3, dim=1)
        with torch.no_grad():
            wanted = backbone(paintings, {*LOSS_LAYERS, CONTENT_LAYER})
            target = adain(
                backbone(photographs, (CONTENT_LAYER,))[CONTENT_LAYER],
                moments(wanted[CONTENT_LAYER]),
            )
        painted = network(photographs, paintings)
        mine = backbone(painted, {*LOSS_LAYERS, CONTENT_LAYER})
        with torch.autocast(pairs.device.type, enabled=False):  # sums over features of 16 bits may not be of 16 bits
            mine, wanted = ({k: f.float() for k, f in features.items()} for features in (mine, wanted))
            style = torch.stack([distance(mine[k], wanted[k]) for k in LOSS_LAYERS]).mean()
            terms = {"content": content_weight * content_loss(mine[CONTENT_LAYER], target.float()) / len(pairs)}
            terms["style"] = style_weight * style / len(pairs)
            terms["tv"] = tv_weight * total_variation(painted.float())
            if identity_weight:
                # every second pair's painting, else its photograph: the same ones however processes share a batch
                odd = torch.arange(len(pairs), device=pairs.device).view(-1, 1, 1, 1) % 2 == 1
                own = torch.where(odd, paintings, photographs)
                terms["identity"] = identity_weight * (network(own, own).float() - own).square().mean()
        return terms

    return batch_loss
