"""The command line as a person meets it: exit statuses, one line for bad input, never a traceback."""

import os
import signal
import subprocess
import sys
import time
from collections import namedtuple
from functools import partial

import pytest
from tiny import write_lesson

from nst_lesson.cli import main as cli
from nst_lesson.course import doctor
from nst_lesson.errors import WeightsError
from nst_lesson.networks import backbones
from nst_lesson.networks.models import save_model
from nst_lesson.networks.transformer import TransformationNetwork
from nst_lesson.paths import PACKAGE
from nst_lesson.pictures import images, photographs

Result = namedtuple("Result", "status out err")


@pytest.fixture
def nst_lesson(capfd, monkeypatch, tmp_path):
    """Runs the command in an empty folder; gives its exit status and what it printed."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        try:
            status = cli.main([str(argument) for argument in arguments])
        except SystemExit as stop:  # argparse ends by itself
            status = stop.code
        return Result(status, *capfd.readouterr())

    return call


def assert_bad_input(result, *parts):
    """Status 2, and one line on stderr with the given parts."""
    assert result.status == 2
    assert result.out == ""
    (line,) = result.err.splitlines()
    for part in parts:
        assert part in line


def test_alone_it_prints_help(nst_lesson):
    result = nst_lesson()
    assert result.status == 0
    assert all(command in result.out for command in ("run", "doctor", "fetch", "notebooks", "html"))


def test_version(nst_lesson):
    result = nst_lesson("--version")
    assert (result.status, result.out.split()[0]) == (0, "nst-lesson")


def test_bad_input_to_run_is_one_line_and_leaves_nothing(nst_lesson, tmp_path):
    lesson = write_lesson(tmp_path / "tiny.ipynb")
    assert_bad_input(nst_lesson("run", lesson, "-p", "step", "3"), "did you mean 'steps'?", "learning_rate")
    assert_bad_input(nst_lesson("run", lesson, "-p", "steps", "3.5"), "steps", "a whole number", "'3.5'")
    assert_bad_input(nst_lesson("run", lesson, "-f", "none.yaml"), "none.yaml", "No such file")
    assert_bad_input(nst_lesson("run", lesson, "-f", ""), "empty")  # as of a variable that is not set
    assert_bad_input(nst_lesson("run", lesson, "--recipe", ""), "unknown recipe ''")
    assert_bad_input(nst_lesson("run", "99"), "unknown lesson '99'", "choose one of 00_start_here")
    assert_bad_input(nst_lesson("run", "none.ipynb"), "unknown lesson 'none.ipynb'")
    (tmp_path / "broken.ipynb").write_text("{")
    assert_bad_input(nst_lesson("run", "broken.ipynb"), "broken.ipynb cannot be read as a notebook")
    assert_bad_input(nst_lesson("run", lesson, "-o", lesson), "cannot write into")
    assert_bad_input(nst_lesson("run", lesson, "-o", "."), "cannot go into")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken.ipynb", "tiny.ipynb"]


def test_params_lists_name_type_default_and_meaning(nst_lesson, tmp_path):
    result = nst_lesson("params", write_lesson(tmp_path / "tiny.ipynb"))
    lines = result.out.splitlines()
    assert lines[0].split(maxsplit=3) == ["style", "str", "'nocturne'", "a name or a file"]
    assert lines[2].split("  ")[0] == "learning_rate" and " float " in lines[2] and " 1.0 " in lines[2]
    assert len({line.index(word) for line, word in zip(lines, ("str", "int", "float"), strict=False)}) == 1  # columns


def test_a_picture_that_is_not_there_is_one_line_before_anything_runs(nst_lesson, tmp_path):
    lesson = write_lesson(tmp_path / "tiny.ipynb", "1 / 0")
    assert_bad_input(nst_lesson("run", lesson, "-p", "style", "nocturn", "-o", "out"), "style of tiny", "'nocturne'")


def test_a_run_says_where_its_results_are_and_p_takes_precedence(nst_lesson, tmp_path):
    write_lesson(tmp_path / "tiny.ipynb", "open(out_dir + f'/{steps}-{live}', 'w').close()")
    (tmp_path / "recipe.yaml").write_text("steps: 3\nlive: yes\n")
    result = nst_lesson("run", "tiny.ipynb", "-f", "recipe.yaml", "-p", "steps", "4", "-o", "out")
    assert result.status == 0
    assert result.out.splitlines() == ["results in out:", "  4-True", "  tiny.html", "  tiny.ipynb"]
    assert "A tiny lesson: 100%" in result.err


def test_bad_input_that_the_lesson_finds_is_one_line_too(nst_lesson, tmp_path):
    code = "from nst_lesson.errors import ImageError\nraise ImageError(f'no {steps}')"
    lesson = write_lesson(tmp_path / "tiny.ipynb", code)
    result = nst_lesson("run", lesson, "-p", "steps", "7", "-o", "out")
    assert result.status == 2
    assert result.err.splitlines()[-1] == "nst-lesson: no 7"
    assert "Traceback" not in result.err
    assert not (tmp_path / "out").exists()


def test_a_failing_cell_keeps_the_notebook_and_says_where(nst_lesson, tmp_path):
    lesson = write_lesson(tmp_path / "tiny.ipynb", "print('before')", "x = 1\nx / 0")
    result = nst_lesson("run", lesson, "-o", "out")
    assert result.status == 1
    assert "ZeroDivisionError: division by zero" in result.err
    assert "`x = 1`" in result.err
    # Neither the cell's traceback nor ours. (The kernel's messaging may log one of its own while it is shut down.)
    assert all(part not in result.err for part in ("----> ", "papermill", str(PACKAGE / "course")))
    assert str(tmp_path / "out" / "tiny-failed.ipynb") in result.err
    assert "before" in (tmp_path / "out" / "tiny-failed.ipynb").read_text()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for another process")
@pytest.mark.timeout(900)
def test_an_interrupt_ends_quietly_with_130(tmp_path):
    lesson = write_lesson(tmp_path / "tiny.ipynb", "open('started', 'w').close()\nimport time\ntime.sleep(600)")
    command = [sys.executable, "-m", "nst_lesson", "run", lesson, "-o", "out"]
    heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # tests in the background of a shell ignore it
    process = subprocess.Popen(
        command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, start_new_session=True, preexec_fn=heard
    )
    while process.poll() is None and not (tmp_path / "started").exists():
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    try:
        _, err = process.communicate(timeout=240)  # a busy machine is not what is tested
    except subprocess.TimeoutExpired:  # Python drops an interrupt that arrives in a destructor: people press again
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=240)
    assert process.returncode == 130
    before, said, _ = err.partition("nst-lesson: interrupted\n")  # after it an old IPython's kernel has its say
    assert said and "Traceback" not in before
    assert not (tmp_path / "out").exists()


def test_without_the_extra_lab_it_says_what_to_install(nst_lesson, monkeypatch):
    monkeypatch.delitem(sys.modules, "nst_lesson.course.runs", raising=False)
    monkeypatch.delattr("nst_lesson.course.runs", raising=False)
    monkeypatch.setitem(sys.modules, "papermill", None)
    assert_bad_input(nst_lesson("run", "04"), "papermill is not installed", 'pip install "nst-lesson[lab]"')


def test_notebooks_stores_what_it_executes_and_ends_at_a_failure(nst_lesson, tmp_path):
    good = write_lesson(tmp_path / "good.ipynb", "print('it ran')")
    bad = write_lesson(tmp_path / "bad.ipynb", "1 / 0")
    result = nst_lesson("notebooks", good, bad)
    assert result.status == 1
    assert result.out.startswith("stored good.ipynb")
    assert "bad: cell [2] failed" in result.err
    assert '"it ran\\n"' in good.read_text()


def test_html_writes_a_page_for_each_lesson(nst_lesson, tmp_path):
    lesson = write_lesson(tmp_path / "tiny.ipynb", "x = 1")
    assert nst_lesson("html", lesson, "-o", "site").status == 0
    assert "<title>A tiny lesson</title>" in (tmp_path / "site" / "tiny.html").read_text()
    assert_bad_input(nst_lesson("html", lesson, "-o", lesson), "cannot write into")
    before = sorted(tmp_path.iterdir())
    assert_bad_input(nst_lesson("html", "nope", "-o", "other"), "unknown lesson 'nope'")
    assert sorted(tmp_path.iterdir()) == before


def test_fetch_asks_for_a_painting_weights_or_photographs(nst_lesson, monkeypatch, tmp_path):
    painting, asked = images.download_names()[0], []
    monkeypatch.setattr(images, "load_image", asked.append)
    monkeypatch.setattr(backbones, "fetch_weights", lambda name: asked.append(name) or tmp_path / "w.safetensors")
    assert nst_lesson("fetch", painting).status == 0
    assert str(tmp_path / "w.safetensors") in nst_lesson("fetch", "vgg19").out
    monkeypatch.setattr(photographs, "fetch_photographs", lambda name: asked.append(name) or tmp_path / "coco")
    assert str(tmp_path / "coco") in nst_lesson("fetch", "coco-val2017").out
    assert asked == [painting, "vgg19", "coco-val2017"]


def test_fetch_of_an_unknown_name_finds_the_similar_one_among_all_kinds(nst_lesson):
    for name, near in {"starry_nigth": "starry_night", "vgg91": "vgg19", "coco-val": "coco-val2017"}.items():
        assert_bad_input(nst_lesson("fetch", name), f"unknown name '{name}': did you mean '{near}'?")
    assert_bad_input(nst_lesson("fetch", "pocket"), "'pocket' needs no download")


def test_fetch_that_fails_is_one_line(nst_lesson, monkeypatch):
    def offline(name):
        raise WeightsError(f"{name}: offline")

    monkeypatch.setattr(backbones, "fetch_weights", offline)
    assert_bad_input(nst_lesson("fetch", "vgg19"), "vgg19: offline")


def test_stylize_paints_a_photo_with_a_model_from_a_file(nst_lesson, tmp_path):
    save_model(TransformationNetwork(0.1), tmp_path / "mine.safetensors")
    result = nst_lesson("stylize", "rocket", "--model", "mine.safetensors", "--size", 64, "-o", "out.png")
    assert result.status == 0 and "wrote out.png (64 x 43 pixels)" in result.out
    assert images.load_image(tmp_path / "out.png").shape == (1, 3, 43, 64)


def test_stylize_paints_a_photo_like_any_painting(nst_lesson, tmp_path):
    result = nst_lesson("stylize", "rocket", "--style", "wave", "--size", 64, "-o", "out.png")
    assert result.status == 0 and images.load_image(tmp_path / "out.png").shape == (1, 3, 43, 64)
    both = nst_lesson("stylize", "rocket", "--style", "wave", "--model", "wave", "-o", "both.png")
    assert both.status == 2 and not (tmp_path / "both.png").exists()


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("rocket", "--model", "nobody"), "unknown model 'nobody'"),
        (("rocket", "--model", ""), "unknown model ''"),
        (("rocket", "--style", ""), "name one image"),
        (("rocket", "--model", "any_style"), "name one with --style"),
        (("rocket", "--model", "wave", "--size", "0"), "give a whole number from 1"),
        (("rocket", "--style", "wave", "--size", "0"), "give a whole number from 1"),
        (("rocket", "--model", "wave", "--size", "-3"), "not '-3'"),
        (("nothing.jpg", "--model", "wave"), "nothing.jpg"),
        (("rocket", "--model", "wave", "-o", "out.tiff"), "out.tiff"),
    ],
)
def test_stylize_with_bad_input_is_one_line_and_writes_nothing(nst_lesson, tmp_path, arguments, part):
    assert_bad_input(nst_lesson("stylize", "-o", "out.png", *arguments), part)
    assert list(tmp_path.iterdir()) == []


def test_stylize_overwrites_only_when_told_and_never_what_it_reads(nst_lesson, tmp_path):
    photo = images.load_image("rocket", 64)
    for name in ("photo.png", "painting.png", "mine.png"):
        images.save_image(photo, tmp_path / name)
    (tmp_path / "link.png").symlink_to(tmp_path / "photo.png")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    command = ("stylize", "photo.png", "--style", "painting.png", "-o")
    assert_bad_input(nst_lesson(*command, "mine.png"), "mine.png is there already", "--overwrite")
    for name in ("photo.png", "link.png", tmp_path / "photo.png", "painting.png"):
        assert_bad_input(nst_lesson(*command, name, "--overwrite"), "is read by this command")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert nst_lesson(*command, "mine.png", "--overwrite").status == 0
    assert (tmp_path / "mine.png").read_bytes() != before["mine.png"]


def test_the_home_folder_is_understood_in_paths(nst_lesson, tmp_path, monkeypatch):
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    write_lesson(tmp_path / "tiny.ipynb", "open(out_dir + f'/{steps}', 'w').close()")
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "mine.yaml").write_text("steps: 7\n")
    assert nst_lesson("run", "tiny.ipynb", "-f", "~/mine.yaml", "-o", "~/out").status == 0
    assert (tmp_path / "home" / "out" / "7").exists()
    assert nst_lesson("html", "~/out/tiny.ipynb", "-o", "~/site").status == 0
    assert (tmp_path / "home" / "site" / "index.html").exists()
    save_model(TransformationNetwork(0.1), tmp_path / "home" / "m.safetensors")
    result = nst_lesson("stylize", "rocket", "--model", "~/m.safetensors", "--size", 32, "-o", "~/out.png")
    assert result.status == 0 and (tmp_path / "home" / "out.png").exists()
    assert_bad_input(nst_lesson("run", "tiny.ipynb", "-o", "~nobody-of-that-name/out"), "write the whole path")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "tiny.ipynb"]


@pytest.mark.parametrize("odd", ["two\nlines", "\x1b[31mred", "bell\a", "\udcff.jpg", "\u202eright"])
def test_odd_characters_do_not_reach_the_terminal(nst_lesson, tmp_path, odd):
    write_lesson(tmp_path / "tiny.ipynb")
    commands = [
        ("run", "tiny.ipynb", "-p", "style", "x", "-f", f"{odd}.yaml"),
        ("run", "tiny.ipynb", "-p", odd, "x"),
        ("run", odd),
        ("html", odd),
        ("stylize", f"{odd}.jpg", "--model", "wave", "-o", "out.png"),
        ("stylize", "rocket", "--model", "wave", "-o", f"{odd}/out.tiff"),
        ("fetch", odd),
    ]
    for command in commands:
        result = nst_lesson(*command)
        assert_bad_input(result)
        assert result.err.rstrip("\n").isprintable()


needs_a_shell = pytest.mark.skipif(sys.platform == "win32", reason="needs a Unix shell")
OUTPUTS = ["doctor | head -n 1", "doctor > /dev/full", "html 00 -o site > /dev/full"]


@needs_a_shell
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_without_an_output_it_does_its_work(tmp_path, closed):
    command = f"{sys.executable} -m nst_lesson stylize rocket --model wave --size 32 -o out.png {closed}"
    result = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0 and "Traceback" not in result.stderr and (tmp_path / "out.png").is_file()


def test_a_folder_in_the_place_of_the_file_to_write_is_one_line_before_the_work(nst_lesson, tmp_path):
    for command in (("stylize", "rocket", "--model", "wave"), ("paint", "rocket", "--style", "wave"), ("slides",)):
        out = tmp_path / ("out.html" if command == ("slides",) else "out.png")
        out.mkdir(exist_ok=True)
        result = nst_lesson(*command, "-o", str(out), "--overwrite")
        assert_bad_input(result)
        assert "is a folder" in result.err


@needs_a_shell
@pytest.mark.parametrize("command", [f"nst_lesson {rest}" for rest in OUTPUTS])
def test_output_that_cannot_be_written_is_no_traceback(tmp_path, command):
    if "/dev/full" in command and not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    command = f"set -o pipefail; {sys.executable} -m {command}"
    result = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True)
    assert "Traceback" not in result.stderr and "Exception" not in result.stderr
    assert result.returncode != 0


@needs_a_shell
def test_as_a_module_it_is_the_command(tmp_path):
    command = [sys.executable, "-m", "nst_lesson", "run", "99"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 2 and result.stderr.startswith("nst-lesson: unknown lesson '99'")


def test_an_option_belongs_to_the_command_that_documents_it(nst_lesson):
    for command, has in {"html": True, "notebooks": False, "handout": False}.items():
        assert ("--out-dir" in nst_lesson(command, "--help").out) == has


def test_doctor_finds_what_is_needed_here(nst_lesson):
    result = nst_lesson("doctor")
    assert "[FAIL]" not in result.out
    assert result.status == 0
    for word in "Python torch torchvision cores memory disk weights paintings ipywidgets kernel".split():
        assert any(word in line for line in result.out.splitlines() if line.startswith("["))


def test_doctor_finds_weights_in_a_folder_of_the_class(tmp_path, monkeypatch):
    (tmp_path / "stick").mkdir()
    (tmp_path / "stick" / "vgg19-dcbb9e9d.pth").touch()
    monkeypatch.setenv("NST_LESSON_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NST_LESSON_WEIGHTS", "~/stick")
    (found,) = doctor._weights()
    assert found.ok and "vgg19-dcbb9e9d" in found.text


def test_doctor_names_damaged_weights_and_a_file_in_the_place_of_the_cache(tmp_path, monkeypatch):
    (tmp_path / "cache").touch()
    (tmp_path / "stick").mkdir()
    (tmp_path / "stick" / "vgg19-dcbb9e9d.safetensors").write_bytes(b"junk")
    monkeypatch.setenv("NST_LESSON_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NST_LESSON_WEIGHTS", str(tmp_path / "stick"))
    damaged, listed = doctor._weights()
    assert listed.ok is None and "vgg19" not in listed.text
    assert damaged.ok is None and damaged.text.startswith("weights that cannot be read: ")
    _, writable = doctor._disk()
    assert writable.ok is None and "cannot be written" in writable.text


def test_doctor_goes_on_after_a_failure_and_gives_remedies(nst_lesson, monkeypatch):
    def broken():
        raise RuntimeError("two\nlines")
        yield

    def missing():
        yield doctor.Finding(None, "not needed", "get it")
        yield doctor.Finding(False, "needed", "install it")

    monkeypatch.setattr(doctor, "CHECKS", (broken, missing, doctor._python))
    result = nst_lesson("doctor")
    assert result.status == 1
    lines = result.out.splitlines()
    assert lines[0] == "[FAIL] broken: RuntimeError: two lines"
    assert lines[2:6] == ["[--]   not needed", "       -> get it", "[FAIL] needed", "       -> install it"]
    assert lines[6].startswith("[OK]   Python")
