"""MaskPainter without a browser: what the page sends becomes the mask, and bad input one line.

tests/test_browser.py paints and clicks in a real page.
"""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from nst_lesson.errors import LessonError, ParameterError
from nst_lesson.methods.statistics import check_mask
from nst_lesson.view.masks import MaskPainter

HEIGHT, WIDTH = 5, 7
IMAGE = torch.rand(1, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(0))
REGIONS = np.array([[3] * 4 + [9] * 3] * 2 + [[-2] * WIDTH] * 3)  # above, left and right; below


def painted(pixels):
    """What the page sends after a stroke over `pixels`, (row, column)."""
    inside = np.zeros((HEIGHT, WIDTH), bool)
    inside[tuple(np.transpose(pixels))] = True
    return {"_painted": memoryview(np.packbits(inside).tobytes())}


def test_nothing_is_painted_at_first():
    mask = MaskPainter(IMAGE).mask
    assert mask.shape == (1, 1, HEIGHT, WIDTH) and mask.dtype == torch.float32
    assert not mask.any()
    with pytest.raises(LessonError, match="empty"):  # what a transfer with it says
        check_mask(mask, IMAGE)


def test_what_is_painted_is_the_mask_pixel_by_pixel():
    painter = MaskPainter(IMAGE)
    pixels = [(0, 0), (1, 6), (4, 6), (2, 3)]  # corners, and a bit in the middle of a byte
    painter.set_state(painted(pixels))
    assert painter.mask[0, 0].nonzero().tolist() == sorted(map(list, pixels))


def test_chosen_regions_are_the_mask_and_stay_the_same_labels():
    painter = MaskPainter(IMAGE, REGIONS, chosen=[9])
    assert torch.equal(painter.mask[0, 0].bool(), torch.tensor(REGIONS == 9))
    painter.set_state({"chosen": [9, -2]})  # a click in the page
    assert painter.chosen == [-2, 9]
    assert torch.equal(painter.mask[0, 0].bool(), torch.tensor(REGIONS != 3))
    painter.chosen = [REGIONS[0, 0]]  # numpy's own kind of number
    assert painter.chosen == [3] and painter.mask.sum() == 8


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64], ids=str)
def test_pictures_come_in_any_kind_of_floating_point_numbers(dtype):
    painter = MaskPainter(IMAGE.to(dtype).requires_grad_(), REGIONS, [9])
    assert torch.equal(painter.mask, MaskPainter(IMAGE, REGIONS, [9]).mask)
    assert Image.open(io.BytesIO(painter._picture)).size == (WIDTH, HEIGHT)


@pytest.mark.parametrize("kind", [torch.tensor, np.uint8, np.ndarray.tolist], ids=["torch", "uint8", "list"])
def test_regions_come_in_any_kind_of_whole_numbers(kind):
    regions = REGIONS + 2
    assert torch.equal(MaskPainter(IMAGE, kind(regions), [5]).mask, MaskPainter(IMAGE, regions, [5]).mask)


def test_the_page_gets_the_region_of_every_pixel():
    painter = MaskPainter(IMAGE, REGIONS)
    places = np.frombuffer(painter._places, "<u2").reshape(HEIGHT, WIDTH)
    assert (np.array(painter._labels)[places] == REGIONS).all()


def test_the_page_gets_a_small_picture_and_shows_it_in_its_proportions():
    painter = MaskPainter(torch.rand(1, 3, 900, 1200), size=200)
    picture = Image.open(io.BytesIO(painter._picture))
    assert picture.format == "JPEG" and picture.size == (400, 300)
    assert painter._shape == [900, 1200] and painter._width == 200
    assert painter.mask.shape == (1, 1, 900, 1200)
    assert MaskPainter(torch.rand(1, 3, 40, 20), size=200)._width == 100


BAD = {
    "not a picture": (lambda: MaskPainter(IMAGE[0]), r"image is torch.float32 \(3, 5, 7\)"),
    "another shape": (lambda: MaskPainter(IMAGE, REGIONS.T), r"regions is int64 \(7, 5\); whole numbers \(5, 7\)"),
    "fractions": (lambda: MaskPainter(IMAGE, REGIONS / 2), r"regions is float64 \(5, 7\); whole numbers"),
    "uneven rows": (lambda: MaskPainter(IMAGE, [[1, 2], [3]]), "regions is not an array"),
    "unknown label": (lambda: MaskPainter(IMAGE, REGIONS, [3, 4]), r"no label \[4\]: its 3 are from -2 to 9"),
    "no regions": (lambda: MaskPainter(IMAGE, chosen=[1]), r"no region \[1\]: give `regions`"),
    "no labels": (lambda: MaskPainter(IMAGE, REGIONS, 3), "chosen is 3; give labels"),
    "a word": (lambda: MaskPainter(IMAGE, REGIONS, "sky"), "chosen is 'sky'; give labels"),
}


@pytest.mark.parametrize(("make", "message"), BAD.values(), ids=BAD)
def test_bad_input_is_one_line(make, message):
    with pytest.raises(ParameterError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_too_many_regions_are_one_line():
    regions = np.arange(257 * 256).reshape(257, 256)
    with pytest.raises(ParameterError, match="65792 labels; 65536 at most"):
        MaskPainter(torch.rand(1, 3, 257, 256), regions)


def test_a_label_that_is_not_there_is_refused_later_too():
    painter = MaskPainter(IMAGE, REGIONS)
    with pytest.raises(ParameterError, match=r"no label \[4\]"):
        painter.chosen = [4]


def test_it_needs_no_other_address():
    assert "//" not in MaskPainter._esm.replace("// ", "")  # comments, but no address of a script or a style
    assert "import" not in MaskPainter._esm
