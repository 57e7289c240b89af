"""What lesson 00 says about its pictures is what its run gives: small here, at its defaults in `make soak`."""

from itertools import pairwise

import pytest


@pytest.fixture(
    params=[
        pytest.param({"size": 128, "steps": 30}, id="small"),
        pytest.param({}, id="defaults", marks=[pytest.mark.soak, pytest.mark.timeout(1800)]),
    ]
)
def results(request, results_of):
    return results_of("00_start_here", **request.param)


def test_the_loss_falls_far_and_content_pays(results):
    assert results["loss"] < 0.3 * results["first_loss"]
    assert results["content"] > 0


def test_a_stronger_style_is_farther_from_the_photograph_and_nearer_to_the_painting(results):
    photograph, painting = zip(*results["weights"].values(), strict=True)  # of the weights 1, 10, 30, 100
    assert all(a < b for a, b in pairwise(photograph))
    assert all(a > b for a, b in pairwise(painting))
    assert photograph[-1] < 20 * photograph[0]  # a hundred times the weight is far from a hundred times the distance


def test_the_result_has_the_colors_of_the_painting(results):
    photo, painting, result = results["colors"]
    off = [sum(abs(a - b) for a, b in zip(colors, painting, strict=True)) for colors in (photo, result)]
    assert off[1] < off[0]


def test_values_up_to_255_give_a_pale_picture(results):
    assert results["white"] > 0.65  # the photograph has 0.45


def test_the_cat_is_not_equally_easy_to_find(results):
    assert max(results["gallery"].values()) > 1.2 * min(results["gallery"].values())
