"""Pixels: every way to get a picture into a tensor, and a tensor into a file.

In the whole course a picture is a float32 tensor (1, 3, H, W), RGB, with values in [0, 1].
"""

from __future__ import annotations

import base64
import difflib
import io
import os
import threading
import tomllib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from numbers import Integral
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import skimage
import torch
import torch.nn.functional as F
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError
from torch import Tensor

from ..downloads import DownloadError, cached, download, read
from ..errors import ImageError, LessonError, ParameterError, reason_of
from ..paths import atomic_path, data_dir, user_path

Image.init()  # registers the formats, of which an older Pillow lacks some
READ_FORMATS = tuple(
    name for name in ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP") if name in Image.OPEN
)
READ_SUFFIXES = tuple(sorted(suffix for suffix, name in Image.registered_extensions().items() if name in READ_FORMATS))
SAVE_OPTIONS: dict[str, dict[str, Any]] = {
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
MAX_SECONDS = 120.0  # for one picture from the web, however steadily it drips

FAR = 10  # values beyond it are no picture's, whatever was done to one in [0, 1]

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
    of an image file, or a PIL image. A `Path` of a file that exists is that file, even if a sample has its name. The
    picture is turned upright by its EXIF orientation; transparency is laid over white; 16-bit gray is divided by
    65535; floating-point gray is taken as [0, 1], or as [0, 255] if any value exceeds 1. `size` bounds the longer side
    in pixels (antialiased); a smaller picture keeps its size unless `upsample` is set, which makes the longer side
    exactly `size`.

    Raises ImageError (one line, with what to do) for a source that cannot be read, is damaged or incomplete, or has
    more than 200 megapixels; ParameterError for a `size` or `device` that cannot be used.
    """
    if size is not None and (not isinstance(size, Integral) or isinstance(size, bool) or size < 1):
        raise ParameterError(f"size must be a whole number of pixels, 1 or more, or None, not {size!r}")
    if isinstance(source, Image.Image):
        with one_line_errors("the PIL image"):
            picture = _to_picture(source.copy(), "the PIL image", size, upsample)
    else:
        label, stream = _open(source)
        with stream, one_line_errors(label):
            picture = _to_picture(identify(stream), label, size, upsample)
    tensor = _as_image(picture)
    try:
        return tensor.to(device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).partition("\n")[0]
        raise ParameterError(f"device {str(device)!r} cannot be used ({reason}): use device='cpu'") from None


def load_with_opacity(source: str | os.PathLike[str], size: int | None = None) -> tuple[Tensor, Tensor | None]:
    """A picture as `load_image` loads it, and its opacity (1, 1, H, W) in [0, 1], None if it has none; read once.

    Raises what `load_image` raises.
    """
    label, stream = _open(source)
    with stream, one_line_errors(label):
        picture = identify(stream)
        image, opacity = _as_image(_to_picture(picture, label, size, False)), None
        if picture.has_transparency_data:  # decoded and upright by now
            layer, size_now = picture.convert("RGBA").getchannel("A"), (image.shape[3], image.shape[2])
            opacity = _to_tensor(layer.resize(size_now, Image.Resampling.LANCZOS)).unsqueeze(0)
        return image, opacity


def check_source(source: str) -> None:
    """Raise ImageError, as `load_image` does, where nothing is named or at hand; nothing is read or downloaded."""
    samples = (*photo_names(), *style_names(), *download_names())
    if source in samples or source.lower().startswith(("http://", "https://")):
        return
    path = user_path(source)
    if os.path.isdir(path):
        raise ImageError(f"{source or path} is a folder: name one image in it")
    if not os.path.isfile(path):
        try:
            raise ImageError(_why_not_a_file(path, source))
        except OSError as error:  # a name that no file can have
            raise ImageError(f"cannot read {source[:80]} ({error.strerror})") from None


def save_image(image: Tensor, path: str | os.PathLike[str], opacity: Tensor | None = None) -> None:
    """Write `image`, (1, 3, H, W) or (3, H, W) in [0, 1] (clamped), as PNG, JPEG or WebP by the suffix of `path`.

    `opacity` (1, 1, H, W) in [0, 1] goes with it; JPEG has none, and gets the picture laid over white. The folder is
    created; the file is there completely or not at all. Raises ImageError for another suffix, for a
    tensor that is not a picture, and where the file cannot be written.
    """
    path = user_path(path)
    check_format(path)
    picture = to_pil(image)
    if opacity is not None:
        if not isinstance(opacity, Tensor) or opacity.shape != (1, 1, picture.height, picture.width):
            found = tuple(opacity.shape) if isinstance(opacity, Tensor) else type(opacity).__name__
            raise ImageError(
                f"the opacity is {found}; give (1, 1, {picture.height}, {picture.width}), as the picture is"
            )
        layer = Image.fromarray(_to_levels(opacity[0, 0]))
        if path.suffix.lower() in (".jpg", ".jpeg"):
            picture = Image.composite(picture, Image.new("RGB", picture.size, "white"), layer)
        else:
            picture.putalpha(layer)
    try:
        with atomic_path(path) as temporary:
            picture.save(temporary, **SAVE_OPTIONS[path.suffix.lower()])
    except (OSError, ValueError) as error:  # ValueError: more pixels than the format can hold
        raise ImageError(f"cannot write {path} ({reason_of(error)}): choose another place or another format") from None


def check_format(path: str | os.PathLike[str]) -> None:
    """ImageError unless `save_image` knows the format that the name of a file asks for."""
    if Path(path).suffix.lower() not in SAVE_OPTIONS:
        raise ImageError(f"cannot save {path}: end the name in one of {', '.join(SAVE_OPTIONS)}")


def to_pil(image: Tensor) -> Image.Image:
    """The picture `image`, (1, 3, H, W) or (3, H, W) in [0, 1] (clamped), as an 8-bit RGB PIL image.

    Raises ImageError for another shape, for integers, and where a value is NaN or far from that range.
    """
    if not isinstance(image, Tensor):
        raise ImageError(f"not a picture but a {type(image).__name__}: a tensor (1, 3, H, W) is needed")
    picture = image.detach().squeeze(0) if image.ndim == 4 else image.detach()
    if picture.ndim != 3 or picture.shape[0] != 3 or picture.numel() == 0 or not picture.is_floating_point():
        shape, kind = tuple(image.shape), str(image.dtype).removeprefix("torch.")
        raise ImageError(f"not a picture: {kind} {shape}; a floating-point (1, 3, H, W) or (3, H, W) is needed")
    if picture.isnan().any():
        raise ImageError("the picture holds NaN, so the run that made it diverged: lower its learning rate or weights")
    if far := _far_values(picture):
        raise ImageError(f"the picture {far} (or, after a run that diverged, lower its learning rate)")
    return Image.fromarray(_to_levels(picture.permute(1, 2, 0)))


def encoded(image: Tensor, format: str, longer: int | None = None, **options: Any) -> bytes:
    """A picture as the bytes of a file; `longer` bounds its longer side in pixels, `options` go to Pillow's `save`."""
    picture, buffer = to_pil(image), io.BytesIO()
    if longer:
        picture.thumbnail((longer, longer))
    picture.save(buffer, format=format, **options)
    return buffer.getvalue()


def data_address(content: bytes, kind: str) -> str:
    """The bytes of a file of a MIME type as an address, which puts the file into a page itself."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def check_images(**images: Tensor) -> None:
    """Raise ParameterError unless every named picture is a float tensor of shape (1, 3, H, W)."""
    for name, image in images.items():
        shape = tuple(image.shape) if isinstance(image, Tensor) else ()
        if len(shape) != 4 or shape[:2] != (1, 3) or 0 in shape or not image.is_floating_point():
            found = f"{image.dtype} {shape}" if isinstance(image, Tensor) else type(image).__name__
            raise ParameterError(f"{name} is {found}; give a float tensor (1, 3, H, W) in [0, 1] from nst.load_image")


def check_values(**images: Tensor) -> None:
    """Raise ParameterError unless every named picture is a float tensor (B, 3, H, W) with values roughly in [0, 1]."""
    for name, image in images.items():
        check_images(**{name: image[:1] if isinstance(image, Tensor) and image.ndim == 4 else image})
        if far := _far_values(image):
            raise ParameterError(f"{name} {far}")


def with_margin(image: Tensor, margin: int) -> Tensor:
    """Images (B, C, H, W) with so many pixels more at each border: mirrored, or repeated where there are too few."""
    return F.pad(image, [margin] * 4, mode="reflect" if min(image.shape[2:]) > margin else "replicate")


def without_margin(image: Tensor, margin: int) -> Tensor:
    """Images (B, C, H, W) without so many pixels at each border."""
    return image[:, :, margin:-margin, margin:-margin]


def check_same_size(**images: Tensor) -> None:
    """Raise ParameterError unless all pictures have one height and width."""
    sizes = {name: tuple(image.shape[2:]) for name, image in images.items()}
    if len(set(sizes.values())) > 1:
        found = ", ".join(f"{name} {height} x {width}" for name, (height, width) in sizes.items())
        raise ParameterError(f"the pictures have different heights and widths ({found}): give some of one size")


def _far_values(image: Tensor) -> str:
    """What is wrong with values that are no picture's, such as those from 0 to 255, or "".

    A picture that is being optimized may leave [0, 1], and one minus the mean of a network's training has, too.
    """
    low, high = (bound.item() for bound in image.detach().aminmax())
    if -FAR < low and high < FAR:  # false for NaN
        return ""
    return f"has values from {low:.4g} to {high:.4g}: a picture's are in [0, 1], so divide those from 0 to 255 by 255"


def resize(image: Tensor, scale: float) -> Tensor:
    """`image` (1, 3, H, W) at `scale` times its size, antialiased; no side falls under one pixel."""
    size = [max(1, round(side * scale)) for side in image.shape[2:]]
    wide = image.to(torch.promote_types(image.dtype, torch.float32))  # torch has no antialiasing of 16 bits on a CPU
    return F.interpolate(wide, size, mode="bilinear", antialias=True, align_corners=False).to(image.dtype)


def _open(source: object) -> tuple[str, BinaryIO]:
    """A name for `source` to use in messages, and its bytes as a stream."""
    if isinstance(source, (bytes, bytearray, memoryview)):
        return f"the image of {len(source)} bytes", io.BytesIO(source)
    if not isinstance(source, (str, os.PathLike)):
        kind = type(source).__name__
        raise ImageError(f"no image can be loaded from a {kind}: give a sample name, path, address, bytes or PIL image")
    if str(source).lower().startswith(("http://", "https://")):
        return str(source), io.BytesIO(_read_web(str(source)))
    if not os.fspath(source):
        raise ImageError("an empty name: name one image, by a sample name, a path or an address")
    path = _find(source)
    try:
        if path.is_dir():
            raise ImageError(f"{path} is a folder: name one image in it")
        if not path.is_file():
            raise ImageError(_why_not_a_file(path, source))
        return str(path), path.open("rb")
    except OSError as error:
        raise ImageError(f"cannot read {path} ({error.strerror}): check its permissions or copy it elsewhere") from None


def _find(source: str | os.PathLike[str]) -> Path:
    """The file that is meant, downloaded if need be: a string is a sample name first, a Path a file if there is one."""
    path, name = user_path(source), os.fspath(source)
    if isinstance(source, os.PathLike) and os.path.lexists(path):
        return path
    if name in PHOTOS:
        return Path(skimage.__file__).parent / "data" / PHOTOS[name]
    if name in style_names():
        return data_dir() / "styles" / f"{name}.jpg"
    return _download(name) if name in download_names() else path


def _why_not_a_file(path: Path, source: object) -> str:
    """Why `path` cannot be opened, and what somebody who asked for it may have meant."""
    if path.exists():
        return f"{path} is a pipe or a device, not a file: save the picture as a file and load that"
    if path.is_symlink():
        return f"{path} is a broken link: what it points to is not there any more"
    nearby = {file.name.casefold(): file for file in path.parent.iterdir()} if path.parent.is_dir() else {}
    if match := difflib.get_close_matches(path.name.casefold(), nearby, n=1):
        return f"there is no image file {str(source)!r}: did you mean {str(nearby[match[0]])!r}?"
    samples = (*photo_names(), *style_names(), *download_names())
    near = difflib.get_close_matches(path.name.casefold(), samples, n=1)
    advice = f"did you mean {near[0]!r}?" if near else f"give a path, or a sample name ({', '.join(samples)})"
    return f"there is no image file {str(source)!r}: {advice}"


def _read_web(url: str) -> bytes:
    """The picture behind a web address, within bounds whatever the server announces."""
    try:
        return read(url, most=MAX_BYTES, seconds=MAX_SECONDS)
    except DownloadError as error:
        raise ImageError(f"{error}, or save the picture and load the file") from None


@cache
def _download_table() -> dict[str, dict[str, str | int]]:
    """What `data/downloads.toml` lists, by name."""
    return tomllib.loads((data_dir() / "downloads.toml").read_text(encoding="utf-8"))


def _download(name: str) -> Path:
    """The cached file of a picture in the download table; fetched, checked and credited when first asked for."""
    entry = _download_table()[name]
    url, file = DOWNLOAD_ADDRESS.format(**entry), cached(f"{name}{Path(str(entry['path'])).suffix}")
    known = file.exists()
    try:
        download(url, file, sha256=str(entry["sha256"]), most=int(entry["bytes"]), seconds=MAX_SECONDS)
    except DownloadError as error:
        raise ImageError(f"{error}; or put the file there as {file}, or use the bundled {entry['instead']!r}") from None
    if not known:
        print("Downloaded {title} by {artist} ({rights})".format(**entry))
    return file


@contextmanager
def one_line_errors(label: str) -> Iterator[None]:
    """Whatever a decoder raises at a strange file (nearly every type occurs) becomes one line that names the file."""
    try:
        yield
    except LessonError:
        raise
    except UnidentifiedImageError:
        advice = (
            "download it again, or export it as JPEG or PNG (for a web page, give the address of the picture itself)"
        )
        raise ImageError(f"{label} is empty, cut short, or none of {', '.join(READ_FORMATS)}: {advice}") from None
    except MemoryError:
        raise ImageError(f"{label} does not fit into memory: make it smaller") from None
    except Image.DecompressionBombError:
        raise ImageError(_too_large(label)) from None
    except Exception as error:
        advice = "copy, download or export it again"
        raise ImageError(f"{label} is damaged or incomplete ({reason_of(error)}): {advice}") from None


def _too_large(label: str) -> str:
    return f"{label} has more than {MAX_PIXELS / 1e6:g} megapixels: make it smaller"


def identify(stream: BinaryIO) -> Image.Image:
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
    """`image` decoded, upright, at the wanted size, in mode "RGB" or as gray in [0, 1] in mode "F"."""
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


# torchvision has functions for the next two, and takes a third of the seconds of `import nst_lesson`.
def _to_tensor(picture: Image.Image) -> Tensor:
    """A picture in mode "RGB", "L" or "F" as float32 (C, H, W); levels from 0 to 255 become [0, 1]."""
    pixels = torch.from_numpy(np.array(picture))
    pixels = pixels[None] if pixels.ndim == 2 else pixels.permute(2, 0, 1).contiguous()
    return pixels.float().div_(255) if pixels.dtype == torch.uint8 else pixels


def _as_image(picture: Image.Image) -> Tensor:
    """A picture in mode "RGB" or "F" as a contiguous float32 tensor (1, 3, H, W) in [0, 1]."""
    return _to_tensor(picture).clamp(0, 1).expand(3, -1, -1).unsqueeze(0).contiguous()


def _to_levels(values: Tensor) -> np.ndarray:
    """The nearest of the levels from 0 to 255 for values in [0, 1], as uint8 of the same shape."""
    return values.float().clamp(0, 1).mul_(255).round_().to(torch.uint8).cpu().numpy()


def _fit(original: tuple[int, int], size: int | None, upsample: bool) -> tuple[int, int]:
    """Width and height with the longer side bounded by `size`, or equal to it if `upsample`."""
    longer = max(original)
    if size is None or (size >= longer and not upsample):
        return original
    return max(1, round(original[0] * size / longer)), max(1, round(original[1] * size / longer))


def _to_rgb(image: Image.Image, label: str) -> Image.Image:
    """`image` in mode "RGB"; what has more than 8 bits in mode "F", in [0, 1]."""
    if image.mode == "F" or image.mode.startswith("I"):
        return _to_unit_gray(image, label)
    if image.mode == "CMYK" and "icc_profile" in image.info:
        with suppress(ImageCms.PyCMSError, OSError):  # a damaged or an RGB profile: use Pillow's formula
            profile = ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"]))
            converted = ImageCms.profileToProfile(image, profile, ImageCms.createProfile("sRGB"), outputMode="RGB")
            return converted or image.convert("RGB")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")  # a copy of 200 megapixels is 800 MB


def _to_unit_gray(image: Image.Image, label: str) -> Image.Image:
    """16-bit, integer or floating-point gray in mode "F", in [0, 1]."""
    values = np.asarray(image).astype(np.float32)
    if not np.isfinite(values).all():
        raise ImageError(f"{label} holds values that are not finite numbers: export it as 8-bit PNG")
    white = 65535 if image.mode.startswith("I") else 255 if values.max() > 1 else 1
    return Image.fromarray((values / white).clip(0, 1))
