"""Every picture a classroom may bring loads to the one contract, or fails with one line that helps."""

import hashlib
import io
import os
import struct
import tempfile
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms
from web import dripping, endless, redirect, serving, silent

from nst_lesson import downloads
from nst_lesson.errors import ImageError, LessonError, ParameterError
from nst_lesson.paths import cache_dir
from nst_lesson.pictures import images
from nst_lesson.pictures.images import load_image, save_image, to_pil

MODES = "1 L P PA LA RGB RGBA RGBa RGBX CMYK YCbCr HSV LAB I F I;16 I;16B".split()
NOBODY = "http://127.0.0.1:9"  # the port for what is discarded
HALF_LEVEL = 0.5 / 255  # the most that rounding to 8 bits can change


def picture(width=48, height=32, mode="RGB", seed=0):
    """Four quadrants of different colors under a little noise: no flip or rotation maps it to itself."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 20, (height, width, 3), dtype=np.uint8)
    pixels[: height // 2, : width // 2, 0] += 200
    pixels[: height // 2, width // 2 :, 1] += 200
    pixels[height // 2 :, : width // 2, 2] += 200
    image = Image.fromarray(pixels)
    if mode == "LAB":  # Pillow does not convert to it
        return Image.new("LAB", (width, height))
    between = {"PA": "RGBA", "RGBa": "RGBA", "I": "L", "F": "L", "I;16": "L", "I;16B": "L"}.get(mode, "RGB")
    return image.convert(between).convert(mode)


def encode(image, format="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def pixels_of(tensor):
    """(1, 3, H, W) to an (H, W, 3) array."""
    return tensor[0].permute(1, 2, 0).numpy()


def assert_contract(tensor):
    assert tensor.shape[:2] == (1, 3) and min(tensor.shape) >= 1
    assert tensor.dtype == torch.float32 and tensor.is_contiguous()
    assert 0 <= tensor.min() and tensor.max() <= 1


def error_of(call, *args, error=ImageError, **options):
    """The message of the error that `call` raises: one line, and not followed by another library's traceback."""
    with pytest.raises(error) as caught:
        call(*args, **options)
    message = str(caught.value)
    assert message and "\n" not in message
    assert caught.value.__cause__ is None and (caught.value.__context__ is None or caught.value.__suppress_context__)
    return message


# ---- what comes out ----


@given(
    mode=st.sampled_from(MODES),
    width=st.integers(1, 60),
    height=st.integers(1, 60),
    size=st.none() | st.integers(1, 80),
    upsample=st.booleans(),
)
@settings(max_examples=200, deadline=None)
def test_any_mode_and_size_loads_to_the_contract(mode, width, height, size, upsample):
    tensor = load_image(picture(width, height, mode), size, upsample=upsample)
    assert_contract(tensor)
    longer = max(width, height)
    expected = longer if size is None or (size > longer and not upsample) else size
    assert max(tensor.shape[2:]) == expected
    assert tensor.shape[2] == max(1, round(height * expected / longer))
    assert tensor.shape[3] == max(1, round(width * expected / longer))


@pytest.mark.parametrize("name", images.photo_names())
def test_sample_photographs_are_in_the_wheel_and_in_color(name, monkeypatch):
    monkeypatch.setattr(images, "download", lambda *_, **__: pytest.fail("a sample photograph was downloaded"))
    tensor = load_image(name, 64)
    assert_contract(tensor)
    assert max(tensor.shape[2:]) == 64
    assert (tensor[:, 0] - tensor[:, 2]).abs().mean() > 0.01  # red and blue differ: not gray


def test_style_paintings_load():
    assert set(images.style_names()) >= {"nocturne", "wave", "stained_glass", "pointillist", "cubist", "ink_wash"}
    for name in images.style_names():
        assert_contract(load_image(name, 32))


def test_names_are_unique_and_words():
    names = (*images.photo_names(), *images.style_names(), *images.download_names())
    assert len(set(names)) == len(names)
    assert all(name.isidentifier() and name == name.lower() for name in names)


@pytest.mark.parametrize("convert", [str, Path, Path.read_bytes, lambda path: bytearray(path.read_bytes()), Image.open])
def test_every_kind_of_source_gives_the_same_pixels(convert, tmp_path):
    path = tmp_path / "picture with ümlaut.png"
    path.write_bytes(encode(picture()))
    expected = np.asarray(picture()) / np.float32(255)
    assert np.array_equal(pixels_of(load_image(convert(path))), expected)


def test_a_given_pil_image_is_left_alone():
    data = encode(picture(640, 480), "JPEG")
    image = Image.open(io.BytesIO(data))
    load_image(image, 32)
    assert image.size == (640, 480)


def test_home_folder_is_expanded(tmp_path, monkeypatch):
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path))
    save_image(load_image(picture()), "~/new/own.png")
    assert (tmp_path / "new" / "own.png").is_file()
    for source in ("~/new/own.png", Path("~/new/own.png")):
        assert load_image(source).shape == (1, 3, 32, 48)
    with pytest.raises(LessonError, match="write the whole path"):
        load_image("~nobody-of-that-name/own.png")


def test_a_path_may_name_a_sample_but_an_existing_file_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert torch.equal(load_image(Path("chelsea"), 32), load_image("chelsea", 32))
    picture().save(tmp_path / "chelsea", "PNG")
    assert torch.equal(load_image(Path("chelsea")), load_image(picture()))
    assert torch.equal(load_image("./chelsea"), load_image(picture()))
    assert not torch.equal(load_image("chelsea", 48), load_image(picture()))  # a string is a sample's name first


def test_an_unknown_device_is_refused_in_one_line():
    assert "device='cpu'" in error_of(load_image, picture(), device="gpu", error=ParameterError)


@pytest.mark.parametrize("size", [0, -1, 2.5, "64", True, float("nan")])
def test_size_must_be_a_positive_whole_number(size):
    assert repr(size) in error_of(load_image, picture(), size, error=ParameterError)


def test_size_may_come_from_numpy():
    assert load_image(picture(), np.int64(24)).shape == (1, 3, 16, 24)


def test_shrinking_is_antialiased():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    # A mean of 127.5 rounds to one of its neighbors; picking single pixels would give 0 or 255.
    assert (load_image(Image.fromarray(stripes), 16)[..., 4:-4] - 0.5).abs().max() < 0.02


# ---- modes ----


def test_transparency_is_laid_over_white():
    for mode, color in (("RGBA", (255, 0, 0, 0)), ("LA", (0, 0)), ("RGBa", (0, 0, 0, 0))):
        assert load_image(Image.new(mode, (4, 4), color)).min() == 1
    half = load_image(Image.new("RGBA", (4, 4), (0, 0, 0, 128)))
    assert (half - (1 - 128 / 255)).abs().max() <= HALF_LEVEL * 2


@pytest.mark.parametrize("format", ["PNG", "GIF"])
def test_transparent_palette_entry_is_laid_over_white(format):
    image = Image.new("P", (4, 4), 0)
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((0, 0), 1)
    tensor = load_image(encode(image, format, transparency=0))
    assert tensor[0, :, 0, 0].tolist() == [0, 0, 1]
    assert tensor[0, :, 1, 1].tolist() == [1, 1, 1]


def test_palette_with_several_degrees_of_transparency():
    image = Image.new("P", (2, 1), 0)
    image.putpalette([0, 0, 0, 0, 0, 0])
    image.putpixel((1, 0), 1)
    tensor = load_image(encode(image, transparency=bytes([0, 255])))
    assert tensor[0, 0, 0].tolist() == [1, 0]


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_not_clipped(format):
    ramp = np.linspace(0, 65535, 64, dtype=np.uint16).reshape(8, 8)
    expected = np.repeat((ramp / np.float32(65535))[..., None], 3, axis=2)
    assert np.allclose(pixels_of(load_image(encode(Image.fromarray(ramp), format))), expected, atol=1e-6)  # float32
    assert np.allclose(pixels_of(load_image(Image.fromarray(ramp.astype(np.int32)))), expected, atol=1e-6)


def test_big_endian_sixteen_bits():
    assert load_image(Image.frombytes("I;16B", (1, 1), b"\x80\x00")).max().item() == pytest.approx(0x8000 / 65535)


@pytest.mark.parametrize("white", [1, 255])
def test_floating_point_gray_is_of_either_range(white):
    ramp = np.linspace(0, white, 16, dtype=np.float32).reshape(4, 4)
    assert np.allclose(load_image(Image.fromarray(ramp))[0, 1], ramp / white, atol=1e-6)  # float32


def test_floating_point_gray_with_nan_is_refused():
    assert "finite" in error_of(load_image, Image.fromarray(np.full((2, 2), np.nan, np.float32)))


def test_one_bit_is_black_and_white():
    assert load_image(Image.new("1", (2, 2), 1)).min() == 1
    assert load_image(Image.new("1", (2, 2), 0)).max() == 0


@pytest.mark.parametrize("format", ["JPEG", "TIFF"])
def test_cmyk_keeps_its_colors(format):
    color = (200, 40, 90)
    tensor = load_image(encode(Image.new("RGB", (16, 16), color).convert("CMYK"), format))
    # JPEG and the way there and back through CMYK may each cost a few levels.
    assert np.allclose(pixels_of(tensor), np.array(color) / 255, atol=6 / 255)


def profile_of_black_inks():
    """A minimal CMYK profile (ICC.1:2001, lut8Type) by which any full ink prints black."""
    clut = b"".join(bytes([0 if ink else 255, 128, 128]) for ink in range(16))
    identity = bytes(range(256))
    matrix = struct.pack(">9i", *(65536 if i % 4 == 0 else 0 for i in range(9)))
    lut = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + matrix + identity * 4 + clut + identity * 3
    white = b"XYZ " + bytes(4) + struct.pack(">3I", 0xF6D6, 0x10000, 0xD32D)
    text = b"text" + bytes(4) + b"CC0\0"
    description = b"desc" + bytes(4) + struct.pack(">I", 4) + b"ink\0" + bytes(78)
    tags, table, body = {b"A2B0": lut, b"wtpt": white, b"cprt": text, b"desc": description}, b"", b""
    for name, data in tags.items():
        table += name + struct.pack(">2I", 128 + 4 + 12 * len(tags) + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    head = b"\0\0\0\0\x02\x40\0\0prtrCMYKLab " + struct.pack(">6H", 2020, 1, 1, 0, 0, 0) + b"acsp" + bytes(28)
    head += struct.pack(">3I", 0xF6D6, 0x10000, 0xD32D) + bytes(48)
    length = 128 + 4 + len(table) + len(body)
    return struct.pack(">I", length) + head + struct.pack(">I", len(tags)) + table + body


def test_cmyk_uses_the_printers_profile_and_only_that():
    cyan = Image.new("CMYK", (16, 16), (255, 0, 0, 0))
    assert load_image(encode(cyan, "TIFF", icc_profile=profile_of_black_inks())).max() < 0.05  # black, in the profile
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for leftover in (srgb, b"not a profile"):
        assert load_image(encode(cyan, "TIFF", icc_profile=leftover))[0, :, 0, 0].tolist() == [0, 1, 1]


def test_animations_give_their_first_frame():
    frames = [Image.new("RGB", (4, 4), color) for color in ("red", "blue")]
    data = encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert load_image(data)[0, :, 0, 0].tolist() == [1, 0, 0]


# ---- orientation and large files ----

UPRIGHT = {  # EXIF 2.32, tag 0x0112: what turns the stored rows and columns into the picture
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a, 1),
}


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_exif_orientation(format, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(np.kron(np.asarray(picture(6, 4)), np.ones((16, 16, 1), np.uint8)))  # even for JPEG
    data = encode(stored, format, exif=exif, **({"lossless": True} if format == "WEBP" else {"quality": 98}))
    expected = UPRIGHT[orientation](np.asarray(stored)) / np.float32(255)
    loaded = pixels_of(load_image(data))
    assert loaded.shape == expected.shape
    assert np.abs(loaded - expected).mean() < 0.02  # JPEG is lossy at the edges of the blocks
    small = pixels_of(load_image(data, 12))
    assert small.shape == ((8, 12, 3) if orientation < 5 else (12, 8, 3))
    assert np.abs(small[0, 0] - expected[0, 0]).max() < 0.1  # the ringing of the Lanczos filter


@pytest.mark.parametrize("size", [100, 333])
def test_large_jpeg_is_decoded_at_a_fraction(size, monkeypatch):
    decoded, upright = [], images.ImageOps.exif_transpose
    monkeypatch.setattr(
        images.ImageOps, "exif_transpose", lambda image, **o: decoded.append(image.size) or upright(image, **o)
    )
    large = picture(40, 30).resize((2401, 1803), Image.Resampling.BICUBIC)
    tensor = load_image(encode(large, "JPEG", quality=95), size)
    assert size * 2 <= decoded[0][0] < 2401
    assert tensor.shape == load_image(large, size).shape
    assert (tensor - load_image(large, size)).abs().mean() < 0.01  # JPEG is lossy, and the filter is another


def png_header(width, height):
    """A PNG that announces a size and holds next to nothing."""
    head, start = b"IHDR" + struct.pack(">2I5B", width, height, 8, 2, 0, 0, 0), b"IDAT" + zlib.compress(bytes(9))
    chunks = [
        struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) for chunk in (head, start)
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.mark.parametrize("sides", [(20_000, 10_001), (60_000, 60_000)])
@pytest.mark.parametrize("size", [None, 64])
def test_more_than_200_megapixels_are_refused(sides, size):
    limit = Image.MAX_IMAGE_PIXELS
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # Pillow's own warning would be a second, other opinion
        message = error_of(load_image, png_header(*sides), size)
    assert "200 megapixels" in message
    assert Image.MAX_IMAGE_PIXELS == limit  # Pillow's own limit is back for everybody else


def test_200_megapixels_pass_the_limit():
    # The header passes, though Pillow's own limit is 179 megapixels; what fails is that the rows are missing.
    assert "damaged" in error_of(load_image, png_header(20_000, 10_000), 64)


def test_limit_holds_for_pil_images_and_enlargements(monkeypatch):
    monkeypatch.setattr(images, "MAX_PIXELS", 2000)
    assert "48 x 42" in error_of(load_image, Image.new("RGB", (48, 42)))
    assert "60 x 40" in error_of(load_image, picture(), 60, upsample=True)
    assert load_image(picture(), 54, upsample=True).shape == (1, 3, 36, 54)


# ---- what cannot be read ----


@pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "JPEG2000"])
@pytest.mark.parametrize("size", [None, 16])
def test_a_truncated_file_is_never_a_partial_picture(format, size):
    data = encode(picture(96, 64), format)
    whole = load_image(data, size)
    for length in np.linspace(1, len(data) - 1, 25).astype(int):
        try:
            tensor = load_image(data[:length], size)
        except ImageError as error:
            assert "\n" not in str(error)
        else:  # only a trailer is missing
            assert torch.equal(tensor, whole)


@given(data=st.data(), format=st.sampled_from(["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM"]))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_damaged_bytes_load_to_the_contract_or_fail_in_one_line(data, format):
    exif = Image.Exif()
    exif[0x0112] = 6
    damaged = bytearray(encode(picture(), format, **({} if format in ("BMP", "GIF", "PPM") else {"exif": exif})))
    for place in data.draw(st.lists(st.integers(0, len(damaged) - 1), min_size=1, max_size=4)):
        damaged[place] = data.draw(st.integers(0, 255))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of damaged metadata, rightly
        try:
            assert_contract(load_image(bytes(damaged), 20))
        except ImageError as error:
            assert "\n" not in str(error)


@pytest.mark.parametrize(
    "content",
    [b"", b"<html>a page</html>", b"%!PS-Adobe-3.0 EPSF-3.0", np.random.default_rng(0).bytes(4000)],
    ids=["empty", "page", "postscript", "noise"],
)
def test_what_is_not_an_image_is_named(content, tmp_path):
    path = tmp_path / "photo.jpg"
    path.write_bytes(content)
    message = error_of(load_image, path)
    assert str(path) in message and "export it as JPEG or PNG" in message
    assert f"{len(content)} bytes" in error_of(load_image, content)


@pytest.mark.parametrize("sides", [(0, 5), (5, 0), (0, 0)])
def test_an_image_without_pixels_is_refused(sides):
    assert "no pixels" in error_of(load_image, Image.new("RGB", sides))
    error_of(load_image, png_header(*sides))


def test_a_truncated_file_names_itself(tmp_path):
    path = tmp_path / "half.jpg"
    data = encode(picture(), "JPEG")
    path.write_bytes(data[: 9 * len(data) // 10])  # the header is whole, the pixels are not
    message = error_of(load_image, path)
    assert str(path) in message and "download" in message
    with Image.open(path) as lazy:  # not yet decoded when handed over
        assert "damaged" in error_of(load_image, lazy)


def test_a_folder_is_refused(tmp_path):
    assert f"{tmp_path} is a folder" in error_of(load_image, tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_pipes_and_devices_are_refused_instead_of_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "zero.png").symlink_to("/dev/zero")
    for name in (tmp_path / "pipe.png", tmp_path / "zero.png", "/dev/zero"):
        assert f"{name} is a pipe or a device" in error_of(load_image, name)


def test_a_broken_link_is_called_that(tmp_path):
    (tmp_path / "link.jpg").symlink_to(tmp_path / "gone.jpg")
    (tmp_path / "round.jpg").symlink_to("round.jpg")
    for name in ("link.jpg", "round.jpg"):
        assert f"{tmp_path / name} is a broken link" in error_of(load_image, tmp_path / name)


def test_what_does_not_fit_into_memory_is_one_line(monkeypatch):
    def full(*_, **__):
        raise MemoryError

    monkeypatch.setattr(images.ImageOps, "exif_transpose", full)
    assert "make it smaller" in error_of(load_image, encode(picture()))


@pytest.mark.parametrize(
    "asked, meant", [("chelsae", "chelsea"), ("Nocturne", "nocturne"), ("starry-night", "starry_night")]
)
def test_a_misspelt_name_is_suggested(asked, meant):
    assert f"did you mean {meant!r}" in error_of(load_image, asked)


def test_a_misspelt_file_is_suggested(tmp_path):
    picture().save(tmp_path / "Holiday.PNG")
    assert repr(str(tmp_path / "Holiday.PNG")) in error_of(load_image, tmp_path / "holiday.png")
    assert "sample name" in error_of(load_image, tmp_path / "nowhere" / "qqqq")


@pytest.mark.parametrize("source", ["", "a\0b", "x" * 5000, "\ud800.png", "ftp://127.0.0.1/a.png"])
def test_strange_paths_fail_in_one_line(source):
    error_of(load_image, source, error=LessonError)


@pytest.mark.parametrize("name", ["a\0b.png", "\ud800.png", "x" * 5000 + ".png"])
def test_strange_names_to_write_fail_in_one_line(name, tmp_path):
    error_of(save_image, torch.zeros(1, 3, 4, 4), tmp_path / name, error=LessonError)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("source", [None, 3, [1, 2], torch.zeros(1, 3, 4, 4)])
def test_other_types_are_refused(source):
    assert type(source).__name__ in error_of(load_image, source)


def test_permission_denied_is_said(tmp_path, monkeypatch):
    path = tmp_path / "locked.png"
    picture().save(path)

    def denied(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", denied)  # chmod would not stop root
    assert "Permission denied" in (message := error_of(load_image, path)) and str(path) in message


# ---- saving ----


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".jpeg", ".webp", ".PNG"])
def test_save_and_load(suffix, tmp_path):
    image = load_image("chelsea", 64)
    path = tmp_path / "new" / "folder" / f"result{suffix}"
    save_image(image, path)
    save_image(image[0], path)  # over it, and without a batch
    loaded = load_image(path)
    assert loaded.shape == image.shape
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    if suffix.lower() == ".png":
        assert torch.equal(loaded, image)
    else:
        assert (loaded - image).abs().mean() < 0.02  # both are lossy


def test_jpeg_keeps_the_color_of_every_pixel(tmp_path):
    save_image(load_image("coffee", 64), tmp_path / "a.jpg")
    with Image.open(tmp_path / "a.jpg") as image:
        assert [layer[1:3] for layer in image.layer] == [(1, 1)] * 3  # sampling factors: no subsampling


def test_values_are_clamped_and_rounded():
    values = torch.tensor([-1.0, 0.0, 0.4999 / 255, 0.5001 / 255, 254.6 / 255, 1.0, 7.0])
    levels = np.asarray(to_pil(values.expand(1, 3, 1, 7)))
    assert levels[0, :, 0].tolist() == [0, 0, 0, 1, 255, 255, 255]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_a_tensor_in_training_can_be_shown(dtype):
    assert to_pil(torch.full((3, 4, 5), 1.0, dtype=dtype, requires_grad=True)).getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize(
    "image",
    [torch.zeros(2, 3, 4, 4), torch.zeros(1, 1, 4, 4), torch.zeros(4, 4), torch.zeros(4, 4, 3), torch.zeros(1, 3, 0, 4)]
    + [torch.zeros(1, 3, 4, 4, dtype=torch.uint8)],
)
def test_what_is_not_a_picture_is_refused(image, tmp_path):
    assert str(tuple(image.shape)) in error_of(save_image, image, tmp_path / "a.png")
    assert not list(tmp_path.iterdir())


def test_nan_is_refused(tmp_path):
    image = torch.zeros(1, 3, 4, 4)
    image[0, 1, 2, 3] = float("nan")
    assert "NaN" in error_of(save_image, image, tmp_path / "a.png")


@pytest.mark.parametrize("name", ["a.gif", "a", "a.png.txt"])
def test_unknown_suffix_lists_the_known(name, tmp_path):
    message = error_of(save_image, torch.zeros(1, 3, 4, 4), tmp_path / name)
    assert all(suffix in message for suffix in (".png", ".jpg", ".jpeg", ".webp"))


def test_a_failing_save_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    save_image(torch.zeros(1, 3, 4, 4), path)
    before = path.read_bytes()

    def full(self, target, **_):
        Path(target).write_bytes(b"half a picture")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    assert "No space left" in error_of(save_image, torch.ones(1, 3, 4, 4), path)
    assert list(tmp_path.iterdir()) == [path] and path.read_bytes() == before


def test_where_nothing_can_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.png").mkdir()
    for path in (tmp_path / "file" / "a.png", tmp_path / "folder.png"):
        assert str(path) in error_of(save_image, torch.zeros(1, 3, 4, 4), path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["file", "folder.png"]


def test_where_nobody_may_write(tmp_path, monkeypatch):
    def denied(*_, **__):
        raise PermissionError(13, "Permission denied", "a temporary name")

    monkeypatch.setattr(tempfile, "mkdtemp", denied)  # chmod would not stop root
    message = error_of(save_image, torch.zeros(1, 3, 4, 4), tmp_path / "a.png")
    assert f"cannot write {tmp_path / 'a.png'} (Permission denied)" in message


def test_a_picture_too_wide_for_its_format(tmp_path):
    assert "another format" in error_of(save_image, torch.zeros(1, 3, 1, 70_000), tmp_path / "a.jpg")
    assert not list(tmp_path.iterdir())


# ---- the web ----


@pytest.fixture
def server():
    with serving() as server:
        server.files = {"/a.png": encode(picture()), "/page.png": b"<html>a page</html>"}
        server.files |= {"/endless.png": endless, "/drip.png": dripping, "/slow.png": silent}
        server.files |= {"/old.png": redirect("/a.png"), "/away.png": redirect("file:///etc/passwd")}
        yield server


@pytest.fixture(autouse=True)
def quiet_web(monkeypatch, tmp_path):
    """No proxy, and no cache but an empty one."""
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("NST_LESSON_CACHE", str(tmp_path / "cache"))


def test_url(server):
    assert torch.equal(load_image(f"{server.url}/a.png"), load_image(picture()))
    assert torch.equal(load_image(f"{server.url}/a.png".replace("http", "HTTP"), 24), load_image(picture(), 24))
    assert torch.equal(load_image(f"{server.url}/old.png"), load_image(picture()))


@pytest.mark.parametrize(
    "path, said",
    [
        ("missing.png", "404"),
        ("endless.png", "larger than"),
        ("drip.png", "not finished in time"),
        ("slow.png", "no answer in time"),
        ("page.png", "the address of the picture itself"),
        ("away.png", "leads to file"),
    ],
)
def test_url_that_fails(server, path, said, monkeypatch):
    monkeypatch.setattr(images, "MAX_BYTES", 100_000)
    monkeypatch.setattr(images, "MAX_SECONDS", 0.3)
    monkeypatch.setattr(downloads, "TIMEOUT", 0.2 if path == "slow.png" else 20)
    message = error_of(load_image, f"{server.url}/{path}")
    assert f"{server.url}/{path}" in message and said in message


def test_url_that_breaks_off(server):
    server.cuts = [len(server.files["/a.png"]) // 2]
    assert "check the address, or save the picture" in error_of(load_image, f"{server.url}/a.png")


@pytest.mark.parametrize("url", ["http://", "http://[", "https://exa mple:port/a.png"])
def test_url_that_makes_no_sense(url):
    assert url in error_of(load_image, url)


def test_url_where_nobody_answers():
    assert "no connection" in error_of(load_image, f"{NOBODY}/a.png")


# ---- the download table ----


def test_download_table_is_complete():
    bundled = {*images.photo_names(), *images.style_names()}
    for name in images.download_names():
        entry = images._download_table()[name]
        assert images.DOWNLOAD_ADDRESS.format(**entry).startswith("https://")
        assert len(entry["commit"]) == 40 and len(entry["sha256"]) == 64 and entry["bytes"] > 0
        assert entry["title"] and entry["artist"] and entry["rights"] and entry["instead"] in bundled


@pytest.fixture
def stand_in(server, monkeypatch):
    """The download table with one entry, served by this machine."""
    content = server.files["/a.png"]
    entry = {"title": "A Picture", "artist": "Somebody", "rights": "public domain", "instead": "wave", "path": "a.png"}
    entry |= {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    monkeypatch.setattr(images, "_download_table", lambda: {"a_picture": entry})
    monkeypatch.setattr(images, "DOWNLOAD_ADDRESS", server.url + "/{path}")
    return entry


def cached():
    return sorted(cache_dir().iterdir()) if cache_dir().exists() else []


def test_download_once_with_credit(stand_in, monkeypatch, capsys):
    assert torch.equal(load_image("a_picture"), load_image(picture()))
    assert capsys.readouterr().out.count("A Picture by Somebody (public domain)") == 1
    assert [file.name for file in cached()] == ["a_picture.png"]
    monkeypatch.setattr(images, "DOWNLOAD_ADDRESS", NOBODY + "/{path}")
    assert torch.equal(load_image("a_picture"), load_image(picture()))  # offline now
    assert capsys.readouterr().out == ""


def test_download_of_something_else_is_not_kept(stand_in):
    stand_in["sha256"] = "0" * 64
    assert "wrong sha256" in error_of(load_image, "a_picture")
    assert not cached()


@pytest.mark.parametrize("name", ["../../x", "/x", "weights/../../x"])
def test_no_name_in_the_table_leaves_the_cache(stand_in, name, monkeypatch, tmp_path):
    monkeypatch.setattr(images, "_download_table", lambda: {name: stand_in})
    assert "outside the cache" in error_of(load_image, name, error=LessonError)
    assert list(tmp_path.iterdir()) == []


def test_download_offline_says_what_to_do(stand_in, monkeypatch):
    monkeypatch.setattr(images, "DOWNLOAD_ADDRESS", NOBODY + "/{path}")
    message = error_of(load_image, "a_picture")
    place = cache_dir() / "a_picture.png"
    assert all(part in message for part in (f"{NOBODY}/a.png", "no connection", str(place), "'wave'"))
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(encode(picture()))  # by hand, as the message says
    assert torch.equal(load_image("a_picture"), load_image(picture()))


def test_a_damaged_cached_file_is_downloaded_again(stand_in):
    cache_dir().mkdir(parents=True)
    (cache_dir() / "a_picture.png").write_bytes(b"damaged")
    assert torch.equal(load_image("a_picture"), load_image(picture()))


def test_a_cache_that_cannot_be_made(stand_in, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NST_LESSON_CACHE", str(tmp_path / "file" / "cache"))
    assert "cannot keep" in (message := error_of(load_image, "a_picture")) and "'wave'" in message
