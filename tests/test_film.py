"""A film in a notebook: an animated picture in plain HTML."""

import base64
import io
import re

import pytest
import torch
from PIL import Image

from nst_lesson.errors import LessonError, ParameterError
from nst_lesson.view.film import MILLISECONDS, show_film

GRAYS = (0.2, 0.5, 0.8)


def frames():
    return [torch.full((1, 3, 16, 24), gray) for gray in GRAYS]


def test_all_frames_are_there_with_their_time():
    page = show_film(frames(), "a & b").data
    assert page.count("a &amp; b") == 2  # the alternative text and the title
    film = Image.open(io.BytesIO(base64.b64decode(re.search(r"base64,([^\"]+)", page)[1])))
    assert film.format == "WEBP" and film.size == (24, 16) and film.n_frames == len(GRAYS) and film.info["loop"] == 0
    for number, gray in enumerate(GRAYS):
        film.seek(number)
        film.load()
        assert film.info["duration"] == MILLISECONDS
        assert film.convert("L").getpixel((12, 8)) == pytest.approx(255 * gray, abs=4)


def test_what_is_no_film_is_said():
    with pytest.raises(ParameterError, match="no frames"):
        show_film([], "nothing")
    with pytest.raises(LessonError, match="frame 1"):
        show_film([torch.rand(1, 3, 8, 8), torch.rand(3, 8, 8)], "half")
