"""Numbers about a result: distances as a judge network sees them, memory, and the file that records a run."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import LessonError, reason_of
from ..networks.backbones import STYLE_LAYERS, layer_names
from ..paths import user_path, write_text
from ..pictures.images import check_same_size
from .losses import FeatureExtractor, content_loss, gram_matrix, style_loss


@torch.no_grad()
def style_distance(
    image: Tensor, style: Tensor, judge: FeatureExtractor, layers: str | Sequence[str] = STYLE_LAYERS
) -> dict[str, float]:
    """Relative Gram distance |G - A|^2 / |A|^2 between two pictures (1, 3, H, W), per layer of the judge network.

    A fair judge is a network that the result was not optimized for.
    """
    layers = layer_names(layers)
    mine, wanted = judge(image, layers), judge(style, layers)
    return {k: style_loss(gram_matrix(mine[k]), gram_matrix(wanted[k])).item() for k in layers}


@torch.no_grad()
def content_distance(image: Tensor, content: Tensor, judge: FeatureExtractor, layer: str = "relu4_2") -> float:
    """Relative feature distance |F - P|^2 / |P|^2 between two pictures (1, 3, H, W), at a judge's layer.

    Raises ParameterError where they are not of one size.
    """
    check_same_size(image=image, content=content)
    return content_loss(judge(image, (layer,))[layer], judge(content, (layer,))[layer]).item()


def peak_memory_mb() -> float:
    """The most memory that this process has held so far, in MB (resident set; not memory of a GPU)."""
    if sys.platform == "win32":
        import psutil

        return psutil.Process().memory_info().peak_wset / 1e6
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6  # bytes on macOS, KiB on Linux


def save_results(folder: str | os.PathLike[str], settings: Mapping, results: Mapping) -> Path:
    """Write results.json into a run's folder: its settings, its results, peak memory, machine and versions.

    A space in a key becomes "_", a tensor without dimensions its number. Other values must be JSON's own types; another
    tensor or NaN raises (ValueError, TypeError), and nothing is written. Raises LessonError where the file cannot be.
    """
    record = {
        "settings": _plain(settings),
        "results": _plain(results),
        "peak_memory_mb": round(peak_memory_mb()),
        "machine": {"system": platform.system(), "cores": os.cpu_count(), "torch_threads": torch.get_num_threads()},
        "versions": _versions(),
    }
    text = json.dumps(record, indent=1, allow_nan=False)
    path = user_path(folder) / "results.json"
    try:
        write_text(path, text + "\n")
    except OSError as error:
        raise LessonError(f"cannot write {path} ({reason_of(error)}): choose another folder") from None
    return path


def _plain(value: Any) -> Any:
    """Mappings, also in lists and in one another, with keys that have no spaces, and tensors () as numbers."""
    if isinstance(value, torch.Tensor) and not value.ndim:
        return value.item()
    if isinstance(value, Mapping):
        return {str(key).replace(" ", "_"): _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def _versions() -> dict[str, str]:
    """Versions of Python and of the packages that matter; a clone that is only on sys.path (Colab) has none."""
    found = {"python": platform.python_version()}
    for package in ("torch", "torchvision", "nst_lesson"):
        with contextlib.suppress(PackageNotFoundError):
            found[package] = version(package)
    return found
