"""What lesson 10 claims holds in the numbers of its own run: small here, at the defaults in `make soak`."""

import pytest

LESSON = "10_pocket_vgg"
SMALL = {"size": 128, "steps": 20, "training_steps": 150, "crop": 48}

pytestmark = pytest.mark.timeout(1200)


@pytest.fixture(scope="module", params=[SMALL, pytest.param({}, marks=[pytest.mark.soak])], ids=["small", "defaults"])
def found(request, results_of):
    return results_of(LESSON, **request.param)


def test_a_quarter_of_the_width_is_a_sixteenth_of_the_work(found):
    saved = found["saved"]
    assert 14 < saved["multiply_adds"] < 16.5 and saved["weights"] > 14
    assert 1 < saved["step"] < saved["multiply_adds"]  # the clock gains less; seconds of a busy machine say little more


def test_training_lowers_every_error_that_the_best_heads_leave(found):
    for name, errors in found["errors"]["untrained"].items():
        for before, after in zip(errors, found["errors"]["distilled"][name], strict=True):
            assert after < 0.8 * before
    losses = found["losses"]
    assert sum(losses[-20:]) < 0.5 * sum(losses[:20])


def test_distances_keep_their_order(found):
    ranks = found["ranks"]
    for name, rank in ranks["distilled"].items():
        assert rank > 0.6 and rank > ranks["untrained"][name] + 0.05


def test_the_square_map_keeps_every_distance(found):
    assert found["map_difference"] < 0.01  # float32, relative to the distance itself


def test_each_network_is_pleased_with_itself_and_the_teacher_is_not(found):
    judged = found["judged"]
    for who in ("untrained", "distilled"):
        assert judged[who]["own"] < 0.5 * judged[who]["teacher"]
    assert judged["distilled"]["teacher"] < 0.6 * judged["untrained"]["teacher"]


def test_an_optimizer_finds_what_the_student_does_not_see(found):
    fooled = found["fooled"]
    assert 0.3 < fooled["median"] < 2  # a fair judge of pictures that nobody optimized
    assert fooled["painted"] < 0.5 * fooled["median"]


def test_noise_teaches_noise(found):
    for name, (feature, _) in found["noise_errors"]["noise"].items():
        assert found["noise_errors"]["test crops"][name][0] > 2 * feature
        assert found["noise_errors"]["test crops"][name][0] > 1.3 * found["errors"]["distilled"][name][0]


def test_the_map_carries_the_measure(found):
    for row in found["without_map"].values():
        assert 0.5 < row["ratio with"] < 1.2
        assert not 0.5 < row["ratio"] < 2


def test_the_shipped_network_is_worst_where_it_is_deepest(found):
    shipped = found["shipped"]
    styles = [numbers for numbers in shipped.values() if len(numbers) == 3]
    assert len(shipped) == 13 and len(styles) == 5
    errors, ranks, ratios = zip(*styles, strict=True)
    assert max(errors) == errors[-1] > 2 * errors[1] and min(ranks) == ranks[-1] > 0.95 and min(ratios) == ratios[-1]


def test_the_stored_comparison_says_what_the_lesson_says(found):
    agreement, runs = found["stored"]["agreement"], found["stored"]["runs"]
    for name in found["stored"]["settings"]["layers"]:
        pocket, random, plain = (agreement[who][name]["rank"] for who in agreement)
        assert pocket > 0.95 > plain > random and random < 0.5 or name == "relu3_1"
    assert agreement["pocket"]["relu3_1"]["rank"] > agreement["vgg19, not normalized"]["relu3_1"]["rank"]
    for kind in ("reconstruction", "texture", "transfer"):
        assert runs[f"{kind}, pocket"]["relu3_4"] > runs[f"{kind}, vgg19"]["relu3_4"]
