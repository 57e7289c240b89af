"""The networks of pytorch/examples (fast_neural_style): the same form as ours under other names, on colors in [0, 255].

Its `TransformerNet` is Johnson, Alahi & Fei-Fei 2016 with instance normalization, resize-convolution and reflection
padding, 1,679,235 weights; what comes out is clamped, where ours goes through tanh.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from pickle import UnpicklingError

import torch
from torch import Tensor

LAYERS = {  # theirs: ours in TransformationNetwork
    **{"conv1.conv2d": "down.0", "in1": "down.1", "conv2.conv2d": "down.3", "in2": "down.4"},
    **{"conv3.conv2d": "down.6", "in3": "down.7"},
    **{f"res{n}.conv1.conv2d": f"blocks.{n - 1}.body.0" for n in range(1, 6)},
    **{f"res{n}.in1": f"blocks.{n - 1}.body.1" for n in range(1, 6)},
    **{f"res{n}.conv2.conv2d": f"blocks.{n - 1}.body.3" for n in range(1, 6)},
    **{f"res{n}.in2": f"blocks.{n - 1}.body.4" for n in range(1, 6)},
    **{"deconv1.conv2d": "up.1", "in4": "up.2", "deconv2.conv2d": "up.5", "in5": "up.6", "deconv3.conv2d": "up.8"},
}
SETTINGS = {"output": "clamp"}  # all else as by default
LEVELS = 255  # of a color
PICKLED = b"\x80\x02"  # how torch's files begin, before version 1.6 made them zip archives


def is_torch_file(path: Path) -> bool:
    """Whether a file looks like one that torch.save wrote."""
    with path.open("rb") as file:
        return file.read(len(PICKLED)) == PICKLED or zipfile.is_zipfile(path)


def read_examples_file(path: Path) -> dict[str, Tensor]:
    """The weights in a `.pth` file, named as in a TransformationNetwork with SETTINGS, for colors in [0, 1].

    Nothing but tensors is unpickled. Raises ValueError where a weight is missing or unknown, and what torch raises.
    """
    try:
        state: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError:  # torch's own advice is to unpickle it all the same
        raise ValueError("it holds more than tensors, which is not unpickled: save the network's state_dict") from None
    # Files from before torch 0.4 carry statistics of the instance normalization, which were never used.
    used = {name: weight.float() for name, weight in state.items() if "running_" not in name}
    theirs = {f"{name}.{kind}" for name in LAYERS for kind in ("weight", "bias")}
    if theirs != used.keys():
        raise ValueError("it is not a TransformerNet of pytorch/examples, the only files of this kind that can be read")
    ours = {f"{LAYERS[name]}.{kind}": used[f"{name}.{kind}"] for name in LAYERS for kind in ("weight", "bias")}
    ours["down.0.weight"] = ours["down.0.weight"] * LEVELS
    for kind in ("weight", "bias"):
        ours[f"up.8.{kind}"] = ours[f"up.8.{kind}"] / LEVELS
    return ours
