"""Photographs to train on: crops of a folder or of the bundled ones; how often a run is resumed changes no draw."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pooch
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from ..errors import LessonError, ParameterError
from ..paths import cache_dir
from .images import load_image, photo_names

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
SHARES = (0.5, 1.0)  # of a photograph's shorter side: what a crop has at least and at most
PAINTING_SHARES = (0.25, 0.75)  # the same of a painting, whose brush marks then stay large
COLLECTIONS = {  # name -> address, sha256, bytes, what it is
    "coco-val2017": (
        "http://images.cocodataset.org/zips/val2017.zip",  # the host has no https; the hash proves what arrives
        "4f7e2ccb2866ec5041993c9cf2a952bbed69647b115d0f74da7ce8f4bef82f05",
        815_585_330,
        "5000 photographs of COCO 2017 (Lin et al. 2014), from Flickr, under the licenses of their authors",
    ),
}
TIMEOUT = 60.0  # seconds without an answer


def fetch_photographs(name: str) -> Path:
    """The folder of a collection in COLLECTIONS: downloaded, checked and unpacked into the cache when first asked for.

    Raises ParameterError for another name, and LessonError where it cannot be downloaded or kept; nothing half-unpacked
    is left then.
    """
    if name not in COLLECTIONS:
        raise ParameterError(f"there is no collection of photographs {name!r}; choose one of {', '.join(COLLECTIONS)}")
    address, digest, size, what = COLLECTIONS[name]
    folder = cache_dir() / "photographs" / name
    if folder.is_dir():
        return folder
    print(f"Downloading {what}: {size:,} bytes, and as much again to unpack them")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        downloader = pooch.HTTPDownloader(progressbar=True, timeout=TIMEOUT)
        archive = pooch.retrieve(address, f"sha256:{digest}", f"{name}.zip", folder.parent, downloader=downloader)
        with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=folder.parent) as temporary:
            shutil.unpack_archive(archive, Path(temporary, name))
            Path(temporary, name).rename(folder)
        Path(archive).unlink()
    except (OSError, ValueError, shutil.ReadError) as error:  # ValueError: another sha256
        raise LessonError(f"cannot get {name} from {address} ({error}): any other folder of photographs does") from None
    return folder


class Photographs(Dataset):
    """Square crops (3, size, size) in [0, 1] of the images below a folder, mirrored or not at random.

    A crop has at least and at most `shares` of the image's shorter side; small ones keep brush marks large. Without a
    folder: `crops` fixed crops of the bundled photographs, or of the pictures named in `bundled`. With `recolor` the
    color channels change places at random. A sample is asked for as (epoch, index), and what is drawn for it depends
    on that and on `seed` alone, so that workers, processes and a resumed run draw the same. A file that cannot be read
    is replaced by the next one that can; its name comes with the sample. Raises ParameterError where a folder has no
    image files.
    """

    def __init__(
        self,
        folder: str = "",
        *,
        size: int = 256,
        seed: int = 0,
        crops: int = 200,
        bundled: Sequence[str] | None = None,
        recolor: bool = False,
        shares: tuple[float, float] = SHARES,
    ) -> None:
        self.size, self.seed, self.recolor, self.shares = size, seed, recolor, shares
        self.files: list[str] = []
        if folder:
            self.files = sorted(str(p) for p in Path(folder).rglob("*") if p.suffix.lower() in SUFFIXES)
            if not self.files:
                raise ParameterError(f"no images ({' '.join(SUFFIXES)}) below the folder {folder}")
        self.bundled = [] if folder else [load_image(name) for name in bundled or photo_names()]
        self.length = len(self.files) or crops

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, draw: tuple[int, int]) -> tuple[Tensor, list[str]]:
        """The crop of one draw, and the files that were skipped on the way. Raises LessonError where none is left."""
        epoch, index = draw
        if self.bundled:
            return self._crop(self.bundled[index % len(self.bundled)], np.random.default_rng((self.seed, index))), []
        skipped: list[str] = []
        for step in range(self.length):
            file = self.files[(index + step) % self.length]
            try:
                image = load_image(file)
            except LessonError:
                skipped.append(file)
                continue
            return self._crop(image, np.random.default_rng((self.seed, epoch, index))), skipped
        raise LessonError(f"none of the {self.length} image files can be read; the first is {self.files[0]}")

    def _crop(self, image: Tensor, random: np.random.Generator) -> Tensor:
        """A random square of an image (1, 3, H, W), resized, mirrored or not, and recolored if that is wanted."""
        height, width = image.shape[2:]
        side = max(1, round(min(height, width) * random.uniform(*self.shares)))
        top, left = random.integers(height - side + 1), random.integers(width - side + 1)
        square = image[:, :, top : top + side, left : left + side]
        square = F.interpolate(square, (self.size, self.size), mode="bilinear", antialias=True)[0].clamp(0, 1)
        square = square.flip(2) if random.integers(2) else square
        return square[random.permutation(3).tolist()] if self.recolor else square


class Pairs(Dataset):
    """A photograph over a painting, (6, size, size), for a network that takes both; which painting is drawn at random.

    Draws as `Photographs` does: what comes depends on (epoch, index) and on the seed of `contents` alone.
    """

    def __init__(self, contents: Photographs, styles: Photographs) -> None:
        self.contents, self.styles, self.seed = contents, styles, contents.seed

    def __len__(self) -> int:
        return len(self.contents)

    def __getitem__(self, draw: tuple[int, int]) -> tuple[Tensor, list[str]]:
        """The pair of one draw, and the files that were skipped on the way."""
        epoch, index = draw
        number = int(np.random.default_rng((self.seed, epoch, index, 1)).integers(len(self.styles)))
        (content, unread), (style, more) = self.contents[draw], self.styles[epoch, number]
        return torch.cat([content, style]), unread + more


class Draws(Sampler):
    """(epoch, index) of each sample from number `start` to number `stop`: a new permutation for every epoch."""

    def __init__(self, length: int, seed: int, start: int, stop: int) -> None:
        self.length, self.seed, self.start, self.stop = length, seed, start, stop

    def __len__(self) -> int:
        return self.stop - self.start

    def __iter__(self) -> Iterator[tuple[int, int]]:
        order, of_epoch = np.empty(0), -1
        for number in range(self.start, self.stop):
            epoch, position = divmod(number, self.length)
            if epoch != of_epoch:
                order, of_epoch = np.random.default_rng((self.seed, epoch)).permutation(self.length), epoch
            yield epoch, int(order[position])
