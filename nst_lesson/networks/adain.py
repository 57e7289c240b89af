"""Any style in one pass: an encoder, adaptive instance normalization at several scales, a decoder.

Huang & Belongie 2017 normalize at one layer. Here the style enters at several, each through a skip connection that is
normalized as well, so that fine marks need not squeeze through the deepest layer. And what AdaIN does to features is
done to the colors first: the photograph gets the mean and covariance of the painting's (Gatys et al. 2017 do it the
other way round, to keep the photograph's), so that the decoder need not learn every palette there is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import ParameterError
from ..pictures.colors import match_colors
from .backbones import VGG, layer_names, load_backbone

SCALES = ("relu2_1", "relu3_1", "relu4_1")  # where the style enters
COLORS = "colors"  # of the pixels, which are treated as one more scale, and matched before anything is encoded
EPSILON = 1e-5  # added to a variance, as in instance normalization
PROBE = 64  # pixels: a picture to count the encoder's channels with

Moments = tuple[Tensor, Tensor]  # mean and standard deviation of each channel, (B, C, 1, 1) both


def moments(features: Tensor) -> Moments:
    """Mean and standard deviation over the positions of each channel of features (B, C, H, W): (B, C, 1, 1) both."""
    mean = features.mean((2, 3), keepdim=True)
    return mean, ((features - mean).square().mean((2, 3), keepdim=True) + EPSILON).sqrt()


def adain(content: Tensor, style: Moments) -> Tensor:
    """Features (B, C, H, W) with the channel means and deviations of `style` (Huang & Belongie 2017, eq. 8)."""
    mean, deviation = moments(content)
    return style[1] * (content - mean) / deviation + style[0]


class AnyStyleNetwork(nn.Module):
    """Paints any photograph in the manner of any painting, in one pass.

    `encoder` is the name of a backbone (frozen, or trained along with `fine_tune`), or the arguments of a `VGG` whose
    weights a file brings along; `scales` are its layers at which the style enters, in any order; the decoder climbs
    from the deepest one to the pixels with nearest-neighbor upsampling, `blocks` convolutions at each scale and at the
    pixels, and as many channels as the encoder has one scale further up, times `width`.
    """

    def __init__(
        self,
        encoder: str | Mapping[str, Any] = "pocket",
        scales: str | Sequence[str] = SCALES,
        *,
        blocks: int = 2,
        width: float = 1.5,
        fine_tune: bool = False,
    ) -> None:
        super().__init__()
        if not scales or blocks < 1 or width <= 0:
            raise ParameterError(f"scales {scales!r}, blocks {blocks}, width {width}: none may be empty or zero")
        scales = layer_names(scales)
        self.settings = {"encoder": encoder, "scales": scales, "blocks": blocks, "width": width, "fine_tune": fine_tune}
        self.fine_tune = fine_tune
        own = fine_tune or not isinstance(encoder, str)
        self.frozen = () if own else ("encoder.",)  # prefixes of weights that a file of this network leaves out
        # A backbone has its weights, also where the rest is only measured, on the device "meta".
        with torch.no_grad(), torch.device("cpu") if isinstance(encoder, str) else nullcontext():
            backbone = load_backbone(encoder) if isinstance(encoder, str) else VGG(**encoder)
            self.encoder = backbone.to(torch.get_default_device())
            found = self.encoder(torch.zeros(1, 3, PROBE, PROBE), scales)
        self.encoder.requires_grad_(fine_tune)
        self.scales = sorted(found, key=lambda name: found[name].shape[2])  # deepest first
        skips = [found[name].shape[1] for name in self.scales]
        climbs = [max(8, round(width * channels)) for channels in [*skips[1:], skips[-1] // 2]]
        self.stages = nn.ModuleList()
        before = 0
        for skip, after in zip(skips, climbs, strict=True):
            self.stages.append(_stage(before + skip + 3, after, blocks))
            before = after
        self.last = nn.Sequential(
            _stage(before, before, blocks - 1), nn.Conv2d(before, 3, 3, padding=1, padding_mode="reflect")
        )

    def encode(self, image: Tensor) -> dict[str, Tensor]:
        """Features of images (B, 3, H, W), RGB in [0, 1], at the scales, and the images themselves as COLORS."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.fine_tune):
            return self.encoder(image, self.scales) | {COLORS: image}

    def forward(self, content: Tensor, style: Tensor) -> Tensor:
        """Paint photographs (B, 3, H, W) like paintings (B or 1, 3, h, w), RGB in [0, 1]: (B, 3, H, W), in [0, 1]."""
        with torch.no_grad(), torch.autocast(content.device.type, enabled=False):  # eigenvalues want 32 bits
            content = match_colors(content, style)
        manner = {name: moments(features) for name, features in self.encode(style).items()}
        return self.decode(fuse(self.encode(content), manner), content.shape[2:])

    def decode(self, features: Mapping[str, Tensor], size: Sequence[int]) -> Tensor:
        """A picture of `size` (height, width) from features at the scales and from COLORS, reduced to each scale."""
        x = None
        sides = [features[name].shape[2:] for name in self.scales[1:]] + [size]
        for name, stage, side in zip(self.scales, self.stages, sides, strict=True):
            colors = F.interpolate(features[COLORS], features[name].shape[2:], mode="area")
            x = torch.cat([features[name], colors] if x is None else [x, features[name], colors], dim=1)
            x = F.interpolate(stage(x), tuple(side), mode="nearest")
        return torch.sigmoid(self.last(x))


def fuse(
    content: Mapping[str, Tensor], style: Mapping[str, Moments], strength: float | Mapping[str, float] = 1.0
) -> dict[str, Tensor]:
    """Content features with the style's moments at each scale: strength * adain + (1 - strength) * content.

    `strength` 0 leaves a scale as the photograph has it. A mapping names the strength of each scale; one that it
    leaves out has 0.
    """
    shares = strength if isinstance(strength, Mapping) else dict.fromkeys(content, strength)
    # Under autocast a deviation has 32 bits where the features have 16: what they give together has 32 again.
    return {name: f.lerp(adain(f, style[name]).to(f), float(shares.get(name, 0.0))) for name, f in content.items()}


@torch.no_grad()
def stylize_any(
    network: AnyStyleNetwork,
    content: Tensor,
    styles: Tensor | Sequence[Tensor],
    *,
    weights: Sequence[float] | None = None,
    strength: float | Mapping[str, float] = 1.0,
) -> Tensor:
    """Paint a photograph (1, 3, H, W) like one painting (1, 3, h, w) or like a blend of several: (1, 3, H, W).

    A mapping as `strength` names scales (see `fuse`); that of COLORS also says how far the photograph takes the
    paintings' colors before it is encoded. `weights`, one for each painting, are divided by their sum; None takes equal
    ones. Raises ParameterError where their number is another, one is negative, or all are zero.
    """
    paintings = [styles] if isinstance(styles, Tensor) else list(styles)
    weights = [1.0] * len(paintings) if weights is None else list(weights)
    if len(weights) != len(paintings) or min(weights, default=0) < 0 or not sum(weights):
        raise ParameterError(f"weights are {weights} for {len(paintings)} paintings: one each, 0 or more, not all 0")
    manners = [{name: moments(f) for name, f in network.encode(painting).items()} for painting in paintings]
    shares = [weight / sum(weights) for weight in weights]
    matched = _blend([match_colors(content, painting) for painting in paintings], shares)
    content = content.lerp(matched, float(strength.get(COLORS, 0.0) if isinstance(strength, Mapping) else strength))
    blend = {
        name: (_blend([m[name][0] for m in manners], shares), _blend([m[name][1] for m in manners], shares))
        for name in (*network.scales, COLORS)
    }  # adain is linear in the moments: this is the blend of the fused features as well
    return network.decode(fuse(network.encode(content), blend, strength), content.shape[2:])


def _blend(parts: Sequence[Tensor], shares: Sequence[float]) -> Tensor:
    """The sum of tensors of one shape, each times its share."""
    return torch.stack([share * part for share, part in zip(shares, parts, strict=True)]).sum(0)


def _stage(before: int, after: int, blocks: int) -> nn.Sequential:
    """`blocks` times a 3x3 convolution and a ReLU."""
    layers: list[nn.Module] = []
    for number in range(blocks):
        layers += [nn.Conv2d(after if number else before, after, 3, padding=1, padding_mode="reflect"), nn.ReLU()]
    return nn.Sequential(*layers)
