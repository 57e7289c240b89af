"""Terms of an objective: statistics by hand, masks that keep to their region, patches by search, weights and names."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import nst_lesson as nst
from nst_lesson.errors import ParameterError
from nst_lesson.methods import statistics
from nst_lesson.methods.objective import Content, Objective, Patches, Smoothness, Style, Term, transfer_terms
from nst_lesson.methods.statistics import STATISTICS, layer_mask, nearest_patches


def picture(height, width, seed=0):
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))


def gaussian(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def far(backbone, image: torch.Tensor, term: Term) -> torch.Tensor:
    """What one term says of a picture."""
    return Objective(backbone, {"it": (1.0, term)})(image)["it"]


def as_it_is(image, layers):
    """A backbone whose only layer "x" is the picture itself."""
    return {"x": image}


@pytest.fixture(scope="module")
def pocket():
    return nst.load_backbone("pocket")


# ---- statistics


def test_the_gram_term_is_the_style_loss(pocket):
    image, painting, layers = picture(48, 64), picture(64, 48, 1), ("relu1_1", "relu3_1")
    mine, wanted = pocket(image, layers), pocket(painting, layers)
    by_hand = sum(nst.style_loss(nst.gram_matrix(mine[k]), nst.gram_matrix(wanted[k])) for k in layers) / 2
    torch.testing.assert_close(far(pocket, image, Style(painting, layers)), by_hand, rtol=1e-4, atol=0)


@pytest.mark.parametrize("statistics", STATISTICS)
def test_a_painting_has_no_distance_to_itself_and_another_picture_has(pocket, statistics):
    painting = nst.load_image("wave", 96)
    term = Style(painting, statistics=statistics)
    own = far(pocket, painting, term)
    other = nst.load_image("coffee", 96).requires_grad_()
    distance = far(pocket, other, term)
    distance.backward()
    assert -1e-6 <= own.item() < 1e-3 < 0.02 < distance.item()  # EPSILON and float32 eigenvalues
    assert other.grad.isfinite().all() and other.grad.abs().sum() > 0


@pytest.mark.parametrize("scale", [1.0, 0.1, 0.01])
@pytest.mark.parametrize("gray", [False, True])
def test_the_covariance_distance_is_never_below_zero(scale, gray):
    backbone = nst.load_backbone("pocket", activation_scale=scale)
    painting = torch.full((1, 3, 64, 64), 0.5) if gray else picture(64, 64)
    assert far(backbone, painting, Style(painting, statistics="covariance")) >= -1e-6  # float32 eigenvalues


def test_the_covariance_distance_of_one_channel_is_the_known_formula():
    a, b = 2 * gaussian(1, 1, 30, 40) + 1, 0.5 * gaussian(1, 1, 30, 40, seed=1) - 1
    distance = far(as_it_is, a, Style(b, "x", "covariance"))
    wanted = (a.mean() - b.mean()) ** 2 + (a.std(correction=0) - b.std(correction=0)) ** 2
    energy = b.mean() ** 2 + b.var(correction=0)
    torch.testing.assert_close(distance, wanted / energy, rtol=1e-2, atol=0)  # EPSILON under roots


def test_a_sliced_distance_sees_what_moments_do_not():
    flat, peaked = torch.linspace(-1, 1, 1200), torch.linspace(-1, 1, 1200).pow(5)
    a, b = ((x - x.mean()).div(x.std()).view(1, 1, 30, 40) for x in (flat, peaked))

    assert far(as_it_is, b, Style(a, "x", "moments")) < 1e-6 and far(as_it_is, b, Style(a, "x", "sliced")) > 0.01


def test_other_statistics_are_one_line(pocket):
    with pytest.raises(ParameterError, match="choose one of gram, moments, covariance, sliced"):
        Style(picture(32, 32), statistics="median").prepare(pocket)
    with pytest.raises(ParameterError, match="normalization 'mean' is for statistics 'gram'"):
        Style(picture(32, 32), statistics="sliced", normalization="mean").prepare(pocket)


@pytest.mark.parametrize("statistics", STATISTICS)
def test_the_distance_of_a_batch_is_the_mean_of_its_pictures(pocket, statistics):
    objective = Objective(pocket, {"style": (1.0, Style(nst.load_image("wave", 64), statistics=statistics))})
    pictures = torch.cat([picture(48, 64, seed) for seed in range(3)])
    alone = [objective(one)["style"] for one in pictures.split(1)]
    # eigenvalues of a batch agree to a few digits
    torch.testing.assert_close(objective(pictures)["style"], torch.stack(alone).mean(), rtol=1e-3, atol=0)


# ---- masks


def halves(height, width):
    mask = torch.zeros(1, 1, height, width)
    mask[..., : width // 2] = 1
    return mask


@pytest.mark.parametrize("statistics", STATISTICS)
def test_a_mask_moves_nothing_outside_it_beyond_the_receptive_field(pocket, statistics):
    image = picture(64, 96).requires_grad_()
    term = Style(picture(64, 64, 1), ["relu1_1", "relu2_1"], statistics, where=halves(64, 96))
    far(pocket, image, term).backward()
    # relu2_1 sees 10 pixels, 4 on each side of its cell of 2: with a margin of a cell it sees 2 pixels past column 48
    assert image.grad[..., :40].abs().sum() > 0
    assert image.grad[..., 48 + 2 :].abs().max() == 0


def test_a_mask_over_everything_is_no_mask(pocket):
    image, painting = picture(64, 96), picture(64, 64, 1)
    whole = Style(painting, where=torch.ones(1, 1, 64, 96), where_painting=torch.ones(1, 1, 64, 64))
    torch.testing.assert_close(far(pocket, image, whole), far(pocket, image, Style(painting)), rtol=1e-4, atol=0)


@pytest.mark.parametrize("kind", [torch.bool, torch.uint8, torch.int64, torch.float16, torch.float64], ids=str)
def test_a_mask_of_any_type_is_the_same_mask(pocket, kind):
    image, painting, mask = picture(64, 96), picture(64, 64, 1), halves(64, 96)
    wanted = far(pocket, image, Style(painting, where=mask, where_painting=halves(64, 64)))
    term = Style(painting, where=mask.to(kind), where_painting=halves(64, 64).to(kind))
    assert far(pocket, image, term) == wanted
    small = far(pocket, image[..., ::2, ::2], term.resized(0.5))
    torch.testing.assert_close(small, far(pocket, image[..., ::2, ::2], replace(term, where=mask).resized(0.5)))


def test_a_masked_gram_matrix_is_that_of_the_positions_inside():
    features, mask = gaussian(1, 4, 8, 12), halves(8, 12)
    for margin in (0, 1, 2):
        inside = features[..., : 6 - margin].contiguous()
        assert far(as_it_is, features, Style(inside, "x", where=mask, margin=margin)).item() < 1e-8


def test_a_mask_of_a_layer_is_the_share_of_each_cell_kept_from_the_border():
    mask = halves(16, 24)
    mask[..., 12:14] = 1  # a half of the fourth cell of 4: it does not count
    features = torch.zeros(1, 1, 4, 6)
    for margin, columns in ((0, 3), (1, 2), (2, 1)):  # the picture's own edge is no border
        wanted = torch.zeros(1, 1, 4, 6)
        wanted[..., :columns] = 1
        assert torch.equal(layer_mask(mask, features, margin), wanted)
    mask[..., 14] = 1  # three quarters: it counts as much as it is beyond a half
    assert layer_mask(mask, features, 0)[0, 0, 0].tolist() == [1, 1, 1, 0.5, 0, 0]


def test_a_tiny_region_is_kept_at_a_deep_layer():
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., 10:13, 10:13] = 1
    assert layer_mask(mask, torch.zeros(1, 1, 4, 4)).sum() > 0
    assert layer_mask(mask, torch.zeros(1, 1, 64, 64), 1).sum() == 1
    assert layer_mask(mask, torch.zeros(1, 1, 64, 64), 2).sum() == 1  # a margin of 2 would leave nothing: 1 is taken


@pytest.mark.parametrize("statistics", ["gram", "moments", "covariance", "sliced"])
@pytest.mark.parametrize("edge", [(..., slice(-12, None), slice(None)), (..., slice(-3, None))], ids=["below", "right"])
def test_a_region_in_the_rows_that_poolings_drop_counts_all_the_same(pocket, statistics, edge):
    """Of 60 and 83 pixels a deep layer of a sixteenth has 3 and 5 positions, and the last 12 and 3 pixels none."""
    image, mask = picture(60, 83), torch.zeros(1, 1, 60, 83)
    mask[edge] = 1
    assert layer_mask(mask, pocket(image, ["relu5_1"])["relu5_1"]).sum() > 0
    term = Style(picture(60, 83, 1), ["relu4_1", "relu5_1"], statistics, where=mask, where_painting=mask)
    assert far(pocket, image, term).isfinite()


def test_a_mask_that_asks_for_gradients_gets_none_and_stops_nothing(pocket):
    mask = halves(32, 48).requires_grad_()
    objective = Objective(pocket, {"style": (1.0, Style(picture(32, 48), "relu2_1", where=mask, where_painting=mask))})
    assert [step.index for step in nst.optimize(picture(32, 48, 1), objective, 2)] == [1, 2]
    assert mask.grad is None


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (torch.ones(32, 48), r"the shape \(32, 48\); \(1, 1, H, W\) is expected"),
        (torch.ones(1, 32, 48), r"\(1, 1, H, W\) is expected"),
        (torch.full((1, 1, 32, 48), float("nan")), "outside"),
        (np.ones((1, 1, 32, 48)), "is ndarray; give a tensor"),
        (torch.zeros(1, 1, 32, 48), "is empty"),
    ],
    ids=["no batch", "no channel", "nan", "numpy", "black"],
)
def test_what_is_no_mask_is_said(pocket, mask, message):
    with pytest.raises(ParameterError, match=f"the mask 'where' .*{message}"):
        Style(picture(32, 48), "relu2_1", where=mask).prepare(pocket)


def test_a_margin_keeps_out_what_lies_across_the_border(pocket):
    wave, glass = (nst.load_image(name, 160)[..., :96, :96] for name in ("wave", "stained_glass"))
    mask = halves(96, 96)
    mixed = torch.where(mask > 0, wave, glass)
    leaks = []
    for margin in (0, 1, 2):
        leaks.append(far(pocket, mixed, Style(wave, "relu4_1", where=mask, where_painting=mask, margin=margin)).item())
    assert leaks[0] > 2 * leaks[1] > 4 * leaks[2]


def test_nothing_changes_outside_a_mask_beyond_the_receptive_field(pocket):
    image, mask = picture(64, 96), halves(64, 96)
    term = Style(picture(64, 64, 1), ["relu1_1", "relu2_1", "relu3_1"], where=mask, margin=0)
    *_, last = nst.optimize(image, Objective(pocket, {"style": (1.0, term)}), 6)
    # relu3_1 sees 24 pixels, 10 on each side of its cell of 4. L-BFGS combines gradients: where all are 0, it stays.
    assert torch.equal(last.image[..., 48 + 10 :], image[..., 48 + 10 :])
    assert (last.image - image)[..., 48 : 48 + 10].abs().max() > 1e-3


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (torch.zeros(1, 1, 32, 32), "is empty"),
        (255 * torch.ones(1, 1, 32, 32), "divide a mask of 0 and 255 by 255"),
        (torch.ones(1, 1, 16, 32), "has the shape"),
    ],
)
def test_a_bad_mask_is_one_line(pocket, mask, message):
    with pytest.raises(ParameterError, match=message):
        far(pocket, picture(32, 32), Style(picture(32, 32), where=mask))
    with pytest.raises(ParameterError, match=message):
        far(pocket, picture(32, 32), Style(picture(32, 32), where_painting=mask))


# ---- patches


def test_the_nearest_patch_is_the_one_that_a_search_finds(monkeypatch):
    features, painting = gaussian(1, 4, 7, 9), gaussian(1, 4, 8, 6, seed=1)
    patches = F.unfold(painting, 3)[0].T
    mine = F.unfold(features, 3)[0].T
    wanted = F.cosine_similarity(mine[:, None], patches[None], dim=2).argmax(1)
    assert torch.equal(nearest_patches(features, patches, 3), wanted)
    monkeypatch.setattr(statistics, "SCORES_AT_ONCE", 5 * 7 * 9)  # five patches at once
    assert torch.equal(nearest_patches(features, patches, 3), wanted)


def test_no_patches_are_one_line():
    with pytest.raises(ParameterError, match="there are no patches"):
        nearest_patches(gaussian(1, 4, 7, 9), gaussian(0, 36), 3)


def test_a_picture_of_the_paintings_own_patches_has_no_distance(pocket):
    painting = nst.load_image("cubist", 96)
    assert far(pocket, painting, Patches(painting)).item() < 1e-6
    assert far(pocket, nst.load_image("coffee", 96), Patches(painting)).item() > 0.1


def test_patches_refuse_a_batch_and_a_painting_that_has_none(pocket):
    painting = nst.load_image("wave", 96)
    with pytest.raises(ParameterError, match="one picture at a time, not 2"):
        far(pocket, painting.repeat(2, 1, 1, 1), Patches(painting))
    with pytest.raises(ParameterError, match="no patch of 3 x 3 at relu4_1"):
        Objective(pocket, {"p": (1.0, Patches(painting[..., :16, :16], ["relu4_1"]))})


# ---- the objective


def test_two_paintings_are_two_terms_that_one_run_lowers(pocket):
    content = nst.load_image("coffee", 64)
    terms = {name: (100.0, Style(nst.load_image(name, 64))) for name in ("wave", "cubist")}
    steps = list(nst.optimize(content, Objective(pocket, terms | {"content": (1.0, Content(content))}), 8))
    assert {"wave", "cubist", "content"} == set(steps[0].terms)
    assert all(steps[-1].terms[name] < 0.7 * steps[0].terms[name] for name in terms)


def test_further_terms_keep_what_is_prepared(pocket):
    calls = []

    def counting(image, layers):
        calls.append(image.shape)
        return pocket(image, layers)

    image, painting = picture(48, 64), picture(64, 48, 1)
    styled = Objective(counting, transfer_terms(None, painting))
    both = styled | transfer_terms(image, None)
    assert set(styled(image)) == {"style", "tv"} and set(both(image)) == {"style", "tv", "content"}
    assert calls.count(painting.shape) == 1


def test_names_and_weights_are_one_line(pocket):
    painting = picture(32, 32)
    with pytest.raises(ParameterError, match="may not be called 'tv'"):
        transfer_terms(painting, {"tv": (1.0, Style(painting))})
    for terms in ({}, {"paint": (0.0, Style(painting))}):
        with pytest.raises(ParameterError, match="nothing to optimize"):
            Objective(pocket, terms)(painting)
    for weight in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ParameterError, match="the weight of paint is"):
            Objective(pocket, {"paint": (weight, Smoothness())})


def test_a_term_of_weight_zero_takes_the_place_of_one_that_was_there():
    objective = Objective(nst.load_backbone("pocket"), {"tv": (20.0, Smoothness()), "more": (1.0, Smoothness())})
    assert set((objective | {"tv": (0.0, Smoothness())})(picture(32, 32))) == {"more"}
