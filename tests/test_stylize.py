"""`nst-lesson stylize`: folders, films, large strokes, colors, transparency; wrong combinations are one line."""

import itertools
from collections import namedtuple
from fractions import Fraction

import numpy as np
import pytest
import torch
from PIL import Image
from web import serving

import nst_lesson as nst
from nst_lesson.cli import main as cli
from nst_lesson.errors import LessonError
from nst_lesson.networks import filming
from nst_lesson.networks.painter import LARGE, STROKES, Painter
from nst_lesson.paths import locked
from nst_lesson.pictures import films, images
from nst_lesson.pictures.enlarge import enlarge
from nst_lesson.pictures.images import load_with_opacity
from nst_lesson.pictures.motion import steadied

Result = namedtuple("Result", "status out err")


@pytest.fixture(scope="module")
def network():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nst.TransformationNetwork(0.1).eval()


@pytest.fixture
def stylize(capfd, monkeypatch, tmp_path, network):
    """Runs the command with a tiny network, in a folder that holds mine.safetensors and the folder photos."""
    monkeypatch.chdir(tmp_path)
    nst.save_model(network, "mine.safetensors")
    for name in ("a.jpg", "b.png", "c.tiff"):
        (tmp_path / "photos").mkdir(exist_ok=True)
        Image.new("RGB", (40, 30), (200, 100, 50)).save(tmp_path / "photos" / name)

    def call(*arguments):
        status = cli.main(["stylize", *map(str, arguments)])
        return Result(status, *capfd.readouterr())

    return call


def film_of(count, size=(48, 32), noise=0.0):
    """A camera that moves 2 pixels a frame to the right over a photograph, with noise of its own in every frame."""
    photo, random = nst.load_image("chelsea", 200), torch.Generator().manual_seed(0)
    width, height = size
    for number in range(count):
        frame = photo[:, :, 20 : 20 + height, 2 * number : 2 * number + width]
        yield (frame + noise * torch.randn(frame.shape, generator=random)).clamp(0, 1)


def write(path, frames, seconds=None):
    pictures = [nst.to_pil(frame) for frame in frames]
    films.write_film(path, pictures, seconds or [Fraction(n, 10) for n in range(len(pictures))])
    return path


# ---- several photographs


def test_a_folder_goes_into_a_folder_and_what_is_done_is_not_done_again(stylize, tmp_path):
    (tmp_path / "photos" / "broken.jpg").write_bytes(b"no picture")
    (tmp_path / "photos" / "notes.txt").write_text("not a picture")
    result = stylize("photos", "rocket", "--model", "mine.safetensors", "--size", 32, "-o", "out")
    assert result.status == 2 and "wrote 4 of 5 into out" in result.out
    assert result.err.splitlines()[-1].startswith("  photos/broken.jpg is empty, cut short")
    names = ["a.jpg", "b.png", "c.tiff.png", "rocket.png"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == names
    (tmp_path / "out" / "a.jpg").unlink()
    before = {name: (tmp_path / "out" / name).stat().st_mtime_ns for name in names[1:]}
    again = stylize("photos", "rocket", "--model", "mine.safetensors", "--size", 32, "-o", "out")
    assert "wrote 1 of 5 into out; 3 were there already" in again.out
    assert before == {name: (tmp_path / "out" / name).stat().st_mtime_ns for name in names[1:]}


def test_one_that_cannot_be_painted_is_named_and_the_rest_are_painted(stylize, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    (tmp_path / "photos" / "b.mp4").touch()
    names = ["photos", "", "what?.png"]
    (tmp_path / "photos" / "b.png").rename(tmp_path / "what?.png")
    result = stylize(*names, "--model", "mine.safetensors", "--size", 32, "-o", "out")
    assert result.status == 2 and "wrote 3 of 5 into out" in result.out
    assert "an empty name" in result.err and "videos need PyAV" in result.err
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.jpg", "c.tiff.png", "what?.png"]


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("rocket",), "say how to paint: --model NAME"),
        (("rocket", "--model", "mine.safetensors", "--style", "wave"), "leave out --style"),
        (("rocket", "--model", "mine.safetensors", "--weight", "1"), "leave out --weight"),
        (("rocket", "--model", "any_style"), "name one with --style"),
        (("rocket", "--style", "wave", "--weight", "1", "--weight", "2"), "weights are [1.0, 2.0], paintings 1"),
        (("rocket", "--model", "mine.safetensors", "--steady"), "rocket is not one"),
        (("film.gif", "--model", "mine.safetensors", "--steady"), "out.png is not one"),
        (("photos/a.jpg", "rocket", "--model", "mine.safetensors", "--steady", "-o", "out"), "none among these"),
        (("rocket", "--model", "mine.safetensors", "-o", ""), "the name is empty"),
        (("rocket", "--model", "mine.safetensors", "--strength", "2"), "a number from 0 to 1, not '2'"),
        (("rocket", "--model", "mine.safetensors", "--strength", "nan"), "a number from 0 to 1, not 'nan'"),
        (("rocket", "--model", "mine.safetensors", "--strokes", "0"), "--strokes: give a whole number from 1"),
        (("rocket", "--model", "mine.safetensors", "-o", "out.gif"), "does not make a film"),
        (("film.mp4", "--model", "mine.safetensors"), "end the name in one of .gif, .mp4"),
        (("rocket", "coffee", "--model", "mine.safetensors"), "leave out its suffix"),
        (("photos", "--model", "mine.safetensors", "-o", "photos"), "is in the folder to write into"),
        (("photos/a.jpg", "./photos/a.jpg", "--model", "mine.safetensors", "-o", "out"), "rename one of them"),
    ],
)
def test_a_wrong_combination_is_one_line_and_writes_nothing(stylize, tmp_path, arguments, part):
    (tmp_path / "film.mp4").touch()
    write(tmp_path / "film.gif", film_of(2))
    before = sorted(tmp_path.rglob("*"))
    result = stylize("-o", "out.png", *arguments)
    assert result.status == 2 and result.out == "" and part in result.err and len(result.err.splitlines()) == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_transparency_is_kept(stylize, tmp_path):
    picture = nst.to_pil(nst.load_image("rocket", 64))
    picture.putalpha(Image.linear_gradient("L").resize(picture.size))
    picture.save(tmp_path / "clear.png")
    assert stylize("clear.png", "--model", "mine.safetensors", "--size", 32, "-o", "out.png").status == 0
    painted = Image.open(tmp_path / "out.png")
    _, wanted = load_with_opacity(tmp_path / "clear.png", 32)
    assert painted.mode == "RGBA" and wanted.min() < 0.1 and wanted.max() > 0.9
    assert abs(np.asarray(painted.getchannel("A")) / 255 - wanted[0, 0].numpy()).max() < 1 / 255
    assert stylize("clear.png", "--model", "mine.safetensors", "--size", 32, "-o", "out.jpg").status == 0
    assert np.asarray(Image.open(tmp_path / "out.jpg"))[0].min() > 230  # laid over white


def test_a_picture_of_the_web_is_asked_for_once(stylize, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")
    with serving() as server:
        server.files = {"/clear.png": images.encoded(torch.rand(1, 3, 20, 30), "png")}
        assert stylize(f"{server.url}/clear.png", "--model", "mine.safetensors", "-o", "out.png").status == 0
        assert len(server.asked) == 1


# ---- how it is painted


def test_strength_and_colors(network):
    photo = nst.load_image("coffee", 64)
    painted = Painter(network)(photo)
    assert torch.equal(painted, nst.stylize(network, photo))
    assert torch.equal(Painter(network, strength=0.0)(photo), photo)
    torch.testing.assert_close(Painter(network, strength=0.25)(photo), photo.lerp(painted, 0.25))
    assert torch.equal(Painter(network, keep_colors=True)(photo), nst.keep_luminance(painted, photo))


def test_a_large_photograph_is_painted_smaller(network):
    painter = Painter(network)
    assert painter.scale(LARGE, 1000) == 1 and painter.scale(6000, 4000) == STROKES / 6000
    assert Painter(network, strokes=9999).scale(6000, 4000) == 1


def test_strokes_are_enlarged_and_edges_are_the_photographs(network):
    photo = nst.load_image("astronaut")
    small = nst.load_image("astronaut", 128)
    painted = Painter(network, strokes=128)(photo)
    assert painted.shape == photo.shape and painted.min() >= 0 and painted.max() <= 1
    gray = torch.full_like(small, 0.5)
    fine = enlarge(gray, small, photo) - 0.5  # of a painting without any marks only the photograph's detail is left
    edges = nst.load_image("astronaut").mean(1).diff(dim=2).abs()
    strong = edges > edges.quantile(0.95)
    assert fine.mean(1).diff(dim=2).abs()[strong].mean() > 5 * fine.mean(1).diff(dim=2).abs()[~strong].mean()
    assert fine.mean().abs() < 0.01


# ---- films


def test_a_gif_keeps_its_frames_and_times(stylize, tmp_path):
    seconds = [Fraction(0), Fraction(1, 10), Fraction(4, 10)]
    write(tmp_path / "film.gif", film_of(3), seconds)
    assert stylize("film.gif", "--model", "mine.safetensors", "-o", "out.gif").out == "wrote out.gif\n"
    painted = list(films.read_film(tmp_path / "out.gif"))
    assert [second for _, second in painted] == seconds
    assert all(frame.shape == (1, 3, 32, 48) for frame, _ in painted)
    assert not list(tmp_path.glob(".*.frames"))


def video_with_sound(path, frames):
    """A video of 12 frames a second with a tone."""
    av = pytest.importorskip("av")
    with av.open(str(path), "w") as film:
        video, sound = film.add_stream("libx264", rate=12), film.add_stream("aac", rate=44100)
        video.pix_fmt, video.width, video.height = "yuv420p", 48, 32
        for number, frame in enumerate(frames):
            film.mux(video.encode(av.VideoFrame.from_image(nst.to_pil(frame))))
            tone = np.sin(np.arange(44100 // 12) * 0.05 + number).astype(np.float32)[None]
            samples = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
            samples.sample_rate = 44100
            film.mux(sound.encode(samples))
        film.mux(video.encode())
        film.mux(sound.encode())
    return path


def test_a_video_keeps_its_rate_and_its_sound(stylize, tmp_path):
    av = pytest.importorskip("av")
    video_with_sound(tmp_path / "film.mp4", film_of(5))
    assert stylize("film.mp4", "--model", "mine.safetensors", "-o", "out.mp4").out == "wrote out.mp4\n"
    with av.open(str(tmp_path / "film.mp4")) as before, av.open(str(tmp_path / "out.mp4")) as after:
        assert after.streams.video[0].average_rate == before.streams.video[0].average_rate == 12
        sizes = [[packet.size for packet in film.demux(audio=0) if packet.size] for film in (before, after)]
        assert sizes[0] and sizes[0] == sizes[1]
    assert len(list(films.read_film(tmp_path / "out.mp4"))) == 5
    silent = stylize("film.mp4", "--model", "mine.safetensors", "-o", "out.gif")
    assert silent.out == "wrote out.gif (without its sound)\n"


def test_a_stopped_film_goes_on_and_comes_out_the_same(network, tmp_path, monkeypatch):
    source, settings = write(tmp_path / "film.gif", film_of(4)), {"model": "mine"}
    painter = Painter(network)
    filming.paint_film(painter, source, tmp_path / "whole.gif", steady=True, settings=settings)
    calls = itertools.count()

    def stopping(self, photo):
        if next(calls) == 2:
            raise KeyboardInterrupt
        return nst.stylize(network, photo)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Painter, "__call__", stopping)
        filming.paint_film(painter, source, tmp_path / "parts.gif", steady=True, settings=settings)
    kept = [path.name for path in sorted((tmp_path / ".parts.gif.frames").glob("*.jpg"))]
    assert kept == ["000000.jpg", "000001.jpg"]
    filming.paint_film(painter, source, tmp_path / "parts.gif", steady=True, settings=settings)
    assert (tmp_path / "parts.gif").read_bytes() == (tmp_path / "whole.gif").read_bytes()


def test_a_film_does_not_go_on_with_the_frames_of_another_network(network, tmp_path):
    source, out = write(tmp_path / "film.gif", film_of(3)), tmp_path / "painted.gif"
    frames = tmp_path / ".painted.gif.frames"
    filming.paint_film(Painter(network), source, out, settings={})
    clean = out.read_bytes()
    torch.manual_seed(1)
    other = nst.TransformationNetwork(0.1).eval()
    painters = {"network": Painter(other), "painting": Painter(network, [torch.rand(1, 3, 8, 8)])}
    for name, painter in painters.items():
        with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(filming, "write_film", interrupted)
            filming.paint_film(painter, source, out, settings={})
        assert frames.is_dir(), name
        filming.paint_film(Painter(network), source, out, settings={})
        assert out.read_bytes() == clean, name


def interrupted(*_args, **_options):
    raise KeyboardInterrupt


def test_a_damaged_gif_in_a_folder_is_named_and_the_others_are_painted(stylize, tmp_path):
    whole = write(tmp_path / "film.gif", film_of(3)).read_bytes()
    huge = whole[:6] + b"\xff\xff\xff\xff" + whole[10:]  # 65535 x 65535 pixels
    for name, content in (("huge", huge), ("cut", whole[:40]), ("odd", whole[:13] + bytes(range(256)))):
        (tmp_path / "photos" / f"{name}.gif").write_bytes(content)
    alone = stylize("photos/huge.gif", "--model", "mine.safetensors", "-o", "out.gif")
    assert alone.status == 2 and "huge.gif" in alone.err and "does not make a film" not in alone.err
    result = stylize("photos", "--model", "mine.safetensors", "-o", "out")
    assert result.status == 2 and "wrote 3 of 6" in result.out and "Traceback" not in result.err
    assert all(f"{name}.gif" in result.err for name in ("huge", "cut", "odd"))


def test_a_film_that_is_cut_short_is_painted_as_far_as_it_goes_and_that_is_said(stylize, tmp_path):
    whole = write(tmp_path / "film.gif", film_of(6)).read_bytes()
    (tmp_path / "cut.gif").write_bytes(whole[: whole.rindex(b"\x21\xf9\x04")])  # where the last frame begins
    result = stylize("cut.gif", "--model", "mine.safetensors", "-o", "out.gif")
    frames = len(list(films.read_film(tmp_path / "out.gif")))
    assert result.status == 0 and frames == 5
    assert f"cut.gif is cut short: it ends after {frames} frames" in result.err
    assert "cut short" not in stylize("film.gif", "--model", "mine.safetensors", "-o", "whole.gif").err


def test_a_video_that_ends_before_its_time_is_said(tmp_path):
    av = pytest.importorskip("av")
    with av.open(str(tmp_path / "film.mkv"), "w") as film:
        stream = film.add_stream("libx264", rate=10, options={"g": "5"})
        stream.pix_fmt, stream.width, stream.height = "yuv420p", 64, 64
        for frame in torch.rand(40, 1, 3, 64, 64, generator=torch.Generator().manual_seed(0)):
            film.mux(stream.encode(av.VideoFrame.from_image(nst.to_pil(frame))))
        film.mux(stream.encode())
    whole = (tmp_path / "film.mkv").read_bytes()
    assert len(list(films.read_film(tmp_path / "film.mkv"))) == 40
    (tmp_path / "cut.mkv").write_bytes(whole[: len(whole) // 2])
    with pytest.warns(UserWarning, match="cut.mkv is cut short: it ends after"):
        assert 0 < len(list(films.read_film(tmp_path / "cut.mkv"))) < 40


def test_a_film_of_one_pixel_across_becomes_a_video(stylize, tmp_path):
    pytest.importorskip("av")
    write(tmp_path / "thin.gif", [frame[..., :1] for frame in film_of(2)])
    assert stylize("thin.gif", "--model", "mine.safetensors", "-o", "out.mp4").out == "wrote out.mp4\n"
    assert next(films.read_film(tmp_path / "out.mp4"))[0].shape == (1, 3, 32, 2)
    assert not list(tmp_path.glob(".*.frames"))


@pytest.mark.parametrize("content", [b"", b"no film", b"GIF89a"])
@pytest.mark.parametrize("name", ["film.mp4", "film.gif"])
def test_a_damaged_film_is_one_line(stylize, tmp_path, name, content):
    pytest.importorskip("av")
    (tmp_path / name).write_bytes(content)
    result = stylize(name, "--model", "mine.safetensors", "-o", "out.mp4" if name.endswith("mp4") else "out.png")
    assert result.status == 2 and name in result.err and "Traceback" not in result.err


def test_without_pyav_a_video_is_one_line(monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    (tmp_path / "film.mp4").touch()
    with pytest.raises(LessonError, match=r"nst-lesson\[film\]"):
        next(films.read_film(tmp_path / "film.mp4"))


def test_steady_halves_the_flicker():
    """Of a camera that moves over a photograph, seen through noise and painted by a network that makes more of it."""
    network = nst.load_model("cubist")
    frames = list(film_of(6, (96, 80), noise=0.02))
    painted = [nst.stylize(network, frame) for frame in frames]
    steady = painted[:1]
    for number in range(1, len(frames)):
        steady.append(steadied(painted[number], frames[number], frames[number - 1], steady[-1]))

    def flicker(film):
        """How much what both frames show differs, once the known motion is taken back."""
        pairs = list(itertools.pairwise(film))[2:]
        return np.mean([float((b[..., :-2] - a[..., 2:]).abs()[..., 8:-8, 8:-8].mean()) for a, b in pairs])

    assert flicker(steady) <= 0.5 * flicker(painted)


def test_motion_is_found_in_double_precision_too():
    frames = [frame.double() for frame in film_of(2, (64, 48))]
    assert steadied(frames[1], frames[1], frames[0], frames[0]).dtype == torch.float64


@pytest.mark.parametrize("name", ["coffee", "https://example.org/a.mp4", "nowhere.gif"])
def test_what_is_no_file_is_no_film(name):
    with pytest.raises(nst.LessonError, match="is not a file: give the path of a film"):
        next(films.read_film(name))


def test_a_film_is_read_below_the_users_folder(tmp_path, monkeypatch):
    for name in ("HOME", "USERPROFILE"):  # of Unix and of Windows
        monkeypatch.setenv(name, str(tmp_path))
    pictures = [nst.to_pil(torch.full((1, 3, 16, 16), gray)) for gray in (0.2, 0.8)]
    pictures[0].save(tmp_path / "film.gif", save_all=True, append_images=pictures[1:])
    assert len(list(films.read_film("~/film.gif"))) == 2


def test_a_second_command_for_one_film_leaves_the_work_of_the_first(network, tmp_path):
    pictures = [nst.to_pil(torch.full((1, 3, 16, 16), gray)) for gray in (0.2, 0.8)]
    pictures[0].save(tmp_path / "film.gif", save_all=True, append_images=pictures[1:])
    folder = tmp_path / ".out.gif.frames"
    with locked(folder, "painting of this film"), pytest.raises(LessonError, match="is writing into"):
        (folder / "settings.json").touch()
        filming.paint_film(Painter(network), tmp_path / "film.gif", tmp_path / "out.gif", settings={})
    assert (folder / "settings.json").exists()


def test_what_comes_into_view_is_not_painted_over():
    before, frame = torch.zeros(1, 3, 64, 64), torch.zeros(1, 3, 64, 64)
    frame[..., 20:40, 20:40] = 1  # a square out of nothing
    painted, painted_before = frame, torch.full_like(frame, 0.5)
    result = steadied(painted, frame, before, painted_before)
    torch.testing.assert_close(result[..., 25:35, 25:35], painted[..., 25:35, 25:35], atol=0.02, rtol=0)


def test_what_does_not_fit_into_memory_is_refused_before_it_starts(stylize, tmp_path, monkeypatch):
    monkeypatch.setattr("psutil.virtual_memory", lambda: namedtuple("Memory", "available")(1_000_000))
    result = stylize("rocket", "--model", "mine.safetensors", "-o", "out.png", "--size", "128")
    assert result.status == 2 and "try --strokes 50" in result.err and len(result.err.splitlines()) == 1
    assert not (tmp_path / "out.png").exists()
