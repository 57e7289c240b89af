"""Control: colors against their definitions, statistics by hand, masks that keep to their region, patches by search."""

import pytest
import torch
from nst_lesson.methods.control import (
    LUMA,
    STATISTICS,
    StyleTerm,
    keep_luminance,
    layer_mask,
    make_control_objective,
    match_colors,
    nearest_patches,
    patch_term,
    style_term,
)
from torch.nn import functional as F

import nst_lesson as nst
from nst_lesson.errors import ParameterError
from nst_lesson.methods import control


def picture(height, width, seed=0):
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def pocket():
    return nst.load_backbone("pocket")


# ---- colors


def brightness(image):
    return (image * torch.tensor(LUMA).view(1, 3, 1, 1)).sum(1)


def test_luminance_is_of_the_one_and_the_hue_of_the_other():
    painted, photo = picture(20, 30), picture(20, 30, 1)
    mixed = keep_luminance(painted, photo)
    torch.testing.assert_close(brightness(mixed), brightness(painted), atol=1e-5, rtol=0)
    mine, wanted = (x - brightness(x)[:, None] for x in (mixed, photo))
    assert (F.cosine_similarity(mine, wanted, dim=1)[mine.norm(dim=1) > 1e-3] > 0.999).all()
    assert mixed.min() >= 0 and mixed.max() <= 1


def test_a_picture_keeps_its_own_luminance_and_gray_stays_gray():
    photo = picture(20, 30)
    torch.testing.assert_close(keep_luminance(photo, photo), photo, atol=1e-6, rtol=0)
    gray = picture(20, 30)[:, :1].expand(-1, 3, -1, -1)
    torch.testing.assert_close(keep_luminance(photo, gray)[:, 0], brightness(photo), atol=1e-6, rtol=0)


def test_colors_are_matched_in_mean_and_covariance():
    image, reference = 0.3 + 0.2 * picture(40, 50), 0.4 + 0.1 * picture(30, 60, 1)
    matched = match_colors(image, reference)
    mine, wanted = matched[0].flatten(1), reference[0].flatten(1)
    torch.testing.assert_close(mine.mean(1), wanted.mean(1), atol=1e-3, rtol=0)
    torch.testing.assert_close(mine.cov(), wanted.cov(), atol=1e-4, rtol=0.02)  # EPSILON stands in both roots


# ---- statistics


def test_the_gram_term_is_the_style_loss(pocket):
    image, painting, layers = picture(48, 64), picture(64, 48, 1), ("relu1_1", "relu3_1")
    term = style_term(pocket, painting, layers=layers)
    mine, wanted = pocket(image, layers), pocket(painting, layers)
    by_hand = sum(nst.style_loss(nst.gram_matrix(mine[k]), nst.gram_matrix(wanted[k])) for k in layers) / 2
    torch.testing.assert_close(term.loss(mine), by_hand, rtol=1e-4, atol=0)


@pytest.mark.parametrize("statistics", STATISTICS)
def test_a_painting_has_no_distance_to_itself_and_another_picture_has(pocket, statistics):
    painting = nst.load_image("wave", 96)
    term = style_term(pocket, painting, statistics=statistics)
    own = term.loss(pocket(painting, term.layers))
    other = nst.load_image("coffee", 96).requires_grad_()
    far = term.loss(pocket(other, term.layers))
    far.backward()
    assert abs(own.item()) < 1e-3 < 0.02 < far.item()  # EPSILON and float32 eigenvalues
    assert other.grad.isfinite().all() and other.grad.abs().sum() > 0


def test_the_covariance_distance_of_one_channel_is_the_known_formula():
    a, b = torch.randn(1, 1, 30, 40) * 2 + 1, torch.randn(1, 1, 30, 40) * 0.5 - 1
    term = style_term(lambda image, layers: {"x": image}, b, statistics="covariance", layers=["x"])
    wanted = (a.mean() - b.mean()) ** 2 + (a.std(correction=0) - b.std(correction=0)) ** 2
    energy = b.mean() ** 2 + b.var(correction=0)
    torch.testing.assert_close(term.loss({"x": a}), wanted / energy, rtol=1e-2, atol=0)  # EPSILON under roots


def test_a_sliced_distance_sees_what_moments_do_not():
    flat, peaked = torch.linspace(-1, 1, 1200), torch.linspace(-1, 1, 1200).pow(5)
    a, b = ((x - x.mean()).div(x.std()).view(1, 1, 30, 40) for x in (flat, peaked))

    def far(statistics):
        term = style_term(lambda image, layers: {"x": image}, a, statistics=statistics, layers=["x"])
        return term.loss({"x": b}).item()

    assert far("moments") < 1e-6 and far("sliced") > 0.01


def test_other_statistics_are_one_line(pocket):
    with pytest.raises(ParameterError, match="choose one of gram, moments, covariance, sliced"):
        style_term(pocket, picture(32, 32), statistics="median")


# ---- masks


def halves(height, width):
    mask = torch.zeros(1, 1, height, width)
    mask[..., : width // 2] = 1
    return mask


@pytest.mark.parametrize("statistics", STATISTICS)
def test_a_mask_moves_nothing_outside_it_beyond_the_receptive_field(pocket, statistics):
    image = picture(64, 96).requires_grad_()
    term = style_term(
        pocket, picture(64, 64, 1), statistics=statistics, layers=["relu1_1", "relu2_1"], where=halves(64, 96)
    )
    term.loss(pocket(image, term.layers)).backward()
    # relu2_1 sees 10 pixels, 4 on each side of its cell of 2: with a margin of a cell it sees 2 pixels past column 48
    assert image.grad[..., :40].abs().sum() > 0
    assert image.grad[..., 48 + 2 :].abs().max() == 0


def test_a_mask_over_everything_is_no_mask(pocket):
    image, painting = picture(64, 96), picture(64, 64, 1)
    found = pocket(image, nst.STYLE_LAYERS)
    whole = style_term(pocket, painting, where=torch.ones(1, 1, 64, 96), where_painting=torch.ones(1, 1, 64, 64))
    torch.testing.assert_close(whole.loss(found), style_term(pocket, painting).loss(found), rtol=1e-4, atol=0)


def test_a_masked_gram_matrix_is_that_of_the_positions_inside():
    features, mask = torch.randn(1, 4, 8, 12), halves(8, 12)
    for margin in (0, 1, 2):
        inside = features[..., : 6 - margin].contiguous()
        term = style_term(lambda image, layers: {"x": image}, inside, layers=["x"], where=mask, margin=margin)
        assert term.loss({"x": features}).item() < 1e-8


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


def test_a_margin_keeps_out_what_lies_across_the_border(pocket):
    wave, glass = (nst.load_image(name, 160)[..., :96, :96] for name in ("wave", "stained_glass"))
    mask = halves(96, 96)
    mixed = torch.where(mask > 0, wave, glass)
    leaks = []
    for margin in (0, 1, 2):
        term = style_term(pocket, wave, layers=["relu4_1"], where=mask, where_painting=mask, margin=margin)
        leaks.append(term.loss(pocket(mixed, term.layers)).item())
    assert leaks[0] > 2 * leaks[1] > 4 * leaks[2]


def test_nothing_changes_outside_a_mask_beyond_the_receptive_field(pocket):
    image, mask = picture(64, 96), halves(64, 96)
    term = style_term(pocket, picture(64, 64, 1), layers=["relu1_1", "relu2_1", "relu3_1"], where=mask, margin=0)
    *_, last = nst.optimize(image, make_control_objective(pocket, None, {"style": (1.0, term)}), 6)
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
        term = style_term(pocket, picture(32, 32), where=mask)
        make_control_objective(pocket, picture(32, 32), {"style": (1.0, term)})
    with pytest.raises(ParameterError, match=message):
        style_term(pocket, picture(32, 32), where_painting=mask)


# ---- patches


def test_the_nearest_patch_is_the_one_that_a_search_finds(monkeypatch):
    features, painting = torch.randn(1, 4, 7, 9), torch.randn(1, 4, 8, 6)
    patches = F.unfold(painting, 3)[0].T
    mine = F.unfold(features, 3)[0].T
    wanted = F.cosine_similarity(mine[:, None], patches[None], dim=2).argmax(1)
    assert torch.equal(nearest_patches(features, patches, 3), wanted)
    monkeypatch.setattr(control, "SCORES_AT_ONCE", 5 * 7 * 9)  # five patches at once
    assert torch.equal(nearest_patches(features, patches, 3), wanted)


def test_a_picture_of_the_paintings_own_patches_has_no_distance(pocket):
    painting = nst.load_image("cubist", 96)
    term = patch_term(pocket, painting)
    assert term.loss(pocket(painting, term.layers)).item() < 1e-6
    assert term.loss(pocket(nst.load_image("coffee", 96), term.layers)).item() > 0.1


# ---- the objective


def test_the_objective_is_that_of_transfer(pocket):
    content, painting = picture(48, 64), picture(64, 48, 1)
    mine = make_control_objective(pocket, content, {"style": (1e3, style_term(pocket, painting))}, tv_weight=20.0)
    theirs = nst.make_objective(pocket, content=content, style=painting, style_weight=1e3, tv_weight=20.0)
    image = picture(48, 64, 2)
    for name, value in theirs(image).items():
        torch.testing.assert_close(mine(image)[name], value, rtol=1e-3, atol=1e-6)


def test_two_paintings_are_two_terms_that_one_run_lowers(pocket):
    content = nst.load_image("coffee", 64)
    terms = {name: (100.0, style_term(pocket, nst.load_image(name, 64))) for name in ("wave", "cubist")}
    steps = list(nst.optimize(content, make_control_objective(pocket, content, terms), 8))
    assert {"wave", "cubist", "content"} == set(steps[0].terms)
    assert all(steps[-1].terms[name] < 0.5 * steps[0].terms[name] for name in terms)


def test_names_and_emptiness_are_one_line(pocket):
    term = StyleTerm(("relu1_1",), lambda found: found["relu1_1"].sum())
    with pytest.raises(ParameterError, match="may not be called 'tv'"):
        make_control_objective(pocket, None, {"tv": (1.0, term)})
    for terms in ({}, {"paint": (0.0, term)}):
        with pytest.raises(ParameterError, match="there is no term"):
            make_control_objective(pocket, None, terms)
    for weight in (-1.0, float("nan")):
        with pytest.raises(ParameterError, match="the weight of paint is"):
            make_control_objective(pocket, None, {"paint": (weight, term)})
