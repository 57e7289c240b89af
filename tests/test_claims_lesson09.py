"""What lesson 09 claims holds in the numbers of its own run: small here, at the defaults in `make soak`."""

import numpy as np
import pytest
from PIL import Image

LESSON = "09_control"
SMALL = {"size": 128, "steps": 24}

pytestmark = pytest.mark.timeout(1200)


@pytest.fixture(scope="module", params=[SMALL, pytest.param({}, marks=[pytest.mark.soak])], ids=["small", "defaults"])
def found(request, results_of):
    return results_of(LESSON, **request.param)


def test_what_is_done_by_hand_is_what_the_package_does(found):
    assert found["luminance"]["differs"] < 1e-6 and found["luminance"]["fits"] > 0.5  # float32 sums of three products
    assert found["matched"] < 0.01  # of the covariance: Cholesky's root moves colors otherwise than the symmetric one
    by_hand, package = found["masked"]
    assert package == pytest.approx(by_hand, rel=1e-4)
    assert found["patches"]["places"] > 50
    assert found["patches"]["differ"] <= 0.01 * found["patches"]["places"]  # ties within rounding


def test_kept_luminance_keeps_the_chroma(found):
    chroma = found["chroma"]
    for name in ("luminance_kept", "run_on_luminance"):
        assert chroma[name] < 0.02 and chroma[name] < 0.15 * chroma["plain"]
    for name in ("mean_and_covariance", "histograms"):
        assert chroma["luminance_kept"] < chroma[name] < 0.7 * chroma["plain"]


def test_a_margin_keeps_out_what_leaks_in(found):
    none, one, two = (found["leak"][margin] for margin in "012")
    assert min(none[2:]) > 5 * max(none[:2])
    left = [b / a for a, b in zip(none, one, strict=True)]
    assert left == sorted(left) and left[-1] < 0.8  # the deeper, the less a cell of margin takes away
    assert all(c <= b + 1e-9 for b, c in zip(one, two, strict=True))


def test_nothing_changes_beyond_the_receptive_field(found):
    by_distance = [found["outside"][key] for key in sorted(found["outside"], key=int)]
    assert by_distance[0] > 0.05 and by_distance[-1] == 0.0
    assert by_distance[1:] == sorted(by_distance[1:], reverse=True)


def test_blends_move_from_the_one_to_the_other(found):
    to_one, to_two = zip(*(found["blends"][key] for key in sorted(found["blends"], key=float)), strict=True)
    assert to_one[0] > 5 * to_one[-1] and to_two[-1] > 5 * to_two[0]
    assert list(to_one) == sorted(to_one, reverse=True) and list(to_two) == sorted(to_two)


def test_in_one_run_each_painting_comes_nearer_within_its_mask_than_by_pasting(found):
    one, pasted = found["within"]["one_run"], found["within"]["pasted"]
    assert all(one[term] < 0.8 * pasted[term] for term in one)


def test_patches_leave_the_eyes_better_and_the_palette_worse_than_gram_matrices(found):
    everywhere, local, fused = (found["faces"][name] for name in ("global:_Gram_matrices", "local:_patches", "fused"))
    assert local[0] < fused[0] < everywhere[0] and local[0] < 0.9 * everywhere[0]
    assert local[1] > 3 * max(fused[1], everywhere[1])


def test_equal_time_is_equal(found):
    runs = found["statistics"]
    clock = runs["gram"]["seconds"]
    for name, run in runs.items():
        assert run["steps"] >= 1 and run["seconds"] >= 0.99 * clock, name
    assert runs["gram"]["gram"] < 0.5  # nearer to the painting than far


def test_the_stored_picture_is_large_and_its_memory_bounded(found):
    runs = found["stored"]
    assert runs["coarse_to_fine"]["sizes"][0] == 256 and runs["coarse_to_fine"]["width"] >= 1536
    assert all(run["peak_memory_mb"] < 4500 for run in runs.values())


@pytest.mark.parametrize(("dark", "share"), [(64, 0.5), (0, 0.65)], ids=["half", "none"])
def test_any_picture_is_a_mask_and_one_that_takes_everything_is_replaced(results_of, tmp_path, dark, share):
    """A white picture whose left columns are dark; where all of it is white, the drawn ellipse stands in."""
    picture = np.full((90, 128), 255, np.uint8)
    picture[:, :dark] = 0
    Image.fromarray(picture).save(tmp_path / "mask.png")
    found = results_of(LESSON, extras=False, size=128, steps=2, mask=str(tmp_path / "mask.png"))
    assert found["mask"] == pytest.approx(share, abs=0.1)
