"""Photographs to train on: what is drawn from a folder, and the collections that can be fetched."""

import hashlib
import io
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader
from web import serving

import nst_lesson as nst
from nst_lesson.errors import LessonError, ParameterError
from nst_lesson.pictures import photographs as module
from nst_lesson.pictures.photographs import Draws, Photographs, fetch_photographs


def photographs(**options):
    return Photographs(**{"size": 16, "seed": 3, "crops": 10} | options)


# ---- what is drawn


def test_a_crop_has_half_of_the_shorter_side_to_all_of_it(tmp_path):
    ramp = torch.linspace(0, 255, 120).round().byte()  # one gray value for each column
    Image.fromarray(ramp.expand(100, 120).contiguous().numpy()).save(tmp_path / "ramp.png")
    data = Photographs(str(tmp_path), size=64)
    crops = [data[epoch, 0][0] for epoch in range(60)]
    seen = [(crop.max() - crop.min()).item() * 120 for crop in crops]  # columns; the ends of a ramp are blurred
    assert 47 < min(seen) < 60 and 90 < max(seen) < 103


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


def test_a_folder_may_be_below_the_home_folder(folder, monkeypatch):
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(folder.parent))
    assert len(Photographs(f"~/{folder.name}", size=8)) == len(Photographs(folder, size=8)) == 5


def test_an_index_alone_is_of_the_first_epoch():
    data = photographs()
    for index in (0, 9, -1):
        assert torch.equal(data[index][0], data[0, index % 10][0])
    assert len(list(data)) == 10  # a loop ends
    batches = [batch for batch, skipped in DataLoader(data, 5, shuffle=True)]
    assert [len(batch) for batch in batches] == [5, 5]


@pytest.mark.parametrize(
    "wrong", [{"size": 0}, {"size": -3}, {"size": 32.0}, {"crops": 0}, {"crops": 2.5}, {"seed": -1}, {"seed": 1.5}]
)
def test_numbers_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ParameterError, match="give (at least 1|a whole number)"):
        photographs(**wrong)


# ---- collections


def packed(*members):
    """A zip file of one photograph under several names."""
    picture, file = io.BytesIO(), io.BytesIO()
    Image.new("RGB", (40, 30), "red").save(picture, "png")
    with zipfile.ZipFile(file, "w") as archive:
        for member in members:
            archive.writestr(member, picture.getvalue())
    return file.getvalue()


@pytest.fixture
def serve(tmp_path, monkeypatch):
    """serve(content) makes a collection "tiny" of what it is given; the cache is empty."""
    monkeypatch.setenv("NST_LESSON_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "*")
    with serving() as server:

        def serve(content):
            server.files["/tiny.zip"] = content
            entry = (f"{server.url}/tiny.zip", hashlib.sha256(content).hexdigest(), len(content), "one photograph")
            monkeypatch.setattr(module, "COLLECTIONS", {"tiny": entry})
            return server

        yield serve


def left(tmp_path):
    """What the cache holds, below its folder for collections."""
    return sorted(path.name for path in (tmp_path / "cache" / "photographs").glob("*"))


def test_a_collection_is_fetched_once_and_can_be_trained_on(serve, tmp_path, capsys):
    server = serve(packed("val/red.png"))
    folder = fetch_photographs("tiny")
    assert len(Photographs(str(folder))) == 1
    assert left(tmp_path) == ["tiny"]
    assert "one photograph" in capsys.readouterr().out
    assert fetch_photographs("tiny") == folder
    assert len(server.asked) == 1
    assert capsys.readouterr().out == ""


def test_a_broken_archive_is_resumed(serve, tmp_path):
    server = serve(packed("val/red.png"))
    server.cuts = [50, 0]
    with pytest.raises(LessonError, match="what arrived is kept; or use any other folder of photographs"):
        fetch_photographs("tiny")
    assert left(tmp_path) == ["tiny.zip.part"]
    fetch_photographs("tiny")
    assert server.asked[-1] == ("/tiny.zip", "bytes=50-")
    assert left(tmp_path) == ["tiny"]


@pytest.mark.parametrize("change", [lambda content: content + b"more", lambda content: content[:-1] + b"x"])
def test_a_collection_that_is_something_else_is_not_kept(serve, tmp_path, change):
    server = serve(content := packed("val/red.png"))
    server.files["/tiny.zip"] = change(content)
    with pytest.raises(LessonError, match="cannot download http.*or use any other folder of photographs"):
        fetch_photographs("tiny")
    assert left(tmp_path) == []


def test_an_archive_that_cannot_be_unpacked_leaves_no_folder(serve, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    server = serve(packed("val/red.png"))
    with monkeypatch.context() as patch:
        patch.setattr(module.zipfile.ZipFile, "extractall", full)
        with pytest.raises(LessonError, match="No space left.*make room"):
            fetch_photographs("tiny")
    assert left(tmp_path) == ["tiny.zip"]
    fetch_photographs("tiny")
    assert len(server.asked) == 1  # checked already: not downloaded again


@pytest.mark.parametrize("member", ["../red.png", "val/../../red.png", "/red.png"])
def test_an_archive_cannot_write_outside_its_folder(serve, tmp_path, member):
    serve(packed("val/red.png", member))
    folder = fetch_photographs("tiny")
    assert all(path.is_relative_to(folder) for path in tmp_path.rglob("red.png")) and not Path("/red.png").exists()


def test_what_is_not_an_archive_is_one_line(serve):
    serve(b"not a zip file")
    with pytest.raises(LessonError, match="cannot unpack tiny"):
        fetch_photographs("tiny")


def test_many_at_once_fetch_a_collection_once(serve, tmp_path):
    server, together = serve(packed("val/red.png")), threading.Barrier(4)

    def start(_):
        together.wait()
        return fetch_photographs("tiny")

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(start, range(4)))) == 1
    assert len(server.asked) == 1
    assert left(tmp_path) == ["tiny"]


def test_an_unknown_collection_names_those_there_are():
    with pytest.raises(ParameterError, match="choose one of coco-val2017"):
        fetch_photographs("imagenet")


def test_the_collections_are_named_by_a_whole_sha256():
    assert all(len(digest) == 64 and size > 0 for _, digest, size, _ in module.COLLECTIONS.values())


def test_a_folder_with_the_name_of_a_picture_is_no_photograph(tmp_path):
    nst.save_image(nst.load_image("rocket", 32), tmp_path / "album.jpg" / "a.png")
    assert list(Photographs(tmp_path).pictures) == ["album.jpg/a.png"]
