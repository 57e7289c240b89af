"""Still pictures for the lessons: their format, size and alternative text."""

import io
from functools import partial

import numpy as np
import pytest
import torch
from IPython.core.formatters import DisplayFormatter
from IPython.display import Image
from matplotlib.figure import Figure
from PIL import Image as Pillow

from nst_lesson.errors import ParameterError
from nst_lesson.methods.gatys import Step
from nst_lesson.pictures.images import load_image
from nst_lesson.view.diagram import show_diagram
from nst_lesson.view.show import DPI, closeup, figure_image, plain_ticks, plot_losses, show_images, show_maps

WIDTH = 7.5 * DPI  # the default, in pixels


def gray(height: int = 30, width: int = 40, value: float = 0.5) -> torch.Tensor:
    """A picture of one gray."""
    return torch.full((1, 3, height, width), value)


def opened(image: Image) -> Pillow.Image:
    """What a viewer sees of a display object; decoding it completely shows that it is whole."""
    picture = Pillow.open(io.BytesIO(image.data))
    picture.load()
    return picture


def steps(count: int, start: float = 10.0) -> list[Step]:
    """Losses that fall as 1/n."""
    return [
        Step(n, gray(), start / n, {"content": start / n / 2, "style": start / n / 3, "tv": start / n / 6}, float(n))
        for n in range(1, count + 1)
    ]


def test_pictures_come_as_one_jpeg_with_alternative_text():
    image = show_images({"content": gray(), "style": gray()})
    assert image.data[:3] == b"\xff\xd8\xff" and image.format == "jpeg"
    assert image.metadata["alt"] == "pictures: content, style"
    assert opened(image).width == WIDTH


def test_a_notebook_stores_the_jpeg_and_the_alternative_text():
    data, metadata = DisplayFormatter().format(show_images({"content": gray()}))
    assert "image/jpeg" in data
    assert metadata["image/jpeg"]["alt"] == "pictures: content"


def test_a_single_picture_keeps_its_shape_and_color():
    red = gray(60, 40) * torch.tensor([1.0, 0.0, 0.0]).view(1, 3, 1, 1) * 2
    picture = np.asarray(opened(show_images({"red": red}, width=3)).convert("RGB")).astype(int)
    assert picture.shape[1] == 3 * DPI
    painted = (abs(picture - [255, 0, 0]).max(2) < 30).nonzero()
    height, width = (np.ptp(axis) + 1 for axis in painted)
    assert height / width == pytest.approx(1.5, rel=0.05)  # 60 to 40, to within the pixels at the border
    assert width > 0.85 * 3 * DPI


@pytest.mark.parametrize(("count", "rows"), [(1, 1), (2, 1), (3, 1), (4, 2), (5, 2), (9, 3), (20, 7)])
def test_up_to_three_pictures_stand_in_a_row(count, rows):
    picture = opened(show_images({f"picture {n}": gray(40, 40) for n in range(count)}))
    columns = 2 if count == 4 else min(3, count)
    wanted = rows * (WIDTH / columns + 0.22 * DPI)  # square pictures and a line of title each
    assert picture.size == (WIDTH, pytest.approx(wanted, abs=2))


def test_a_row_is_as_high_as_its_own_pictures():
    low, high = gray(20, 40), gray(80, 40)
    same, mixed = (
        opened(show_images({str(n): x for n, x in enumerate(p)}, columns=1)) for p in ([low, low], [low, high])
    )
    assert mixed.height - same.height == pytest.approx(WIDTH * 1.5, abs=2)  # 80 / 40 instead of 20 / 40


def test_columns_and_width_can_be_chosen():
    images = {str(n): gray(40, 40) for n in range(6)}
    one, six = (opened(show_images(images, columns=c, width=6)) for c in (1, 6))
    assert one.width == six.width == 6 * DPI and one.height > 20 * six.height


def test_all_pictures_of_a_grid_are_drawn():
    images = {str(n): gray(40, 40, value) for n, value in enumerate((0.0, 0.25, 0.5))}
    seen = np.asarray(opened(show_images(images)).convert("L"))
    for value in (0, 64, 128):
        assert (abs(seen.astype(int) - value) < 6).mean() > 0.2  # each fills nearly a third


def test_titles_of_two_lines_get_room():
    one, two = (opened(show_images({title: gray(40, 40)}, width=3)) for title in ("a", "a\nb"))
    assert two.height - one.height == pytest.approx(0.22 * DPI, abs=2)


def test_a_title_is_not_cut_at_the_edge():
    assert np.asarray(opened(show_images({"Åg": gray()})).convert("L"))[:2].min() > 200


def test_a_stored_picture_is_wide_enough_to_see_strokes():
    assert opened(show_images({"a": gray()})).width >= 900


def test_a_white_picture_has_a_frame():
    seen = np.asarray(opened(show_images({"white": gray(value=1.0)})).convert("L"))
    assert (seen[seen.shape[0] // 2] < 230).sum() >= 2  # its left and its right side


def test_a_closeup_is_the_middle_with_larger_pixels():
    image = torch.arange(36.0).view(1, 1, 6, 6).expand(1, 3, 6, 6)
    near = closeup(image, 3)
    assert near.shape == image.shape
    assert near[0, 0, ::3, ::3].tolist() == image[0, 0, 2:4, 2:4].tolist()
    assert torch.equal(near[..., :3, :3], image[..., 2:3, 2:3].expand(-1, -1, 3, 3))
    assert closeup(gray(5, 1)).shape == (1, 3, 4, 2)


def test_a_long_title_is_broken_and_not_cut():
    long = "a title of sixty letters and more, as some lessons have it now"
    one, two = (opened(show_images({title: gray(40, 40)}, width=3)) for title in ("a", long))
    assert two.height - one.height == pytest.approx(0.22 * DPI, abs=2)


def test_every_heat_map_has_a_color_bar_and_shared_ones_have_one():
    maps = {name: torch.rand(9, 9) for name in "ab"}
    figures = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nst_lesson.view.show.figure_image", lambda figure, *_, **__: figures.append(figure))
        for options in ({}, {"shared": True}, {"signed": True}):
            show_maps(maps, **options)
    shown = [[*figure.axes, *(bar for axis in figure.axes for bar in axis.child_axes)] for figure in figures]
    assert [len(axes) for axes in shown] == [4, 3, 3]


def test_a_color_bar_and_the_axes_say_what_they_are(monkeypatch):
    figures = []
    monkeypatch.setattr("nst_lesson.view.show.figure_image", lambda figure, *_, **__: figures.append(figure))
    show_maps({"a": torch.rand(9, 9)}, shared=True, label="entry", axes=("column", "row"))
    (figure,) = figures
    assert (figure.axes[-1].get_ylabel(), figure.get_supxlabel(), figure.get_supylabel()) == ("entry", "column", "row")


def test_a_title_longer_than_its_picture_leaves_the_pictures_their_size():
    long = "a title that is far longer than the picture under it is wide, as a student may well write one"
    plain, wordy = (opened(show_images({a: gray(40, 40), "b": gray(40, 40)}, width=4)) for a in ("a", long))
    assert plain.width == wordy.width
    areas = [(abs(np.asarray(p.convert("L")).astype(int) - 128) < 6).sum() for p in (plain, wordy)]
    assert areas[1] > 0.9 * areas[0]


def test_no_pictures_is_an_error_that_says_so():
    with pytest.raises(ParameterError, match="there are no pictures"):
        show_images({})


def test_losses_come_as_png_with_alternative_text():
    image = plot_losses({"lbfgs": steps(20), "adam": steps(30, 5.0)})
    assert image.data[:8] == b"\x89PNG\r\n\x1a\n" and image.format == "png"
    assert image.metadata["alt"] == "loss against steps: lbfgs, adam"
    assert opened(image).size == (7.5 * DPI, int(3.6 * DPI))


def test_terms_add_lines():
    plain, detailed = (plot_losses({"run": steps(20)}, terms=terms) for terms in (False, True))
    inked = [(np.asarray(opened(p).convert("L")) < 200).sum() for p in (plain, detailed)]
    assert inked[1] > 1.3 * inked[0]


def test_one_step_can_be_plotted():
    assert opened(plot_losses({"short": steps(1)}, terms=True)).size == (7.5 * DPI, int(3.6 * DPI))


@pytest.mark.parametrize(
    ("points", "numbers"), [([1, 8], ["1", "2", "5"]), ([0.01, 2000], ["0.01", "0.1", "1", "10", "100", "1,000"])]
)
def test_logarithmic_axes_are_numbered_in_plain_figures(points, numbers):
    axis = Figure().subplots()
    axis.semilogy(points)
    plain_ticks(axis)
    axis.figure.draw_without_rendering()
    low, high = axis.get_ylim()
    texts = [label.get_text() for label in axis.get_yticklabels() if low <= label.get_position()[1] <= high]
    assert texts == numbers
    assert not any(label.get_text() for label in axis.get_yticklabels(minor=True))


@pytest.mark.parametrize(("format", "magic"), [("png", b"\x89PNG"), ("jpeg", b"\xff\xd8\xff")])
def test_a_figure_becomes_a_small_still_image(format, magic):
    figure = Figure(figsize=(2, 1))
    figure.subplots().plot([0, 1])
    image = figure_image(figure, format, alt="a line that rises")
    assert image.data.startswith(magic) and image.metadata["alt"] == "a line that rises"
    assert opened(image).size == (2 * DPI, DPI)


def test_drawing_leaves_pyplot_alone():
    """Figures are made without pyplot, which is not safe in threads and keeps every figure alive."""
    import matplotlib.pyplot as plt

    before = plt.get_fignums()
    show_images({"a": gray()})
    plot_losses({"a": steps(3)})
    assert plt.get_fignums() == before


def test_maps_share_a_scale_only_when_asked():
    """Magma ends in a pale yellow, about 248 of 255 in luminance; half-way up it is a red of about 110."""
    weak, strong = (torch.tensor([[0.0, top]]).repeat(2, 1) for top in (1.0, 2.0))
    maps = {"weak": weak, "strong": strong}
    own, shared = (np.asarray(opened(show_maps(maps, shared=s)).convert("L")) for s in (False, True))
    at = (int(0.6 * own.shape[0]), int(0.4 * own.shape[1]))  # in the right half of the left map
    assert own[at] > 220
    assert 80 < shared[at] < 140


def test_signed_maps_show_zero_white_and_a_few_giants_do_not_hide_the_rest():
    small = torch.tensor([[0.0, 1.0], [-1.0, 0.0]]).repeat_interleave(20, 0).repeat_interleave(20, 1)
    giant = small.clone()
    giant[0, 0] = 1000.0  # one of 1600
    picture = np.asarray(opened(show_maps({"giant": giant, "small": small}, signed=True)).convert("RGB")).astype(int)
    height, maps = picture.shape[0], int(0.88 * picture.shape[1])  # the color bar stands to the right of them
    for start in (0, maps // 2):  # the maps are as good as equal
        zero, red, blue, _ = (
            picture[int(y * height), start + int(x * maps / 2)] for y in (0.35, 0.75) for x in (0.25, 0.75)
        )
        assert zero.min() > 230
        assert red[0] > red[2] + 60 and blue[2] > blue[0] + 60  # the ends of the scale are dark red and dark blue


def test_no_maps_is_an_error_that_says_so():
    with pytest.raises(ParameterError, match="there are no pictures"):
        show_maps({}, shared=True)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64], ids=str)
@pytest.mark.parametrize(
    "show", [show_images, show_maps, partial(show_maps, signed=True), partial(show_maps, shared=True)]
)
def test_every_kind_of_floating_point_number_looks_the_same(show, dtype):
    picture = (torch.arange(9) / 8).repeat(9, 1)  # eighths, which every type holds exactly
    picture = picture.expand(1, 3, 9, 9) if show is show_images else picture
    assert show({"a": picture.to(dtype).requires_grad_()}).data == show({"a": picture}).data


@pytest.mark.filterwarnings("error", "ignore::DeprecationWarning")  # how libraries speak among themselves
@pytest.mark.parametrize("name", ["a$b_$c.jpg", "$\\frac{$", "_x", "", "a\nb", "\x1b[31m", "\udcff.jpg"])
def test_a_title_is_drawn_as_it_is_whatever_the_file_is_called(name):
    picture = load_image("rocket", 32)
    steps = [Step(index, picture, 1 / index, {"_tv$": 1 / index}, 0.1) for index in (1, 2)]
    figures = [
        show_images({name: picture}),
        show_maps({name: picture[0, 0]}),
        plot_losses({name: steps}, terms=True),
        show_diagram({name: (0, 0), "b": (1, 0)}, [(name, "b")]),
    ]
    for figure in figures:
        figure.metadata["alt"].encode()  # a notebook can hold it


def test_nothing_to_draw_is_one_line():
    with pytest.raises(ParameterError, match="L-BFGS has no steps to draw"):
        plot_losses({"L-BFGS": []})
    with pytest.raises(ParameterError, match="no boxes to draw"):
        show_diagram({}, [])
