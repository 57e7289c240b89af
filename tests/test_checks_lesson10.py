"""The exercises of lesson 10: right answers in other styles pass, and each classic mistake is named."""

from __future__ import annotations

import numpy
import pytest
import scipy.stats
import torch
from exercises import verdict

import nst_lesson as nst


def half(n):
    return n // 2


def cost(channels, height, width, window=9, first=3, each=1, halve=half, bias=0, narrow=None):
    """The arithmetic of a VGG; keywords make mistakes."""
    sum_, before = 0, first
    for block in channels:
        for n, out in enumerate(block):
            into = narrow(before, out, n) if narrow else before
            sum_ += each * (window * into + bias) * out * height * width
            before = out
        height, width = halve(height), halve(width)
    return sum_


def cost_of_a_network(channels, height, width):
    """Counted while a real network runs."""
    total, layers, before = [], [], 3
    for block in channels:
        for out in block:
            conv = torch.nn.Conv2d(before, out, 3, padding=1)
            conv.register_forward_hook(lambda c, _, y: total.append(c.weight.numel() * y[0, 0].numel()))
            layers.append(conv)
            before = out
        layers.append(torch.nn.MaxPool2d(2))
    with torch.no_grad():
        torch.nn.Sequential(*layers[:-1])(torch.zeros(1, 3, height, width))
    return sum(total)


def pools_first(channels, height, width):
    return cost(channels, height // 2, width // 2)


def one_side(channels, height, width):
    total, before = 0, 3
    for block in channels:
        for out in block:
            total, before = total + 9 * before * out * height * width, out
        height //= 2
    return total


def one_each(channels, height, width):
    return cost([block[:1] for block in channels], height, width)


def flat(x):
    return x.transpose(0, 1).flatten(1)


def solved(features, target, ridge=1e-4, part=slice(None), unit=torch.eye):
    """A head from the normal equations, with a small ridge."""
    f, t = flat(features[part]), flat(target[part])
    g = f @ f.T
    return torch.linalg.solve(g + ridge * g.diagonal().mean() * unit(len(g)), f @ t.T).T


def by_lstsq(features, target):
    return torch.linalg.lstsq(flat(features).T, flat(target).T, driver="gelsd").solution.T


def products(a, b):
    return torch.einsum("bchw,bdhw->cd", a, b)


def centered(x):
    return x - x.mean((0, 2, 3), keepdim=True)


def gram(f):
    return f.flatten(2) @ f.flatten(2).transpose(1, 2) / (f.shape[2] * f.shape[3])


def relative(now, wanted):
    return (now - wanted).square().sum() / wanted.square().sum()


def widen(f, head):
    return torch.nn.functional.conv2d(f, head[:, :, None, None])


def distilled(f, t, head, feature=relative, matrix=relative, gram=gram, widen=widen):
    wide = widen(f, head)
    return feature(wide, t) + matrix(gram(wide), gram(t))


def from_products(f, t, head):
    """As the package has it: from products, without the wide features, in float64; Grams not divided by positions."""
    f, t, w = (x.double().flatten(2) if x.ndim == 4 else x.double() for x in (f, t, head))
    g, c, a = f @ f.mT, t @ f.mT, t @ t.mT
    energy = a.diagonal(dim1=1, dim2=2).sum()
    wgw = w @ g @ w.T
    feature = (wgw.diagonal(dim1=1, dim2=2).sum() - 2 * (w * c).sum() + energy) / energy
    return feature + (wgw - a).square().sum() / a.square().sum()


def zero(now, wanted):
    return 0


def per_picture(f, t, head):
    return torch.stack([distilled(f[i : i + 1], t[i : i + 1], head) for i in range(len(f))])


def batch_gram(f):
    return gram(f.transpose(0, 1).flatten(2)[None, ..., None])


def gram_of_difference(f, t, head):
    wide = widen(f, head)
    return relative(wide, t) + gram(wide - t).square().sum() / gram(t).square().sum()


def spoils_the_target(f, t, head):
    result = distilled(f, t, head)
    t.zero_()
    return result


def eigen(head, root=torch.sqrt, clamp=0.0):
    values, vectors = torch.linalg.eigh(head.T @ head)
    return root(values.clamp_min(clamp)) if clamp is not None else root(values), vectors


def root(head, **options):
    values, vectors = eigen(head, **options)
    return vectors @ values.diag() @ vectors.T


def by_svd(head):
    _, singular, right = torch.linalg.svd(head.double(), full_matrices=False)
    return right.T @ singular.diag() @ right


def by_qr(head):
    """Triangular, not symmetric, and as good."""
    return torch.linalg.qr(head).R


def without_the_outer_vectors(head):
    values, vectors = eigen(head)
    return values.diag() @ vectors.T


def ranks(x):
    return x.argsort().argsort().double()


def pearson(a, b):
    return torch.corrcoef(torch.stack([a.double(), b.double()]))[0, 1]


def short_formula(x, y, ranks=ranks, factor=6, one=1, divisor=lambda n: n * (n**2 - 1)):
    return (one - factor * (ranks(x) - ranks(y)).square().sum() / divisor(len(x))).item()


def cosine(x, y):
    a, b = ranks(x) + 1, ranks(y) + 1
    return (a @ b / a.norm() / b.norm()).item()


def mixed(x, y):
    a, b = ranks(x), ranks(y)
    covariance = ((a - a.mean()) * (b - b.mean())).mean()
    return covariance / (a.std() * b.std())


def sorts_in_place(x, y):
    x.copy_(x.sort().values)
    return 1.0


RIGHT = [
    ("multiply_adds", cost),
    ("multiply_adds", cost_of_a_network),
    ("multiply_adds", lambda *a: numpy.int64(cost(*a))),
    ("best_head", solved),
    ("best_head", lambda f, t: solved(f, t, ridge=1e-6)),
    ("best_head", by_lstsq),
    ("best_head", lambda f, t: products(t, f) @ torch.linalg.pinv(products(f, f), hermitian=True)),
    ("best_head", lambda f, t: flat(t) @ torch.linalg.pinv(flat(f))),
    ("distillation_loss", distilled),
    ("distillation_loss", from_products),
    ("distillation_loss", lambda f, t, h: distilled(f, t, h, widen=lambda f, h: torch.einsum("dc,bchw->bdhw", h, f))),
    ("square_map", root),
    ("square_map", by_svd),
    ("square_map", by_qr),
    ("square_map", without_the_outer_vectors),  # it turns the space, and keeps every distance
    ("rank_correlation", lambda x, y: pearson(ranks(x), ranks(y))),
    ("rank_correlation", short_formula),
    ("rank_correlation", lambda x, y: scipy.stats.spearmanr(x, y).statistic),
]


@pytest.mark.parametrize(("name", "answer"), RIGHT)
def test_another_style_of_answer_is_right(name, answer):
    assert verdict(getattr(nst.check, name), answer) == f"{name}: correct"


WRONG = [
    ("multiply_adds", lambda *a: cost(*a, window=1), "forgets the window"),
    ("multiply_adds", lambda *a: cost(*a, window=3), "3 for the window"),
    ("multiply_adds", lambda *a: cost(*a, each=2), "one multiply-add is both"),
    ("multiply_adds", lambda c, height, width: cost(c, 1, 1, halve=lambda n: 1), "weights only"),
    ("multiply_adds", lambda *a: cost(*a, halve=lambda n: n), "never halves"),
    ("multiply_adds", lambda *a: cost(*a, halve=lambda n: -(-n // 2)), "rounds up"),
    ("multiply_adds", one_side, "one side only"),
    ("multiply_adds", pools_first, "pools before a block"),
    ("multiply_adds", lambda *a: cost(*a, narrow=lambda i, o, n: o), "the output channels for the input's"),
    ("multiply_adds", lambda *a: cost(*a, narrow=lambda i, o, n: 3), "more than 3 channels"),
    ("multiply_adds", lambda *a: cost(*a, narrow=lambda i, o, n: i if n else 3), "every block begins with 3"),
    ("multiply_adds", lambda *a: cost(*a, bias=1), "counts biases"),
    ("multiply_adds", one_each, "one convolution a block"),
    ("multiply_adds", lambda c, *size: cost([block[-1:] for block in c], *size), "one convolution a block"),
    ("multiply_adds", lambda *a: float(cost(*a)), "returns the float"),
    ("multiply_adds", lambda *a: cost(*a, halve=lambda n: n / 2), "halving rounds down"),
    ("multiply_adds", lambda *a: cost(*a, narrow=lambda i, o, n: 1), "forgets the input channels"),
    ("multiply_adds", lambda *a: cost(*a) + 1, "is right: 9 * channels in"),
    ("multiply_adds", lambda *a: [cost(*a)] * 2, "one number is expected"),
    ("multiply_adds", lambda *a: torch.tensor(0) + cost(*a), "it returns a tensor: add up plain numbers"),
    ("best_head", lambda f, t: products(t, f), "it returns C = T F'"),
    ("best_head", lambda f, t: nst.distillation.products(t, f).mean(0), "it returns C = T F'"),
    ("best_head", lambda f, t: solved(f, t).T, "the transpose of a head"),
    ("best_head", lambda f, t: products(t, f) / products(f, f).diagonal(), "the diagonal of G alone"),
    ("best_head", lambda f, t: products(t, f) @ products(f, f), "multiplies by G"),
    ("best_head", lambda f, t: solved(f, t) / len(f), "and the other not"),
    ("best_head", lambda f, t: solved(f, t, part=slice(1)), "one picture only"),
    (
        "best_head",
        lambda f, t: sum(solved(f, t, part=slice(i, i + 1)) for i in range(3)) / 3,
        "averages the best heads",
    ),
    ("best_head", lambda f, t: solved(centered(f), centered(t)), "subtracts the means"),
    ("best_head", lambda f, t: solved(t, f).T, "the other way round"),
    ("best_head", lambda f, t: solved(f, t, ridge=1), "ridge is too large"),
    ("best_head", lambda f, t: solved(f, t, ridge=1e-2), "ridge is too large"),
    ("best_head", lambda f, t: torch.zeros(t.shape[1], f.shape[1]), "above the least"),
    ("best_head", lambda f, t: solved(f, t, ridge=0), "where a channel is silent"),
    ("best_head", lambda f, t: products(t, f) @ torch.linalg.inv(products(f, f)), "where a channel is silent"),
    ("best_head", lambda f, t: solved(f, t, unit=torch.ones), "multiply it by torch.eye"),
    ("best_head", lambda f, t: solved(f, t)[None], "is expected"),
    ("best_head", lambda f, t: solved(f.mul_(2), t), "modifies its input"),
    ("distillation_loss", lambda *a: distilled(*a, matrix=zero), "lacks the Gram term"),
    ("distillation_loss", lambda *a: distilled(*a, feature=zero), "lacks the feature term"),
    ("distillation_loss", lambda *a: per_picture(*a).sum(), "picture by picture and adds up"),
    ("distillation_loss", lambda *a: per_picture(*a).mean(), "takes the mean: let the sums"),
    ("distillation_loss", lambda *a: per_picture(*a), "shape"),
    ("distillation_loss", lambda *a: distilled(*a, gram=batch_gram), "one Gram matrix of the whole batch"),
    (
        "distillation_loss",
        lambda *a: distilled(*a, lambda n, w: (n - w).square().sum(), lambda n, w: (n - w).square().sum()),
        "does not divide by the target",
    ),
    (
        "distillation_loss",
        lambda *a: distilled(*a, torch.nn.functional.mse_loss, torch.nn.functional.mse_loss),
        "mean of the squares",
    ),
    (
        "distillation_loss",
        lambda *a: distilled(*a, lambda n, w: relative(w, n), lambda n, w: relative(w, n)),
        "divides by the student's energy",
    ),
    ("distillation_loss", lambda *a: distilled(*a) / 2, "mean of both terms"),
    ("distillation_loss", lambda f, t, h: distilled(f, t[:, :4], h, widen=lambda f, h: f), "does not use the head"),
    ("distillation_loss", gram_of_difference, "Gram matrix of the difference"),
    ("distillation_loss", lambda *a: distilled(*a, widen=lambda f, h: widen(f, h).relu()), "ends in a ReLU"),
    ("distillation_loss", lambda f, t, h: distilled(f.detach(), t, h), "no gradient reaches its input"),
    ("distillation_loss", lambda f, t, h: distilled(f, t, h.detach()), "no gradient reaches the head"),
    ("distillation_loss", lambda *a: distilled(*a).detach(), "detaches the graph"),
    ("distillation_loss", lambda *a: distilled(*a).item(), "a torch tensor is expected"),
    ("distillation_loss", spoils_the_target, "modifies its input"),
    ("square_map", lambda h: h.T @ h, "W'W itself"),
    ("square_map", lambda h: h @ h.T, "W W' instead of W'W"),
    ("square_map", lambda h: (h.T @ h).sqrt(), "root of every entry"),
    ("square_map", lambda h: (h.T @ h).abs().sqrt(), "root of every entry"),
    ("square_map", lambda h: eigen(h)[0].diag(), "not the eigenvectors"),
    ("square_map", lambda h: eigen(h)[1] @ eigen(h)[0].diag(), "the transpose of a right one"),
    ("square_map", lambda h: torch.linalg.cholesky(h.T @ h), "the transpose of a right one"),
    ("square_map", lambda h: torch.linalg.inv(root(h)), "the inverse"),
    ("square_map", lambda h: root(h, clamp=None), "clamp before the root"),
    ("square_map", lambda h: torch.linalg.inv(torch.linalg.inv(root(h))), "depend on each other"),
    ("square_map", lambda h: torch.linalg.cholesky(h.T @ h).T, "Cholesky"),
    ("square_map", lambda h: root(h, clamp=1e-2), "clamp_min(0)"),
    ("square_map", lambda h: eigen(h)[1].T @ eigen(h)[0].diag() @ eigen(h)[1], "columns of V"),
    ("square_map", lambda h: h[:4], "they differ by"),
    ("square_map", lambda h: h.T, "is expected"),
    ("rank_correlation", pearson, "the values, not their ranks"),
    ("rank_correlation", lambda x, y: pearson(x.argsort(), y.argsort()), "argsort once"),
    ("rank_correlation", lambda x, y: short_formula(x, y, ranks=lambda x: x.argsort()), "argsort once"),
    ("rank_correlation", lambda x, y: pearson(ranks(x), y), "only one of the two"),
    ("rank_correlation", lambda x, y: pearson(x.sort().values, y.sort().values), "takes the pairs apart"),
    ("rank_correlation", lambda x, y: torch.corrcoef(torch.stack([ranks(x), ranks(y)])), "take [0, 1]"),
    ("rank_correlation", lambda x, y: torch.corrcoef(torch.stack([ranks(x), ranks(y)]))[0, 0], "a list with itself"),
    ("rank_correlation", lambda x, y: pearson(ranks(x.sort().values), ranks(y.sort().values)), "two sorted lists"),
    ("rank_correlation", cosine, "does not subtract the mean"),
    ("rank_correlation", lambda x, y: pearson(ranks(x), ranks(y)) ** 2, "squares the correlation"),
    ("rank_correlation", lambda x, y: pearson(ranks(x), ranks(y)).abs(), "loses the sign"),
    ("rank_correlation", mixed, "mixes n - 1 and n"),
    ("rank_correlation", lambda x, y: short_formula(x, y, divisor=lambda n: n**3), "not n^3"),
    ("rank_correlation", lambda x, y: short_formula(x, y, factor=1), "the factor 6 is missing"),
    ("rank_correlation", lambda x, y: -short_formula(x, y, one=0), "`1 -` is missing"),
    ("rank_correlation", lambda x, y: scipy.stats.kendalltau(x, y).statistic, "Kendall"),
    ("rank_correlation", lambda x, y: 0.5, "not"),
    ("rank_correlation", lambda x, y: ranks(x), "one number is expected"),
    ("rank_correlation", sorts_in_place, "modifies its input"),
]


@pytest.mark.parametrize(("name", "answer", "reason"), WRONG)
def test_a_wrong_answer_is_named(name, answer, reason):
    line = verdict(getattr(nst.check, name), answer)
    assert line.startswith(f"{name}: not yet") and reason in line
