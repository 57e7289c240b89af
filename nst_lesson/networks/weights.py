"""Published weights: found in a classroom's folder, our cache or torch.hub's cache, else downloaded; always checked.

torch.hub neither resumes a broken download nor checks the hash of a file that it finds in its cache, and it keeps the
fully connected layers, 468 of VGG-19's 548 MB, which no style transfer uses. Hence this module.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
import tempfile
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests
import torch
from filelock import FileLock, Timeout
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from tqdm.auto import tqdm

from ..errors import WeightsError
from ..paths import atomic_path, cache_dir

CHUNK = 1 << 16  # bytes read at a time; a broken connection loses less than that
OLD_DENSENET = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12]\.)")  # norm.1.weight, today norm1.weight
TIMEOUT = (10, 60)  # seconds to wait for a connection, and for the next bytes


@dataclass(frozen=True)
class Published:
    """A network's weights as published: `url` ends in -<start of the file's sha256>.pth; keys below `part` are kept."""

    name: str
    url: str
    part: str = ""

    @property
    def file(self) -> str:
        """The name of the published file."""
        return self.url.rsplit("/", 1)[1]

    @property
    def digest(self) -> str:
        """The first eight or more hexadecimal digits of the published file's sha256."""
        return re.search(r"-([0-9a-f]{8,})\.pth$", self.file)[1]

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
    with _workshop() as folder:
        return read_weights(_make_small_copy(source, folder), shapes)


def fetch(source: Published) -> Path:
    """Make sure that a small copy of `source` is on this disk, and return where. Raises WeightsError."""
    return _small_copy(source) or _make_small_copy(source, cache_dir() / "weights")


def read_weights(path: Path, shapes: Mapping[str, torch.Size] | None = None) -> dict[str, Tensor]:
    """The tensors of a safetensors file; with `shapes`, they must have exactly these names and shapes.

    Raises WeightsError for a file that is missing, damaged, or of another network.
    """
    try:
        state = load_file(path)
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"cannot read {path} ({error}): delete it, then fetch or install it again") from None
    if shapes is not None and {k: v.shape for k, v in state.items()} != dict(shapes):
        raise WeightsError(f"{path} holds the weights of another network: delete it, then fetch or install it again")
    return state


def _classroom(file: str) -> Iterator[Path]:
    """Where NST_LESSON_WEIGHTS, if set, would have `file`."""
    if folder := os.environ.get("NST_LESSON_WEIGHTS"):
        yield Path(folder).expanduser() / file


def _small_copy(source: Published) -> Path | None:
    """A small copy that is there already; preferred to a published file, which must be checked and cut each time."""
    places = (*_classroom(source.small_file), cache_dir() / "weights" / source.small_file)
    return next((path for path in places if path.is_file()), None)


def _published_copy(source: Published) -> Path | None:
    """A published file that is there already and has the right hash."""
    for path in (*_classroom(source.file), Path(torch.hub.get_dir(), "checkpoints", source.file)):
        if path.is_file():
            if _is_intact(path, source):
                return path
            warnings.warn(f"{path} is not used: it is damaged or cut short (its sha256 does not fit)", stacklevel=2)
    return None


def _is_intact(path: Path, source: Published) -> bool:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest().startswith(source.digest)


@contextmanager
def _workshop() -> Iterator[Path]:
    """Our cache's folder for weights, or, where it cannot be written, a temporary one."""
    folder = cache_dir() / "weights"
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
    small, download = folder / source.small_file, folder / f"{source.file}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(small.with_suffix(".lock"), source.name):
            if small.is_file():  # made while we waited
                return small
            if (copy := _published_copy(source)) is not None:
                return _cut(copy, small, source)
            _download(source, download)
            _cut(download, small, source)
            download.unlink()
    except OSError as error:
        raise WeightsError(
            f"cannot keep {small} ({error}): make room, or name another place in NST_LESSON_CACHE"
        ) from None
    return small


@contextmanager
def _alone(path: Path, name: str) -> Iterator[None]:
    """Hold the lock file `path`: a second process waits, and says so."""
    lock = FileLock(path)
    try:
        lock.acquire(timeout=1)
    except Timeout:
        print(f"{name}: waiting for another process that is fetching it", file=sys.stderr)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _cut(published: Path, small: Path, source: Published) -> Path:
    """Write the part of a checked file that is kept to `small`. Batch normalization's step counters are not kept."""
    mapped = zipfile.is_zipfile(published)  # files from before torch 1.6 cannot be mapped, only read
    state = torch.load(published, map_location="cpu", weights_only=True, mmap=mapped)
    kept = {
        OLD_DENSENET.sub(r"\1\2", key): tensor.detach().clone(memory_format=torch.contiguous_format)
        for key, tensor in state.items()
        if key.startswith(source.part) and not key.endswith("num_batches_tracked")
    }
    with atomic_path(small) as temporary:
        save_file(kept, temporary)
    return small


def _download(source: Published, path: Path) -> None:
    """Download the published file to `path`, going on from what is there, and check its hash."""
    resumed = path.exists()
    _complete(source, path)
    if _is_intact(path, source):
        return
    path.unlink()
    if resumed:  # what was there came from another version of the file
        return _download(source, path)
    raise WeightsError(
        f"{source.url} gave a file with the wrong sha256 (a login page or proxy in between?): try again, "
        f"or {_without_internet(source)}"
    )


def _complete(source: Published, path: Path) -> None:
    """Append to `path` until the server has no more; a broken connection is taken up again while it still gets on."""
    while True:
        before = _size(path)
        try:
            return _append(source, path)
        except requests.RequestException as error:
            if _size(path) <= before:
                again = "try again, what arrived is kept; or " if _size(path) else ""
                raise WeightsError(
                    f"cannot download {source.url} ({_reason(error)}): {again}{_without_internet(source)}"
                ) from None


def _append(source: Published, path: Path) -> None:
    """Ask for what `path` lacks and append it; a server that sends the whole file again starts it over."""
    have = _size(path)
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with requests.get(source.url, headers=headers, stream=True, timeout=TIMEOUT) as response:
        if have and response.status_code == requests.codes.requested_range_not_satisfiable:
            return  # there is no more; the hash tells whether what we have is right
        response.raise_for_status()
        have = have if response.status_code == requests.codes.partial_content else 0
        total = have + int(response.headers.get("Content-Length", 0)) or None
        bar = tqdm(desc=source.file, initial=have, total=total, unit="B", unit_scale=True, mininterval=1)
        with bar, path.open("ab" if have else "wb") as file:
            for chunk in response.iter_content(CHUNK):
                bar.update(file.write(chunk))


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _reason(error: requests.RequestException) -> str:
    if error.response is not None:
        return f"the server answered {error.response.status_code} {error.response.reason}"
    return "no answer in time" if isinstance(error, requests.Timeout) else "no connection, or it broke"


def _without_internet(source: Published) -> str:
    return f'put {source.file} into a folder and name that in NST_LESSON_WEIGHTS, or use the embedded backbone "pocket"'
