"""The exercises of lesson 04: right answers in other styles pass, and each classic mistake is named."""

from __future__ import annotations

import pytest
import torch
from exercises import verdict

import nst_lesson as nst


def down(x):
    return x[:, :, 1:] - x[:, :, :-1]


def across(x):
    return x[..., 1:] - x[..., :-1]


def gram(f):
    return f.flatten(2) @ f.flatten(2).mT


def gatys(f, a):
    return (gram(f) - gram(a)).square().sum() / (4 * 5**2 * 54**2)


def adam(start, objective, steps, lr, *, clear=True, clamp="every", sign=1.0, anew=False):
    image = start.clone().requires_grad_()
    solver = torch.optim.Adam([image], lr=lr)
    for _ in range(steps):
        if anew:
            solver = torch.optim.Adam([image], lr=lr)
        if clear:
            solver.zero_grad()
        (sign * objective(image.clamp(0, 1) if clamp == "inside" else image)).backward()
        solver.step()
        if clamp == "every":
            image.data.clamp_(0, 1)
        elif clamp == "watched":
            image.clamp_(0, 1)
        elif clamp == "rebound":
            image = image.clamp(0, 1)
        elif clamp == "lost":
            image = image.detach().clamp(0, 1)
    return image.detach().clamp(0, 1) if clamp in ("end", "inside") else image.detach()


def paints_over_its_start(start, objective, steps, lr):
    start.copy_(adam(start, objective, steps, lr))
    return start


def forgets_to_detach(start, objective, steps, lr):
    return adam(start, objective, steps, lr).requires_grad_()


def paints_under_no_grad(start, objective, steps, lr):
    image = start.clone().requires_grad_()
    with torch.no_grad():
        for _ in range(steps):
            objective(image).backward()
    return image.detach()


def forgets_the_gradient(start, objective, steps, lr):
    objective(start.clone()).backward()


def clears_before_the_step(start, objective, steps, lr):
    image = start.clone().requires_grad_()
    solver = torch.optim.Adam([image], lr=lr)
    for _ in range(steps):
        objective(image).backward()
        solver.zero_grad()
        solver.step()
    return image.detach()


def best_seen(start, objective, steps, lr):
    image, best = start.clone().requires_grad_(), None
    solver = torch.optim.Adam([image], lr=lr)
    for _ in range(steps):
        solver.zero_grad()
        loss = objective(image)
        if best is None or loss < best[0]:
            best = loss.item(), image.detach().clone()
        loss.backward()
        solver.step()
        image.data.clamp_(0, 1)
    return best[1]


def by_position(features):
    """Positions times positions."""
    return features.flatten(2).mT @ features.flatten(2)


def share_of(gram, wanted):
    return (gram - wanted).square().sum() / wanted.square().sum()


def style_term(distance=share_of, *, shared=True, divided=True):
    """An answer to exercise 1, with a distance and mistakes of its own."""

    def answer(features, grams, shares):
        found = {k: gram(f) / (f[0, 0].numel() if divided else 1) for k, f in features.items()}
        return sum((share if shared else 1 / len(shares)) * distance(found[k], grams[k]) for k, share in shares.items())

    return answer


def evaluates_twice(start, objective, steps, lr):
    objective(start)
    return adam(start, objective, steps, lr)


WRONG = [
    ("style_term", style_term(shared=False), "leaves out the shares"),
    (
        "style_term",
        lambda f, a, s: sum(s[k] * share_of(nst.gram_matrix(x), a[k]) for k, x in f.items()),
        "the layers of shares",
    ),
    (
        "style_term",
        lambda f, a, s: sum(map(lambda x, b, w: w * share_of(nst.gram_matrix(x), b), *map(dict.values, (f, a, s)))),
        "the layers of shares",
    ),
    (
        "style_term",
        lambda f, a, s: sum(
            w * share_of(nst.gram_matrix(f[k]), b) for k, b in zip(s, a.values(), strict=True) for w in [s[k]]
        ),
        "by the order in which they come",
    ),
    ("style_term", style_term(lambda g, a: share_of(g, a) / 2), "divides by the number of layers"),
    ("style_term", lambda f, a, s: style_term()(f, a, dict(list(s.items())[:1])), "takes one layer only"),
    ("style_term", style_term(lambda g, a: (g - a).square().sum()), "does not divide by the painting's sum"),
    ("style_term", style_term(lambda g, a: (g - a).square().mean()), "takes means of squares"),
    ("style_term", style_term(lambda g, a: share_of(a, g)), "divides by the picture's sum"),
    ("style_term", style_term(divided=False), "not divided by H W"),
    ("style_term", style_term(lambda g, a: share_of(g, a).sqrt()), "lengths, not their squares"),
    ("style_term", style_term(lambda g, a: (g - a).abs().sum() / a.abs().sum()), "absolute differences"),
    ("style_term", lambda f, a, s: style_term()({k: x.relu() for k, x in f.items()}, a, s), "share |G - A|^2 / |A|^2"),
    ("style_term", lambda f, a, s: style_term()(f, a, {k: w * w for k, w in s.items()}), "squares the shares"),
    ("style_term", lambda f, a, s: style_term()({k: x.detach() for k, x in f.items()}, a, s), "detaches the graph"),
    ("style_term", style_term(lambda g, a: (g - a).square().sum() / g.detach().square().sum()), "the picture's sum"),
    ("total_variation", lambda x: down(x).square().mean(), "down the picture only"),
    ("total_variation", lambda x: across(x).square().mean(), "across the picture only"),
    ("total_variation", lambda x: down(x).abs().mean() + across(x).abs().mean(), "takes absolute differences"),
    ("total_variation", lambda x: down(x).square().sum() + across(x).square().sum(), "takes sums: take the mean"),
    ("total_variation", lambda x: down(x).abs().sum() + across(x).abs().sum(), "sums of absolute values"),
    ("total_variation", lambda x: down(x).mean() + across(x).mean(), "keep their sign"),
    ("total_variation", lambda x: down(x).mean() ** 2 + across(x).mean() ** 2, "squares the mean"),
    ("total_variation", lambda x: x.diff(dim=1).square().mean(), "compares color channels"),
    ("total_variation", lambda x: x.diff(dim=1).square().mean() + down(x).square().mean(), "compares color channels"),
    ("total_variation", lambda x: x.diff(dim=1).square().mean() + across(x).square().mean(), "compares color channels"),
    ("total_variation", lambda x: nst.total_variation(x) / 2, "half of it"),
    ("total_variation", lambda x: 2 * down(x).square().mean(), "the same differences twice"),
    ("total_variation", lambda x: 2 * across(x).square().mean(), "the same differences twice"),
    ("total_variation", lambda x: nst.total_variation(x).sqrt(), "difference down"),
    ("total_variation", lambda x: nst.total_variation(x).detach(), "detaches the graph"),
    ("total_variation", lambda x: nst.total_variation(x).item(), "returns a float"),
    ("gatys_style_term", lambda f, a: (gram(f) - gram(a)).square().sum() / (5**2 * 54**2), "factor 1/4"),
    ("gatys_style_term", lambda f, a: (gram(f) - gram(a)).square().sum() / (4 * 54**2), "leaves out N^2"),
    ("gatys_style_term", lambda f, a: (gram(f) - gram(a)).square().sum() / (4 * 5**2), "leaves out M^2"),
    ("gatys_style_term", lambda f, a: (gram(f) - gram(a)).square().sum(), "divides by nothing"),
    ("gatys_style_term", lambda f, a: gatys(f.abs(), a.abs()), "leave their signs"),
    ("gatys_style_term", lambda f, a: gatys(f.relu(), a.relu()), "leave their signs"),
    ("gatys_style_term", lambda f, a: (gram(f) - gram(a)).square().sum() / (4 * 25 * 6**2), "divides by H only"),
    (
        "gatys_style_term",
        lambda f, a: (gram(f) - gram(a)).square().mean() / (4 * 25 * 54**2),
        "mean instead of the sum",
    ),
    ("gatys_style_term", lambda f, a: (gram(f) - gram(a)).square().sum() / (4 * 5 * 54), "not by their squares"),
    ("gatys_style_term", lambda f, a: (gram(f) - gram(a)).square().sum() / (4 * 5 * 54**2), "by N, not by its square"),
    ("gatys_style_term", lambda f, a: (gram(f) - gram(a)).square().sum() / (4 * 25 * 54), "by M, not by its square"),
    ("gatys_style_term", lambda f, a: (gram(f) - gram(a)).square().sum() / (4 * 25 * 54**4), "by M already"),
    ("gatys_style_term", lambda f, a: (gram(f) - gram(a)).square().sum() / 4 * 5**2 * 54**2, "in brackets"),
    ("gatys_style_term", lambda f, a: (gram(f) - gram(a)).sum() / (4 * 25 * 54**2), "does not square"),
    ("gatys_style_term", lambda f, a: (by_position(f) - by_position(a)).square().sum() / (4 * 25 * 54**2), "take F F'"),
    ("gatys_style_term", lambda f, a: share_of(gram(f), gram(a)), "relative to the painting's"),
    ("gatys_style_term", lambda f, a: (f - a).square().sum() / (4 * 25 * 54**2), "compare their Gram matrices"),
    ("paint", lambda *a: adam(*a, clear=False), "never clears the gradient"),
    ("paint", lambda *a: adam(*a, clamp="end"), "clamps only once"),
    ("paint", lambda *a: adam(*a, clamp="never"), "leaves [0, 1]"),
    ("paint", lambda *a: adam(*a, sign=-1.0), "climbs"),
    ("paint", lambda s, f, n, lr: adam(s, f, n, 1e-3), "ignores the learning rate"),
    ("paint", lambda s, f, n, lr: adam(s, f, n, 0.1), "ignores the learning rate"),
    ("paint", lambda s, f, n, lr: adam(s, f, n - 1, lr), "11 times when 12 steps are asked for: that is too few"),
    ("paint", lambda s, f, n, lr: adam(s, f, 40, lr), "40 times for 12 steps: once per step"),
    ("paint", evaluates_twice, "13 times for 12 steps: once per step"),
    ("paint", lambda s, f, n, lr: adam(torch.rand_like(s), f, n, lr), "does not start from the picture"),
    ("paint", paints_over_its_start, "modifies its input"),
    ("paint", forgets_to_detach, "still requires a gradient"),
    ("paint", lambda start, *_: start, "evaluates the objective 0 times"),
    ("paint", lambda *a: adam(*a, clamp="watched"), "in place that requires a gradient"),
    ("paint", lambda *a: adam(*a, clamp="rebound"), "through the graph of an earlier step"),
    ("paint", lambda *a: adam(*a, clamp="lost"), "requires no gradient any more: clamp it in place"),
    ("paint", lambda *a: adam(*a, clamp="inside"), "sees a clamped copy"),
    ("paint", lambda *a: adam(*a, anew=True), "makes a new Adam in every step"),
    ("paint", paints_under_no_grad, "under torch.no_grad(): only the clamp"),
    ("paint", forgets_the_gradient, "begin with start.clone().requires_grad_()"),
    ("paint", lambda s, f, n, lr: (adam(s, f, n, lr), s)[1], "returns the picture that it was given"),
    ("paint", best_seen, "the picture of an earlier step"),
    ("paint", clears_before_the_step, "step 1 leaves the picture as it was"),
]


@pytest.mark.parametrize(("name", "answer", "reason"), WRONG)
def test_a_wrong_answer_is_named(name, answer, reason):
    line = verdict(getattr(nst.check, name), answer)
    assert line.startswith(f"{name}: not yet") and reason in line


RIGHT = [
    ("style_term", style_term()),
    ("style_term", lambda f, a, s: sum(s[k] * nst.style_loss(nst.gram_matrix(f[k]), a[k]) for k in a)),
    ("total_variation", lambda x: x.diff(dim=2).pow(2).mean() + x.diff(dim=3).pow(2).mean()),
    ("gatys_style_term", lambda f, a: nst.style_loss(nst.gram_matrix(f), nst.gram_matrix(a), "gatys")),
    ("paint", adam),
]


@pytest.mark.parametrize(("name", "answer"), RIGHT)
def test_a_right_answer_in_another_style_passes(name, answer):
    assert verdict(getattr(nst.check, name), answer) == f"{name}: correct"
