"""The terms of the objective against values computed by hand, the formulas of their sources, and float64."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nst_lesson.errors import ParameterError
from nst_lesson.methods.losses import (
    NORMALIZATIONS,
    content_loss,
    gram_matrix,
    style_loss,
    total_variation,
)
from nst_lesson.methods.objective import Content, Objective, transfer_terms

small_features = st.builds(
    lambda seed, batch, channels, height, width: random(batch, channels, height, width, seed=seed),
    st.integers(0, 10_000),
    st.integers(1, 3),
    st.integers(1, 6),
    st.integers(1, 7),
    st.integers(1, 7),
)


def random(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    """Normally distributed numbers, the same for the same seed."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def test_gram_of_two_channels_by_hand():
    features = torch.tensor([[[[1.0, 2.0]], [[3.0, 4.0]]]])  # rows of F: (1, 2) and (3, 4), at two positions
    assert torch.equal(gram_matrix(features), torch.tensor([[[2.5, 5.5], [5.5, 12.5]]]))


def test_gram_of_each_sample_is_its_own():
    batch = random(3, 4, 5, 6)
    alone = torch.cat([gram_matrix(sample[None]) for sample in batch])
    torch.testing.assert_close(gram_matrix(batch), alone)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_gram_in_float32_agrees_with_float64(memory_format):
    features = random(2, 16, 33, 31, seed=1)
    single = gram_matrix(features.float().contiguous(memory_format=memory_format))
    wanted = torch.einsum("bchw,bdhw->bcd", features, features) / (33 * 31)
    # 1,023 products of numbers near 1, summed in float32: 1e-5 is about a hundred times its rounding
    torch.testing.assert_close(single.double(), wanted, rtol=0, atol=1e-5)


def test_gram_gradient_is_that_of_float64_finite_differences():
    features = random(2, 3, 2, 4, seed=2).requires_grad_()
    assert torch.autograd.gradcheck(gram_matrix, features)
    weights = random(2, 3, 3, seed=3)  # not symmetric: the gradient must hold for any function of the matrix
    assert torch.autograd.gradcheck(lambda x: (weights * gram_matrix(x)).sum(), features)


def test_gram_has_the_right_second_derivative():
    hessian = torch.autograd.functional.hessian(lambda x: gram_matrix(x).sum(), torch.full((1, 1, 1, 1), 3.0))
    assert hessian.item() == 2  # of x squared
    assert torch.autograd.gradgradcheck(gram_matrix, random(2, 3, 2, 4, seed=2).requires_grad_())


@given(small_features)
@settings(deadline=None)
def test_gram_is_symmetric_and_positive_semidefinite(features):
    gram = gram_matrix(features)
    # float64 rounding of sums of at most 49 products
    torch.testing.assert_close(gram, gram.transpose(1, 2), rtol=0, atol=1e-12)
    assert torch.linalg.eigvalsh(gram).min() > -1e-10


@given(small_features, st.integers(0, 1000))
@settings(deadline=None)
def test_gram_forgets_where_things_are(features, seed):
    order = torch.randperm(features.shape[2] * features.shape[3], generator=torch.Generator().manual_seed(seed))
    shuffled = features.flatten(2)[:, :, order].view_as(features)
    torch.testing.assert_close(gram_matrix(shuffled), gram_matrix(features))


@given(small_features, st.floats(-8, 8))
@settings(deadline=None)
def test_gram_grows_with_the_square_of_the_features(features, factor):
    torch.testing.assert_close(gram_matrix(factor * features), factor**2 * gram_matrix(features))


@given(small_features)
@settings(deadline=None)
def test_gram_does_not_change_when_the_picture_is_tiled(features):
    torch.testing.assert_close(gram_matrix(features.repeat(1, 1, 2, 3)), gram_matrix(features))


# F - P = (1, 2, 3, 4), |F - P|^2 = 30; P = (1, 0, 0, 3), |P|^2 = 10
FEATURES = torch.tensor([2.0, 2.0, 3.0, 7.0]).view(1, 1, 2, 2)
TARGET = torch.tensor([1.0, 0.0, 0.0, 3.0]).view(1, 1, 2, 2)


@pytest.mark.parametrize(
    ("normalization", "wanted"), [("relative", 3.0), ("gatys", 15.0), ("mean", 7.5), ("sum", 15.0)]
)
def test_content_loss_by_hand(normalization, wanted):
    assert content_loss(FEATURES, TARGET, normalization).item() == wanted


# differences 1, -2, -2, 4: |G - A|^2 = 25 at N = 2 channels; |A|^2 = 1 + 25 + 25 + 25 = 76
GRAM = torch.tensor([[[2.0, 3.0], [3.0, 9.0]]])
STYLE = torch.tensor([[[1.0, 5.0], [5.0, 5.0]]])


@pytest.mark.parametrize(
    ("normalization", "wanted"), [("relative", 25 / 76), ("gatys", 25 / 16), ("mean", 25 / 4), ("sum", 25 / 2)]
)
def test_style_loss_by_hand(normalization, wanted):
    assert style_loss(GRAM, STYLE, normalization).item() == pytest.approx(wanted)


def test_gatys_style_term_is_the_published_formula():
    features, style = random(1, 5, 4, 6, seed=4), random(1, 5, 4, 6, seed=5)
    n, m = 5, 4 * 6
    f, s = features[0].flatten(1), style[0].flatten(1)
    published = (f @ f.T - s @ s.T).square().sum() / (4 * n**2 * m**2)  # eq. 4, Gram matrices undivided
    torch.testing.assert_close(style_loss(gram_matrix(features), gram_matrix(style), "gatys"), published)


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_a_batch_costs_the_sum_of_its_samples(normalization):
    scale = torch.tensor([1.0, 9.0, 0.1]).view(3, 1, 1, 1)  # energies differ, so that a shared one would show
    features, target = random(3, 4, 5, 6, seed=6), random(3, 4, 5, 6, seed=7) * scale
    alone = sum(content_loss(f[None], t[None], normalization) for f, t in zip(features, target, strict=True))
    torch.testing.assert_close(content_loss(features, target, normalization), alone)
    gram, wanted = gram_matrix(features), gram_matrix(target)
    alone = sum(style_loss(g[None], w[None], normalization) for g, w in zip(gram, wanted, strict=True))
    torch.testing.assert_close(style_loss(gram, wanted, normalization), alone)


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_equal_features_cost_nothing(normalization):
    features = random(2, 3, 4, 5)
    assert content_loss(features, features, normalization) == 0
    assert style_loss(gram_matrix(features), gram_matrix(features), normalization) == 0


def test_relative_terms_do_not_depend_on_the_scale_of_the_network():
    features, target = random(1, 3, 4, 5, seed=8), random(1, 3, 4, 5, seed=9)
    torch.testing.assert_close(content_loss(57 * features, 57 * target), content_loss(features, target))
    grams = [gram_matrix(57 * x) for x in (features, target)]
    torch.testing.assert_close(style_loss(*grams), style_loss(gram_matrix(features), gram_matrix(target)))


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("loss", [content_loss, style_loss])
def test_gradients_of_the_losses(loss, normalization):
    shape = (2, 3, 3) if loss is style_loss else (2, 3, 2, 2)
    target = random(*shape, seed=10)
    assert torch.autograd.gradcheck(lambda x: loss(x, target, normalization), random(*shape, seed=11).requires_grad_())


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_a_target_of_zeros_gives_a_finite_loss_and_gradient(normalization):
    features = random(2, 3, 4, 5).requires_grad_()
    loss = content_loss(features, torch.zeros(2, 3, 4, 5, dtype=torch.float64), normalization)
    loss = loss + style_loss(gram_matrix(features), torch.zeros(2, 3, 3, dtype=torch.float64), normalization)
    loss.backward()
    assert loss.isfinite() and loss > 0 and features.grad.isfinite().all()


def test_a_zero_sample_leaves_its_neighbor_in_the_batch_alone():
    features, target = random(2, 3, 4, 5, seed=12), random(2, 3, 4, 5, seed=13)
    target[0] = 0
    wanted = features[0].square().sum() + (features[1] - target[1]).square().sum() / target[1].square().sum()
    torch.testing.assert_close(content_loss(features, target), wanted)


@pytest.mark.parametrize("loss", [content_loss, style_loss, lambda image, _, name: total_variation(image[None], name)])
def test_an_unknown_normalization_names_the_known_ones(loss):
    with pytest.raises(ParameterError, match="'gaty': did you mean 'gatys'. .choose one of relative, gatys, mean"):
        loss(torch.ones(1, 2, 2), torch.ones(1, 2, 2), "gaty")


def test_total_variation_of_a_constant_is_zero():
    assert total_variation(torch.full((2, 3, 5, 7), 0.4)) == 0


@pytest.mark.parametrize("shape", [(1, 3, 1, 1), (1, 3, 1, 4), (1, 3, 4, 1)])
def test_total_variation_of_one_pixel_rows_and_columns_is_a_number_with_a_gradient(shape):
    image = torch.zeros(shape, requires_grad=True)
    value = total_variation(image)
    assert value.shape == () and value == 0
    if image.numel() > 3:
        value.backward()
        assert image.grad.isfinite().all()


def test_targets_of_16_bits_do_not_overflow():
    """The sum of squares of 40,000 features of 2 is 160,000: more than 16 bits can hold."""

    def extractor(image, layers):
        return {name: (4 * image).half() for name in layers}

    photo = torch.full((1, 3, 120, 120), 0.5)
    objective = Objective(extractor, {"content": (1.0, Content(photo, "x"))})
    assert objective(0 * photo)["content"].item() == pytest.approx(1.0)


def test_total_variation_of_ramps_by_hand():
    across = torch.arange(5.0).mul(0.5).expand(1, 3, 4, 5)  # every step across is 0.5, every step down 0
    assert total_variation(across) == 0.25
    assert total_variation(across.transpose(2, 3)) == 0.25
    both = across + torch.arange(4.0).view(4, 1)  # and every step down is 1
    assert total_variation(both) == 1.25


@pytest.mark.parametrize("normalization", ["gatys", "mean", "sum"])
def test_total_variation_beside_sums_is_a_sum_of_absolute_differences(normalization):
    across = torch.arange(5.0).mul(-0.5).expand(2, 3, 4, 5)  # 2 x 3 x 4 x 4 steps of 0.5
    assert total_variation(across, normalization) == 48
    assert total_variation(across.transpose(2, 3), normalization) == 48


def test_total_variation_sees_both_signs_and_every_channel():
    image = torch.zeros(1, 3, 2, 2)
    image[0, 2, 0, 0] = 1  # two differences of 1: one of 6 down, one of 6 across
    assert total_variation(image).item() == pytest.approx(2 / 6)
    assert total_variation(-image) == total_variation(image)


def test_total_variation_in_float32_agrees_with_float64_and_its_gradient_is_right():
    image = random(2, 3, 17, 19, seed=14)
    torch.testing.assert_close(total_variation(image.float()).double(), total_variation(image), rtol=1e-5, atol=0)
    assert torch.autograd.gradcheck(total_variation, random(1, 2, 3, 4, seed=15).requires_grad_())


def mean_pool(image, layers):
    """A stand-in for a backbone: each layer is the image averaged over squares of its own side."""
    return {name: torch.nn.functional.avg_pool2d(image, int(name)) for name in layers}


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_the_perceptual_loss_of_a_batch_is_the_mean_of_its_pictures(normalization):
    style, photos, pictures = random(1, 3, 8, 8), random(3, 3, 8, 12, seed=1), random(3, 3, 8, 12, seed=2)
    weights = {"content_weight": 2.0, "style_weight": 3.0, "tv_weight": 4.0, "normalization": normalization}
    layers = {"content_layers": ("4",), "style_layers": {"1": 1.0, "2": 3.0}}

    def loss(images, contents):
        return Objective(mean_pool, transfer_terms(contents, style, **weights, **layers))(images)

    batch = loss(pictures, photos)
    alone = [loss(x[None], p[None]) for x, p in zip(pictures, photos, strict=True)]
    for name in ("content", "style", "tv"):
        torch.testing.assert_close(batch[name], sum(terms[name] for terms in alone) / 3)


def test_the_perceptual_loss_keeps_its_targets_out_of_the_graph():
    photo = random(1, 3, 8, 8).requires_grad_()
    objective = Objective(mean_pool, transfer_terms(photo, photo, tv_weight=0, content_layers="2", style_layers="1"))
    terms = objective(random(1, 3, 8, 8, seed=3))
    assert set(terms) == {"content", "style"} and not any(term.requires_grad for term in terms.values())
