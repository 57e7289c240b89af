"""Published weights: found in a classroom's folder, our cache or torch.hub's cache, else downloaded.

A published file is checked by its hash, our smaller copy of it by names and shapes.

torch.hub neither resumes a broken download nor checks the hash of a file that it finds in its cache, and it keeps the
fully connected layers, 468 of VGG-19's 548 MB, which no style transfer uses. Hence this module.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from ..downloads import DownloadError, cached, download, exclusive, is_intact
from ..errors import WeightsError
from ..paths import atomic_path, user_path

OLD_DENSENET = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12]\.)")  # norm.1.weight, today norm1.weight


def digest(*tensors: Tensor) -> str:
    """What tells a picture, or the weights of a network, from others: the form and a few digits of the SHA-256."""
    found = hashlib.sha256()
    for tensor in tensors:
        found.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return f"{' x '.join(map(str, tensors[0].shape))}, {found.hexdigest()[:12]}"


@dataclass(frozen=True)
class Published:
    """A network's weights as published: `url` ends in -<start of the file's sha256>.pth; keys below `part` are kept.

    A download may have `most` bytes.
    """

    name: str
    url: str
    part: str = ""
    most: int = 4 << 30  # the largest that torchvision publishes has 2.4 of these GiB

    @property
    def file(self) -> str:
        """The name of the published file."""
        return self.url.rsplit("/", 1)[1]

    @property
    def digest(self) -> str:
        """The first eight or more hexadecimal digits of the published file's sha256."""
        return self.file.rpartition("-")[2].removesuffix(".pth")

    @property
    def small_file(self) -> str:
        """The name of our copy, which holds only what is kept."""
        return f"{self.name}-{self.digest[:8]}.safetensors"


def load_weights(source: Published, shapes: Mapping[str, torch.Size]) -> dict[str, Tensor]:
    """The weights of `source` on the CPU, which must be exactly the tensors in `shapes`: fetched on first use.

    Where the cache cannot be written, a download is used once and not kept, with a warning. Raises WeightsError.
    """
    if (copy := _small_copy(source)) is not None:
        return read_weights(copy, shapes)
    with _writable_folder() as folder:
        return read_weights(_make_small_copy(source, folder), shapes)


def fetch(source: Published) -> Path:
    """Make sure that a small copy of `source` is on this disk, and return where. Raises WeightsError."""
    return _small_copy(source) or _make_small_copy(source, cached("weights"))


def read_weights(path: Path, shapes: Mapping[str, torch.Size] | None = None) -> dict[str, Tensor]:
    """The tensors of a safetensors file; with `shapes`, they must have exactly these names and shapes.

    Raises WeightsError for a file that is missing, damaged, or of another network.
    """
    try:
        state = load_file(path)
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"cannot read {path} ({error}): delete it, then fetch or install it again") from None
    if shapes is not None and shapes_of(state) != dict(shapes):
        raise WeightsError(f"{path} holds the weights of another network: delete it, then fetch or install it again")
    return state


def shapes_of(state: Mapping[str, Tensor]) -> dict[str, torch.Size]:
    """{name: shape} of named tensors: what tells the weights of one network from those of another."""
    return {name: tensor.shape for name, tensor in state.items()}


def _small_copy(source: Published) -> Path | None:
    """A small copy that is there already; preferred to a published file, which must be checked and cut each time."""
    places = (*_classroom(source.small_file), cached("weights", source.small_file))
    return next((path for path in places if os.path.isfile(path) and os.access(path, os.R_OK)), None)


def _published_copy(source: Published) -> Path | None:
    """A published file that is there already and has the right hash."""
    for path in (*_classroom(source.file), Path(torch.hub.get_dir(), "checkpoints", source.file)):
        try:
            if is_intact(path, source.digest):
                return path
            reason = "it is damaged or cut short (its sha256 does not fit)" if path.is_file() else ""
        except OSError as error:
            reason = f"it cannot be read ({error.strerror})"
        if reason:
            warnings.warn(f"{path} is not used: {reason}", stacklevel=2)
    return None


def _classroom(file: str) -> Iterator[Path]:
    """Where NST_LESSON_WEIGHTS, if set, would have `file`."""
    if folder := os.environ.get("NST_LESSON_WEIGHTS"):
        yield user_path(folder) / file


@contextmanager
def _writable_folder() -> Iterator[Path]:
    """Our cache's folder for weights, or, where it cannot be written, a temporary one."""
    folder = cached("weights")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        reason = f"cannot write to {folder} ({error.strerror}): the weights are not kept; NST_LESSON_CACHE moves it"
        warnings.warn(reason, stacklevel=2)
    else:
        yield folder
        return
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:  # Windows keeps mapped files
        yield Path(temporary)


def _make_small_copy(source: Published, folder: Path) -> Path:
    """Cut, or download and cut, `source` into a small copy in `folder`, once however many processes ask."""
    small = folder / source.small_file
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with exclusive(small):
            if small.is_file():  # made while we waited
                return small
            if (published := _published_copy(source)) is not None:
                return _cut(published, small, source)
            published = download(source.url, folder / source.file, sha256=source.digest, most=source.most)
            _cut(published, small, source)
            published.unlink()
    except DownloadError as error:
        instead = f"put {source.file} into a folder and name that in NST_LESSON_WEIGHTS"
        raise WeightsError(f'{error}; or {instead}, or use the embedded backbone "pocket"') from None
    except (OSError, SafetensorError) as error:  # safetensors reports a full disk as its own error
        advice = "make room, or name another place in NST_LESSON_CACHE"
        raise WeightsError(f"cannot keep {small} ({error}): {advice}") from None
    return small


def _cut(published: Path, small: Path, source: Published) -> Path:
    """Write the part of a checked file that is kept to `small`. Batch normalization's step counters are not kept."""
    mapped = zipfile.is_zipfile(published)  # files from before torch 1.6 cannot be mapped, only read
    try:
        state: dict[str, Tensor] = torch.load(published, map_location="cpu", weights_only=True, mmap=mapped)
        kept = {
            OLD_DENSENET.sub(r"\1\2", key): tensor.detach().clone(memory_format=torch.contiguous_format)
            for key, tensor in state.items()
            if key.startswith(source.part) and not key.endswith("num_batches_tracked")
        }
    except OSError:
        raise
    except Exception as error:  # unpickling raises nearly every type
        reason = " ".join(str(error).split()).partition(". ")[0] or type(error).__name__
        raise WeightsError(f"{published} does not hold weights ({reason}): delete it and try again") from None
    with atomic_path(small) as temporary:
        save_file(kept, temporary)
    return small
