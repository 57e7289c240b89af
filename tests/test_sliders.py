"""Sliders over pictures: what their HTML holds, for whom, and how much it weighs."""

import base64
import io
import re
from html.parser import HTMLParser

import pytest
import torch
import torch.nn.functional as F
from IPython.core.formatters import DisplayFormatter
from PIL import Image

from nst_lesson.errors import ParameterError
from nst_lesson.pictures.images import load_image
from nst_lesson.view.sliders import BeforeAfter, PictureSlider


class Elements(HTMLParser):
    """The elements of a page: (tag, attributes). Every one that is opened must be closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found, self.open = [], []
        self.feed(page)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))
        if tag not in ("img", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def all(self, tag):
        return [attributes for name, attributes in self.found if name == tag]


def decoded(source: str) -> Image.Image:
    """The picture that a page carries in the address of an image."""
    head, _, data = source.partition(",")
    assert head == "data:image/jpeg;base64"
    return Image.open(io.BytesIO(base64.b64decode(data, validate=True)))


def plain(height: int = 20, width: int = 30, value: float = 0.0) -> torch.Tensor:
    return torch.full((1, 3, height, width), value)


def test_both_pictures_are_there_under_their_names():
    page = Elements(BeforeAfter(plain(value=0.0), plain(value=1.0), labels=("dark", "bright"))._repr_html_())
    pictures = {image["alt"]: decoded(image["src"]) for image in page.all("img")}
    assert {name: picture.convert("L").getpixel((5, 5)) for name, picture in pictures.items()} == {
        "dark": 0,
        "bright": 255,
    }
    assert all(picture.size == (30, 20) for picture in pictures.values())


def test_labels_are_text_and_not_html():
    names = ('<b>"Kelp" & \'co', "{0} 100 %")
    page = Elements(BeforeAfter(plain(), plain(), labels=names).data)
    assert {image["alt"] for image in page.all("img")} == set(names)
    assert not page.all("b")


def test_the_slider_is_a_labeled_control_that_needs_no_kernel_and_no_other_address():
    page = BeforeAfter(plain(), plain(), labels=("photo", "painting")).data
    (slider,) = Elements(page).all("input")
    assert slider["type"] == "range" and (slider["min"], slider["max"]) == ("0", "100")
    assert "photo" in slider["aria-label"] and "painting" in slider["aria-label"]
    assert "oninput" in slider and "data-lm-suppress-shortcuts" in slider  # JupyterLab would take the arrow keys
    assert "http" not in page and not re.search(r"\bid=|<script|<style", page)  # several stand on a page


@pytest.mark.parametrize(("height", "width", "shown"), [(20, 30, 384), (768, 512, 256), (1000, 1000, 384)])
def test_the_longer_side_has_the_asked_size_and_a_narrow_page_shrinks_it(height, width, shown):
    page = Elements(BeforeAfter(plain(height, width), plain(height, width)).data)
    style = page.all("div")[0]["style"]
    assert f"width: {shown}px" in style and "max-width: 100%" in style
    assert all(max(decoded(image["src"]).size) == min(384, max(height, width)) for image in page.all("img"))


def test_it_is_light_also_with_busy_pictures():
    photo, painting = (load_image(name, 384) for name in ("astronaut", "pointillist"))
    dots = F.interpolate(painting, photo.shape[2:])  # as busy as what a run makes of the two
    assert 60_000 < len(BeforeAfter(photo, dots).data) < 90_000


def test_pictures_that_do_not_fit_are_an_error_that_names_both_sizes():
    with pytest.raises(ParameterError, match=r"\(1, 3, 20, 30\) and \(1, 3, 30, 20\)"):
        BeforeAfter(plain(20, 30), plain(30, 20))
    with pytest.raises(ParameterError, match="after is"):
        BeforeAfter(plain(), plain()[0])


def test_a_notebook_stores_html_and_a_text_that_is_the_same_in_every_run():
    data, _ = DisplayFormatter().format(BeforeAfter(plain(), plain()))
    assert data["text/html"].lstrip().startswith("<div")
    assert data["text/plain"] == "BeforeAfter('before', 'after')"


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64], ids=str)
def test_every_kind_of_floating_point_number_looks_the_same(dtype):
    usual, other = plain(value=0.5), plain(value=0.5).to(dtype).requires_grad_()
    assert BeforeAfter(usual, usual).data == BeforeAfter(other, other).data == BeforeAfter(usual, other).data
    assert PictureSlider({"a": usual, "b": usual}, "x").data == PictureSlider({"a": other, "b": other}, "x").data


# ---- several pictures


def three():
    return {f"step {n}": plain(value=n / 2) for n in range(3)}


def test_all_pictures_are_there_and_the_last_is_seen_first():
    page = Elements(PictureSlider(three(), "step of <training>").data)
    assert [image["alt"] for image in page.all("img")] == ["step 0", "step 1", "step 2"]
    assert [decoded(image["src"]).convert("L").getpixel((5, 5)) for image in page.all("img")] == [0, 128, 255]
    displays = [div["style"].split(";")[0] for div in page.all("div")[2:]]
    assert displays == ["display: none", "display: none", "display: block"]
    (slider,) = page.all("input")
    assert (slider["min"], slider["max"], slider["value"]) == ("0", "2", "2")
    assert slider["aria-label"] == "step of <training>" and "oninput" in slider


def test_one_picture_needs_no_slider():
    with pytest.raises(ParameterError, match="at least two"):
        PictureSlider({"one": plain()}, "nothing")


def test_its_text_names_what_slides():
    assert ">step</span>" in PictureSlider(three(), "step").data  # a person sees what it varies
    assert repr(PictureSlider(three(), "step")) == "PictureSlider('step': step 0, step 1, step 2)"
