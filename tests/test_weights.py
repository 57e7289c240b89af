"""Weights: found, checked, downloaded, resumed, cut and kept, all against files and a server on this machine."""

import hashlib
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch
from safetensors.torch import load_file, save_file

from nst_lesson.errors import WeightsError
from nst_lesson.networks import weights
from nst_lesson.networks.weights import CHUNK, Published, fetch, load_weights

STATE = {
    "features.0.weight": torch.arange(3 * 40 * 9, dtype=torch.float32).view(40, 3, 3, 3),
    "features.0.bias": torch.ones(40),
    "features.1.num_batches_tracked": torch.tensor(7),
    "classifier.0.weight": torch.zeros(300, 1000),  # what a small copy is rid of: 1.2 of 1.2 MB
}
KEPT = {key: STATE[key] for key in ("features.0.weight", "features.0.bias")}
SHAPES = {key: tensor.shape for key, tensor in KEPT.items()}


class Server(ThreadingHTTPServer):
    """Serves `content` at every address. Each number in `cuts` breaks one answer off after so many bytes."""

    daemon_threads = True

    def __init__(self, content: bytes):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.ranges, self.cuts, self.status, self.delay = content, True, [], 200, 0.0
        self.asked: list[str | None] = []  # the Range of each request


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        wanted = self.headers["Range"]
        self.server.asked.append(wanted)
        time.sleep(self.server.delay)
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and self.server.ranges else 0
        body = self.server.content[start:]
        if start and not body:
            return self.send_error(416)
        if self.server.status != 200:
            return self.send_error(self.server.status)
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: self.server.cuts.pop(0)] if self.server.cuts else body)

    def log_message(self, *args):
        pass


@pytest.fixture
def published(tmp_path):
    """The published file's bytes."""
    torch.save(STATE, tmp_path / "published")
    return (tmp_path / "published").read_bytes()


@pytest.fixture
def server(published):
    server = Server(published)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def source(server, published):
    digest = hashlib.sha256(published).hexdigest()[:8]
    return Published("tiny", f"http://127.0.0.1:{server.server_port}/models/tiny_net-{digest}.pth", "features.")


@pytest.fixture(autouse=True)
def places(tmp_path, monkeypatch):
    """An empty cache, an empty torch.hub cache, no classroom."""
    monkeypatch.setenv("NST_LESSON_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("NST_LESSON_WEIGHTS", raising=False)


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache" / "weights"


@pytest.fixture
def hub(tmp_path):
    (tmp_path / "torch" / "hub" / "checkpoints").mkdir(parents=True)
    return tmp_path / "torch" / "hub" / "checkpoints"


@pytest.fixture
def classroom(tmp_path, monkeypatch):
    (tmp_path / "stick").mkdir()
    monkeypatch.setenv("NST_LESSON_WEIGHTS", str(tmp_path / "stick"))
    return tmp_path / "stick"


def assert_is_kept_part(state):
    assert state.keys() == KEPT.keys()
    assert all(torch.equal(state[key], KEPT[key]) for key in KEPT)


def kept_files(cache):
    """What lies in the cache besides lock files, which may stay."""
    return sorted(path.name for path in cache.iterdir() if path.suffix != ".lock")


def test_download_keeps_only_the_small_copy(source, server, cache):
    path = fetch(source)
    assert path == cache / source.small_file
    assert kept_files(cache) == [source.small_file]
    assert path.stat().st_size < len(server.content) / 100
    assert_is_kept_part(load_weights(source, SHAPES))
    assert fetch(source) == path
    assert len(server.asked) == 1


def test_names_come_from_the_address():
    vgg = Published("vgg16-caffe", "https://example.org/models/vgg16_features-amdegroot-88682ab5.pth")
    assert (vgg.file, vgg.digest) == ("vgg16_features-amdegroot-88682ab5.pth", "88682ab5")
    assert vgg.small_file == "vgg16-caffe-88682ab5.safetensors"


def test_a_broken_download_goes_on_at_once(source, server):
    server.cuts = [CHUNK, 3 * CHUNK]
    assert_is_kept_part(load_weights(source, SHAPES))
    assert server.asked == [None, f"bytes={CHUNK}-", f"bytes={4 * CHUNK}-"]


def test_a_broken_download_goes_on_next_time(source, server, cache):
    server.cuts = [CHUNK + 1, 0]
    with pytest.raises(WeightsError, match="try again, what arrived is kept"):
        fetch(source)
    assert kept_files(cache) == [source.file + ".part"]
    assert_is_kept_part(load_file(fetch(source)))
    assert server.asked == [None, f"bytes={CHUNK}-", f"bytes={CHUNK}-"]
    assert kept_files(cache) == [source.small_file]


def test_a_complete_download_that_was_not_cut_is_not_asked_for_again(source, server, cache, published):
    cache.mkdir(parents=True)
    (cache / (source.file + ".part")).write_bytes(published)
    assert_is_kept_part(load_file(fetch(source)))
    assert server.asked == [f"bytes={len(published)}-"]


def test_a_server_without_ranges_starts_over(source, server):
    server.ranges, server.cuts = False, [CHUNK]
    assert_is_kept_part(load_weights(source, SHAPES))
    assert server.asked == [None, f"bytes={CHUNK}-"]


def test_a_server_without_ranges_that_always_breaks_is_given_up(source, server):
    server.ranges, server.cuts = False, [CHUNK] * 9
    with pytest.raises(WeightsError, match="no connection"):
        fetch(source)
    assert len(server.asked) == 2


@pytest.mark.parametrize("length", [500, 5_000_000])
def test_a_part_of_another_file_starts_over(source, server, cache, length):
    cache.mkdir(parents=True)
    (cache / (source.file + ".part")).write_bytes(b"x" * length)
    assert_is_kept_part(load_file(fetch(source)))
    assert server.asked == [f"bytes={length}-", None]


def test_a_wrong_file_is_refused_and_removed(source, server, cache):
    server.content = b"<html>Please log in to the campus network</html>"
    with pytest.raises(WeightsError, match=r"wrong sha256 \(a login page") as caught:
        load_weights(source, SHAPES)
    assert kept_files(cache) == []
    assert_one_helpful_line(caught, source)


def assert_one_helpful_line(caught, source):
    message = str(caught.value)
    for needed in (source.url, source.file, "NST_LESSON_WEIGHTS", '"pocket"'):
        assert needed in message
    assert "\n" not in message
    assert caught.value.__context__ is None or caught.value.__suppress_context__  # one error, no chain of them


def test_offline_says_what_to_do(source, server):
    server.shutdown()
    server.server_close()
    for get in (fetch, lambda source: load_weights(source, SHAPES)):
        with pytest.raises(WeightsError, match="cannot download .*no connection") as caught:
            get(source)
        assert_one_helpful_line(caught, source)


def test_a_server_that_refuses_says_so(source, server):
    server.status = 403
    with pytest.raises(WeightsError, match=r"cannot download .*the server answered 403 Forbidden") as caught:
        fetch(source)
    assert_one_helpful_line(caught, source)


def test_a_server_that_does_not_answer_says_so(source, server, monkeypatch):
    monkeypatch.setattr(weights, "TIMEOUT", (5, 0.05))
    server.delay = 0.5
    with pytest.raises(WeightsError, match="no answer in time"):
        fetch(source)


def test_torch_hub_cache_is_used_after_a_check(source, server, hub, published, cache):
    (hub / source.file).write_bytes(published)
    assert_is_kept_part(load_weights(source, SHAPES))
    assert server.asked == []
    assert kept_files(cache) == [source.small_file]
    assert (hub / source.file).exists()  # not ours to remove


def test_a_truncated_file_in_torch_hub_cache_is_passed_over(source, server, hub, published):
    (hub / source.file).write_bytes(published[:-1])
    with pytest.warns(UserWarning, match="not used: it is damaged or cut short"):
        assert_is_kept_part(load_weights(source, SHAPES))
    assert len(server.asked) == 1


def test_classroom_copies_come_first(source, server, classroom, published):
    (classroom / source.file).write_bytes(published)
    assert_is_kept_part(load_weights(source, SHAPES))
    small = {key: tensor + 1 for key, tensor in KEPT.items()}
    save_file(small, classroom / source.small_file)
    assert torch.equal(load_weights(source, SHAPES)["features.0.bias"], small["features.0.bias"])
    assert fetch(source) == classroom / source.small_file
    assert server.asked == []


def test_a_damaged_classroom_copy_is_passed_over(source, server, classroom, published):
    (classroom / source.file).write_bytes(published[: len(published) // 2])
    with pytest.warns(UserWarning, match="stick.*damaged or cut short"):
        assert_is_kept_part(load_weights(source, SHAPES))


def test_nothing_is_unpickled_before_its_hash_is_right(source, server, classroom, monkeypatch):
    (classroom / source.file).write_bytes(b"\x80\x02cos\nsystem\n.")
    monkeypatch.setattr(torch, "load", lambda *args, **kwargs: pytest.fail("an unchecked file was opened"))
    server.content = b"also wrong"
    with pytest.warns(UserWarning, match="damaged"), pytest.raises(WeightsError, match="wrong sha256"):
        fetch(source)


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.write_bytes(b""),
        lambda path: save_file(KEPT | {"features.9.bias": torch.ones(1)}, path),
        lambda path: save_file({"features.0.bias": torch.ones(40)}, path),
        lambda path: save_file(KEPT | {"features.0.bias": torch.ones(41)}, path),
    ],
    ids=["truncated", "empty", "key too many", "key too few", "another shape"],
)
def test_a_bad_small_copy_is_named(source, server, damage):
    path = fetch(source)
    damage(path)
    with pytest.raises(WeightsError, match="delete it, then fetch") as caught:
        load_weights(source, SHAPES)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_cache_that_cannot_be_written_keeps_nothing_but_works(source, server, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("NST_LESSON_CACHE", str(tmp_path / "file"))  # a folder below a file: not even root can make it
    with pytest.warns(UserWarning, match="cannot write to .*not kept; NST_LESSON_CACHE"):
        assert_is_kept_part(load_weights(source, SHAPES))
    with pytest.raises(WeightsError, match="cannot keep .*NST_LESSON_CACHE"):
        fetch(source)


def test_a_full_disk_is_one_clear_line(source, server, cache, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(weights, "save_file", full)
    with pytest.raises(WeightsError, match="cannot keep .*No space left on device.*make room"):
        fetch(source)
    assert kept_files(cache) == [source.file + ".part"]  # the download is good, only the copy did not fit


def test_old_densenet_names_become_todays(source, server, tmp_path):
    old = {"features.denseblock1.denselayer2.norm.1.weight": torch.ones(3), "features.norm0.bias": torch.ones(3)}
    torch.save(old, tmp_path / "old.pth")
    weights._cut(tmp_path / "old.pth", tmp_path / "new.safetensors", source)
    assert load_file(tmp_path / "new.safetensors").keys() == {
        "features.denseblock1.denselayer2.norm1.weight",
        "features.norm0.bias",
    }


def test_files_from_before_torch_1_6_are_read(source, tmp_path):
    torch.save(STATE, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    assert_is_kept_part(load_file(weights._cut(tmp_path / "old.pth", tmp_path / "new.safetensors", source)))


def test_two_processes_at_once(source, server):
    """Both get the file; one downloads it, the other says that it waits."""
    program = (
        "import sys; from nst_lesson.weights import Published, fetch; print('ready', flush=True); "
        f"sys.stdin.readline(); print(fetch(Published({source.name!r}, {source.url!r}, {source.part!r})))"
    )
    server.delay = 2.5  # longer than the second that passes before the other says so
    pipes = {name: subprocess.PIPE for name in ("stdin", "stdout", "stderr")}
    processes = [subprocess.Popen([sys.executable, "-c", program], text=True, **pipes) for _ in range(2)]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    outputs = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    assert {out.strip() for out, _ in outputs} == {str(fetch(source))}
    assert len(server.asked) == 1
    assert sum("waiting for another process" in errors for _, errors in outputs) == 1
