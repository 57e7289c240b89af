"""Trained networks as files: one way to write and to read those that paint in one pass, for one painting or for any."""

from __future__ import annotations

import json
import os
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from ..errors import LessonError, unknown
from ..paths import atomic_path, data_dir, user_path
from .adain import AnyStyleNetwork
from .transformer import TransformationNetwork

KINDS: dict[str, type[TransformationNetwork] | type[AnyStyleNetwork]] = {
    "style": TransformationNetwork,
    "any_style": AnyStyleNetwork,
}
ANY_STYLE = "any_style"  # the name of the one that comes with the course


def style_model_names() -> tuple[str, ...]:
    """The names of the trained networks for one painting that come with the course."""
    return tuple(name for name in _shipped() if name != ANY_STYLE)


def save_model(network: TransformationNetwork | AnyStyleNetwork, path: str | os.PathLike[str]) -> None:
    """Write the weights as 16-bit floats (half the size, no visible difference), with the settings, as safetensors.

    A frozen encoder is named in the settings and not copied. Raises LessonError where the file cannot be written.
    """
    kind = next(name for name, form in KINDS.items() if isinstance(network, form))
    state = {
        name: tensor.detach().half().contiguous()
        for name, tensor in network.state_dict().items()
        if not name.startswith(network.frozen)
    }
    path = user_path(path)
    try:
        with atomic_path(path) as temporary:
            save_file(state, temporary, metadata={"network": kind, "settings": json.dumps(network.settings)})
    except (OSError, SafetensorError) as error:
        raise LessonError(f"cannot write {path} ({error}): choose another place") from None


def load_model(name: str | os.PathLike[str]) -> TransformationNetwork | AnyStyleNetwork:
    """A trained network that comes with the course, by its name, or one from a file, ready to be applied.

    The names are `style_model_names` and "any_style"; anything else is the path of a file that `save_model` wrote.
    Raises ParameterError where there is neither, and LessonError for a file that is damaged or something else.
    """
    path = _shipped().get(os.fspath(name)) or user_path(name)
    if not path.is_file():
        raise unknown("model", os.fspath(name), _shipped())
    try:
        with safe_open(path, "pt") as file:
            kind, settings = _form(file.metadata() or {})
            state = {key: file.get_tensor(key).float() for key in file.keys()}
        network = KINDS[kind](**settings)
        missing, extra = network.load_state_dict(state, strict=False)
        if extra or not all(key.startswith(network.frozen) for key in missing):
            raise KeyError("its weights are those of another form")
    except (OSError, SafetensorError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise LessonError(f"{path} is not a model of this course: {str(error).splitlines()[0]}") from None
    return network.eval().requires_grad_(False).to(memory_format=torch.channels_last)


def _shipped() -> dict[str, Path]:
    """{name: file} of the networks that come with the course."""
    return {path.stem: path for path in sorted((data_dir() / "models").glob("*.safetensors"))}


def _form(header: dict[str, str]) -> tuple[str, dict]:
    """The kind and the settings that a file's header names; those written before version 0.2 had other keys."""
    if "network" in header:
        return header["network"], json.loads(header["settings"])
    if "any_style" in header:
        return "any_style", json.loads(header["any_style"])
    return "style", {"width": json.loads(header["width"]), "normalization": header.get("normalization", "instance")}
