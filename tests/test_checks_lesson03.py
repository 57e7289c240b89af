"""The exercises of lesson 03: right answers in other styles pass, and each classic mistake is named."""

from __future__ import annotations

import pytest
import torch
from exercises import verdict

import nst_lesson as nst


def loops(f):
    rows = [[(f[:, i] * f[:, j]).mean((1, 2)) for j in range(f.shape[1])] for i in range(f.shape[1])]
    return torch.stack([torch.stack(row, 1) for row in rows], 1)


def by_formula(features, target):
    f = features.reshape(features.shape[1], -1)
    return torch.where(features > 0, ((f @ f.T - target[0]) @ f / f.numel() ** 2).view_as(features), 0)


def by_autograd(features, target):
    before = features.clone().requires_grad_()  # zero where the ReLU was: its slope there is 0 in torch
    f = before.relu().flatten(2)
    _, n, m = f.shape
    loss = (f @ f.mT - target).square().sum() / (4 * n**2 * m**2)
    return torch.autograd.grad(loss, before)[0]


def by_squares(features, target):
    first, second = ((x.mean((2, 3)), x.square().mean((2, 3))) for x in (features, target))
    mine, wanted = (torch.cat([m, (s - m.square()).sqrt()]) for m, s in (first, second))
    return (mine - wanted).square().mean() / wanted.square().mean()


RIGHT = [
    ("gram", lambda f: torch.einsum("bihw,bjhw->bij", f, f) / f[0, 0].numel()),
    ("gram", loops),
    ("gram", lambda f: nst.gram_matrix(f.double())),
    ("covariance", lambda g, m: g - torch.einsum("bi,bj->bij", m, m)),
    ("covariance", lambda g, m: g.double() - m.double().unsqueeze(2) @ m.double().unsqueeze(1)),
    ("style_gradient", by_formula),
    ("style_gradient", lambda f, a: by_formula(f.double(), a.double())),
    ("mean_std_distance", by_squares),
    ("mean_std_distance", lambda f, t: by_squares(f.double(), t.double())),
]


@pytest.mark.parametrize(("name", "answer"), RIGHT)
def test_another_way_to_be_right_passes(name, answer):
    assert verdict(getattr(nst.check, name), answer) == f"{name}: correct"


def f_ft(f):
    return f.flatten(2) @ f.flatten(2).mT


def over_the_batch(f):
    rows = f.transpose(0, 1).flatten(1)
    return rows @ rows.T / rows.shape[1]


def without_permute(f):
    points = f.reshape(f.shape[0], -1, f.shape[1])
    return points.mT @ points / points.shape[1]


def centered(f):
    return f - f.mean((2, 3), keepdim=True)


def scales_its_input(f):
    with torch.no_grad():
        f /= f[0, 0].numel() ** 0.5
    return f_ft(f)


def gradient(f, a, factor=1.0, mask=True):
    flat = f.flatten(2)
    _, n, m = flat.shape
    result = factor * ((flat @ flat.mT - a) @ flat / (n**2 * m**2)).reshape(f.shape)
    return result * (f > 0) if mask else result


def moments(x, correction=0):
    return x.mean((2, 3)), x.std((2, 3), correction=correction)


def apart(f, t, correction=0):
    pairs = zip(moments(f, correction), moments(t, correction), strict=True)
    return [((a - b).square().sum(), b.square().sum()) for a, b in pairs]


def ratio(f, t, **options):
    (a, p), (b, q) = apart(f, t, **options)
    return (a + b) / (p + q)


def of_variances(f, t):
    mine, wanted = (torch.cat([x.mean((2, 3)), x.var((2, 3), correction=0)]) for x in (f, t))
    return (mine - wanted).square().sum() / wanted.square().sum()


M = 35  # positions of the features that the first three checks use

WRONG = [
    ("gram", f_ft, "divides by nothing"),
    ("gram", lambda f: f_ft(f) / f.shape[2], "divides by H only"),
    ("gram", lambda f: f_ft(f) / f.shape[3], "divides by W only"),
    ("gram", lambda f: f_ft(f) / f.shape[1], "divides by N, the number of channels"),
    ("gram", lambda f: f_ft(f) / f[0].numel(), "divides by N M"),
    ("gram", lambda f: f_ft(f) / f.numel(), "all the numbers of the batch"),
    ("gram", over_the_batch, "one matrix for the whole batch"),
    ("gram", lambda f: over_the_batch(f).expand(len(f), -1, -1), "averages over the batch"),
    ("gram", lambda f: (f_ft(f) / M).sum(0).expand(len(f), -1, -1), "sums over the batch"),
    ("gram", lambda f: f.flatten(2).mT @ f.flatten(2) / M, "positions with positions"),
    ("gram", without_permute, "moves no numbers"),
    ("gram", lambda f: f_ft(centered(f)) / M, "which gives the covariance"),
    ("gram", lambda f: f.flatten(2) @ f.flatten(2).abs().flip(1).mT / M, "not symmetric"),
    ("gram", lambda f: f_ft(f).sqrt(), "not F F' / M"),
    ("gram", lambda f: f.flatten(2) @ f.flatten(2).permute(2, 1, 0) / M, "F.mT; F.T turns around all three"),
    ("gram", lambda f: f.flatten(2) @ f.flatten(2) / M, "shapes of its two factors do not fit"),
    ("gram", lambda f: f_ft(f.detach()) / M, "detaches the graph"),
    ("gram", lambda f: f_ft(f.relu()) / M, "drops the negative values"),
    ("gram", lambda f: f_ft(f.abs()) / M, "takes absolute values"),
    ("gram", lambda f: f.flatten(2).detach() @ f.flatten(2).mT / M, "its gradient is not"),
    ("gram", scales_its_input, "modifies its input"),
    ("gram", lambda f: f_ft(f).tolist(), "returns a list"),
    ("covariance", lambda g, m: g + m[:, :, None] * m[:, None], "adds the product"),
    ("covariance", lambda g, m: m[:, :, None] * m[:, None] - g, "its sign is wrong"),
    ("covariance", lambda g, m: g - m @ m.mT, "a column (B, N, 1) of means times a row"),
    ("covariance", lambda g, m: g - m * m, "a column (B, N, 1) of means times a row"),
    ("covariance", lambda g, m: m[:, :, None] * m[:, None], "is the product of the means"),
    ("covariance", lambda g, m: g - torch.diag_embed(m.square()), "changes only the diagonal"),
    ("covariance", lambda g, m: g - m[:, :, None].square(), "not symmetric"),
    ("covariance", lambda g, m: g - m[:, None], "not symmetric"),
    ("covariance", lambda g, m: g - m.square().sum(1)[:, None, None], "one number"),
    ("covariance", lambda g, m: g - M * m[:, :, None] * m[:, None], "M times too much"),
    ("covariance", lambda g, m: (g - m[:, :, None] * m[:, None]) * M / (M - 1), "M / (M - 1)"),
    ("covariance", lambda g, m: g - m.mean(0)[:, None] * m.mean(0), "one mean for the whole batch"),
    ("covariance", lambda g, m: g, "less mean i times mean j"),
    ("covariance", lambda g, m: g - m.mT @ m, "the products of all pictures of the batch"),
    ("covariance", lambda g, m: g - torch.outer(m[0], m[0]), "the means of the first picture"),
    ("covariance", lambda g, m: g.sub_(m[:, :, None] * m[:, None]), "modifies its input"),
    ("style_gradient", lambda f, a: gradient(f, a, mask=False), "lets nothing through"),
    ("style_gradient", lambda f, a: 2 * gradient(f, a), "twice the gradient"),
    (
        "style_gradient",
        lambda f, a: gradient(f, a, mask=False).flatten(2).mT.reshape(f.shape) * (f > 0),
        "transpose it back",
    ),
    ("style_gradient", lambda f, a: gradient(f, a, -1), "its sign is wrong"),
    ("style_gradient", lambda f, a: gradient(f, a, -1, mask=False), "its sign is wrong"),
    ("style_gradient", lambda f, a: gradient(f, a).abs(), "takes absolute values"),
    ("style_gradient", lambda f, a: gradient(f, a, f[0].numel() ** 2), "divides by nothing"),
    ("style_gradient", lambda f, a: gradient(f, a, f[0].numel()), "not by their squares"),
    ("style_gradient", by_autograd, "asks autograd"),
    ("style_gradient", lambda f, a: gradient(f, a, f.shape[1]), "divides by N, not by its square"),
    ("style_gradient", lambda f, a: gradient(f, a, M), "divides by M, not by its square"),
    ("style_gradient", lambda f, a: gradient(f, a, f.shape[1] ** 2), "leaves out N^2"),
    ("style_gradient", lambda f, a: gradient(f, a, M**2), "leaves out M^2"),
    ("style_gradient", lambda f, a: gradient(f, a, 1 / 4), "a quarter of the gradient"),
    ("style_gradient", lambda f, a: gradient(f, a, 1 / 2), "half of the gradient"),
    ("style_gradient", lambda f, a: gradient(f, a, 4, mask=False), "four times the gradient"),
    ("style_gradient", lambda f, a: gradient(f, 0 * a), "leaves out the target"),
    ("style_gradient", lambda f, a: gradient(f, a).flatten(2), "back to that of the features"),
    ("style_gradient", lambda f, a: gradient(f, a.square()), "not (G - A) F"),
    ("mean_std_distance", lambda f, t: ratio(f, t, correction=1), "correction=0"),
    ("mean_std_distance", lambda f, t: sum(a for a, _ in apart(f, t)), "not relative"),
    ("mean_std_distance", lambda f, t: apart(f, t)[0][0] / apart(f, t)[0][1], "means only"),
    ("mean_std_distance", lambda f, t: apart(f, t)[1][0] / apart(f, t)[1][1], "deviations only"),
    ("mean_std_distance", lambda f, t: sum(a / p for a, p in apart(f, t)), "adds two ratios"),
    ("mean_std_distance", lambda f, t: ratio(t, f), "features' sum of squares"),
    ("mean_std_distance", lambda f, t: ratio(*(x.flatten(1)[:, None, :, None] for x in (f, t))), "for all channels"),
    ("mean_std_distance", of_variances, "compares variances"),
    ("mean_std_distance", lambda f, t: ratio(f, t).sqrt(), "square root at the end"),
    ("mean_std_distance", lambda f, t: ratio(f, t).item(), "returns a float"),
    ("mean_std_distance", lambda f, t: ratio(f.detach(), t), "detaches the graph"),
    ("mean_std_distance", lambda f, t: ratio(f.relu(), t.relu()), "drops the negative values"),
    ("mean_std_distance", lambda f, t: ratio(f.abs(), t.abs()), "takes absolute values"),
    ("mean_std_distance", lambda f, t: 2 * ratio(f, t), "it is not |m - m'|^2"),
]


@pytest.mark.parametrize(("name", "answer", "reason"), WRONG)
def test_a_wrong_answer_is_named(name, answer, reason):
    line = verdict(getattr(nst.check, name), answer)
    assert line.startswith(f"{name}: not yet") and reason in line
