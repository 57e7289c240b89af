"""Weights: found, checked, downloaded, resumed, cut and kept, all against files and a server on this machine."""

import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from web import serving

from nst_lesson.errors import WeightsError
from nst_lesson.networks import weights
from nst_lesson.networks.weights import Published, fetch, load_weights

STATE = {
    "features.0.weight": torch.arange(3 * 40 * 9, dtype=torch.float32).view(40, 3, 3, 3),
    "features.0.bias": torch.ones(40),
    "features.1.num_batches_tracked": torch.tensor(7),
    "classifier.0.weight": torch.zeros(300, 1000),  # what a small copy is rid of: 1.2 of 1.2 MB
}
KEPT = {key: STATE[key] for key in ("features.0.weight", "features.0.bias")}
SHAPES = {key: tensor.shape for key, tensor in KEPT.items()}


@pytest.fixture
def published(tmp_path):
    """The published file's bytes."""
    torch.save(STATE, tmp_path / "published")
    return (tmp_path / "published").read_bytes()


@pytest.fixture
def server():
    with serving() as server:
        yield server


@pytest.fixture
def source(server, published):
    file = f"/models/tiny_net-{hashlib.sha256(published).hexdigest()[:8]}.pth"
    server.files[file] = published
    return Published("tiny", server.url + file, "features.")


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
    return sorted(path.name for path in cache.iterdir())


def test_download_keeps_only_the_small_copy(source, server, cache, published):
    path = fetch(source)
    assert path == cache / source.small_file
    assert kept_files(cache) == [source.small_file]
    assert path.stat().st_size < len(published) / 100
    assert_is_kept_part(load_weights(source, SHAPES))
    assert fetch(source) == path
    assert len(server.asked) == 1


def test_names_come_from_the_address():
    vgg = Published("vgg16-caffe", "https://example.org/models/vgg16_features-amdegroot-88682ab5.pth")
    assert (vgg.file, vgg.digest) == ("vgg16_features-amdegroot-88682ab5.pth", "88682ab5")
    assert vgg.small_file == "vgg16-caffe-88682ab5.safetensors"


def test_a_broken_download_goes_on_next_time(source, server, cache):
    server.cuts = [100_000, 0]
    with pytest.raises(WeightsError, match="try again, what arrived is kept") as caught:
        fetch(source)
    assert_one_helpful_line(caught, source)
    assert kept_files(cache) == [source.file + ".part"]
    assert_is_kept_part(load_file(fetch(source)))
    assert server.asked[-1][1] == "bytes=100000-"
    assert kept_files(cache) == [source.small_file]


def test_a_wrong_file_is_refused_and_removed(source, server, cache):
    server.files = dict.fromkeys(server.files, b"<html>Please log in to the campus network</html>")
    with pytest.raises(WeightsError, match="wrong sha256; a login page") as caught:
        load_weights(source, SHAPES)
    assert kept_files(cache) == []
    assert_one_helpful_line(caught, source)


def test_a_file_that_is_much_too_large_is_refused(source, server, cache):
    with pytest.raises(WeightsError, match="larger than 1 MB") as caught:
        fetch(Published(source.name, source.url, source.part, most=1_000_000))
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


def test_a_file_in_torch_hub_cache_that_cannot_be_read_is_passed_over(source, server, hub, published, monkeypatch):
    (hub / source.file).write_bytes(published)
    really = Path.open

    def guarded(path, *args, **options):  # chmod would not stop root
        if path.parent == hub:
            raise PermissionError(13, "Permission denied")
        return really(path, *args, **options)

    monkeypatch.setattr(Path, "open", guarded)
    with pytest.warns(UserWarning, match="not used: it cannot be read"):
        assert_is_kept_part(load_weights(source, SHAPES))
    assert len(server.asked) == 1


def test_the_classroom_may_be_below_the_home_folder(source, server, published, tmp_path, monkeypatch):
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("NST_LESSON_WEIGHTS", "~/stick")
    (tmp_path / "stick").mkdir()
    (tmp_path / "stick" / source.file).write_bytes(published)
    assert_is_kept_part(load_weights(source, SHAPES))
    assert server.asked == []


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
    server.files = dict.fromkeys(server.files, b"also wrong")
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


@pytest.mark.parametrize("content", [b"", b"\x80\x02cos\nsystem\n.", b"PK\x05\x06" + bytes(18), b"text\n" * 99])
def test_what_has_the_hash_but_holds_no_weights_is_one_line(content, classroom):
    file = f"tiny_net-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    (classroom / file).write_bytes(content)
    with pytest.raises(WeightsError, match="does not hold weights .*delete it") as caught:
        fetch(Published("tiny", f"http://127.0.0.1:9/{file}"))
    assert str(classroom / file) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("saved", [[1, 2], {"features.0.weight": 3}, torch.nn.Linear(2, 2)])
def test_a_file_of_something_else_is_one_line(saved, classroom):
    torch.save(saved, classroom / "new")
    file = f"tiny_net-{hashlib.sha256((classroom / 'new').read_bytes()).hexdigest()[:8]}.pth"
    (classroom / "new").rename(classroom / file)
    with pytest.raises(WeightsError, match="does not hold weights") as caught:
        fetch(Published("tiny", f"http://127.0.0.1:9/{file}"))
    assert "\n" not in str(caught.value)


@pytest.fixture
def small_disk():
    """No file can have more than 2 kB."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_one_clear_line(source, cache, hub, tmp_path, small_disk):
    (hub / source.file).symlink_to(tmp_path / "published")
    with pytest.raises(WeightsError, match="cannot keep .*make room") as caught:
        fetch(source)
    assert "\n" not in str(caught.value)
    assert kept_files(cache) == []


def test_a_download_is_kept_where_only_the_copy_did_not_fit(source, server, cache, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(weights, "save_file", full)
    with pytest.raises(WeightsError, match="cannot keep .*No space left on device.*make room"):
        fetch(source)
    assert kept_files(cache) == [source.file]


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


def test_many_at_once_download_and_cut_once(source, server, cache):
    together = threading.Barrier(6)

    def start(_):
        together.wait()
        return fetch(source)

    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(start, range(6))) == {cache / source.small_file}
    assert len(server.asked) == 1
    assert kept_files(cache) == [source.small_file]
