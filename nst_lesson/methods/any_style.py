"""The loss that trains the decoders of a network for any painting (Li et al. 2017)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..networks.any_style import LAYERS
from .losses import FeatureExtractor, content_loss
from .objective import Content, Objective
from .training import BatchLoss

FEATURES_WEIGHT = 1.0  # against the error of the pixels


def reconstruction_loss(backbone: FeatureExtractor, *, features_weight: float = FEATURES_WEIGHT) -> BatchLoss:
    """How far each decoder of an AnyStyleNetwork is from the picture whose features it decodes.

    In its pixels and in its features at LAYERS (Li et al. 2017, eq. 1, but both relative to the picture's energy), as
    means over the pictures and the decoders. No painting is needed.
    """

    def batch_loss(network: nn.Module, pictures: Tensor) -> dict[str, Tensor]:
        """The weighted terms for pictures (B, 3, S, S)."""
        decoded = network(pictures)
        wanted = pictures.repeat(len(decoded) // len(pictures), 1, 1, 1)
        terms = {"features": (features_weight, Content(wanted, LAYERS))} if features_weight else {}
        features = Objective(backbone, terms)(decoded) if terms else {}
        with torch.autocast(pictures.device.type, enabled=False):
            return {"pixels": content_loss(decoded.float(), wanted) / len(wanted), **features}

    return batch_loss
