"""The state of a training in one file: written so that a kill at any moment loses nothing, read without trust."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from .errors import LessonError
from .paths import atomic_path


class Checkpoint:
    """The whole state of a training in one safetensors file, written under another name and renamed: old or new.

    Weights and Adam's averages are tensors; the step, the settings and the skipped files are JSON in the file's header.
    Nothing is pickled. Without a `path` nothing is written.
    """

    def __init__(
        self,
        path: Path | None,
        settings: Mapping[str, Any],
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        scaler: torch.amp.GradScaler | None = None,
    ) -> None:
        self.path, self.network, self.optimizer, self.scaler = path, network, optimizer, scaler
        self.settings = json.loads(json.dumps(dict(settings)))  # as it will come back from the file

    def save(self, step: int, skipped: set[str]) -> None:
        """Write the state after `step`. Raises LessonError where that fails; the file of before then stays."""
        if self.path is None:
            return
        tensors = {f"network.{name}": tensor for name, tensor in self.network.state_dict().items()}
        for number, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{number}.{name}": torch.as_tensor(value) for name, value in state.items()}
        tensors["random"] = torch.get_rng_state()
        header = {"step": step, "settings": self.settings, "skipped": sorted(skipped)}
        header["scaler"] = self.scaler.state_dict() if self.scaler else {}
        try:
            with atomic_path(self.path) as temporary:
                plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
                save_file(plain, temporary, metadata={"training": json.dumps(header)})
        except (OSError, SafetensorError) as error:
            raise LessonError(f"cannot write the checkpoint {self.path}: {error}; an older one is as it was") from None

    def load(self) -> tuple[int, set[str]]:
        """Put the state of the file back, if there is one, and return the step it is from and the skipped files.

        Raises LessonError for a file that is damaged, or of another configuration, and changes nothing then.
        """
        if self.path is None or not self.path.exists():
            return 0, set()
        try:
            with safe_open(self.path, "pt") as file:
                header = json.loads((file.metadata() or {})["training"])
                tensors = {name: file.get_tensor(name) for name in file.keys()}
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            message = f"the checkpoint {self.path} cannot be read ({error}): delete it to start anew"
            raise LessonError(message) from None
        self._expect_same(header["settings"])
        weights = _below("network.", tensors)
        if _shapes(weights) != _shapes(self.network.state_dict()):
            raise LessonError(f"the checkpoint {self.path} is of a network of another form: choose another folder")
        self.network.load_state_dict(weights)
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in _below("optimizer.", tensors).items():
            number, key = name.split(".")
            state.setdefault(int(number), {})[key] = tensor
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": state})
        torch.set_rng_state(tensors["random"])
        if self.scaler:
            self.scaler.load_state_dict(header["scaler"])
        return header["step"], set(header["skipped"])

    def _expect_same(self, found: Mapping[str, Any]) -> None:
        """LessonError unless the file's settings are those of this run."""
        names = sorted(k for k in {*found, *self.settings} if found.get(k) != self.settings.get(k))
        if names:
            pairs = ", ".join(f"{k} {found.get(k)!r} there and {self.settings.get(k)!r} here" for k in names)
            raise LessonError(f"the checkpoint {self.path} is of another training ({pairs}): choose another folder")


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, torch.Size]:
    """The shape of each tensor."""
    return {name: tensor.shape for name, tensor in tensors.items()}


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names begin with `prefix`, without it."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
