"""Pixels: every way to get a picture into a tensor, and a tensor into a file.

In the whole course a picture is a float32 tensor (1, 3, H, W), RGB, with values in [0, 1].
"""

from __future__ import annotations

import difflib
import io
import os
import threading
import time
import tomllib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from numbers import Integral
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pooch
import requests
import skimage
import torch
import torch.nn.functional as F
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError
from torch import Tensor
from torchvision.transforms.functional import to_pil_image, to_tensor
from urllib3.exceptions import HTTPError

from ..errors import ImageError, LessonError, ParameterError
from ..paths import atomic_path, cache_dir, data_dir

Image.init()  # registers the formats, of which an older Pillow lacks some
READ_FORMATS = tuple(
    name for name in ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP") if name in Image.OPEN
)
SAVE_OPTIONS: dict[str, dict[str, int]] = {
    ".png": {},
    ".jpg": {"quality": 95, "subsampling": 0},  # 0: a color for every pixel, not for every four
    ".jpeg": {"quality": 95, "subsampling": 0},
    ".webp": {"quality": 95},
}
PHOTOS = {  # color photographs that scikit-image's wheel carries: nothing is downloaded for them
    "astronaut": "astronaut.png",
    "chelsea": "chelsea.png",
    "coffee": "coffee.png",
    "motorcycle": "motorcycle_left.png",
    "rocket": "rocket.jpg",
}
DOWNLOAD_ADDRESS = "https://raw.githubusercontent.com/{repository}/{commit}/{path}"
MAX_PIXELS = 200_000_000  # the largest telephone cameras stay just below
MAX_BYTES = 100_000_000  # of one picture from the web
TIMEOUT = 20.0  # seconds without an answer
MAX_SECONDS = 120.0  # for one picture from the web, however steadily it drips

_pillow_limit = threading.Lock()


def photo_names() -> tuple[str, ...]:
    """Names of the sample photographs, which come with scikit-image."""
    return tuple(PHOTOS)


def style_names() -> tuple[str, ...]:
    """Names of the style paintings that come with the course. Raises LessonError where `data` is missing."""
    return tuple(sorted(path.stem for path in (data_dir() / "styles").glob("*.jpg")))


def download_names() -> tuple[str, ...]:
    """Names of the pictures that are downloaded when first asked for. Raises LessonError where `data` is missing."""
    return tuple(_download_table())


def load_image(
    source: str | os.PathLike[str] | bytes | Image.Image,
    size: int | None = None,
    *,
    upsample: bool = False,
    device: str | torch.device = "cpu",
) -> Tensor:
    """Load a picture as a contiguous float32 tensor (1, 3, H, W), RGB, in [0, 1].

    `source` is a sample name (`photo_names`, `style_names`, `download_names`), a path, an http(s) address, the bytes
    of an image file, or a PIL image. The picture is turned upright by its EXIF orientation; transparency is laid over
    white; 16-bit grey is divided by 65535; floating-point grey is taken as [0, 1], or as [0, 255] if any value
    exceeds 1. `size` bounds the longer side in pixels (antialiased); a smaller picture keeps its size unless
    `upsample` is set, which makes the longer side exactly `size`.

    Raises ImageError (one line, with what to do) for a source that cannot be read, is damaged or incomplete, or has
    more than 200 megapixels; ParameterError for a `size` or `device` that cannot be used.
    """
    if size is not None and (not isinstance(size, Integral) or isinstance(size, bool) or size < 1):
        raise ParameterError(f"size must be a whole number of pixels, 1 or more, or None, not {size!r}")
    if isinstance(source, Image.Image):
        with _one_line_errors("the PIL image"):
            picture = _to_picture(source.copy(), "the PIL image", size, upsample)
    else:
        label, stream = _open(source)
        with stream, _one_line_errors(label):
            picture = _to_picture(_identify(stream), label, size, upsample)
    tensor = to_tensor(picture).clamp(0, 1).expand(3, -1, -1).unsqueeze(0).contiguous()
    try:
        return tensor.to(device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).partition("\n")[0]
        raise ParameterError(f"device {str(device)!r} cannot be used ({reason}): use device='cpu'") from None


def save_image(image: Tensor, path: str | os.PathLike[str]) -> None:
    """Write `image`, (1, 3, H, W) or (3, H, W) in [0, 1] (clamped), as PNG, JPEG or WebP by the suffix of `path`.

    The folder is created; the file is there completely or not at all. Raises ImageError for another suffix, for a
    tensor that is no picture, and where the file cannot be written.
    """
    path = Path(path)
    check_format(path)
    picture = to_pil(image)
    try:
        with atomic_path(path) as temporary:
            picture.save(temporary, **SAVE_OPTIONS[path.suffix.lower()])
    except (OSError, ValueError) as error:  # ValueError: more pixels than the format can hold
        reason = getattr(error, "strerror", None) or error
        raise ImageError(f"cannot write {path} ({reason}): choose another place or another format") from None


def check_format(path: str | os.PathLike[str]) -> None:
    """ImageError unless `save_image` knows the format that the name of a file asks for."""
    if Path(path).suffix.lower() not in SAVE_OPTIONS:
        raise ImageError(f"cannot save {path}: end the name in one of {', '.join(SAVE_OPTIONS)}")


def to_pil(image: Tensor) -> Image.Image:
    """The picture `image`, (1, 3, H, W) or (3, H, W) in [0, 1] (clamped), as an 8-bit RGB PIL image.

    Raises ImageError for another shape, for integers, and where a value is NaN.
    """
    picture = image.detach().squeeze(0) if image.ndim == 4 else image.detach()
    if picture.ndim != 3 or picture.shape[0] != 3 or picture.numel() == 0 or not picture.is_floating_point():
        shape, kind = tuple(image.shape), str(image.dtype).removeprefix("torch.")
        raise ImageError(f"not a picture: {kind} {shape}; a floating-point (1, 3, H, W) or (3, H, W) is needed")
    if picture.isnan().any():
        raise ImageError("the picture holds NaN, so the run that made it diverged: lower its learning rate or weights")
    # to_pil_image would cut 0.999 down to 254: round to the nearest level instead.
    return to_pil_image((picture.float().clamp(0, 1) * 255).round().to(torch.uint8).cpu())


def check_images(**images: Tensor) -> None:
    """Raise ParameterError unless every named picture is a float tensor of shape (1, 3, H, W)."""
    for name, image in images.items():
        shape = tuple(image.shape) if isinstance(image, Tensor) else ()
        if len(shape) != 4 or shape[:2] != (1, 3) or 0 in shape or not image.is_floating_point():
            found = f"{image.dtype} {shape}" if isinstance(image, Tensor) else type(image).__name__
            raise ParameterError(f"{name} is {found}; give a float tensor (1, 3, H, W) in [0, 1] from nst.load_image")


def resize(image: Tensor, scale: float) -> Tensor:
    """`image` (1, 3, H, W) at `scale` times its size, antialiased; no side falls under one pixel."""
    size = [max(1, round(side * scale)) for side in image.shape[2:]]
    return F.interpolate(image, size, mode="bilinear", antialias=True, align_corners=False)


def _open(source: object) -> tuple[str, BinaryIO]:
    """A name for `source` to use in messages, and its bytes as a stream."""
    if isinstance(source, (bytes, bytearray, memoryview)):
        return f"the image of {len(source)} bytes", io.BytesIO(source)
    if not isinstance(source, (str, os.PathLike)):
        kind = type(source).__name__
        raise ImageError(f"no image can be loaded from a {kind}: give a sample name, path, address, bytes or PIL image")
    if str(source).lower().startswith(("http://", "https://")):
        return str(source), io.BytesIO(_fetch(str(source)))
    path = (_sample(source) if isinstance(source, str) else None) or Path(source).expanduser()
    try:
        if path.is_dir():
            raise ImageError(f"{path} is a folder: name one image in it")
        if not path.is_file():
            raise ImageError(f"there is no image file {str(source)!r}: {_suggestion(path)}")
        return str(path), path.open("rb")
    except OSError as error:
        raise ImageError(f"cannot read {path} ({error.strerror}): check its permissions or copy it elsewhere") from None


def _sample(name: str) -> Path | None:
    """The file of a sample picture, downloaded if need be; None if `name` is not the name of one."""
    if name in PHOTOS:
        return Path(skimage.__file__).parent / "data" / PHOTOS[name]
    if name in style_names():
        return data_dir() / "styles" / f"{name}.jpg"
    return _download(name) if name in download_names() else None


def _suggestion(path: Path) -> str:
    """What somebody who asked for the missing `path` may have meant."""
    names = (*photo_names(), *style_names(), *download_names())
    nearby = sorted(path.parent.iterdir()) if path.parent.is_dir() else []
    known = {file.name.casefold(): str(file) for file in nearby} | {name: name for name in names}
    match = difflib.get_close_matches(path.name.casefold(), known, n=1)
    return f"did you mean {known[match[0]]!r}?" if match else f"give a path, or a sample name ({', '.join(names)})"


def _fetch(url: str) -> bytes:
    """The bytes behind a web address, at most MAX_BYTES in MAX_SECONDS, whatever the server announces."""
    data, end = bytearray(), time.monotonic() + MAX_SECONDS
    try:
        headers = {"User-Agent": "nst-lesson", "Accept-Encoding": "identity"}
        with requests.get(url, stream=True, timeout=TIMEOUT, headers=headers) as response:
            response.raise_for_status()
            while chunk := response.raw.read1(1 << 16):  # read1 returns what has arrived, so that the clock is seen
                data += chunk
                if len(data) > MAX_BYTES:
                    raise ImageError(f"{url} is larger than {MAX_BYTES / 1e6:g} MB: save a smaller copy and load that")
                if time.monotonic() > end:
                    raise ImageError(f"{url} took longer than {MAX_SECONDS:g} s: download it and load the file")
    except (OSError, HTTPError) as error:  # requests' own errors are OSErrors; reading the body raises urllib3's
        raise ImageError(f"cannot download {url} ({_reason(error)}): check the address or load a file") from None
    return bytes(data)


def _reason(error: Exception) -> str:
    """Why a download failed, in a few words instead of the pages of the network libraries."""
    if isinstance(error, requests.HTTPError):
        return f"the server answers {error.response.status_code} {error.response.reason}"
    if isinstance(error, (requests.RequestException, HTTPError)):
        return f"no connection, {type(error).__name__}"
    return getattr(error, "strerror", None) or "what arrived is not the expected file"


@cache
def _download_table() -> dict[str, dict[str, str | int]]:
    """What `data/downloads.toml` lists, by name."""
    return tomllib.loads((data_dir() / "downloads.toml").read_text(encoding="utf-8"))


def _download(name: str) -> Path:
    """The cached file of a picture in the download table; fetched, checked and credited when first asked for."""
    entry = _download_table()[name]
    url, file = DOWNLOAD_ADDRESS.format(**entry), cache_dir() / f"{name}{Path(str(entry['path'])).suffix}"
    if not file.exists():
        print("Downloading {title} by {artist} ({rights}), {bytes:,} bytes".format(**entry))
    downloader = pooch.HTTPDownloader(progressbar=True, timeout=TIMEOUT)
    try:
        pooch.retrieve(url, f"sha256:{entry['sha256']}", file.name, file.parent, downloader=downloader)
    except (OSError, ValueError) as error:  # ValueError: another sha256
        advice = f"put the file there as {file}, or use the bundled {entry['instead']!r}"
        raise ImageError(f"cannot download {name!r} from {url} ({_reason(error)}): {advice}") from None
    return file


@contextmanager
def _one_line_errors(label: str) -> Iterator[None]:
    """Whatever a decoder raises at a strange file (nearly every type occurs) becomes one line that names the file."""
    try:
        yield
    except LessonError:
        raise
    except UnidentifiedImageError:
        advice = "export it as JPEG or PNG (of a web page, give the address of the picture itself)"
        raise ImageError(f"{label} is empty, cut off or no {', '.join(READ_FORMATS)} file: {advice}") from None
    except Image.DecompressionBombError:
        raise ImageError(_too_large(label)) from None
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ImageError(f"{label} is damaged or incomplete ({reason}): copy, download or export it again") from None


def _too_large(label: str) -> str:
    return f"{label} has more than {MAX_PIXELS / 1e6:g} megapixels: make it smaller"


def _identify(stream: BinaryIO) -> Image.Image:
    """Read the header of an image file, with our bound on its pixels in place of Pillow's own (a global variable)."""
    with _pillow_limit, warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        before = Image.MAX_IMAGE_PIXELS
        Image.MAX_IMAGE_PIXELS = MAX_PIXELS // 2  # Pillow warns from here, and refuses twice as much
        try:
            return Image.open(stream, formats=READ_FORMATS)
        finally:
            Image.MAX_IMAGE_PIXELS = before


def _to_picture(image: Image.Image, label: str, size: int | None, upsample: bool) -> Image.Image:
    """`image` decoded, upright, at the wanted size, in mode "RGB" or as grey in [0, 1] in mode "F"."""
    if 0 in image.size:
        raise ImageError(f"{label} has no pixels ({image.width} x {image.height}): choose another")
    target = _fit(image.size, size, upsample)
    if max(image.width * image.height, target[0] * target[1]) > MAX_PIXELS:
        raise ImageError(_too_large(f"{label} at {target[0]} x {target[1]}"))
    image.draft(None, (2 * target[0], 2 * target[1]))  # a JPEG is decoded at a fraction, where that is still enough
    image.load()
    stored = image.size
    ImageOps.exif_transpose(image, in_place=True)
    return _to_rgb(image, label).resize(target if image.size == stored else target[::-1], Image.Resampling.LANCZOS)


def _fit(original: tuple[int, int], size: int | None, upsample: bool) -> tuple[int, int]:
    """Width and height with the longer side bounded by `size`, or equal to it if `upsample`."""
    longer = max(original)
    if size is None or (size >= longer and not upsample):
        return original
    return max(1, round(original[0] * size / longer)), max(1, round(original[1] * size / longer))


def _to_rgb(image: Image.Image, label: str) -> Image.Image:
    """`image` in mode "RGB"; what has more than 8 bits in mode "F", in [0, 1]."""
    if image.mode == "F" or image.mode.startswith("I"):
        return _to_unit_grey(image, label)
    if image.mode == "CMYK" and "icc_profile" in image.info:
        with suppress(ImageCms.PyCMSError, OSError):  # a damaged or an RGB profile: use Pillow's formula
            profile = ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"]))
            return ImageCms.profileToProfile(image, profile, ImageCms.createProfile("sRGB"), outputMode="RGB")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")  # a copy of 200 megapixels is 800 MB


def _to_unit_grey(image: Image.Image, label: str) -> Image.Image:
    """16-bit, integer or floating-point grey in mode "F", in [0, 1]."""
    values = np.asarray(image).astype(np.float32)
    if not np.isfinite(values).all():
        raise ImageError(f"{label} holds values that are not finite numbers: export it as 8-bit PNG")
    white = 65535 if image.mode.startswith("I") else 255 if values.max() > 1 else 1
    return Image.fromarray((values / white).clip(0, 1))
