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
    parameters, multiply_adds = zip(*results["blocks"].values(), strict=True)
    assert 0.6 < multiply_adds[2] + multiply_adds[3] < 0.7  # two thirds
    assert parameters[3] + parameters[4] > 0.85  # nearly nine tenths


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
    sizes, cosines = results["sizes"], results["cosines"]
    assert all(0.25 < size < 0.45 for size in sizes["forgotten"])  # about a third, in every layer
    assert all(4 < size < 5 for size in sizes["twice"])
    assert all(150 < size < 450 for size in sizes["0 to 255"])
    assert all(0.7 < size < 1.6 for size in sizes["BGR"])
    assert cosines["BGR"][0] < 0.7 and cosines["BGR"][-1] > 0.9
    mistakes = [cosines[case] for case in ("forgotten", "twice", "0 to 255", "BGR")]
    assert all(m <= min(c) for m, c in zip(cosines["mirror image"], zip(*mistakes, strict=True), strict=True))
    lost, won, spared = results["bgr_channels"]
    assert max(lost, won) < 0.4 and spared > 0.95


def test_the_numbers_of_an_input_name_three_of_the_mistakes(results):
    least, most, _, deviation = zip(*results["inputs"].values(), strict=True)
    numbers = dict(zip(results["inputs"], zip(least, most, deviation, strict=True), strict=True))
    assert numbers["forgotten"][0] >= 0 > numbers["right"][0] > -2.2
    assert numbers["twice"][0] < -3 and numbers["0 to 255"][1] > 100
    assert -2.2 < numbers["BGR"][0] and numbers["BGR"][1] < 2.7  # a possible picture
    assert 0.2 < numbers["forgotten"][2] / numbers["right"][2] < 0.3  # a fourth of the contrast


def test_trained_filters_are_gray_patterns_and_flat_colors(results):
    assert results["plain_filters"]["pocket"] > 0.9
    assert abs(results["plain_filters"]["untrained"] - 11 / 27) < 0.15  # 11 of 27 dimensions, sixteen filters


def test_the_eyes_of_the_cat_do_not_win_the_channels_that_light_up_there(results):
    assert min(results["ranks"]["relu4_1"]) > 3  # of eleven pictures


def test_the_quiet_channel_counts_far_less(results):
    assert results["loud_to_quiet"] > 2


def test_the_place_of_a_spot_is_kept_and_blurred(results):
    spots = [results["spot"][layer] for layer in ("picture", *LAYERS)]
    spreads = [spot["spread"] for spot in spots]
    assert all(spot["miss"] < 5 for spot in spots)  # a third of a position of relu5_1
    assert spreads == sorted(spreads)
    assert spreads[-1] > 4 * spreads[0]


def test_a_shift_by_few_pixels_upsets_a_layer_the_less_the_deeper_it_is(results):
    for shift in (1, 2, 4):
        errors = [results["shifts"]["in place"][layer][shift] for layer in LAYERS]
        assert all(deeper < 0.8 * shallower for shallower, deeper in zip(errors, errors[1:], strict=False))
    far = {layer: error[16] for layer, error in results["shifts"]["in place"].items()}
    assert far["relu3_1"] > 1.1 * far["relu2_1"]  # the curves cross


@pytest.mark.parametrize("layer", LAYERS[1:])
def test_most_of_the_error_between_positions_is_rounding(results, layer):
    whole, fractions = (max(results["shifts"][way][layer]) for way in ("whole positions", "fractions"))
    assert 0 < fractions < 0.6 * whole


@pytest.mark.parametrize("layer", LAYERS)
def test_moved_along_a_layer_agrees_at_the_multiples_of_its_jump_only(results, layer):
    errors = results["shifts"]["whole positions"][layer]
    exact = [error for shift, error in enumerate(errors) if shift % JUMPS[layer] == 0]
    between = [error for shift, error in enumerate(errors) if shift % JUMPS[layer]]
    # Away from the sides only rounding is left, or, where the field reaches them, their padding: far below the rest.
    assert max(exact) < 0.3 * max(between, default=1e-3)
