"""Writes are atomic, a lock has one holder, and no two runs share a folder."""

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nst_lesson import paths
from nst_lesson.errors import LessonError


@pytest.fixture
def home(tmp_path, monkeypatch):
    """The user's home folder is tmp_path."""
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path))


def test_data_dir_has_the_styles():
    assert (paths.data_dir() / "styles").is_dir()
    assert (paths.data_dir() / "downloads.toml").is_file()


def test_data_dir_of_a_wheel_and_of_a_broken_installation(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "PACKAGE", tmp_path / "nst_lesson")
    with pytest.raises(LessonError, match="install nst_lesson again"):
        paths.data_dir()
    (tmp_path / "nst_lesson" / "data" / "styles").mkdir(parents=True)
    assert paths.data_dir() == tmp_path / "nst_lesson" / "data"


def test_cache_dir_follows_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("NST_LESSON_CACHE", str(tmp_path / "cache"))
    assert paths.cache_dir() == tmp_path / "cache"
    assert not paths.cache_dir().exists()  # asking makes nothing
    monkeypatch.setenv("NST_LESSON_CACHE", "")
    assert "nst_lesson" in paths.cache_dir().parts


def test_atomic_path_replaces_on_success(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("old")
    with paths.atomic_path(str(target)) as temporary:
        assert temporary.suffix == ".txt"
        temporary.write_text("new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_atomic_path_leaves_the_old_file_on_failure(tmp_path, error):
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(error), paths.atomic_path(target) as temporary:
        temporary.write_text("half")
        raise error
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_atomic_path_makes_the_folders_on_the_way(tmp_path):
    with paths.atomic_path(tmp_path / "a" / "b" / "c.txt") as temporary:
        temporary.write_text("x")
    assert (tmp_path / "a" / "b" / "c.txt").read_text() == "x"


@pytest.fixture
def umask():
    """Sets the umask, until the test ends."""
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


@pytest.mark.skipif(os.name != "posix", reason="needs a umask")
@pytest.mark.parametrize("mask", [0o077, 0o022, 0o002])
def test_atomic_path_gives_the_permissions_of_a_normal_file(tmp_path, umask, mask):
    umask(mask)
    (tmp_path / "normal").write_text("")
    with paths.atomic_path(tmp_path / "atomic") as temporary:
        temporary.write_text("")
        assert temporary.parent.stat().st_mode & 0o077 == 0  # what is not finished is nobody else's
    assert (tmp_path / "atomic").stat().st_mode == (tmp_path / "normal").stat().st_mode


@pytest.mark.skipif(os.name != "posix", reason="needs a umask")
def test_atomic_path_leaves_the_umask_to_other_threads(tmp_path, umask):
    umask(0o077)
    done = threading.Event()

    def write():
        while not done.is_set():
            with paths.atomic_path(tmp_path / "atomic") as temporary:
                temporary.write_text("")

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        modes = set()
        for number in range(500):
            (tmp_path / f"{number}").touch()
            modes.add((tmp_path / f"{number}").stat().st_mode & 0o777)
        done.set()
        writing.result()
    assert modes == {0o600}


@pytest.mark.parametrize("name", ["n" * 251 + ".txt", "." + "s" * 254, "é" * 125 + ".txt"])
def test_atomic_path_takes_the_longest_names(tmp_path, name):
    with paths.atomic_path(tmp_path / name) as temporary:
        temporary.write_text("x")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_atomic_path_takes_the_home_folder(tmp_path, home):
    with paths.atomic_path("~/a.txt") as temporary:
        temporary.write_text("x")
    assert (tmp_path / "a.txt").read_text() == "x"


@pytest.mark.skipif(not os.path.isdir("/dev/shm"), reason="needs another file system")
def test_atomic_path_writes_through_a_link_to_another_disk(tmp_path):
    with tempfile.TemporaryDirectory(dir="/dev/shm") as other:
        (tmp_path / "there").symlink_to(other)
        with paths.atomic_path(tmp_path / "there" / "a.txt") as temporary:
            temporary.write_text("x")
        assert (tmp_path / "there" / "a.txt").read_text() == "x"


def test_atomic_path_can_make_a_folder(tmp_path):
    with paths.atomic_path(tmp_path / "new") as temporary:
        temporary.mkdir()
        (temporary / "a.txt").touch()
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.txt"]


def test_a_kill_leaves_only_what_is_hidden(tmp_path):
    program = (
        "import os, sys; from nst_lesson import paths\n"
        "with paths.locked(sys.argv[1], 'run') as folder, paths.atomic_path(folder / 'a.txt') as temporary:\n"
        "    temporary.write_text('half'); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False, timeout=120)
    left = list(tmp_path.iterdir())
    assert len(left) == 2 and all(path.name.startswith(".") for path in left)
    with paths.locked(tmp_path, "run"):  # a dead process holds no lock
        pass


def test_readers_see_a_complete_file_while_threads_write(tmp_path):
    target, contents = tmp_path / "a.txt", [letter * 100_000 for letter in "abcd"]
    target.write_text(contents[0])

    def write(content: str) -> None:
        for _ in range(20):
            with paths.atomic_path(target) as temporary:
                temporary.write_text(content)

    with ThreadPoolExecutor(4) as pool:
        writers = [pool.submit(write, content) for content in contents]
        while not all(writer.done() for writer in writers):
            assert target.read_text() in contents
    for writer in writers:
        writer.result()
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("name, said", [("~nobody-of-that-name/x", "write the whole path"), ("a\0b", "NUL")])
def test_what_cannot_be_a_path_is_one_line(name, said):
    for use in (paths.user_path, lambda name: paths.run_folder("lesson", name)):
        with pytest.raises(LessonError, match=said):
            use(name)


def test_places_in_the_environment_and_of_runs_may_begin_at_home(tmp_path, home, monkeypatch):
    monkeypatch.setenv("NST_LESSON_CACHE", "~/cache")
    assert paths.cache_dir() == tmp_path / "cache"
    assert paths.run_folder("lesson", "~/out") == tmp_path / "out"


# ---- locks


@pytest.mark.parametrize("there", [False, True])
def test_a_folder_is_held_by_one_at_a_time_and_left_as_it_was(tmp_path, there):
    folder = tmp_path / "new" / "out"
    if there:
        folder.mkdir(parents=True)
    for _ in range(2):
        with paths.locked(folder, "run") as held:
            assert held == folder and held.is_dir()
            with pytest.raises(LessonError, match="another run is writing into") as caught, paths.locked(folder, "run"):
                pytest.fail("two hold one folder")
            assert "\n" not in str(caught.value)
        assert list(tmp_path.rglob("*")) == ([tmp_path / "new", folder] if there else [])


def test_a_second_process_is_refused(tmp_path):
    program = "import sys; from nst_lesson import paths\nwith paths.locked(sys.argv[1], 'training'): print('held')"
    command = [sys.executable, "-c", program, str(tmp_path)]
    with paths.locked(tmp_path, "training"):
        second = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert second.returncode and "another training is writing into" in second.stderr and not second.stdout


def test_a_folder_goes_with_its_lock(tmp_path):
    with paths.locked(tmp_path / "out", "run") as folder:
        shutil.rmtree(folder)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(LessonError, match="choose another folder"), paths.locked(tmp_path / "file" / "out", "run"):
        pytest.fail("a folder below a file")


def test_no_two_ever_hold_a_lock_however_it_is_removed_and_made(tmp_path):
    inside, most, lock = [], [], tmp_path / ".lock"

    def work(_):
        for _ in range(100):
            with paths.hold(lock, timeout=60):
                inside.append(1)
                time.sleep(0)  # let the others try
                most.append(len(inside))
                inside.pop()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert set(most) == {1} and len(most) == 400
    assert not lock.exists()


def test_a_lock_that_is_removed_while_it_is_taken_is_taken_again(tmp_path, monkeypatch):
    """The holder removes the file just when another process has opened it: that one's lock would lock nobody out."""
    lock, really, removed = tmp_path / ".lock", paths.FileLock.acquire, []

    def acquire(self, *args, **options):
        result = really(self, *args, **options)
        if not removed:
            removed.append(lock.unlink())
        return result

    monkeypatch.setattr(paths.FileLock, "acquire", acquire)
    with paths.hold(lock, timeout=0), pytest.raises(paths.Timeout), paths.hold(lock, timeout=0):
        pytest.fail("two hold one lock")


# ---- runs


@pytest.fixture
def one_second(monkeypatch, tmp_path):
    """Every run starts in the same second, in a clone at tmp_path."""
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.setattr(paths, "PACKAGE", tmp_path / "nst_lesson")
    monkeypatch.setattr(paths.time, "strftime", lambda _: "20260101-120000")
    return tmp_path


def test_run_folder_is_below_the_clone(one_second):
    first, second = paths.run_folder("04_gatys"), paths.run_folder("04_gatys")
    assert first == one_second / "runs" / "04_gatys-20260101-120000" and first.is_dir()
    assert second.name == "04_gatys-20260101-120000-2"


def test_run_folder_outside_a_clone_is_in_the_current_folder(one_second, tmp_path, monkeypatch):
    (one_second / "pyproject.toml").unlink()
    (one_second / "notebooks").mkdir()  # what another package may leave beside ours
    monkeypatch.chdir(tmp_path)
    assert paths.run_folder("lesson").parent == Path.cwd() / "runs"


def test_run_folder_is_never_shared_by_threads(one_second):
    count = 16
    together = threading.Barrier(count)

    def start(_: int) -> Path:
        together.wait()
        return paths.run_folder("lesson")

    with ThreadPoolExecutor(count) as pool:
        folders = list(pool.map(start, range(count)))
    assert len(set(folders)) == count and all(folder.is_dir() for folder in folders)


def test_run_folder_takes_a_given_folder_as_it_is(tmp_path):
    out = tmp_path / "a" / "b"
    assert paths.run_folder("lesson", str(out)) == out and out.is_dir()
    assert paths.run_folder("lesson", str(out)) == out  # a second time: the caller asked for it


def test_run_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(LessonError, match="out_dir") as caught:
        paths.run_folder("lesson", str(tmp_path / "file" / "out"))
    assert "\n" not in str(caught.value)


def test_what_killed_processes_left_is_swept_and_nothing_else(tmp_path):
    code = "import os, sys; from nst_lesson import paths\nwith paths.atomic_path(sys.argv[1]) as new: os._exit(9)"
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "killed.txt")])
    assert len(list(tmp_path.iterdir())) == 1
    (tmp_path / ".nst-settings").mkdir()
    (tmp_path / ".nst-notes").write_text("mine")
    with paths.atomic_path(tmp_path / "alive.txt") as new:
        new.write_text("whole")
        with paths.locked(tmp_path, "run"):  # sweeps
            assert sorted(path.name for path in tmp_path.iterdir() if "killed" not in path.name) == sorted(
                [".nst-lesson.lock", ".nst-notes", ".nst-settings", new.parent.name]
            )
    assert sorted(path.name for path in tmp_path.iterdir()) == [".nst-notes", ".nst-settings", "alive.txt"]
