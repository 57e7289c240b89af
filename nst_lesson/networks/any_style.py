"""Any style in one pass: features get the painting's mean and covariance, and decoders make pictures of them.

Li et al. 2017 whiten and color features of VGG at one layer after another, from the coarsest to the finest, and decode
them each time; so the network needs no example of a painting, only decoders. Chosen by looking, five things differ:
- There are three layers and not five, relu4_1 to relu2_1.
- Of the linear maps that give features a covariance we take the one that moves them least (Lu et al. 2019).
- At relu3_1 a part of the features is the photograph's own: what the coarsest layer has lost is not in the
  picture any more.
- The colors, features of three channels, are treated the same way at the start and at the end.
- The photograph gets a little noise: in a smooth sky there is nothing that could become strokes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from numbers import Real

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import ParameterError, check_weights, unknown
from ..pictures.colors import Moments, moments
from ..pictures.images import check_values
from .backbones import layer_names, load_backbone
from .upsampling import upsampling

LAYERS = ("relu4_1", "relu3_1", "relu2_1")  # where the style enters
DETAIL = {"relu3_1": 0.5}  # how much of its features is the photograph's own, after a coarser layer
COLORS = "colors"  # of the pixels, which are treated like one more layer
GRAIN = 0.05  # deviation of the noise, of a range of 1
MARGIN = 16  # mirrored pixels around a photograph: the encoder's zero padding shows at borders
# Channels of a decoder's convolutions at full resolution, half of it, a quarter ...; it begins with the last of a row.
CHANNELS = ((24,), (64, 48), (128, 96, 64), (192, 128), (256,))
PROBE = 64  # pixels: a picture to count the encoder's channels with
EPSILON = 1e-3  # of the mean variance, added to each of the photograph's: whitening must not divide by zero

StyleMoments = list[tuple[float, dict[str, Moments]]]  # of each painting its share, and {layer: moments}


def transport(content: Moments, style: Moments) -> Tensor:
    """The linear map (B, C, C) that turns the covariance of `content` into that of `style`, moving features least.

    With A and B the two covariances it is A^(-1/2) (A^(1/2) B A^(1/2))^(1/2) A^(-1/2), the optimal transport between
    two normal distributions (Lu et al. 2019, eq. 6). Whitening and coloring, B^(1/2) A^(-1/2), has the same covariance.
    """
    covariance = content[1]
    variance = covariance.diagonal(dim1=1, dim2=2)
    covariance = covariance + torch.diag_embed((EPSILON * variance.mean(1, keepdim=True)).expand_as(variance))
    values, vectors = torch.linalg.eigh(covariance)
    root, inverse = (_recompose(vectors, values.clamp_min(1e-12) ** power) for power in (0.5, -0.5))
    values, vectors = torch.linalg.eigh(root @ style[1] @ root)
    return inverse @ _recompose(vectors, values.clamp_min(0).sqrt()) @ inverse


class AnyStyleNetwork(nn.Module):
    """Paints any photograph in the manner of any painting, in one pass.

    `encoder` is the name of a backbone, which stays frozen; `layers`, in any order, are where the style enters. Each
    has a decoder with nearest-neighbor upsampling, CHANNELS times `width` wide. Raises ParameterError for a layer that
    the encoder does not have or that is reduced more than 16 times, and for no layer or width.
    """

    frozen = ("encoder.",)  # prefixes of weights that a file of this network leaves out

    def __init__(self, encoder: str = "pocket", layers: str | Sequence[str] = LAYERS, *, width: float = 1.0) -> None:
        super().__init__()
        if not layers or not 0 < width < math.inf:
            raise ParameterError(f"layers {layers!r}, width {width}: neither may be empty or zero")
        self.settings = {"encoder": encoder, "layers": layer_names(layers), "width": width}
        with torch.no_grad(), torch.device("cpu"):  # it has its weights, also where the decoders are on "meta"
            self.encoder = load_backbone(encoder)
            found = self.encoder(torch.zeros(1, 3, PROBE, PROBE), self.settings["layers"])
        self.layers = sorted(found, key=lambda name: found[name].shape[2])  # coarsest first
        halvings = {name: (PROBE // found[name].shape[2]).bit_length() - 1 for name in self.layers}
        if halvings[self.layers[0]] >= len(CHANNELS):
            raise ParameterError(f"{self.layers[0]} is reduced more than {2 ** (len(CHANNELS) - 1)} times: too coarse")
        self.stride = 2 ** halvings[self.layers[0]]
        self.decoders = nn.ModuleDict(
            {name: _decoder(found[name].shape[1], halvings[name], width) for name in self.layers}
        )

    def encode(self, image: Tensor, layers: Sequence[str] | None = None) -> dict[str, Tensor]:
        """Features of images (B, 3, H, W), RGB in [0, 1], at the layers of the network or at some of them."""
        return self.encoder(image, self.layers if layers is None else layers)

    def decode(self, layer: str, features: Tensor) -> Tensor:
        """A picture (B, 3, H, W), roughly in [0, 1], of features of a layer; H and W are multiples of its reduction."""
        return self.decoders[layer](features)

    def style_moments(self, paintings: Sequence[Tensor], weights: Sequence[float] | None = None) -> StyleMoments:
        """What `paint` needs to know of paintings (B or 1, 3, h, w), which count by their weights (None: equally).

        Raises ParameterError where there is another number of weights, one is negative or all are zero.
        """
        weights = [1.0] * len(paintings) if weights is None else weights
        fit = isinstance(weights, Sequence) and len(weights) == len(paintings)
        if not fit or not all(isinstance(w, Real) and w >= 0 for w in weights) or not 0 < sum(weights) < math.inf:
            raise ParameterError(
                f"weights are {weights}, paintings {len(paintings)}: give one number each, 0 or more, not all 0"
            )
        with torch.no_grad():
            seen = [self.encode(painting) | {COLORS: painting} for painting in paintings]
            known = [{name: moments(features) for name, features in one.items()} for one in seen]
        return [(weight / sum(weights), one) for weight, one in zip(weights, known, strict=True) if weight]

    def forward(self, content: Tensor, style: Tensor | None = None) -> Tensor:
        """Paint photographs (B, 3, H, W) like paintings (B or 1, 3, h, w), RGB in [0, 1]: (B, 3, H, W), roughly so.

        Without paintings: the photographs as each decoder reconstructs them from their own features, one after the
        other, (number of layers * B, 3, H, W).
        """
        if style is not None:
            return self.paint(content, self.style_moments([style]))
        return torch.cat([self.decode(name, features) for name, features in self.encode(content).items()])

    def paint(self, content: Tensor, style: StyleMoments, strength: float | Mapping[str, float] = 1.0) -> Tensor:
        """Paint photographs (B, 3, H, W) in a `style`: the same shape, about [0, 1]; see `stylize_any`."""
        given = strength if isinstance(strength, Mapping) else dict.fromkeys((COLORS, *self.layers), strength)
        for name in set(given) - {COLORS, *self.layers}:
            raise unknown("part of the network", name, (COLORS, *self.layers))
        check_weights({f"the strength of {name}": value for name, value in given.items()})
        used = [name for name in self.layers if name in given]
        height, width = content.shape[2:]
        image = content = _grainy(_restyled(_framed(content, self.stride), COLORS, style, given.get(COLORS, 0.0)))
        own = self.encode(content, used) if used else {}
        for name in used:
            features = own[name]
            if image is not content:
                features = self.encode(image, (name,))[name].lerp(features, DETAIL.get(name, 0.0))
            image = self.decode(name, _restyled(features, name, style, given[name]))
        image = image[..., MARGIN : MARGIN + height, MARGIN : MARGIN + width]
        return _restyled(image, COLORS, style, given.get(COLORS, 0.0))


@torch.no_grad()
def stylize_any(
    network: AnyStyleNetwork,
    content: Tensor,
    styles: Tensor | Sequence[Tensor],
    *,
    weights: Sequence[float] | None = None,
    strength: float | Mapping[str, float] = 1.0,
) -> Tensor:
    """Paint a photograph (1, 3, H, W) like a painting (1, 3, h, w) or a blend of several: (1, 3, H, W), in [0, 1].

    `strength` 0 leaves the features at a layer as they are, and 1 gives them the painting's moments. A mapping names
    the strength of each layer, and of COLORS; one that it leaves out is passed over. `weights`, one for each painting,
    are divided by their sum; None takes equal ones. The result has the type of `content`.
    Raises ParameterError where their number is another, one is negative, or all are zero, for a strength below 0 or of
    what the network does not have, and for what is not a picture.
    """
    paintings = list(styles) if isinstance(styles, Sequence) else [styles]
    check_values(content=content, **{f"style {number}": one for number, one in enumerate(paintings, 1)})
    if not isinstance(network, AnyStyleNetwork):
        raise ParameterError(f"{type(network).__name__} is not an any-style network: see nst.stylize")
    return network.paint(content, network.style_moments(paintings, weights), strength).clamp(0, 1).to(content.dtype)


def _restyled(features: Tensor, layer: str, style: StyleMoments, strength: float) -> Tensor:
    """Features (B, C, H, W) with the moments of each painting at that layer, blended by the paintings' shares.

    The map is taken as given: no gradient flows through it, as through eigenvalues that lie close it would explode.
    """
    if not strength:
        return features
    with torch.no_grad(), torch.autocast(features.device.type, enabled=False):
        mine = moments(features)
        maps = torch.stack([share * transport(mine, known[layer]) for share, known in style]).sum(0)
        mean = torch.stack([share * known[layer][0] for share, known in style]).sum(0)
        maps, mean, before = (x.to(features.dtype) for x in (maps, mean, mine[0]))
    pixels = features.permute(0, 2, 3, 1).flatten(1, 2)  # (B, M, C): a view where channels are last in memory
    moved = (pixels @ maps.mT + (mean - maps @ before).mT).unflatten(1, features.shape[2:]).permute(0, 3, 1, 2)
    return moved if strength == 1 else features.lerp(moved, float(strength))


def _recompose(vectors: Tensor, values: Tensor) -> Tensor:
    """The symmetric matrices (B, C, C) with these eigenvectors and eigenvalues (B, C)."""
    return vectors @ torch.diag_embed(values) @ vectors.mT


def _framed(image: Tensor, stride: int) -> Tensor:
    """Images (B, 3, H, W) with MARGIN mirrored pixels around, and more at two sides for multiples of `stride`."""
    height, width = image.shape[2:]
    mode = "reflect" if min(height, width) > MARGIN + stride else "replicate"  # one can mirror less than there is
    return F.pad(image, (MARGIN, MARGIN + -width % stride, MARGIN, MARGIN + -height % stride), mode=mode)


def _grainy(image: Tensor) -> Tensor:
    """Images with noise, the same each time."""
    noise = torch.randn(image.shape[1:], generator=torch.Generator().manual_seed(0))
    return image + GRAIN * noise.to(image)


def _decoder(channels: int, halvings: int, width: float) -> nn.Sequential:
    """From features that were halved so many times to pixels."""
    layers: list[nn.Module] = []
    rows = [CHANNELS[halvings][-1:], *reversed(CHANNELS[:halvings])]
    for number, row in enumerate(rows):
        for place, after in enumerate(max(3, round(width * wide)) for wide in row):
            doubles = number > 0 and place == 0
            layers += upsampling(channels, after) if doubles else [_convolution(channels, after)]
            layers.append(nn.ReLU())
            channels = after
    return nn.Sequential(*layers, _convolution(channels, 3))


def _convolution(before: int, after: int) -> nn.Conv2d:
    return nn.Conv2d(before, after, 3, padding=1, padding_mode="reflect")
