"""What lesson 01 says is what its run gives: the table, the receptive fields, wrong inputs, filters, and positions."""

import pytest

RUNS = [
    pytest.param({"size": 160, "steps": 10}, id="small"),
    pytest.param({}, id="defaults", marks=[pytest.mark.soak, pytest.mark.timeout(600)]),
]
LAYERS = ["relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"]


@pytest.fixture(scope="module", params=RUNS)
def results(request, results_of):
    return results_of("01_what_vgg_sees", **request.param)


def test_the_table_is_that_of_the_published_network(results):
    assert results["rows_equal"] is True
    assert results["parameters"] == 20_024_384  # Simonyan & Zisserman's 144 million less the classifier's 124
    assert results["multiply_adds"] == 19_508_428_800
    parameters, multiply_adds = zip(*results["blocks"].values(), strict=True)
    assert 0.6 < multiply_adds[2] + multiply_adds[3] < 0.7  # two thirds
    assert parameters[3] + parameters[4] > 0.85  # nearly nine tenths


def test_receptive_fields_are_measured_as_the_recurrence_says(results):
    assert [field["table"] for field in results["fields"].values()] == [3, 10, 24, 68, 156]
    assert all(field["measured"] == [field["table"]] * 2 for field in results["fields"].values())


def test_the_middle_of_a_field_counts_most(results):
    assert results["inner_quarter"] > 0.6  # a quarter of the area; even weights would give 0.25


def test_wrong_inputs_do_the_harm_that_is_told(results):
    sizes, cosines = results["sizes"], results["cosines"]
    assert all(0.25 < size < 0.7 for size in sizes["forgotten"])  # a third to two thirds
    assert all(2.5 < size < 5 for size in sizes["twice"])
    assert all(50 < size < 600 for size in sizes["0_to_255"])
    assert all(0.7 < size < 1.6 for size in sizes["BGR"])
    assert cosines["BGR"][0] < 0.7 and cosines["BGR"][-1] > 0.9
    assert cosines["mirror_image"][-1] < cosines["BGR"][-1]  # no mistake at all
    for case in ("another_photo", "noise"):  # baselines: they are far from 0
        assert 0.3 < cosines[case][-1] < cosines["BGR"][-1]
    lost, won, spared = results["bgr_channels"]
    assert max(lost, won) < 0.4 and spared > 0.95


def test_the_numbers_of_an_input_name_three_of_the_mistakes(results):
    least, most, _, deviation = zip(*results["inputs"].values(), strict=True)
    numbers = dict(zip(results["inputs"], zip(least, most, deviation, strict=True), strict=True))
    assert numbers["forgotten"][0] >= 0 > numbers["right"][0] > -2.2
    assert numbers["twice"][0] < -3 and numbers["0_to_255"][1] > 100
    assert -2.2 < numbers["BGR"][0] and numbers["BGR"][1] < 2.7  # a possible picture
    assert 0.2 < numbers["forgotten"][2] / numbers["right"][2] < 0.3  # a fourth of the contrast


def test_trained_filters_are_gray_patterns_and_flat_colors(results):
    assert results["plain_filters"]["pocket"] > 0.9
    assert abs(results["plain_filters"]["untrained"] - 11 / 27) < 0.15  # 11 of 27 dimensions, sixteen filters


def test_the_eyes_of_the_cat_do_not_win_the_channels_that_light_up_there(results):
    assert max(results["ranks"]["relu4_1"]) > 1  # of eleven pictures


def test_half_of_the_influence_on_a_feature_lies_on_few_pixels(results):
    assert max(results["saliency"]) < 0.15  # of the field


def test_a_channel_answers_more_to_the_picture_made_for_it(results):
    assert min(results["gains"].values()) > 0


def test_the_quiet_channel_counts_far_less(results):
    assert results["loud_to_quiet"] > 4


def test_the_place_of_a_spot_is_kept_and_blurred(results):
    spots = [results["spot"][layer] for layer in ("picture", *LAYERS)]
    spreads = [spot["spread"] for spot in spots]
    assert all(spot["miss"] < 5 for spot in spots)  # a third of a position of relu5_1
    assert spreads == sorted(spreads)
    assert spreads[-1] > 4 * spreads[0]


def test_a_shift_by_few_pixels_upsets_a_layer_the_less_the_deeper_it_is(results):
    for shift in (1, 2):
        errors = [results["shifts"][layer][shift] for layer in LAYERS]
        assert all(deeper < 0.9 * shallower for shallower, deeper in zip(errors, errors[1:], strict=False))


@pytest.mark.parametrize("layer", LAYERS)
def test_moved_along_by_whole_positions_a_layer_agrees(results, layer):
    assert results["along"][layer]["16"] < 0.3 * results["shifts"][layer][16]
    whole = layer != "relu5_1"  # whose jump is 16
    assert (results["along"][layer]["8"] < 0.3 * results["shifts"][layer][8]) == whole
