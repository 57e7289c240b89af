"""The state of a training in one file: written so that a kill at any moment loses nothing, read without trust."""

from __future__ import annotations

import hashlib
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
from ..networks.models import NETWORK, TRAINING, below, describe
from ..networks.weights import shapes_of
from ..paths import atomic_path, user_path

EVERY = 1000  # steps from one checkpoint to the next


@dataclass
class TrainingState:
    """What a training changes as it goes on: all of it is in a checkpoint."""

    network: nn.Module
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler | None = None
    step: int = 0
    steps: int = 0  # of the whole training: what its learning rate falls by
    first: dict[str, float] = field(default_factory=dict)  # the terms of the loss at its first step
    skipped: set[str] = field(default_factory=set)  # files that could not be read
    pictures: Mapping[str, int] = field(default_factory=dict)  # the photographs: {name: size}


@dataclass
class Checkpoint:
    """The whole state of a training in the safetensors file `path`, which is replaced as a whole: old or new.

    Weights and Adam's averages are tensors; all else is JSON in the file's header, beside a SHA-256 of the whole: a
    file in which one bit has changed is refused. Nothing is pickled, and `nst.load_model` reads the network from it.
    `train` writes it `every` so many steps, and at the end. `settings` say which training this is: a file of another
    one is refused.
    """

    path: Path
    every: int = EVERY
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.path = user_path(self.path)

    def save(self, state: TrainingState, record: Mapping[str, Any]) -> None:
        """Write the state; `record` belongs to the settings. Raises LessonError where that fails; an old file stays."""
        tensors = {f"{NETWORK}{name}": tensor for name, tensor in state.network.state_dict().items()}
        for number, averages in state.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{number}.{name}": torch.as_tensor(value) for name, value in averages.items()}
        tensors["random"] = torch.get_rng_state()
        header = {
            "settings": self._all_settings(record),
            "step": state.step,
            "steps": state.steps,
            "first": state.first,
            "skipped": sorted(state.skipped),
            "pictures": state.pictures,
            "scaler": state.scaler.state_dict() if state.scaler else {},
        }
        try:
            with atomic_path(self.path) as temporary:
                plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
                text = json.dumps(header)
                metadata = {TRAINING: text, "sha256": _digest(text, plain), **describe(state.network)}
                save_file(plain, temporary, metadata=metadata)
        except (OSError, SafetensorError) as error:
            raise LessonError(f"cannot write the checkpoint {self.path}: {error}; an older one is as it was") from None

    def load(self, state: TrainingState, record: Mapping[str, Any]) -> list[str]:
        """Put what the file holds, if there is one, into `state`; what has changed since, in lines to be said.

        Raises LessonError for a file that is damaged, or of another configuration, and changes nothing then.
        """
        if not self.path.exists():
            return []
        header, tensors = self._read()
        self._expect_same(header["settings"], self._all_settings(record))
        weights = below(NETWORK, tensors)
        if shapes_of(weights) != shapes_of(state.network.state_dict()):
            raise LessonError(f"the checkpoint {self.path} is of a network of another form: choose another folder")
        changes = self._changes(header["pictures"], state.pictures)
        if header["step"] > state.steps:
            changes.append(f"the checkpoint is of step {header['step']} already, past the {state.steps} asked for")
        elif header["steps"] != state.steps and record.get("schedule") != "constant":
            changes.append(
                f"this training was begun for {header['steps']} steps: from step {header['step']} on its learning rate "
                f"is that of a training of {state.steps} steps"
            )
        state.network.load_state_dict(weights)
        averages: dict[int, dict[str, Tensor]] = {}
        for name, tensor in below("optimizer.", tensors).items():
            number, key = name.split(".")
            averages.setdefault(int(number), {})[key] = tensor
        state.optimizer.load_state_dict({**state.optimizer.state_dict(), "state": averages})
        torch.set_rng_state(tensors["random"])
        if state.scaler:
            state.scaler.load_state_dict(header["scaler"])
        state.step, state.first, state.skipped = header["step"], header["first"], set(header["skipped"])
        return changes

    def _read(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """The header and the tensors of the file, as `save` wrote them. Raises LessonError for anything else."""
        try:
            if not self.path.is_file():  # a pipe would be waited for
                raise ValueError("it is not a file")
            with safe_open(self.path, "pt") as file:
                metadata = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}
            if TRAINING not in metadata:
                raise ValueError("it is not a checkpoint of a training")
            if metadata["sha256"] != _digest(metadata[TRAINING], tensors):
                raise ValueError("it is not as it was written")
            return json.loads(metadata[TRAINING]), tensors
        except (OSError, SafetensorError, KeyError, RuntimeError, ValueError) as error:
            message = f"the checkpoint {self.path} cannot be read ({error}): delete it to start anew"
            raise LessonError(message) from None

    def _changes(self, before: Mapping[str, int], now: Mapping[str, int]) -> list[str]:
        """What is no longer as it was, in a line. Raises LessonError where none of the photographs is one of before."""
        gone = [name for name, size in before.items() if now.get(name) != size]
        new = [name for name in now if name not in before]
        if len(gone) == len(before):
            raise LessonError(
                f"the checkpoint {self.path} is of another training (its {len(before)} photographs, such as "
                f"{next(iter(before), 'none')}, are not among the {len(now)} here): choose another folder"
            )
        if not gone and not new:
            return []
        such = f" (such as {gone[0]})" if gone else ""
        return [
            f"{len(gone)} of the {len(before)} photographs of this training are gone or changed{such}, {len(new)} are "
            "new: it goes on with those that are there"
        ]

    def _all_settings(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """The settings as they will come back from the file."""
        return json.loads(json.dumps({**self.settings, **record}))

    def _expect_same(self, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
        """LessonError unless the file's settings are those of this run."""
        names = sorted(k for k in {*found, *wanted} if found.get(k) != wanted.get(k))
        if names:
            pairs = ", ".join(f"{k} {found.get(k)!r} there and {wanted.get(k)!r} here" for k in names)
            raise LessonError(f"the checkpoint {self.path} is of another training ({pairs}): choose another folder")


def _digest(text: str, tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of a text and of named tensors: their forms and their bytes."""
    digest = hashlib.sha256(text.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()
