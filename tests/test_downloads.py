"""One downloader: resumed, checked, bounded in bytes and time, locked; all against a server of this machine."""

import hashlib
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from web import dripping, endless, redirect, serving, silent

from nst_lesson import downloads
from nst_lesson.downloads import CHUNK, DownloadError, cached, download, exclusive, read

CONTENT = np.random.default_rng(0).bytes(5 * CHUNK + 77)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def server():
    with serving() as server:
        server.files["/a"] = CONTENT
        yield server


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache, and no proxy."""
    monkeypatch.setenv("NST_LESSON_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "*")
    return tmp_path / "cache"


def get(server, address="/a", **options):
    """Download into the cache, as somebody would who asks for a file that is there."""
    return download(server.url + address, cached("a"), **{"sha256": SHA256, "most": len(CONTENT)} | options)


def ranges(server):
    return [wanted for _, wanted in server.asked]


def error_of(call, *args, **options):
    """The message of the error that a download raises: one line, and not followed by another library's traceback."""
    with pytest.raises(DownloadError) as caught:
        call(*args, **options)
    message = str(caught.value)
    assert message and "\n" not in message
    assert caught.value.__cause__ is None and (caught.value.__context__ is None or caught.value.__suppress_context__)
    return message


def files(cache):
    return sorted(path.name for path in cache.rglob("*") if path.is_file())


@pytest.mark.parametrize("digest", [SHA256, SHA256[:8]])
def test_a_file_is_fetched_once_and_nothing_else_is_left(server, cache, digest):
    for _ in range(2):
        assert get(server, sha256=digest).read_bytes() == CONTENT
    assert ranges(server) == [None]
    assert files(cache) == ["a"]


def test_a_damaged_file_is_fetched_again(server, cache):
    cache.mkdir()
    cached("a").write_bytes(CONTENT[:-1])
    assert get(server).read_bytes() == CONTENT


# ---- resumed


def test_a_broken_download_goes_on_at_once(server):
    server.cuts = [CHUNK, 3 * CHUNK]
    assert get(server).read_bytes() == CONTENT
    assert ranges(server) == [None, f"bytes={CHUNK}-", f"bytes={4 * CHUNK}-"]


def test_a_broken_download_goes_on_next_time(server, cache):
    server.cuts = [CHUNK + 1, 0]
    assert "try again, what arrived is kept" in error_of(get, server)
    assert files(cache) == ["a.part"]
    assert get(server).read_bytes() == CONTENT
    assert ranges(server) == [None, f"bytes={CHUNK + 1}-", f"bytes={CHUNK + 1}-"]
    assert files(cache) == ["a"]


def test_a_complete_part_is_only_checked(server, cache):
    cache.mkdir()
    (cache / "a.part").write_bytes(CONTENT)
    assert get(server).read_bytes() == CONTENT
    assert ranges(server) == [f"bytes={len(CONTENT)}-"]


def test_a_server_without_ranges_starts_over(server):
    server.ranges, server.cuts = False, [CHUNK]
    assert get(server).read_bytes() == CONTENT
    assert ranges(server) == [None, f"bytes={CHUNK}-"]


def test_a_server_without_ranges_that_always_breaks_is_given_up(server):
    server.ranges, server.cuts = False, [CHUNK] * 9
    assert "no connection" in error_of(get, server)
    assert len(server.asked) == 2


@pytest.mark.parametrize("length", [500, 9 * len(CONTENT)])
def test_a_part_of_another_file_starts_over(server, cache, length):
    cache.mkdir()
    (cache / "a.part").write_bytes(b"x" * length)
    assert get(server).read_bytes() == CONTENT
    assert ranges(server) == [f"bytes={length}-", None]


@pytest.mark.parametrize("cuts", [[CHUNK], [0]])
def test_what_is_read_into_memory_is_whole_or_an_error(server, cuts):
    assert read(f"{server.url}/a", most=len(CONTENT), seconds=60) == CONTENT
    server.cuts = cuts
    assert "no connection, or it broke" in error_of(read, f"{server.url}/a", most=len(CONTENT), seconds=60)
    assert ranges(server) == [None, None]  # without a hash the halves of two answers are not put together


# ---- bounded and checked


def test_a_wrong_file_is_refused_and_removed(server, cache):
    server.files["/a"] = b"<html>Please log in to the campus network</html>"
    assert "wrong sha256; a login page" in error_of(get, server)
    assert files(cache) == []


@pytest.mark.parametrize("answer", [CONTENT, endless])
def test_too_many_bytes_are_refused_announced_or_not(server, cache, answer):
    server.files["/a"] = answer
    assert "larger than 0.2 MB" in error_of(get, server, most=200_000)
    assert "larger than 0.2 MB" in error_of(read, f"{server.url}/a", most=200_000, seconds=60)
    assert files(cache) == []


def test_time_is_bounded_however_steadily_it_drips(server, cache):
    server.files["/a"] = dripping
    assert "not finished in time" in error_of(read, f"{server.url}/a", most=CHUNK, seconds=0.2)
    assert "not finished in time" in error_of(get, server, seconds=0.2)
    assert files(cache) == ["a.part"]


def test_silence_is_bounded(server, monkeypatch):
    monkeypatch.setattr(downloads, "TIMEOUT", 0.1)
    server.files["/a"] = silent
    assert "no answer in time" in error_of(get, server)
    server.files["/a"] = lambda handler: (handler.start(9), silent(handler))
    assert "no answer in time" in error_of(get, server)


def test_offline_and_nonsense_are_one_line_and_leave_nothing(server, cache):
    server.shutdown()
    server.server_close()
    assert "no connection" in error_of(get, server)
    for url in ("http://", "http://[", "https://exa mple:port/a", "ftp://127.0.0.1/a", "/etc/passwd"):
        assert url in error_of(download, url, cached("a"), sha256=SHA256, most=9)
        assert url in error_of(read, url, most=9, seconds=9)
    assert files(cache) == []


@pytest.mark.parametrize("status", [204, 304, 403, 500])
def test_a_server_that_refuses_says_so(server, cache, status):
    server.status = status
    assert f"the server answered {status}" in error_of(get, server)
    assert files(cache) == []


# ---- redirects


def test_redirects_are_followed_and_a_download_resumed_through_them(server):
    server.files |= {"/old": redirect("/newer"), "/newer": redirect(f"{server.url}/a")}
    server.cuts = [CHUNK]
    assert get(server, "/old").read_bytes() == CONTENT
    assert server.asked[-1] == ("/a", f"bytes={CHUNK}-")
    assert read(f"{server.url}/old", most=len(CONTENT), seconds=60) == CONTENT


def test_the_body_of_a_redirect_is_not_read(server):
    server.files["/old"] = redirect("/a", endlessly=True)
    assert get(server, "/old", seconds=60).read_bytes() == CONTENT


@pytest.mark.parametrize("target, said", [("/old", "redirects"), ("file:///etc/passwd", "leads to file"), ("//[", "")])
def test_redirects_that_go_round_or_elsewhere_are_refused(server, target, said):
    server.files["/old"] = redirect(target)
    assert said in error_of(get, server, "/old")
    assert len(server.asked) <= downloads.MOST_REDIRECTS + 1


def test_limits_hold_behind_a_redirect(server):
    server.files |= {"/old": redirect("/drip"), "/drip": dripping, "/long": redirect("/endless"), "/endless": endless}
    assert "not finished in time" in error_of(get, server, "/old", seconds=0.2)
    assert "larger" in error_of(get, server, "/long", most=99)


# ---- kept


@pytest.mark.parametrize("name", ["../a", "../../a", "x/../../a", "", ".", "..", "/a"])
def test_no_name_leaves_the_cache(name):
    assert repr(name) in error_of(cached, name)


def test_a_cache_given_with_dots_or_as_home_is_fine(tmp_path, monkeypatch):
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("NST_LESSON_CACHE", os.path.join("~", "x", "..", "y"))
    assert os.path.normpath(cached("weights", "a")) == str(tmp_path / "y" / "weights" / "a")


def test_a_place_that_cannot_be_written_is_one_line(server, cache):
    cache.write_text("a file")  # a folder below a file: not even root can make it
    assert "cannot keep" in (message := error_of(get, server)) and "NST_LESSON_CACHE" in message


@pytest.fixture
def small_disk():
    """No file can have more than 100 kB."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_one_line(server, small_disk):
    assert "cannot keep" in (message := error_of(get, server)) and "make room" in message


# ---- one process at a time


def test_many_threads_fetch_one_file_once(server):
    together = threading.Barrier(8)

    def start(_):
        together.wait()
        return get(server).read_bytes()

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(start, range(8))) == {CONTENT}
    assert ranges(server) == [None]


def test_a_second_process_waits_and_says_so_once(server, cache):
    program = (
        "from nst_lesson.downloads import cached, download; "
        f"download('{server.url}/a', cached('a'), sha256='{SHA256}', most={len(CONTENT)})"
    )
    cache.mkdir()
    with exclusive(cached("a")):
        second = subprocess.Popen([sys.executable, "-c", program], text=True, stderr=subprocess.PIPE)
        assert second.stderr.readline() == "a: waiting for another process that is fetching it\n"
        assert server.asked == []
    _, errors = second.communicate(timeout=60)
    assert second.returncode == 0 and "waiting" not in errors
    assert files(cache) == ["a"] and cached("a").read_bytes() == CONTENT
