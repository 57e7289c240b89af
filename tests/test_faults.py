"""Faults of machines and of input, by kind: each ends in one line, and nothing is half done."""

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import torch

import nst_lesson as nst
from nst_lesson.cli import main as cli
from nst_lesson.course import pages
from nst_lesson.course.results import results_in
from nst_lesson.methods.checkpoint import TrainingState
from nst_lesson.networks import filming, models
from nst_lesson.networks.painter import Painter
from nst_lesson.paths import atomic_path
from nst_lesson.pictures.images import READ_SUFFIXES

needs_pipes = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no named pipes in folders")


@pytest.fixture
def refused(tmp_path, monkeypatch, capfd):
    """Calls the command in an empty folder with bad input; returns the one line that it says."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        before = sorted(tmp_path.rglob("*"))
        assert cli.main(list(arguments)) == 2
        assert sorted(tmp_path.rglob("*")) == before
        (line,) = capfd.readouterr().err.splitlines()
        assert line.startswith("nst-lesson: ")
        return line

    return run


def no_memory():
    return torch.empty(1 << 55)  # no machine has that much: torch's own error


def more_than_numpy_has():
    raise MemoryError


def no_memory_on_a_gpu():
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")


@pytest.mark.parametrize("failure", [no_memory, more_than_numpy_has, no_memory_on_a_gpu])
def test_what_does_not_fit_into_memory_is_one_line(failure, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(models, "load_model", lambda name: failure())
    assert cli.main(["stylize", "rocket", "--model", "wave", "-o", "out.png"]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert "does not fit into memory" in line and "--size" in line and not list(tmp_path.iterdir())


def test_another_error_of_torch_is_not_called_one_of_memory(monkeypatch):
    def broken(name):
        raise RuntimeError("shapes differ")

    monkeypatch.setattr(models, "load_model", broken)
    with pytest.raises(RuntimeError, match="shapes differ"):
        cli.main(["stylize", "rocket", "--model", "wave", "-o", "out.png"])


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other permissions")
def test_others_may_read_what_new_files_allow(tmp_path):
    (tmp_path / "ordinary").touch()
    wanted = (tmp_path / "ordinary").stat().st_mode
    with atomic_path(tmp_path / "private") as temporary:
        temporary.touch(mode=0o600)
    nst.save_model(nst.TransformationNetwork(0.1), tmp_path / "m.safetensors")
    assert {(tmp_path / name).stat().st_mode for name in ("private", "m.safetensors")} == {wanted}


@pytest.mark.parametrize("suffix", [".gif", ".jfif", ".ppm"])
def test_a_training_folder_may_hold_any_picture_that_can_be_read(tmp_path, suffix):
    assert suffix in READ_SUFFIXES
    picture = nst.to_pil(nst.load_image("rocket", 40))
    picture.save(tmp_path / f"x{suffix}", format={".jfif": "JPEG", ".gif": "GIF", ".ppm": "PPM"}[suffix])
    crop, skipped = nst.Photographs(tmp_path, size=16)[0]
    assert crop.shape == (3, 16, 16) and not skipped


# --------------------------------------------------------------------------------------------------- what is not a file


@needs_pipes
@pytest.mark.parametrize(
    "arguments",
    [
        ("stylize", "pipe.gif", "--model", "wave", "-o", "out.gif"),
        ("stylize", "pipe.mp4", "--model", "wave", "-o", "out.mp4"),
        ("stylize", "pipe.png", "rocket", "--style", "pipe.gif", "-o", "out"),
        ("paint", "rocket", "--style", "pipe.gif", "-o", "out.png"),
        ("paint", "rocket", "--style", "wave", "--mask", "pipe.png", "--size", "32", "-o", "out.png"),
        ("run", "00", "-f", "pipe.yaml", "-o", "out"),
        ("run", "00", "-f", "pipe.json", "-o", "out"),
        ("run", "pipe.ipynb", "-o", "out"),
        ("html", "pipe.ipynb", "-o", "out"),
    ],
    ids=" ".join,
)
def test_a_pipe_is_refused_instead_of_waited_for(refused, tmp_path, arguments):
    for suffix in ("gif", "mp4", "png", "yaml", "json", "ipynb"):
        os.mkfifo(tmp_path / f"pipe.{suffix}")
    assert "pipe" in refused(*arguments)


@needs_pipes
def test_a_pipe_among_notebooks_stops_neither_marks_nor_runs(tmp_path, monkeypatch):
    (tmp_path / "class").mkdir()
    os.mkfifo(tmp_path / "class" / "anna.ipynb")
    assert cli.main(["grade", str(tmp_path / "class"), "-o", str(tmp_path / "grades.csv")]) == 0
    assert "a pipe" in (tmp_path / "grades.csv").read_text(encoding="utf-8")
    assert results_in(tmp_path / "class") == {}


@needs_pipes
def test_a_pipe_is_no_checkpoint(tmp_path):
    os.mkfifo(tmp_path / "checkpoint")
    state = TrainingState(nst.TransformationNetwork(0.1), torch.optim.SGD([torch.zeros(1)]))
    with pytest.raises(nst.LessonError, match="cannot be read"):
        nst.Checkpoint(tmp_path / "checkpoint").load(state, {})


# ----------------------------------------------------------------------------------------- where nothing can be written


@pytest.mark.parametrize(
    "arguments",
    [
        ("paint", "rocket", "--style", "wave", "-o", "file/out.png"),
        ("stylize", "rocket", "--model", "wave", "-o", "file/out.png"),
        ("stylize", "rocket", "coffee", "--model", "wave", "-o", "file/out"),
        ("export", "wave", "-o", "file/out.onnx"),
        ("grade", ".", "-o", "file/out.csv"),
    ],
    ids=" ".join,
)
def test_a_place_that_cannot_be_written_is_said_before_the_work(refused, tmp_path, monkeypatch, arguments):
    monkeypatch.setattr(models, "load_model", lambda name: pytest.fail("it has begun"))
    (tmp_path / "file").touch()
    assert "cannot write" in refused(*arguments)


def test_a_path_that_cannot_be_found_says_why(refused):
    assert "write the whole path" in refused(
        "stylize", "rocket", "--model", "wave", "-o", "~nobody-of-this-name/out.png"
    )


def test_a_training_does_not_replace_what_it_reads(refused, tmp_path):
    (tmp_path / "out").mkdir()
    nst.save_model(nst.TransformationNetwork(0.1), tmp_path / "out" / "model.safetensors")
    nst.save_image(nst.load_image("rocket", 32), tmp_path / "out" / "preview.jpg")
    for option, name in (("--start", "model.safetensors"), ("--preview", "preview.jpg")):
        line = refused("train", "fast", "wave", "--out", "out", option, f"out/{name}")
        assert name in line and "is read by this command" in line


@pytest.mark.parametrize("option", [("--normalization", "mine"), ("--content-layers", "relu9_9")], ids=lambda o: o[0])
def test_a_training_that_does_not_begin_leaves_no_folder(refused, option):
    size = ("--size", "32", "--style-size", "48", "--width", "0.1", "--batch-size", "1", "--workers", "0")
    assert option[1] in refused("train", "fast", "wave", "--out", "new/out", *size, *option)


def test_a_film_of_which_nothing_was_painted_leaves_no_folder(tmp_path):
    network = nst.TransformationNetwork(0.1)
    for weight in network.parameters():
        weight.data.fill_(torch.nan)
    frames = [nst.to_pil(torch.full((1, 3, 32, 32), gray)) for gray in (0.2, 0.8)]
    frames[0].save(tmp_path / "film.gif", save_all=True, append_images=frames[1:])
    with pytest.raises(nst.LessonError, match="NaN"):
        filming.paint_film(Painter(network), tmp_path / "film.gif", tmp_path / "out.gif", settings={})
    assert [path.name for path in tmp_path.iterdir()] == ["film.gif"]


def test_an_exporter_that_does_not_fit_is_one_line(refused, monkeypatch):
    pytest.importorskip("onnxscript")

    def too_old(*_, **__):
        raise AttributeError("module 'onnxscript' has no attribute 'ir'\nand a page more")

    monkeypatch.setattr(torch.onnx, "export", too_old)
    assert "pip install --upgrade" in refused("export", "wave", "-o", "out.onnx")


def test_a_page_that_cannot_be_made_is_one_line(refused, tmp_path, monkeypatch):
    def missing(**_):
        raise ValueError("No template sub-directory with name 'lab'\nfound in ...")

    nbformat.write(nbformat.v4.new_notebook(), tmp_path / "a.ipynb")
    monkeypatch.setattr(pages, "HTMLExporter", missing)
    assert "no page can be made of a.ipynb" in refused("html", "a.ipynb", "-o", "out")


# --------------------------------------------------------------------------------------------------- values and signals


@pytest.mark.parametrize("wrong", [lambda x: x * 255, lambda x: (x * 255).byte(), lambda x: x / 0, lambda x: x.numpy()])
@pytest.mark.parametrize(
    "use",
    [
        lambda x: nst.stylize(nst.TransformationNetwork(0.1), x),
        lambda x: nst.stylize_any(nst.load_model("any_style"), nst.load_image("wave", 32), x),
        lambda x: nst.keep_luminance(nst.load_image("rocket", 32), x),
        lambda x: nst.match_colors(x, nst.load_image("wave", 32)),
        lambda x: nst.show_images({"a": x}),
        lambda x: nst.save_image(x, "never.png"),
    ],
)
def test_what_is_no_picture_in_0_to_1_is_one_line(use, wrong):
    with pytest.raises(nst.LessonError) as caught:
        use(wrong(nst.load_image("rocket", 32)))
    said = str(caught.value)
    assert "\n" not in said and ("(1, 3, H, W)" in said or "by 255" in said)


PHOTO, PAINTING = (nst.load_image(name, 48) for name in ("rocket", "wave"))
SETTINGS = [
    *({"steps": steps} for steps in (0, 1.5, "10", None)),
    *({"start": "noise", "seed": seed} for seed in (-1, 1.5, None, 2**64)),
    *({"style_weight": weight} for weight in (-1, "20", None, float("nan"))),
    *({"content_weight": weight} for weight in (-1, "1")),
]
WHOLE = torch.ones(1, 1, *PHOTO.shape[2:])
WRONG_TERMS = {
    "a mask of 255": nst.Style(PAINTING, where=255 * WHOLE),
    "a mask of NumPy": nst.Style(PAINTING, where=WHOLE.numpy()),
    "a mask without axes": nst.Style(PAINTING, where=WHOLE[0, 0]),
    "a painting's mask of NumPy": nst.Style(PAINTING, where_painting=WHOLE.numpy()),
    "a painting without an axis": nst.Style(PAINTING[0]),
    "a painting by name": nst.Style("wave"),
    "patches without an axis": nst.Patches(PAINTING[0]),
}
TORCH = {
    **{f"transfer {s}": lambda vgg, s=s: next(nst.transfer(PHOTO, PAINTING, vgg, **s)) for s in SETTINGS},
    "no share": lambda vgg: next(nst.transfer(PHOTO, {"a": PAINTING}, vgg)),
    "no share, coarse to fine": lambda vgg: next(nst.coarse_to_fine(PHOTO, {"a": PAINTING}, vgg)),
    "a painting in place of a term": lambda vgg: next(nst.transfer(PHOTO, {"a": (1.0, PAINTING)}, vgg)),
    "the same, coarse to fine": lambda vgg: next(nst.coarse_to_fine(PHOTO, {"a": (1.0, PAINTING)}, vgg)),
    "content of another size": lambda vgg: nst.Objective(vgg, {"c": (1, nst.Content(PHOTO))})(PHOTO[..., :-16]),
    "an objective that returns a float": lambda vgg: next(nst.optimize(PHOTO, lambda x: 1.0, 1)),
    "an objective that returns nothing": lambda vgg: next(nst.optimize(PHOTO, lambda x: {}, 1)),
    "an objective that returns no scalar": lambda vgg: next(nst.optimize(PHOTO, lambda x: {"a": x}, 1)),
    **{f"width {w}": lambda vgg, w=w: nst.TransformationNetwork(w) for w in (0, -1, float("nan"))},
    "width of any style": lambda vgg: nst.AnyStyleNetwork(width=float("nan")),
    **{f"tile {t}": lambda vgg, t=t: nst.stylize(nst.TransformationNetwork(0.1), PHOTO, tile=t) for t in (0, 1.5)},
    "zoom": lambda vgg: nst.closeup(PHOTO, zoom=0),
    "no runs": lambda vgg: nst.plot_losses({}),
    "a film of two sizes": lambda vgg: nst.steadied(PHOTO, PHOTO, PAINTING, PHOTO),
    "a film of bytes": lambda vgg: nst.steadied(PHOTO * 255, PHOTO, PHOTO, PHOTO),
    "two frames at once": lambda vgg: nst.steadied(*[torch.cat([PHOTO] * 2)] * 4),
    "a folder that is not there": lambda vgg: nst.Photographs("nowhere"),
    "a model file that is not there": lambda vgg: nst.load_model("mine/nowhere.safetensors"),
    "a device that is not there": lambda vgg: nst.Hardware("foo").accelerator(),
    "a share that is none": lambda vgg: next(nst.transfer(PHOTO, {"a": ("1", nst.Style(PAINTING))}, vgg)),
    "two paintings in one": lambda vgg: nst.Style(torch.cat([PAINTING] * 2)).prepare(vgg),
    "levels": lambda vgg: next(nst.coarse_to_fine(PHOTO, PAINTING, vgg, levels=1.5)),
    "no height": lambda vgg: next(nst.synthesize_texture(PAINTING, vgg, size=(-5, 10))),
    "a patch of nothing": lambda vgg: nst.Patches(PAINTING, side=0).prepare(vgg),
    "smaller than a patch": lambda vgg: nst.Objective(vgg, {"p": (1, nst.Patches(PAINTING))})(PHOTO[..., :16, :16]),
    "two sizes": lambda vgg: nst.keep_luminance(PHOTO, PAINTING),
    "two sizes, compared": lambda vgg: nst.content_distance(PHOTO, PAINTING, vgg),
    "two sizes, shown": lambda vgg: nst.show_film([PHOTO, PAINTING], "a"),
    "strength": lambda vgg: nst.stylize_any(nst.load_model("any_style"), PHOTO, PAINTING, strength=float("nan")),
    "strength below": lambda vgg: nst.stylize_any(nst.load_model("any_style"), PHOTO, PAINTING, strength=-1),
    "a network by name": lambda vgg: nst.stylize("wave", PHOTO),
    "a backbone by name": lambda vgg: next(nst.transfer(PHOTO, PAINTING, "pocket")),
    "one weight": lambda vgg: nst.stylize_any(nst.load_model("any_style"), PHOTO, PAINTING, weights=1.0),
    "weights of text": lambda vgg: nst.stylize_any(nst.load_model("any_style"), PHOTO, PAINTING, weights=["1"]),
    "a rate of text": lambda vgg: nst.solver("adam", "0.1"),
    "one beta": lambda vgg: nst.solver("adam", betas=(0.9,)),
    "a scale of text": lambda vgg: nst.load_backbone("pocket", activation_scale="1"),
    "a seed of text": lambda vgg: nst.load_backbone("random", seed="a"),
    "one side": lambda vgg: nst.synthesize_texture(PAINTING, vgg, size=64).send(None),
    "a backbone as a model": lambda vgg: nst.save_model(vgg, "x.safetensors"),
    "opacity of another size": lambda vgg: nst.save_image(PHOTO, "x.png", opacity=torch.ones(1, 1, 3, 3)),
    "opacity without axes": lambda vgg: nst.save_image(PHOTO, "x.png", opacity=PHOTO[0, 0]),
    **{
        f"{name}, coarse to fine": lambda vgg, term=term: next(nst.coarse_to_fine(PHOTO, {"a": (1.0, term)}, vgg))
        for name, term in WRONG_TERMS.items()
    },
    "a network for any": lambda vgg: nst.stylize(nst.load_model("any_style"), PHOTO),
    "a network for one": lambda vgg: nst.stylize_any(nst.load_model("wave"), PHOTO, PAINTING),
}


@pytest.mark.parametrize("use", TORCH.values(), ids=TORCH.keys())
def test_what_torch_would_say_of_bad_input_is_said_in_one_line_before(use):
    with pytest.raises(nst.LessonError) as caught:
        use(nst.load_backbone("pocket"))
    assert "\n" not in str(caught.value)


def test_where_nothing_can_have_a_gradient_that_is_said():
    with torch.inference_mode(), pytest.raises(nst.LessonError, match="inference_mode"):
        next(nst.transfer(PHOTO, PAINTING, nst.load_backbone("pocket"), steps=1))


@pytest.mark.parametrize("kind", [torch.float16, torch.float64])
def test_a_picture_of_another_type_is_painted_in_that_type(kind):
    network = nst.TransformationNetwork(0.1).eval()
    for tile in (1024, 32):
        painted = nst.stylize(network, PHOTO.to(kind), tile=tile)
        assert painted.dtype == kind
        difference = (painted.float() - nst.stylize(network, PHOTO, tile=tile)).abs().max()
        assert difference < 0.02  # 16 bits round by 5e-4, which the network makes larger


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16, torch.float64])
def test_so_it_is_by_everything_that_takes_pictures(kind):
    photo, painting, vgg = PHOTO.to(kind), PAINTING.to(kind), nst.load_backbone("pocket")
    painter = Painter(nst.TransformationNetwork(0.1).eval(), strokes=32, strength=0.5)
    assert painter(photo).dtype == nst.steadied(photo, photo, photo, photo).dtype == kind
    assert nst.stylize_any(nst.load_model("any_style"), photo, painting).dtype == kind
    *_, step = nst.coarse_to_fine(photo, painting, vgg, levels=2, steps=2)
    assert step.image.isfinite().all() and step.image.shape == photo.shape


def test_weights_that_16_bits_cannot_hold_are_not_written(tmp_path):
    network = nst.TransformationNetwork(0.1)
    torch.nn.init.constant_(network.down[0].bias, 1e5)
    with pytest.raises(nst.LessonError, match="down.0.bias has weights above 65504"):
        nst.save_model(network, tmp_path / "mine.safetensors")
    assert not list(tmp_path.iterdir())


def test_a_file_of_results_is_where_it_is_said_to_be(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert nst.save_results("~/x", {}, {}) == tmp_path / "x" / "results.json" and (tmp_path / "x").is_dir()


@pytest.mark.parametrize("weight", ["nan", "inf", "-1", "0"])
def test_a_weight_that_is_no_share_is_one_line(refused, weight):
    assert "weights are" in refused(
        "stylize", "rocket", "--size", "32", "--style", "wave", f"--weight={weight}", "-o", "o.png"
    )


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for another process")
def test_an_interrupt_while_torch_is_loaded_is_no_traceback(tmp_path):
    (tmp_path / "torch.py").write_text(
        "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nraise SystemExit('late')"
    )
    start = "import runpy, signal as s, sys; s.signal(s.SIGINT, s.default_int_handler); sys.argv[0] = 'nst-lesson'"
    places = os.pathsep.join([str(tmp_path), str(Path(nst.__file__).parents[1])])
    command = [sys.executable, "-c", f"{start}; runpy.run_module('nst_lesson', run_name='__main__')"]
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": places}, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (130, "")
