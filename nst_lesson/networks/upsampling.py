"""Convolutions of features that are doubled by their nearest neighbors (resize-convolution), for less arithmetic."""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class UpsampledConvolution(nn.Conv2d):
    """A 3x3 convolution of doubled features with a reflected border, computed from those before the doubling.

    Doubled features repeat each pixel, so a window on them sees 2x2 pixels of the small ones. Which of its weights fall
    together depends on whether its row and its column are even or odd: four convolutions of 2x2, a quarter of the
    result each, take 4/9 of the arithmetic. The weights are those of the 3x3 convolution.
    """

    def __init__(self, before: int, after: int) -> None:
        super().__init__(before, after, 3)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H + 2, W + 2), with a border that repeats the outermost pixels, to (B, D, 2H, 2W)."""
        kernels = [kernel for rows in _merged(self.weight, 2) for kernel in _merged(rows, 3)]
        bias = None if self.bias is None else self.bias.repeat(4)
        quarters = F.conv2d(x, torch.cat(kernels), bias).chunk(4, 1)  # of (B, D, H + 1, W + 1)
        batch, (height, width) = len(x), (side - 2 for side in x.shape[2:])
        shape = batch, self.out_channels, 2 * height, 2 * width
        result = torch.empty(shape, dtype=quarters[0].dtype, device=x.device, memory_format=torch.channels_last)
        for (row, column), quarter in zip(itertools.product((0, 1), repeat=2), quarters, strict=True):
            result[:, :, row::2, column::2] = quarter[:, :, row : row + height, column : column + width]
        return result


def upsampling(before: int, after: int) -> list[nn.Module]:
    """The layers of a resize-convolution (Odena, Dumoulin & Olah 2016): (B, C, H, W) to (B, D, 2H, 2W).

    Doubled features that are reflected by one pixel repeat their outermost one: hence the replication of the small.
    """
    return [nn.ReplicationPad2d(1), UpsampledConvolution(before, after)]


def _merged(weight: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """Weights with three entries along `dim` as the two that a window has on small pixels, at even and at odd places.

    At an even place the first pixel is one small pixel, and the other two repeat the next; at an odd one the first two
    are the same.
    """
    first, middle, last = weight.unbind(dim)
    return torch.stack((first, middle + last), dim), torch.stack((first + middle, last), dim)
