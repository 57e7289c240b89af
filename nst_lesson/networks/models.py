"""Trained networks as files: one way to write and to read those that paint in one pass, for one painting or for any."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from ..errors import LessonError, ParameterError, WeightsError, reason_of, unknown
from ..paths import atomic_path, data_dir, user_path
from .any_style import AnyStyleNetwork
from .pytorch_examples import SETTINGS, is_torch_file, read_examples_file
from .transformer import TransformationNetwork
from .weights import shapes_of

KINDS: dict[str, type[TransformationNetwork] | type[AnyStyleNetwork]] = {
    "style": TransformationNetwork,
    "any_style": AnyStyleNetwork,
}
ANY_STYLE = "any_style"  # the name of the one that comes with the course
TRAINING = "training"  # the key in the header of a checkpoint under which a training's own record stands
NETWORK = "network."  # before the names of the network's weights in a checkpoint


def style_model_names() -> tuple[str, ...]:
    """The names of the trained networks for one painting that come with the course."""
    return tuple(name for name in _shipped() if name != ANY_STYLE)


def save_model(network: TransformationNetwork | AnyStyleNetwork, path: str | os.PathLike[str]) -> None:
    """Write the weights as 16-bit floats (half the size, no visible difference), with the settings, as safetensors.

    A frozen encoder is named in the settings and not copied. Raises LessonError where the file cannot be written, and
    for weights that 16 bits cannot hold.
    """
    if not isinstance(network, tuple(KINDS.values())):
        kinds = " or ".join(kind.__name__ for kind in KINDS.values())
        raise ParameterError(f"{type(network).__name__} is no network that paints in one pass: give a {kinds}")
    state = {
        name: (tensor.half() if tensor.is_floating_point() else tensor).detach().contiguous()
        for name, tensor in network.state_dict().items()
        if not name.startswith(network.frozen)
    }
    if large := [name for name, tensor in state.items() if tensor.isinf().any()]:
        raise LessonError(f"{large[0]} has weights above 65504, the largest number of 16 bits: nothing is written")
    path = user_path(path)
    try:
        with atomic_path(path) as temporary:
            save_file(state, temporary, metadata=describe(network))
    except (OSError, SafetensorError) as error:
        raise LessonError(f"cannot write {path} ({error}): choose another place") from None


def describe(network: nn.Module) -> dict[str, str]:
    """What the header of a file says about its network, so that `load_model` can make one of the same form.

    Nothing for a network of another kind than KINDS.
    """
    kind = next((name for name, form in KINDS.items() if isinstance(network, form)), "")
    return {"network": kind, "settings": json.dumps(network.settings)} if kind else {}


def load_model(name: str | os.PathLike[str]) -> TransformationNetwork | AnyStyleNetwork:
    """A trained network that comes with the course, by its name, or one from a file, ready to be applied.

    The names are `style_model_names` and "any_style". Anything else is the path of a file: one that `save_model` wrote,
    the checkpoint of a training (finished or not), or a `.pth` file of pytorch/examples' fast_neural_style.
    Raises ParameterError where there is neither, and LessonError for a file that is damaged or something else.
    """
    path = _shipped().get(os.fspath(name)) or user_path(name)
    if not path.is_file():
        if os.fspath(name) and (path.suffix or path.parent.name):
            raise ParameterError(f"there is no model file {path}: give the path of a file, or {', '.join(_shipped())}")
        raise unknown("model", os.fspath(name), _shipped())
    try:
        kind, settings, state = _read(path)
        with torch.device("meta"):  # no memory, of which a header may ask for gigabytes, and no random numbers
            network = KINDS[kind](**settings)
        _expect_fit(network, state)
        network.load_state_dict(state, strict=False, assign=True)
    except WeightsError:  # of its encoder: the file itself is good
        raise
    except Exception as error:  # damaged files raise nearly every type
        raise LessonError(f"{path} is not a model of this course: {reason_of(error)}") from None
    return network.eval().requires_grad_(False).to(memory_format=torch.channels_last)


def below(prefix: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names begin with `prefix`, without it."""
    return {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}


def _shipped() -> dict[str, Path]:
    """{name: file} of the networks that come with the course."""
    return {path.stem: path for path in sorted((data_dir() / "models").glob("*.safetensors"))}


def _read(path: Path) -> tuple[str, dict[str, Any], dict[str, Tensor]]:
    """The kind of the network in a file, its settings, and its weights as 32-bit floats on the CPU."""
    if is_torch_file(path):
        return "style", SETTINGS, read_examples_file(path)
    with safe_open(path, "pt") as file:
        header = file.metadata() or {}
        state = {key: file.get_tensor(key) for key in file.keys()}
    if TRAINING in header:
        state = below(NETWORK, state)
    kinds = {key: torch.float32 if weight.is_floating_point() else weight.dtype for key, weight in state.items()}
    # Copied, as they are mapped: Windows would not replace a file that a network still uses.
    return *_form(header), {key: weight.to(kinds[key], copy=True) for key, weight in state.items()}


def _form(header: dict[str, str]) -> tuple[str, dict[str, Any]]:
    """The kind and the settings that a file's header names; those written before version 0.2 had other keys."""
    if "network" in header:
        return header["network"], json.loads(header["settings"])
    if "width" in header:
        return "style", {"width": json.loads(header["width"]), "normalization": header.get("normalization", "instance")}
    raise ValueError("its header names no network")


def _expect_fit(network: TransformationNetwork | AnyStyleNetwork, state: Mapping[str, Tensor]) -> None:
    """ValueError unless `state` has the weights of such a network, but for frozen ones, and in their shapes."""
    wanted = shapes_of(network.state_dict())
    frozen = {name: shape for name, shape in wanted.items() if name.startswith(network.frozen)}
    if frozen | shapes_of(state) != wanted:
        raise ValueError("its weights are those of another form")
