"""Frozen convolutional networks whose layers are asked for by name: VGG-19, VGG-16, pocket, random, and others."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

CONVS = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4), "pocket": (2, 2, 4, 4, 1)}
WIDTHS = {"vgg16": (64, 128, 256, 512, 512), "vgg19": (64, 128, 256, 512, 512), "pocket": (16, 32, 64, 128, 128)}
STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")


class VGG(nn.Module):
    """A VGG-shaped feature extractor with the layers conv1_1, relu1_1, ..., pool1, conv2_1, ... (Simonyan & Zisserman 2014).

    `convs` and `widths` give the number of convolutions and the channels of each block. `metric_layers` names the
    layers that get a square 1x1 map on the way out (see `pocket` in `load_backbone`); the next layer sees the
    unmapped features.
    """

    def __init__(
        self,
        convs: Sequence[int],
        widths: Sequence[int],
        *,
        pooling: str = "max",
        padding_mode: str = "zeros",
        metric_layers: Iterable[str] = (),
    ) -> None:
        super().__init__()
        pools = {"max": nn.MaxPool2d, "avg": nn.AvgPool2d}
        if pooling not in pools:
            raise ValueError(f"pooling is {pooling!r}; choose one of {', '.join(pools)}")
        body: OrderedDict[str, nn.Module] = OrderedDict()
        channels = 3
        for block, (count, width) in enumerate(zip(convs, widths, strict=True), start=1):
            for index in range(1, count + 1):
                body[f"conv{block}_{index}"] = nn.Conv2d(channels, width, 3, padding=1, padding_mode=padding_mode)
                body[f"relu{block}_{index}"] = nn.ReLU()  # out of place: stored features stay what they were
                channels = width
            body[f"pool{block}"] = pools[pooling](2)
        self.body = nn.Sequential(body)
        self.metric = nn.ModuleDict(
            {name: nn.Conv2d(widths[int(name[4]) - 1], widths[int(name[4]) - 1], 1, bias=False) for name in metric_layers}
        )
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1), persistent=False)

    @property
    def layers(self) -> tuple[str, ...]:
        """Every layer name, in order of depth."""
        return tuple(self.body._modules)

    def forward(self, image: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
        """Features of `image` (B, 3, H, W), RGB in [0, 1], at the named `layers`: {name: (B, C, H', W')}.

        Nothing deeper than the deepest asked for is computed. Raises ValueError for an unknown name.
        """
        wanted = set(layers)
        x = (image - self.mean) / self.std
        found: dict[str, Tensor] = {}
        for name, module in self.body.named_children():
            if len(found) == len(wanted):
                break
            x = module(x)
            if name in wanted:
                found[name] = self.metric[name](x) if name in self.metric else x
        return found
