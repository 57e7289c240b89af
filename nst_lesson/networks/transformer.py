"""The image transformation network: one pass from a photograph to a stylized picture, at any size."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import ParameterError, check_counts, unknown
from ..pictures.images import check_values, with_margin, without_margin
from .upsampling import upsampling

STRIDE = 4  # two convolutions halve the picture: inside, sides are multiples of 4
LEAST = 16  # pixels a side inside, so that every reflection has something to reflect
MARGIN = 16  # mirrored pixels around a photograph: at the very border a network paints its painting's frame
OVERLAP = 64  # pixels that neighboring tiles share on each side; a pixel hardly depends on anything farther away
CHOICES = {"normalization": ("instance", "batch"), "output": ("tanh", "clamp")}
WEAVE_REACH = 2  # periods of STRIDE pixels on each side over which a weave is averaged, twice
SAMPLED = 4  # crops down and across that give the statistics of a picture in tiles


class TransformationNetwork(nn.Module):
    """Johnson, Alahi & Fei-Fei 2016, with the instance normalization of Ulyanov, Vedaldi & Lempitsky 2016.

    9x9 convolution, two of stride 2, five residual blocks, two upsamplings with a convolution each, 9x9 convolution.
    Departures from the paper: nearest-neighbor upsampling with convolution for the transposed convolutions (Odena,
    Dumoulin & Olah 2016: no checkerboard), reflection padding throughout (no dark borders), and residual blocks that
    keep their size. `width` 1 has 32, 64 and 128 channels (1.68 M weights); others scale them. `normalization` is
    "instance" or "batch", for comparison. `output` is "tanh", scaled to [0, 1], or "clamp", which cuts what is outside.
    """

    frozen: tuple[str, ...] = ()  # prefixes of weights that a file of this network leaves out

    def __init__(self, width: float = 1.0, normalization: str = "instance", output: str = "tanh") -> None:
        super().__init__()
        self.settings = {"width": width, "normalization": normalization, "output": output}
        for name, valid in CHOICES.items():
            if self.settings[name] not in valid:
                raise unknown(name, self.settings[name], valid)
        if not 0 < width < math.inf:
            raise ParameterError(f"width is {width}; give a number above 0")
        small, middle, large = (max(1, round(width * channels)) for channels in (32, 64, 128))
        norm = nn.BatchNorm2d if normalization == "batch" else InstanceNorm
        self.down = nn.Sequential(
            *_layer(norm, 3, small, 9), *_layer(norm, small, middle, 3, 2), *_layer(norm, middle, large, 3, 2)
        )
        self.blocks = nn.Sequential(*(ResidualBlock(large, norm) for _ in range(5)))
        self.up = nn.Sequential(
            *upsampling(large, middle),
            norm(middle),
            nn.ReLU(),
            *upsampling(middle, small),
            norm(small),
            nn.ReLU(),
            _convolution(small, 3, 9),
        )

    def forward(self, image: Tensor) -> Tensor:
        """Stylize images (B, 3, H, W), RGB in [0, 1], of any size: the same shape and range."""
        height, width = image.shape[2:]
        tall, wide = (max(LEAST, _full(side)) for side in (height, width))
        x = F.pad(image, (0, wide - width, 0, tall - height), mode="replicate")
        x = self.up(self.blocks(self.down(x)))[:, :, :height, :width]
        return x.clamp(0, 1) if self.settings["output"] == "clamp" else (torch.tanh(x) + 1) / 2


class ResidualBlock(nn.Module):
    """x + two 3x3 convolutions with normalization, ReLU between them (He et al. 2016; none after the sum)."""

    def __init__(self, channels: int, norm: type[nn.Module]) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *_layer(norm, channels, channels, 3), _convolution(channels, channels, 3), norm(channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        return x + self.body(x)


class InstanceNorm(nn.InstanceNorm2d):
    """Instance normalization (Ulyanov, Vedaldi & Lempitsky 2016), with a weight and a bias for each channel."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, affine=True)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape.

        One picture is a batch of its own, and batch normalization keeps channels last, where torch's instance
        normalization copies every picture to channels first: a pass takes two thirds of the time.
        """
        if len(x) == 1:
            return F.batch_norm(x, None, None, self.weight, self.bias, training=True, eps=self.eps)
        return super().forward(x)


def stylize(network: TransformationNetwork, image: Tensor, *, tile: int = 1024) -> Tensor:
    """`image` (B, 3, H, W), RGB in [0, 1], stylized by `network` without gradients: the same shape and range.

    The network is used in evaluation mode, and left in the mode it was in. A picture with more pixels than a square of
    side `tile` goes through in overlapping tiles of that size, so that memory is bounded. All its tiles are normalized
    with the same statistics, measured on crops that are spread over the whole picture: with statistics of its own, each
    tile would get its own contrast, and the seams would show. Two things are better than in `network(image)`: a weave
    that the network has learned is taken out (see `unweave`), and the photograph is mirrored at its borders, so that a
    painting's frame is not painted there. Raises ParameterError for what is not a picture, and for a tile below 1.
    """
    check_values(image=image)
    check_counts(tile=tile)
    if not isinstance(network, nn.Module):
        raise ParameterError(f"the network is {network!r}; give one as nst.load_model returns it")
    if hasattr(network, "style_moments"):  # of a painting, which it would have to be given
        raise ParameterError(f"{type(network).__name__} paints like any painting: give it one with nst.stylize_any")
    kind, image = image.dtype, image.to(next(network.parameters(), image).dtype)
    was_training = network.training
    network.eval()
    try:
        with torch.no_grad():
            if image[0, 0].numel() <= tile**2:
                return painted_whole(network, image).to(kind)
            pieces = []
            for one in with_margin(image, MARGIN).split(1):
                normalized = _with_statistics_of(network, list(_sample(one, tile // 2)))
                pieces.append(_in_tiles(normalized, one, tile))
            return without_margin(torch.cat(pieces), MARGIN).to(kind)
    finally:
        network.train(was_training)


def painted_whole(network: nn.Module, image: Tensor) -> Tensor:
    """Images (B, 3, H, W) painted in one piece, mirrored at the borders and without the weave: the same shape."""
    return without_margin(unweave(network(with_margin(image, MARGIN))), MARGIN)


def unweave(image: Tensor) -> Tensor:
    """A painted picture (B, 3, H, W) in [0, 1] without what repeats from one STRIDE to the next: the same shape, range.

    A network whose convolutions halve and double the picture can leave a fine weave with a period of STRIDE pixels,
    always in the same places: its pixels at one place of every STRIDE x STRIDE square are then brighter on average. The
    average difference, over WEAVE_REACH squares on each side, is taken away. Strokes do not keep to those places, and
    stay as sharp as they are.
    """
    height, width = image.shape[2:]
    x = F.pad(image, (0, _full(width) - width, 0, _full(height) - height), mode="replicate")
    around = F.avg_pool2d(F.pad(x, (1, 2, 1, 2), mode="replicate"), STRIDE, 1)  # one period: no weave is left
    weave = F.pixel_unshuffle(x - around, STRIDE)  # a channel for each place in a square
    for _ in range(2):
        weave = F.pad(weave, [WEAVE_REACH] * 4, mode="replicate")
        weave = F.avg_pool2d(weave, 2 * WEAVE_REACH + 1, 1)
    return (x - F.pixel_shuffle(weave, STRIDE))[:, :, :height, :width].clamp(0, 1)


def _full(side: int) -> int:
    """The next multiple of STRIDE; without negative numbers, which ONNX divides otherwise than Python."""
    return (side + STRIDE - 1) // STRIDE * STRIDE


def _convolution(before: int, after: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(before, after, kernel, stride, padding=kernel // 2, padding_mode="reflect")


def _layer(norm: type[nn.Module], before: int, after: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    """Convolution, normalization, ReLU."""
    return [_convolution(before, after, kernel, stride), norm(after), nn.ReLU()]


def _with_statistics_of(network: TransformationNetwork, crops: list[Tensor]) -> TransformationNetwork:
    """A copy of `network` whose instance normalization uses the statistics of `crops`, taken as one picture.

    Instance normalization of one picture in pieces is batch normalization over the pieces: torch measures the
    statistics in training mode, which a new layer is in (all at once, with momentum 1), and keeps them in evaluation
    mode.
    """
    network = copy.deepcopy(network).eval()  # batch normalization keeps the statistics of its training
    for parent in list(network.modules()):
        for name, module in parent.named_children():
            if isinstance(module, InstanceNorm):
                batch = nn.BatchNorm2d(module.num_features, eps=module.eps, momentum=1.0).to(module.weight)
                batch.load_state_dict({"weight": module.weight, "bias": module.bias}, strict=False)
                setattr(parent, name, batch)
    network(torch.cat(crops))
    return network.eval()


def _in_tiles(network: TransformationNetwork, image: Tensor, tile: int) -> Tensor:
    """`image` (1, 3, H, W) stylized tile by tile, each with OVERLAP more on every side, which is cut off again."""
    height, width = image.shape[2:]
    result = torch.empty_like(image)
    for rows in _spans(height, tile):
        for columns in _spans(width, tile):
            (top, bottom), (left, right) = _widened(rows, height), _widened(columns, width)
            painted = unweave(network(image[:, :, top:bottom, left:right]))
            inside = (slice(rows[0] - top, rows[1] - top), slice(columns[0] - left, columns[1] - left))
            result[:, :, slice(*rows), slice(*columns)] = painted[:, :, *inside]
    return result


def _sample(image: Tensor, size: int) -> Iterator[Tensor]:
    """SAMPLED x SAMPLED crops of one size, at most `size` pixels a side, on an even grid over `image`.

    They do not overlap: up to SAMPLED times `size` pixels a side, each pixel counts once.
    """
    tall, wide = (max(1, min(size, side // SAMPLED)) for side in image.shape[2:])
    for row in range(SAMPLED):
        for column in range(SAMPLED):
            top = row * (image.shape[2] - tall) // (SAMPLED - 1)
            left = column * (image.shape[3] - wide) // (SAMPLED - 1)
            yield image[:, :, top : top + tall, left : left + wide]


def _spans(side: int, tile: int) -> list[tuple[int, int]]:
    """[0, side) in pieces of at most `tile` pixels with the overlap on both sides, starting at multiples of STRIDE."""
    step = max(STRIDE, (tile - 2 * OVERLAP) // STRIDE * STRIDE)
    return [(start, min(start + step, side)) for start in range(0, side, step)]


def _widened(span: tuple[int, int], side: int) -> tuple[int, int]:
    """The span with OVERLAP pixels more on both sides, as far as the picture goes."""
    return max(0, span[0] - OVERLAP), min(side, span[1] + OVERLAP)
