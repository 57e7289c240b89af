"""Photographs to train on: crops of a folder or of the bundled ones, the same ones however often a run is resumed."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from ..downloads import DownloadError, cached, download, exclusive
from ..errors import LessonError, ParameterError, check_counts, unknown
from ..paths import atomic_path, user_path
from .images import READ_SUFFIXES, load_image, photo_names

SHARES = (0.5, 1.0)  # of a photograph's shorter side: what a crop has at least and at most
COLLECTIONS = {  # name -> address, sha256, bytes, what it is
    "coco-val2017": (
        "http://images.cocodataset.org/zips/val2017.zip",  # the host has no https; the hash proves what arrives
        "4f7e2ccb2866ec5041993c9cf2a952bbed69647b115d0f74da7ce8f4bef82f05",
        815_585_330,
        "5000 photographs of COCO 2017 (Lin et al. 2014), from Flickr, under the licenses of their authors",
    ),
}


def fetch_photographs(name: str) -> Path:
    """The folder of a collection in COLLECTIONS: downloaded, checked and unpacked into the cache when first asked for.

    Raises ParameterError for another name, and LessonError where it cannot be downloaded or kept. An archive that came
    only in part is kept for the next attempt; nothing half-unpacked is.
    """
    if name not in COLLECTIONS:
        raise unknown("collection of photographs", name, COLLECTIONS)
    url, digest, size, what = COLLECTIONS[name]
    folder = cached("photographs", name)
    try:
        if folder.is_dir():
            return folder
        folder.parent.mkdir(parents=True, exist_ok=True)
        with exclusive(folder):
            if not folder.is_dir():  # or another process has made it while we waited
                archive = download(url, folder.with_name(f"{name}.zip"), sha256=digest, most=size)
                print(f"Unpacking {what}")
                with zipfile.ZipFile(archive) as packed, atomic_path(folder) as new:
                    packed.extractall(new)
                archive.unlink()
    except DownloadError as error:
        raise LessonError(f"{error}; or use any other folder of photographs") from None
    except (OSError, zipfile.BadZipFile) as error:
        advice = "make room, or name another place in NST_LESSON_CACHE"
        raise LessonError(f"cannot unpack {name} into {folder.parent} ({error}): {advice}") from None
    return folder


class Photographs(Dataset[tuple[Tensor, list[str]]]):
    """Square crops (3, size, size) in [0, 1] of the images below a folder, mirrored or not at random.

    A crop has at least and at most SHARES of the image's shorter side. Without a folder: `crops` fixed crops of the
    bundled photographs, or of the pictures named in `bundled`. A sample is asked for as (epoch, index), or as index
    alone in epoch 0; what is drawn for it depends on that and on `seed` alone, so that workers, processes and a resumed
    run draw the same. A file that cannot be read is replaced by the next one that can; its name comes with the sample.
    `pictures` says what there is, wherever the folder lies: {name below the folder: bytes of the file}, or pixels of a
    bundled picture. Raises ParameterError where a folder has no image files, and for a size, seed or number of crops
    that makes no sense.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str] = "",
        *,
        size: int = 256,
        seed: int = 0,
        crops: int = 200,
        bundled: Sequence[str] | None = None,
    ) -> None:
        check_counts(size=size, crops=crops)
        if not isinstance(seed, int) or seed < 0:
            raise ParameterError(f"seed is {seed!r}; give a whole number, 0 or more")
        self.size, self.seed = size, seed
        self.files: list[str] = []
        self.bundled: list[Tensor] = []
        if folder:
            root = user_path(folder)
            if not root.is_dir():
                raise ParameterError(f"there is no folder {folder}: give one with photographs")
            found = sorted((p for p in root.rglob("*") if p.suffix.lower() in READ_SUFFIXES and p.is_file()), key=str)
            if not found:
                raise ParameterError(f"no images ({' '.join(READ_SUFFIXES)}) below the folder {folder}")
            self.files = [str(path) for path in found]
            self.pictures = {path.relative_to(root).as_posix(): path.lstat().st_size for path in found}
        else:
            names = [bundled] if isinstance(bundled, str) else bundled or photo_names()
            self.bundled = [load_image(name) for name in names]
            self.pictures = {name: image[0, 0].numel() for name, image in zip(names, self.bundled, strict=True)}
        self.length = len(self.files) or crops

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, draw: int | tuple[int, int]) -> tuple[Tensor, list[str]]:
        """The crop of one draw, and the files that were skipped on the way. Raises LessonError where none is left."""
        epoch, index = draw if isinstance(draw, tuple) else (0, range(self.length)[draw])  # IndexError ends a loop
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
        """A random square of an image (1, 3, H, W), resized, mirrored or not."""
        height, width = image.shape[2:]
        side = max(1, round(min(height, width) * random.uniform(*SHARES)))
        top, left = random.integers(height - side + 1), random.integers(width - side + 1)
        square = image[:, :, top : top + side, left : left + side]
        square = F.interpolate(square, (self.size, self.size), mode="bilinear", antialias=True)[0].clamp(0, 1)
        return square.flip(2) if random.integers(2) else square


class Draws(Sampler[tuple[int, int]]):
    """(epoch, index) of each sample from number `start` to number `stop`: a new permutation for every epoch."""

    def __init__(self, length: int, seed: int, start: int, stop: int) -> None:
        self.length, self.seed, self.start, self.stop = length, seed, start, stop

    def __len__(self) -> int:
        return self.stop - self.start

    def __iter__(self) -> Iterator[tuple[int, int]]:
        order, of_epoch = np.empty(0, int), -1
        for number in range(self.start, self.stop):
            epoch, position = divmod(number, self.length)
            if epoch != of_epoch:
                order, of_epoch = np.random.default_rng((self.seed, epoch)).permutation(self.length), epoch
            yield epoch, int(order[position])
