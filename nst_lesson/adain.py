"""Any style in one pass: an encoder, adaptive instance normalization at several scales, a decoder.

Huang & Belongie 2017 normalize at one layer. Here the style enters at several, each through a skip connection that is
normalized as well, so that fine marks need not squeeze through the deepest layer. And what AdaIN does to features is
done to the colors first: the photograph gets the mean and covariance of the painting's (Gatys et al. 2017 do it the
other way round, to keep the photograph's), so that the decoder need not learn every palette there is.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from .backbones import load_backbone
from .control import match_colors
from .errors import LessonError, ParameterError
from .images import style_names
from .losses import FeatureExtractor, content_loss, gram_matrix, style_loss, total_variation
from .paths import atomic_path, data_dir
from .photographs import Pairs, Photographs
from .training import BatchLoss, add_training_options, train_as_told

SCALES = ("relu2_1", "relu3_1", "relu4_1")  # where the style enters
COLORS = "colors"  # of the pixels, which are treated as one more scale, and matched before anything is encoded
CONTENT_LAYER = SCALES[-1]  # where content is compared
LOSS_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")  # where style is compared
WEIGHTS = {"content_weight": 1.0, "style_weight": 100.0, "identity_weight": 30.0, "tv_weight": 3.0}
PAINTING_SHARES = (0.25, 0.75)  # of a painting's shorter side, that a crop to train on has: brush marks stay large
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

    `encoder` is the name of a backbone (frozen, or trained along with `fine_tune`); `scales` are its layers at which
    the style enters, in any order; the decoder climbs from the deepest one to the pixels with nearest-neighbor
    upsampling, `blocks` convolutions at each scale and at the pixels, and as many channels as the encoder has one
    scale further up, times `width`.
    """

    def __init__(
        self,
        encoder: str = "pocket",
        scales: Sequence[str] = SCALES,
        *,
        blocks: int = 2,
        width: float = 1.5,
        fine_tune: bool = False,
    ) -> None:
        super().__init__()
        if not scales or blocks < 1 or width <= 0:
            raise ParameterError(f"scales {scales!r}, blocks {blocks}, width {width}: none may be empty or zero")
        self.settings = {"encoder": encoder, "scales": list(scales), "blocks": blocks, "width": width}
        self.settings["fine_tune"] = fine_tune
        backbone = load_backbone(encoder)
        if fine_tune:
            self.encoder = backbone.requires_grad_()
        else:
            self._frozen = [backbone]  # in a list, so that its weights are no part of this network
        with torch.no_grad():
            found = backbone(torch.zeros(1, 3, PROBE, PROBE), scales)
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
        if self.settings["fine_tune"]:
            return self.encoder(image, self.scales) | {COLORS: image}
        with torch.no_grad():
            return self._frozen[0].to(image.device)(image, self.scales) | {COLORS: image}

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
    return {name: f.lerp(adain(f, style[name]), float(shares.get(name, 0.0))) for name, f in content.items()}


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
    matched = sum(share * match_colors(content, painting) for share, painting in zip(shares, paintings, strict=True))
    content = content.lerp(matched, float(strength.get(COLORS, 0.0) if isinstance(strength, Mapping) else strength))
    blend = {
        name: tuple(sum(share * m[name][part] for share, m in zip(shares, manners, strict=True)) for part in (0, 1))
        for name in (*network.scales, COLORS)
    }  # adain is linear in the moments: this is the blend of the fused features as well
    return network.decode(fuse(network.encode(content), blend, strength), content.shape[2:])


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
    if statistics not in ("moments", "gram"):
        raise ParameterError(f"statistics is {statistics!r}; choose one of moments, gram")

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
            target = adain(backbone(photographs, (CONTENT_LAYER,))[CONTENT_LAYER], moments(wanted[CONTENT_LAYER]))
        painted = network(photographs, paintings)
        mine = backbone(painted, {*LOSS_LAYERS, CONTENT_LAYER})
        with torch.autocast(pairs.device.type, enabled=False):  # sums over features of 16 bits may not be of 16 bits
            mine, wanted = ({k: f.float() for k, f in features.items()} for features in (mine, wanted))
            style = sum(distance(mine[k], wanted[k]) for k in LOSS_LAYERS) / len(LOSS_LAYERS)
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


def save_any_style(network: AnyStyleNetwork, path: str | os.PathLike[str]) -> None:
    """Write the trained weights as 16-bit floats, with the settings; a frozen encoder is named and not copied."""
    state = {name: tensor.detach().half().contiguous() for name, tensor in network.state_dict().items()}
    with atomic_path(path) as temporary:
        save_file(state, temporary, metadata={"any_style": json.dumps(network.settings)})


def load_any_style(path: str | os.PathLike[str] = "") -> AnyStyleNetwork:
    """The network that comes with the course, or one from a file that `save_any_style` wrote, ready to be applied.

    Raises LessonError for a file that is missing, damaged or something else.
    """
    path = Path(path) if path else data_dir() / "weights" / "any_style.safetensors"
    try:
        with safe_open(path, "pt") as file:
            settings = json.loads((file.metadata() or {})["any_style"])
            state = {key: file.get_tensor(key).float() for key in file.keys()}
        network = AnyStyleNetwork(**settings)
        network.load_state_dict(state)
    except (OSError, SafetensorError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise LessonError(f"{path} is no any-style network: {str(error).splitlines()[0]}") from None
    return network.eval().requires_grad_(False).to(memory_format=torch.channels_last)


def main(argv: Sequence[str] | None = None) -> int:
    """Train an any-style network from the command line; the exit status is that of `training.train_as_told`."""
    parser = argparse.ArgumentParser(prog="python -m nst_lesson.adain", allow_abbrev=False, description=__doc__)
    add_training_options(parser)
    parser.add_argument("--styles", default="", metavar="DIR", help="paintings; default: crops of the bundled ones")
    parser.add_argument("--recolor", action="store_true", help="swap the color channels of paintings at random")
    parser.add_argument("--encoder", default="pocket", help="the network that is decoded; default: pocket")
    parser.add_argument("--fine-tune", action="store_true", help="train the encoder as well")
    parser.add_argument("--scales", nargs="+", default=list(SCALES), help="layers at which the style enters")
    parser.add_argument("--blocks", type=int, default=2, help="convolutions of the decoder at each scale; default: 2")
    parser.add_argument("--statistics", default="moments", help="what is compared: moments (default) or gram")
    for name, default in {"width": 1.5, **WEIGHTS}.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=float, default=default, help=f"default: {default}")
    options = parser.parse_args(argv)
    torch.manual_seed(options.seed)
    try:
        shape = {"blocks": options.blocks, "width": options.width, "fine_tune": options.fine_tune}
        network = AnyStyleNetwork(options.encoder, options.scales, **shape)
    except LessonError as error:
        print(f"nst_lesson.adain: {error}", file=sys.stderr)
        return 2

    def begin(device: str) -> tuple[BatchLoss, Pairs]:
        """The loss on a device, and the pairs."""
        backbone = load_backbone(options.backbone, device=device)
        weights = {name: getattr(options, name) for name in WEIGHTS}
        loss = any_style_loss(backbone, statistics=options.statistics, **weights)
        draw = {"size": options.size, "seed": options.seed}
        marks = {"bundled": style_names(), "recolor": options.recolor, "shares": PAINTING_SHARES}
        paintings = Photographs(options.styles, **marks, **draw)
        return loss, Pairs(Photographs(options.images, **draw), paintings)

    return train_as_told(options, network, begin, save_any_style)


def _stage(before: int, after: int, blocks: int) -> nn.Sequential:
    """`blocks` times a 3x3 convolution and a ReLU."""
    layers: list[nn.Module] = []
    for number in range(blocks):
        layers += [nn.Conv2d(after if number else before, after, 3, padding=1, padding_mode="reflect"), nn.ReLU()]
    return nn.Sequential(*layers)


if __name__ == "__main__":
    sys.exit(main())
