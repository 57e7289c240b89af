"""`nst-lesson paint`: the picture is `transfer`'s, bad input is one line, Ctrl-C keeps the picture so far."""

from collections import namedtuple

import pytest
import torch

import nst_lesson as nst
from nst_lesson.cli import paint
from nst_lesson.cli.main import main

Result = namedtuple("Result", "status out err")
SIZE, STEPS = 96, 3


@pytest.fixture
def painted(capfd, monkeypatch, tmp_path):
    """Paints in an empty folder, small and short; gives the exit status and what was printed."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        small = ("--size", SIZE, "--steps", STEPS, "--device", "cpu")
        status = main([str(argument) for argument in ("paint", "chelsea", "-o", "out.png", *small, *arguments)])
        return Result(status, *capfd.readouterr())

    return call


def framed(image):
    """The picture as it is painted: with a mirrored frame, which is cut off in the end."""
    return torch.nn.functional.pad(image, [16] * 4, mode="reflect")


def pictures():
    return framed(nst.load_image("chelsea", SIZE)), nst.load_image("wave", SIZE), nst.load_backbone("pocket")


def assert_shows(file, image):
    """The file has the picture without its frame, but for the rounding to 8 bits."""
    torch.testing.assert_close(nst.load_image(file), image[..., 16:-16, 16:-16], atol=0.51 / 255, rtol=0)


def test_the_picture_is_that_of_transfer(painted, tmp_path):
    result = painted("--style", "wave", "--style-weight", "7", "--start", "noise", "--seed", "3")
    assert result.status == 0 and result.out == "wrote out.png (96 x 64 pixels)\n"
    *_, last = nst.transfer(*pictures(), steps=STEPS, style_weight=7.0, start="noise", seed=3)
    assert_shows(tmp_path / "out.png", last.image)
    assert [line.split(",")[0] for line in result.err.splitlines()] == [f"step {n} of 3" for n in (1, 2, 3)]


def test_by_default_it_begins_at_half_size_where_that_is_not_too_small(painted, tmp_path):
    assert painted("--style", "wave", "--size", "300").status == 0
    photo, style = (nst.load_image(name, 300) for name in ("chelsea", "wave"))
    *_, last = nst.coarse_to_fine(framed(photo), style, nst.load_backbone("pocket"), steps=STEPS, levels=2)
    assert_shows(tmp_path / "out.png", last.image)
    assert painted("--style", "wave", "--size", "300", "--steps", "1", "--overwrite").status == 0


def test_a_small_painting_is_not_halved_by_default(painted, tmp_path):
    nst.save_image(nst.load_image("wave", 24), tmp_path / "small.png")
    assert painted("--style", "small.png", "--size", "300").status == 0


def test_the_photographs_colors_are_kept(painted, tmp_path):
    assert painted("--style", "wave", "--keep-colors", "--levels", "2").status == 0
    photo, style, vgg = pictures()
    *_, last = nst.coarse_to_fine(photo, style, vgg, steps=STEPS, levels=2)
    assert_shows(tmp_path / "out.png", nst.keep_luminance(last.image, photo))


def test_several_styles_share_the_weight(painted, tmp_path):
    wave = nst.load_image("wave", SIZE)
    nst.save_image(wave, tmp_path / "a:2.png")  # a colon that is no weight
    nst.save_image(wave, tmp_path / "b.png")
    assert painted("--style", "a:2.png:3", "--style", "b.png").status == 0
    photo, _, vgg = pictures()
    *_, last = nst.transfer(photo, nst.load_image(tmp_path / "b.png"), vgg, steps=STEPS)  # 3/4 and 1/4 of one painting
    torch.testing.assert_close(
        nst.load_image(tmp_path / "out.png"), last.image[..., 16:-16, 16:-16], atol=2 / 255, rtol=0
    )


@pytest.mark.parametrize("masks", [1, 2])
def test_a_mask_says_where_a_style_counts(painted, tmp_path, masks):
    photo, style, vgg = pictures()
    left = torch.zeros(1, 3, SIZE * 2 // 3, SIZE)
    left[..., :48] = 1
    nst.save_image(left, tmp_path / "left.png")
    nst.save_image(1 - left, tmp_path / "right.png")
    files = [word for name in ("left", "right")[:masks] for word in ("--mask", f"{name}.png")]
    assert painted("--style", "wave", "--style", "cubist:2", *files).status == 0
    left = framed(left)[:, :1]
    cubist = nst.Style(nst.load_image("cubist", SIZE), where=1 - left)
    styles = {"a": (1.0, nst.Style(style, where=left)), "b": (2.0, cubist)}
    *_, last = nst.transfer(photo, styles, vgg, steps=STEPS)
    assert_shows(tmp_path / "out.png", last.image)


def test_a_mask_of_everything_leaves_nothing_for_another_style(painted, tmp_path):
    """Enlarging a white mask leaves a ten-millionth here and there, which is no region."""
    nst.save_image(torch.ones(1, 3, 451, 300), tmp_path / "white.png")
    result = painted("--style", "wave", "--style", "cubist", "--mask", "white.png")
    assert (
        result.status == 2
        and "leave nothing for the last --style" in result.err
        and not (tmp_path / "out.png").exists()
    )
    nst.save_image(torch.zeros(1, 3, 20, 30), tmp_path / "black.png")
    result = painted("--style", "wave", "--mask", "black.png")
    assert result.status == 2 and "the mask black.png is black" in result.err and not (tmp_path / "out.png").exists()


def test_ctrl_c_keeps_the_picture_so_far(painted, tmp_path, monkeypatch):
    whole = paint.coarse_to_fine

    def interrupted(*arguments, **options):
        steps = whole(*arguments, **options)
        yield next(steps)
        yield next(steps)
        raise KeyboardInterrupt

    monkeypatch.setattr(paint, "coarse_to_fine", interrupted)
    result = painted("--style", "wave")
    assert result.status == 130
    assert result.out == "interrupted: out.png is the picture after step 2 of 3\n"
    _, second, _ = nst.transfer(*pictures(), steps=STEPS)
    assert_shows(tmp_path / "out.png", second.image)


def test_the_seconds_left_count_what_a_level_costs():
    photo = torch.zeros(1, 3, 64, 64)
    work = paint._Work(4, 2, photo)  # two steps at half size, then two: a quarter of the work each, and all of it
    assert (work.total, work.full) == (2.5, photo.numel())


def test_a_file_is_replaced_only_when_told(painted, tmp_path):
    (tmp_path / "out.png").write_bytes(b"mine")
    result = painted("--style", "wave")
    assert result.status == 2 and "is there already" in result.err
    assert (tmp_path / "out.png").read_bytes() == b"mine"
    assert painted("--style", "wave", "--overwrite").status == 0
    result = painted("--style", "out.png", "--overwrite")
    assert result.status == 2 and "is read by this command" in result.err


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ((), "--style"),
        (("--style", "nobody"), "nobody"),
        (("--style", "wave:0"), "the weight in --style wave:0 is 0: give a number above 0"),
        (("--style", "wave:nan"), "the weight in --style wave:nan"),
        (("--style", "wave", "--mask", "a.png", "--mask", "b.png"), "2 --mask for 1 --style"),
        (("--style", "wave", "--mask", "none.png"), "none.png"),
        (("--style", "wave", "--backbone", "vgg"), "vgg"),
        (("--style", "wave", "--levels", "11"), "levels is 11"),
        (("--style", "wave", "-o", "out.tiff"), "out.tiff"),
        *((("--style", "wave", "--steps", value), "--steps") for value in ("0", "-1", "nan", 2**70)),
        *((("--style", "wave", "--size", value), "--size") for value in ("0", "inf", 2**70)),
        *((("--style", "wave", "--style-weight", value), "--style-weight") for value in ("nan", "inf", "-1", 2**70)),
        *((("--style", "wave", "--seed", value), "--seed") for value in ("-1", "1.5", 2**70)),
    ],
    ids=str,
)
def test_bad_input_is_one_line_and_writes_nothing(painted, tmp_path, arguments, part):
    result = painted(*arguments)
    assert (result.status, result.out) == (2, "")
    (line,) = result.err.splitlines()
    assert part in line
    assert not list(tmp_path.iterdir())


def test_what_does_not_fit_into_memory_is_refused_before_it_starts(painted, tmp_path, monkeypatch):
    monkeypatch.setattr("psutil.virtual_memory", lambda: namedtuple("Memory", "available")(10_000_000))
    result = painted("--style", "wave")  # 96 x 64 pixels
    assert result.status == 2 and "try --size 40" in result.err and len(result.err.splitlines()) == 1
    assert not any(tmp_path.iterdir())
