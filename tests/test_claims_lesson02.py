"""What lesson 02 claims, held by the numbers that its run writes: small and short here, at its defaults in soak.

The margins leave room for another machine's rounding, which the search carries on: seeds differ by some percent.
"""

import pytest

LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")


@pytest.fixture(
    params=[
        pytest.param({"size": 128, "steps": 80}, id="small"),
        pytest.param({}, id="defaults", marks=[pytest.mark.soak, pytest.mark.timeout(3600)]),
    ]
)
def results(request, results_of):
    return results_of("02_feature_reconstruction", **request.param)


def test_the_gradient_by_formula_is_autograds(results):
    assert results["gradient_difference"] < 1e-5  # float32 sums in another order


def test_the_loop_by_hand_is_the_packages(results):
    assert results["by_hand_difference"] < 1e-3  # Adam magnifies the last digit of a gradient near zero


def test_the_pixel_error_grows_with_depth(results):
    errors = [results["errors"][name]["pixel"] for name in LAYERS]
    assert all(deeper > 1.3 * shallower for shallower, deeper in zip(errors, errors[1:], strict=False))
    assert errors[-1] > 50 * errors[0]


def test_shallow_layers_give_the_photograph_back(results):
    assert results["errors"]["relu1_1"]["pixel"] < 0.03 * results["plain"]


def test_every_layer_is_nearly_satisfied(results):
    assert max(error["feature"] for error in results["errors"].values()) < 0.05


def test_what_a_layer_cannot_tell_apart_deeper_ones_cannot_either(results):
    for own, row in enumerate(results["table"].values()):
        assert max(row[own:]) < 0.05  # at its own layer and beyond
        assert all(error > 5 * row[own] for error in row[:own])  # before it


def test_the_error_grows_over_all_layers_of_the_network(results):
    swept = [error["pixel"] for name, error in results["depth_errors"].items() if name.startswith("relu")]
    assert len(swept) == 13
    rises = sum(deeper > shallower for shallower, deeper in zip(swept, swept[1:], strict=False))
    assert rises >= 9  # "nearly everywhere"


def test_relu_layers_invert_better_than_the_convolutions_before_them(results):
    errors = results["depth_errors"]
    assert errors["conv3_1"]["pixel"] > 1.3 * errors["relu3_1"]["pixel"]
    assert errors["conv5_1"]["pixel"] > errors["relu5_1"]["pixel"]


def test_only_the_deep_layer_depends_on_start_and_steps(results):
    moved = {name: found["moved"] for name, found in results["changed"].items()}
    assert moved["relu5_1, another noise"] > 50 * moved["relu1_1, another noise"]
    more, few = results["changed"]["relu5_1, 3 x the steps"], results["depth_errors"]["relu5_1"]
    assert more["pixel"] < 0.95 * few["pixel"]


def test_a_little_total_variation_helps_and_much_outvotes_the_features(results):
    none, little, much = (results["tv"][weight] for weight in ("0", "1", "100"))
    assert little["pixel"] < 0.8 * none["pixel"]
    assert much["feature"] > 2 * little["feature"]


def test_average_pooling_inverts_better(results):
    pooled, routes = results["pooling"], results["gradient_routes"]
    gains = [pooled[f"{name}, max"] / pooled[f"{name}, avg"] for name in ("pocket", "random")]
    assert min(gains) > 1.1
    assert gains[1] > gains[0]
    assert routes["max"] == pytest.approx(0.25, abs=0.01)
    assert routes["avg"] > 0.9  # an odd last row or column is dropped


def test_other_pictures_keep_the_order(results):
    for errors in results["others"].values():
        shallow, middle, deep = errors.values()
        assert shallow < 0.5 * middle
        assert middle < 0.5 * deep
