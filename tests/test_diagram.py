"""Diagrams: every box and arrow is drawn, pictures are in them, and a wrong name is one line."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

import nst_lesson as nst
from nst_lesson.errors import ParameterError
from nst_lesson.view.show import DPI

BOXES = {"photo": (0, 0), "network": (1, 0), "loss": (2, 1)}


def pixels(image):
    return np.asarray(Image.open(io.BytesIO(image.data)).convert("RGB"), dtype=float)


def test_a_diagram_fills_the_page_and_says_its_arrows():
    image = nst.show_diagram(BOXES, [("photo", "network"), ("network", "loss")])
    assert pixels(image).shape[1] == 7.5 * DPI
    assert image.metadata["alt"] == "diagram: photo to network; network to loss"


def test_a_picture_is_seen_in_its_box():
    red = torch.tensor([1.0, 0, 0]).view(1, 3, 1, 1).expand(1, 3, 20, 30)
    plain, pictured = (pixels(nst.show_diagram(BOXES, [], pictures)) for pictures in (None, {"photo": red}))
    height, width = plain.shape[0] // 2, plain.shape[1] // 3
    inside = pictured[:height, :width]
    assert ((inside[..., 0] > 200) & (inside[..., 1] < 60)).mean() > 0.08
    assert np.abs(plain - pictured)[:, width:].mean() < 1


def test_an_arrow_joins_its_boxes():
    without, joined = (pixels(nst.show_diagram(BOXES, arrows)) for arrows in ([], [("photo", "network")]))
    changed = np.abs(without - joined).sum(2) > 100
    _, columns = np.nonzero(changed)
    assert without.shape[1] / 6 < columns.min() < columns.max() < without.shape[1] / 2


@pytest.mark.parametrize(("arrows", "pictures"), [([("photo", "los")], {}), ([], {"los": torch.zeros(1, 3, 2, 2)})])
def test_a_box_that_is_not_there_is_one_line(arrows, pictures):
    with pytest.raises(ParameterError, match="unknown box 'los': did you mean 'loss'"):
        nst.show_diagram(BOXES, arrows, pictures)
