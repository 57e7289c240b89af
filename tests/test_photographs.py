"""Photographs to train on: what is drawn from a folder, and the collections that can be fetched."""

import functools
import hashlib
import io
import threading
import zipfile
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from PIL import Image

from nst_lesson.errors import LessonError, ParameterError
from nst_lesson.pictures import photographs as module
from nst_lesson.pictures.photographs import Draws, Photographs, fetch_photographs


def photographs(**options):
    return Photographs(**{"size": 16, "seed": 3, "crops": 10} | options)


# ---- what is drawn


def test_a_crop_has_the_share_of_the_shorter_side_that_is_asked_for(tmp_path):
    ramp = torch.linspace(0, 255, 120).round().byte()  # one gray value for each column
    Image.fromarray(ramp.expand(100, 120).contiguous().numpy()).save(tmp_path / "ramp.png")
    for shares in ((0.2, 0.2), (0.9, 0.9)):
        crop, _ = Photographs(str(tmp_path), size=64, shares=shares)[0, 0]
        seen = (crop.max() - crop.min()).item() * 120  # columns
        assert seen == pytest.approx(100 * shares[0], abs=3)  # the ends of a resized ramp are blurred


def test_an_epoch_draws_every_sample_once_in_another_order_than_the_next():
    draws = list(Draws(7, 0, 0, 14))
    first, second = [index for epoch, index in draws if epoch == 0], [index for epoch, index in draws if epoch == 1]
    assert sorted(first) == sorted(second) == list(range(7)) and first != second


def test_draws_can_begin_anywhere():
    whole = list(Draws(7, 0, 0, 30))
    assert list(Draws(7, 0, 11, 30)) == whole[11:]
    assert len(Draws(7, 0, 11, 30)) == 19


def test_embedded_crops_are_fixed_and_differ_from_each_other():
    data = photographs()
    assert len(data) == 10
    crops = [data[0, i][0] for i in range(10)]
    assert all(torch.equal(data[5, i][0], crops[i]) for i in range(10))
    assert not any(torch.equal(a, b) for i, a in enumerate(crops) for b in crops[:i])
    assert all(crop.shape == (3, 16, 16) and crop.min() >= 0 and crop.max() <= 1 for crop in crops)


def test_a_bundled_photograph_can_be_left_out():
    red = [photographs(bundled=["coffee"], crops=6)[0, i][0] for i in range(6)]
    assert all(crop[0].mean() > crop[2].mean() for crop in red)  # the coffee is brown wherever one looks
    mixed = [photographs(crops=6)[0, i][0] for i in range(6)]
    assert not all(crop[0].mean() > crop[2].mean() for crop in mixed)


def test_recoloring_only_exchanges_channels():
    plain, recolored = ([photographs(recolor=on, crops=6)[0, i][0] for i in range(6)] for on in (False, True))
    assert not all(torch.equal(a, b) for a, b in zip(plain, recolored, strict=True))
    for a, b in zip(plain, recolored, strict=True):
        assert torch.equal(a.sort(0).values, b.sort(0).values)


def test_a_folder_is_searched_to_its_depth(folder):
    data = Photographs(str(folder), size=8)
    names = ["blue.png", "broken.jpg", "lime.png", "red.png", "white.png"]
    assert sorted(Path(file).name for file in data.files) == names


def test_crops_of_a_folder_change_from_epoch_to_epoch(tmp_path):
    Image.effect_noise((60, 40), 90).convert("RGB").save(tmp_path / "noise.png")
    data = Photographs(str(tmp_path), size=8)
    assert torch.equal(data[0, 0][0], data[0, 0][0])
    assert not torch.equal(data[0, 0][0], data[1, 0][0])


def test_a_folder_without_images_is_one_line(tmp_path):
    with pytest.raises(ParameterError, match="no images .* below the folder"):
        Photographs(str(tmp_path))


# ---- collections


class Quiet(SimpleHTTPRequestHandler):
    """Serves a folder without a word."""

    def log_message(self, *_):
        pass


@pytest.fixture
def archive(tmp_path, monkeypatch):
    """A collection "tiny" of one photograph in a zip file, served by this machine, and an empty cache."""
    picture, packed = io.BytesIO(), tmp_path / "web" / "tiny.zip"
    Image.new("RGB", (40, 30), "red").save(picture, "png")
    packed.parent.mkdir()
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr("val/red.png", picture.getvalue())
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(packed.parent)))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    digest = hashlib.sha256(packed.read_bytes()).hexdigest()
    entry = (f"http://127.0.0.1:{server.server_port}/tiny.zip", digest, packed.stat().st_size, "one photograph")
    monkeypatch.setattr(module, "COLLECTIONS", {"tiny": entry})
    monkeypatch.setenv("NST_LESSON_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "*")
    yield packed
    server.shutdown()
    thread.join()
    server.server_close()


def left(tmp_path):
    """What the cache holds, below its folder for collections."""
    return sorted(path.name for path in (tmp_path / "cache" / "photographs").glob("*"))


def test_a_collection_is_fetched_once_and_can_be_trained_on(archive, tmp_path, capsys):
    folder = fetch_photographs("tiny")
    assert len(Photographs(str(folder))) == 1
    assert left(tmp_path) == ["tiny"]
    assert "one photograph" in capsys.readouterr().out
    archive.unlink()  # no server needed the second time
    assert fetch_photographs("tiny") == folder
    assert capsys.readouterr().out == ""


def test_a_collection_that_is_something_else_is_not_kept(archive, tmp_path):
    archive.write_bytes(archive.read_bytes() + b"more")
    with pytest.raises(LessonError, match="cannot get tiny from http.*: any other folder of photographs does"):
        fetch_photographs("tiny")
    assert left(tmp_path) == []


def test_an_archive_that_cannot_be_unpacked_leaves_no_folder(archive, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.shutil, "unpack_archive", full)
    with pytest.raises(LessonError, match="No space left"):
        fetch_photographs("tiny")
    assert left(tmp_path) == ["tiny.zip"]  # checked already: not downloaded again
    monkeypatch.undo()


def test_an_unknown_collection_names_those_there_are():
    with pytest.raises(ParameterError, match="choose one of coco-val2017"):
        fetch_photographs("imagenet")


def test_the_collections_are_named_by_a_whole_sha256():
    assert all(len(digest) == 64 and size > 0 for _, digest, size, _ in module.COLLECTIONS.values())
