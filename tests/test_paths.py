"""Writes are atomic, and no two runs share a folder."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nst_lesson import paths
from nst_lesson.errors import LessonError


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
        assert temporary.parent == tmp_path and temporary.suffix == ".txt"
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


def test_atomic_path_gives_the_permissions_of_a_normal_file(tmp_path):
    (tmp_path / "normal").write_text("")
    with paths.atomic_path(tmp_path / "atomic") as temporary:
        temporary.write_text("")
    assert (tmp_path / "atomic").stat().st_mode == (tmp_path / "normal").stat().st_mode


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


@pytest.fixture
def one_second(monkeypatch, tmp_path):
    """Every run starts in the same second, in a clone at tmp_path."""
    (tmp_path / "notebooks").mkdir()
    monkeypatch.setattr(paths, "PACKAGE", tmp_path / "nst_lesson")
    monkeypatch.setattr(paths.time, "strftime", lambda _: "20260101-120000")
    return tmp_path


def test_run_folder_is_below_the_clone(one_second):
    first, second = paths.run_folder("04_gatys"), paths.run_folder("04_gatys")
    assert first == one_second / "runs" / "04_gatys-20260101-120000" and first.is_dir()
    assert second.name == "04_gatys-20260101-120000-2"


def test_run_folder_outside_a_clone_is_in_the_current_folder(one_second, tmp_path, monkeypatch):
    (one_second / "notebooks").rmdir()
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
