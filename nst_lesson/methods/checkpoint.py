"""The state of a training in one file: written so that a kill at any moment loses nothing, read without trust."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from ..errors import LessonError
from ..paths import atomic_path, user_path


@dataclass
class TrainingState:
    """What a training changes as it goes on: all of it is in a checkpoint."""

    network: nn.Module
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler | None = None
    step: int = 0
    skipped: set[str] = field(default_factory=set)  # files that could not be read


@dataclass
class Checkpoint:
    """The whole state of a training in the safetensors file `path`, which is replaced as a whole: old or new.

    Weights and Adam's averages are tensors; the step, the settings and the skipped files are JSON in the file's header.
    Nothing is pickled. `train` writes it `every` so many steps, and at the end. `settings` say which training this is:
    a file of another one is refused.
    """

    path: Path
    every: int = 1000
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.path = user_path(self.path)

    def save(self, state: TrainingState, record: Mapping[str, Any]) -> None:
        """Write the state; `record` belongs to the settings. Raises LessonError where that fails; an old file stays."""
        tensors = {f"network.{name}": tensor for name, tensor in state.network.state_dict().items()}
        for number, averages in state.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{number}.{name}": torch.as_tensor(value) for name, value in averages.items()}
        tensors["random"] = torch.get_rng_state()
        header = {"step": state.step, "settings": self._all_settings(record), "skipped": sorted(state.skipped)}
        header["scaler"] = state.scaler.state_dict() if state.scaler else {}
        try:
            with atomic_path(self.path) as temporary:
                plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
                save_file(plain, temporary, metadata={"training": json.dumps(header)})
        except (OSError, SafetensorError) as error:
            raise LessonError(f"cannot write the checkpoint {self.path}: {error}; an older one is as it was") from None

    def load(self, state: TrainingState, record: Mapping[str, Any]) -> None:
        """Put what the file holds, if there is one, into `state`.

        Raises LessonError for a file that is damaged, or of another configuration, and changes nothing then.
        """
        if not self.path.exists():
            return
        try:
            with safe_open(self.path, "pt") as file:
                header = json.loads((file.metadata() or {})["training"])
                tensors = {name: file.get_tensor(name) for name in file.keys()}
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            message = f"the checkpoint {self.path} cannot be read ({error}): delete it to start anew"
            raise LessonError(message) from None
        self._expect_same(header["settings"], self._all_settings(record))
        weights = _below("network.", tensors)
        if _shapes(weights) != _shapes(state.network.state_dict()):
            raise LessonError(f"the checkpoint {self.path} is of a network of another form: choose another folder")
        state.network.load_state_dict(weights)
        averages: dict[int, dict[str, Tensor]] = {}
        for name, tensor in _below("optimizer.", tensors).items():
            number, key = name.split(".")
            averages.setdefault(int(number), {})[key] = tensor
        state.optimizer.load_state_dict({**state.optimizer.state_dict(), "state": averages})
        torch.set_rng_state(tensors["random"])
        if state.scaler:
            state.scaler.load_state_dict(header["scaler"])
        state.step, state.skipped = header["step"], set(header["skipped"])

    def _all_settings(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """The settings as they will come back from the file."""
        return json.loads(json.dumps({**self.settings, **record}))

    def _expect_same(self, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
        """LessonError unless the file's settings are those of this run."""
        names = sorted(k for k in {*found, *wanted} if found.get(k) != wanted.get(k))
        if names:
            pairs = ", ".join(f"{k} {found.get(k)!r} there and {wanted.get(k)!r} here" for k in names)
            raise LessonError(f"the checkpoint {self.path} is of another training ({pairs}): choose another folder")


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, torch.Size]:
    """The shape of each tensor."""
    return {name: tensor.shape for name, tensor in tensors.items()}


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names begin with `prefix`, without it."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
