"""What lesson 05 claims holds in the numbers of its own run: small here, at the defaults in `make soak`."""

import itertools

import pytest

LESSON = "05_what_matters"
SMALL = {"size": 128, "steps": 30}


@pytest.fixture(scope="module", params=[SMALL, pytest.param({}, marks=[pytest.mark.soak])], ids=["small", "defaults"])
def found(request, results_of):
    return results_of(LESSON, **request.param)


def rows(found, title, key):
    """One number of each run of an experiment, in order."""
    return [row[key] for row in found[title].values()]


pytestmark = pytest.mark.timeout(1200)


def test_a_seed_changes_hardly_any_number(found):
    noise = [row for name, row in found["start"].items() if name == "noise" or "seed" in name]
    assert found["chance"]["content"] < 0.1 * min(row["content"] for row in noise)


def test_starting_from_noise_is_farthest_from_the_photograph(found):
    others = [row["content"] for name, row in found["start"].items() if "noise, " not in name and name != "noise"]
    assert found["start"]["noise"]["content"] > 1.15 * max(others)


def test_the_fine_detail_goes_as_the_content_layer_gets_deeper(found):
    finest = [far[0] for far in found["content layer"].values()]
    assert all(deeper > 1.02 * shallower for shallower, deeper in itertools.pairwise(finest))


def test_a_deep_content_layer_is_nearest_at_a_deep_layer(found):
    far = found["content layer"]
    assert far["relu4_1"][3] < 0.9 * far["relu1_1"][3]


def test_at_ten_times_the_style_weight_the_content_layer_matters_less(found):
    far = list(found["content layer"].values())
    assert far[-1][4] / far[0][4] < 0.8 * far[-1][0] / far[0][0]


def test_every_style_layer_adds_to_the_style(found):
    growing = rows(found, "style layers", "style")[:5]
    assert all(more < 0.9 * fewer for fewer, more in itertools.pairwise(growing))


def test_one_style_layer_is_wrong_at_the_deeper_levels(found):
    one, five = (found["style layers"][name]["held-out layers"] for name in ("1 to 1", "1 to 5"))
    assert all(5 * b < a for a, b in zip(one[1:], five[1:], strict=True))


def test_untrained_judges_do_not_see_what_one_style_layer_lacks(found):
    one, five = (found["style layers"][name] for name in ("1 to 1", "1 to 5"))
    assert one["stranger"] < five["stranger"]
    assert max(one["a stranger"]) < 0.3 * max(one["held-out layers"])


def test_a_run_with_fewer_terms_has_the_lower_loss_and_is_no_nearer(found):
    one, five = (found["style layers"][name] for name in ("1 to 1", "1 to 5"))
    assert one["loss"] < five["loss"] and one["style"] > five["style"]


def test_only_the_fine_layers_bring_the_colors(found):
    even, fine, coarse = rows(found, "layer weights", "stranger")
    assert fine < even < coarse


def test_style_against_content_is_a_trade_off_for_every_pair(found):
    for points in found["curves"].values():
        content, style = [row["content"] for row in points], [row["style"] for row in points]
        assert content[0] < content[1] < content[2] and style[0] > style[1] > style[2]
        assert style[0] / style[2] > 5  # the first two decades do most
        assert style[2] / style[5] < 3  # and the last three little


def test_lbfgs_gets_lower_than_adam_at_any_of_the_rates(found):
    first, *others = rows(found, "optimizer", "loss")
    assert first < 0.95 * min(others)


def test_a_large_rate_of_adam_loses_the_photograph(found):
    content = {name: row["content"] for name, row in found["optimizer"].items()}
    assert content["Adam 0.3"] > 1.2 * content["L-BFGS"]


def test_average_pooling_is_smoother_in_every_network(found):
    variation = found["total variation"]
    for network in ("pocket", "random 0", "random 1", "random 2"):
        assert variation[f"{network}, avg"] < 0.97 * variation[f"{network}, max"]


def test_chance_is_not_zero_and_small_beside_a_style_distance(found):
    assert 0 < found["chance"]["style"] < 0.6 * found["start"]["content"]["style"]


def test_a_larger_picture_keeps_more_of_the_photograph_and_coarse_to_fine_brings_the_marks_back(found):
    half, whole, double, coarse_to_fine, _ = found["size"].values()
    assert half > 1.2 * whole and whole > 1.2 * double
    assert coarse_to_fine > 1.15 * double


def test_an_untrained_network_leaves_out_the_structure(found):
    trained, *untrained = rows(found, "network", "style")
    assert all(5 * trained < far for far in untrained)


def test_strong_marks_give_strong_marks(found):
    pairs = sorted(found["paintings"].values())
    assert pairs[0] == found["paintings"]["glass, subtle"]
    assert pairs[0][1] < 0.7 * pairs[1][1] and pairs[-1][1] == max(after for _, after in pairs)


def test_each_remedy_brings_the_photograph_nearer(found):
    assert found["lighting"]["mended"]["content"] < 0.6 * found["lighting"]["failed"]["content"]
    assert found["lighting"]["mended"]["style"] > found["lighting"]["failed"]["style"]  # and its price
    first, *_, last = found["complexity"].values()
    assert last < 0.7 * first


def test_each_network_finds_its_own_run_the_best(found):
    (trained, untrained) = found["partial judges"].values()
    assert 1.8 * trained[0] < untrained[0] and 1.8 * untrained[1] < trained[1]
