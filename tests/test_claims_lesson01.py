"""What lesson 01 says is what its run gives: the table, the receptive fields, wrong inputs, filters, and positions."""

import pytest

RUNS = [
    pytest.param({"size": 192}, id="small"),
    pytest.param({}, id="defaults", marks=[pytest.mark.soak, pytest.mark.timeout(600)]),
]
LAYERS = ["relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"]
JUMPS = dict(zip(LAYERS, (1, 2, 4, 8, 16), strict=True))


@pytest.fixture(params=RUNS)
def results(request, results_of):
    return results_of("01_what_vgg_sees", **request.param)


def test_the_table_is_that_of_the_published_network(results):
    assert results["rows_equal"] is True
    assert results["parameters"] == 20_024_384  # Simonyan & Zisserman's 144 million less the classifier's 124
    assert results["multiply_adds"] == 19_508_428_800


def test_the_pocket_network_has_a_sixteenth_of_the_cost_and_the_same_field(results):
    pocket, vgg19 = (results["up_to_relu5_1"][name] for name in ("pocket", "random-vgg19"))
    for small, large in zip(pocket, vgg19, strict=True):  # parameters, multiply-adds
        assert 15 < large / small < 17  # conv1_1 has 3 channels on one side in both, so not quite 16


def test_receptive_fields_are_measured_as_the_recurrence_says(results):
    assert [field["table"] for field in results["fields"].values()] == [3, 10, 24, 68, 156]
    assert all(field["measured"] == [field["table"]] * 2 for field in results["fields"].values())


def test_the_middle_of_a_field_counts_most(results):
    assert results["inner_quarter"] > 0.6  # a quarter of the area; even weights would give 0.25


def test_wrong_inputs_do_the_harm_that_is_told(results):
    errors = results["input_errors"]
    for layer in LAYERS:
        assert 0.3 < errors["forgotten"][layer] < 0.8
        assert 5 < errors["twice"][layer] < 30
        assert errors["0 to 255"][layer] > 1e4
    assert errors["BGR"]["relu5_1"] < 0.5 * errors["BGR"]["relu1_1"]


def test_trained_filters_are_gray_patterns_and_flat_colors(results):
    assert results["plain_filters"]["pocket"] > 0.9
    assert results["plain_filters"]["untrained"] < 0.6  # 11 of 27 dimensions


def test_the_place_of_a_spot_is_kept_and_blurred(results):
    spots = [results["spot"][layer] for layer in LAYERS]
    spreads = [spot["spread"] for spot in spots]
    assert all(spot["miss"] < 8 for spot in spots)  # half a position of relu5_1
    assert spreads == sorted(spreads)
    assert spreads[-1] > 3 * spreads[0]


def test_a_shift_by_one_pixel_upsets_a_layer_the_less_the_deeper_it_is(results):
    errors = [results["shifts"]["in place"][layer][1] for layer in LAYERS]
    assert all(deeper < 0.75 * shallower for shallower, deeper in zip(errors, errors[1:], strict=False))


@pytest.mark.parametrize("layer", LAYERS)
def test_moved_along_a_layer_agrees_at_the_multiples_of_its_jump_only(results, layer):
    errors = results["shifts"]["moved along"][layer]
    exact = [error for shift, error in enumerate(errors) if shift % JUMPS[layer] == 0]
    between = [error for shift, error in enumerate(errors) if shift % JUMPS[layer]]
    # Away from the sides only rounding is left, or, where the field reaches them, their padding: far below the rest.
    assert max(exact) < 0.3 * max(between, default=1e-3)
