"""What lesson 10 claims holds in the numbers of its own run: small here, at the defaults in `make soak`."""

import json

import pytest

import nst_lesson as nst

LESSON = "10_pocket_vgg"
SMALL = {"size": 128, "steps": 20, "training_steps": 120, "crop": 48}

pytestmark = pytest.mark.timeout(1200)


@pytest.fixture(scope="module", params=[SMALL, pytest.param({}, marks=[pytest.mark.soak])], ids=["small", "defaults"])
def found(request, results_of):
    return results_of(LESSON, **request.param)


def test_half_the_channels_are_a_quarter_of_the_work(found):
    saved = found["saved"]
    assert 3.9 < saved["half"] < 4
    assert 5.5 < saved["multiply_adds"] < 7 and saved["weights"] > 4
    assert saved["step"] > 1  # seconds of a busy machine say little more


def test_training_lowers_every_error_that_the_best_heads_leave(found):
    for name, errors in found["errors"]["untrained"].items():
        for key, before in errors.items():
            assert found["errors"]["distilled"][name][key] < 0.9 * before
    losses = found["losses"]
    assert sum(losses[-20:]) < 0.7 * sum(losses[:20])


def test_the_widest_student_beats_the_narrowest_and_none_is_below_its_floor(found):
    rows = list(found["curve"].values())
    assert rows[-1]["median"] < rows[0]["median"]
    assert rows[0]["floor"] > rows[1]["floor"] > rows[2]["floor"]
    for row in rows:
        assert min(row["errors"]) > row["floor"]


def test_the_narrowest_student_is_nearest_to_its_floor_in_proportion(found):
    proportions = [row["median"] / row["floor"] for row in found["curve"].values()]
    assert proportions == sorted(proportions)


def test_distances_keep_their_order(found):
    first, second = found["ranks"]["distilled"].values()
    assert first > found["ranks"]["untrained"]["relu1_1"] + 0.03
    assert min(second, found["ranks"]["untrained"]["relu2_1"]) > 0.6  # an easy test: random filters pass it, too


def test_the_square_map_keeps_every_distance_and_carries_the_measure(found):
    assert found["map_difference"] < 0.01  # float32, relative to the distance itself
    assert all(0.5 < ratio < 1.2 for ratio in found["ratios"]["with"].values())
    without = found["ratios"]["without"].values()
    assert max(without) > 5 * min(without)


def test_each_network_is_pleased_with_itself_and_the_teacher_is_not(found):
    judged = found["judged"]
    for who in ("untrained", "distilled"):
        assert judged[who][who] < 0.5 * judged[who]["teacher"]
    assert judged["teacher"]["teacher"] < judged["distilled"]["teacher"] < 0.6 * judged["untrained"]["teacher"]


def test_an_optimizer_finds_what_the_student_does_not_see(found):
    fooled, ((index, own), (_, by_teacher)) = found["fooled"], found["followed"].values()
    assert 0.3 < fooled["median"] < 2  # a fair judge of pictures that nobody optimized
    assert fooled["painted"] < 0.5 * fooled["median"]
    assert own[-1] / by_teacher[-1] < 0.5 * own[0] / by_teacher[0]  # the two curves part
    assert by_teacher[-1] > 1.5 * min(by_teacher) or index[-1] < 80  # and in the end the teacher's rises


def test_the_taught_student_sees_through_the_old_picture_and_is_fooled_by_a_new_one(found):
    judged = found["judged"]
    assert judged["distilled"]["taught"] > 1.3 * judged["distilled"]["distilled"]  # at its defaults thirty times
    assert judged["teacher"]["teacher"] < 0.6 * judged["taught"]["teacher"]
    assert judged["taught"]["taught"] < 0.5 * judged["taught"]["teacher"]


def test_noise_teaches_noise(found):
    for name, on_noise in found["noise_errors"]["noise"].items():
        on_crops = found["noise_errors"]["test_crops"][name]["features"]
        assert on_crops > 1.5 * on_noise["features"]
        assert on_crops > 1.3 * found["errors"]["distilled"][name]["features"]


def test_a_head_fitted_to_few_pictures_says_nothing_about_others(found):
    fitted, new = zip(*found["overfitted"].values(), strict=True)
    assert fitted[0] < 0.01 and list(fitted) == sorted(fitted)
    assert max(new) == max(new[1:-2])  # at its worst where equations and unknowns are equally many
    assert new[-1] == min(new) and new[-1] / fitted[-1] < 5


def test_eight_bits_cost_little_and_pruning_much(found):
    smaller = found["smaller"]
    for name in nst.STYLE_LAYERS:
        assert smaller["16-bit_floats"][name] == 0  # that is how pocket is stored
        assert 0 < smaller["8-bit_integers"][name] < 0.05 < smaller["half_pruned"][name]


def test_the_shipped_network_is_worst_where_it_is_deepest(found):
    shipped = found["shipped"]
    assert set(nst.STYLE_LAYERS) <= set(shipped)
    errors = {name: row["error"] for name, row in shipped.items()}
    assert max(errors, key=errors.get) == "relu5_1"
    assert min(row["rank"] for row in shipped.values()) > 0.8  # the order is kept where the ratio is not
    assert shipped["relu5_1"]["ratio"] < 0.5


def test_the_stored_comparison_says_what_the_lesson_says():
    path = nst.data_dir() / "distillation" / "results.json"
    stored = json.loads(path.read_text(encoding="utf-8"))
    runs, photograph = stored["runs"], stored["photograph"]
    real, pocket, first = (runs[name]["by VGG-16"] for name in ("vgg16-caffe", "pocket", "first"))
    for name in nst.STYLE_LAYERS:
        assert runs["pocket"]["by itself"][name] < (1.1 if name == "relu5_1" else 1) * real[name] < photograph[name]
        assert runs["pocket"]["by itself"][name] < pocket[name] < first[name] < photograph[name]
        assert 1.2 < pocket[name] / real[name] < 2 or name == "relu1_1"
    fooled = {name: pocket[name] / runs["pocket"]["by itself"][name] for name in nst.STYLE_LAYERS}
    assert max(fooled, key=fooled.get) == "relu3_1" and fooled["relu3_1"] > 2
    for run in runs.values():
        assert (path.parent / run["picture"]).stat().st_size < 200_000
