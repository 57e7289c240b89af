"""What lesson 03 claims, held against the numbers of its own run: at a size that takes seconds, and at its defaults."""

import math

import pytest

# Shallow layers and strong colors: their textures are near their paintings after 60 steps at 128 pixels.
QUICK = {"size": 128, "steps": 60, "style": "stained_glass", "second_style": "nocturne"}
QUICK_LAYERS = "relu1_1,relu2_1,relu3_1"


@pytest.fixture(
    scope="module", params=["quick", pytest.param("defaults", marks=[pytest.mark.soak, pytest.mark.timeout(1800)])]
)
def results(request, results_of):
    if request.param == "quick":
        return results_of("03_gram_matrices", **QUICK, style_layers=QUICK_LAYERS)
    return results_of("03_gram_matrices")


def test_the_matrix_is_symmetric_and_has_no_negative_eigenvalue(results):
    for layer in results["properties"].values():
        assert layer["asymmetry"] < 1e-6  # rounding of float32
        assert layer["eigenvalue"] > -1e-6  # of the largest one; float32 keeps seven digits


def test_it_is_blind_to_shuffled_features_and_not_to_shuffled_pixels(results):
    for layer in results["properties"].values():
        assert layer["features"] < 1e-5  # another order of the same sum
        assert layer["pixels"] > 0.3


def test_the_gradient_by_hand_is_autograds(results):
    assert results["gradient_error"] < 1e-5  # two float32 products of large sums


def test_all_layers_bring_a_texture_nearer_to_its_painting_than_one(results):
    for verdicts in results["judged"].values():
        assert verdicts[-1] < 0.75 * verdicts[0]


def test_a_judge_that_sees_the_mean_prefers_the_dots_to_the_texture(results):
    first, last = results["judges"]["as it comes"]
    assert first < last
    first, last = results["judges"]["normalized"]
    assert first > last


def test_means_and_deviations_are_the_shortest_description(results):
    numbers = {name: run["numbers"] for name, run in results["descriptions"].items()}
    widths = (16, 32, 64, 128, 128)[: len(results["properties"])]
    assert numbers["Gram matrix"] == sum(math.comb(n + 1, 2) for n in widths)
    assert numbers["means and deviations"] == 2 * sum(widths)
    assert numbers["mean and covariance"] == numbers["Gram matrix"] + sum(widths)


def test_halves_of_a_painting_find_each_other(results):
    assert results["own_halves"]["paintings"] >= 11  # of 12
    assert results["own_halves"]["photographs"] < 10  # the astronaut's halves show different things


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_at_the_defaults_means_and_deviations_describe_the_painting_less_well(results_of):
    judged = {name: run["judged"] for name, run in results_of("03_gram_matrices")["descriptions"].items()}
    assert judged["means and deviations"] > 1.5 * max(judged["Gram matrix"], judged["mean and covariance"])
