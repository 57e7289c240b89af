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


def adam(start, objective, steps, lr, *, clear=True, clamp="every", sign=1.0):
    image = start.clone().requires_grad_()
    solver = torch.optim.Adam([image], lr=lr)
    for _ in range(steps):
        if clear:
            solver.zero_grad()
        (sign * objective(image)).backward()
        solver.step()
        if clamp == "every":
            image.data.clamp_(0, 1)
    return image.detach().clamp(0, 1) if clamp == "end" else image.detach()


def paints_over_its_start(start, objective, steps, lr):
    start.copy_(adam(start, objective, steps, lr))
    return start


def forgets_to_detach(start, objective, steps, lr):
    return adam(start, objective, steps, lr).requires_grad_()


WRONG = [
    ("total_variation_l1", lambda x: down(x).abs().sum(), "down the picture only"),
    ("total_variation_l1", lambda x: across(x).abs().sum(), "across the picture only"),
    ("total_variation_l1", lambda x: down(x).square().sum() + across(x).square().sum(), "squares the differences"),
    ("total_variation_l1", lambda x: down(x).abs().mean() + across(x).abs().mean(), "takes means"),
    ("total_variation_l1", lambda x: down(x).sum() + across(x).sum(), "keep their sign"),
    ("total_variation_l1", lambda x: x.diff(dim=1).abs().sum(), "compares color channels"),
    ("total_variation_l1", lambda x: nst.total_variation(x), "where"),
    ("total_variation_l1", lambda x: (down(x).abs().sum() + across(x).abs().sum()).detach(), "detaches the graph"),
    ("total_variation_l1", lambda x: (down(x).abs().sum() + across(x).abs().sum()).item(), "returns a float"),
    ("gatys_style_term", lambda f, a: (gram(f) - gram(a)).square().sum() / (5**2 * 54**2), "factor 1/4"),
    ("gatys_style_term", lambda f, a: (gram(f) - gram(a)).square().sum() / (4 * 54**2), "leaves out N^2"),
    ("gatys_style_term", lambda f, a: (gram(f) - gram(a)).square().sum() / (4 * 5**2), "leaves out M^2"),
    ("gatys_style_term", lambda f, a: (gram(f) - gram(a)).square().sum(), "divides by nothing"),
    ("gatys_style_term", lambda f, a: (gram(f) - gram(a)).square().sum() / (4 * 25 * 6**2), "divides by H only"),
    (
        "gatys_style_term",
        lambda f, a: (gram(f) - gram(a)).square().mean() / (4 * 25 * 54**2),
        "mean instead of the sum",
    ),
    ("gatys_style_term", lambda f, a: (gram(f) - gram(a)).square().sum() / (4 * 5 * 54), "not by their squares"),
    ("gatys_style_term", lambda f, a: (f - a).square().sum() / (4 * 25 * 54**2), "compare their Gram matrices"),
    ("paint", lambda *a: adam(*a, clear=False), "never clears the gradient"),
    ("paint", lambda *a: adam(*a, clamp="end"), "clamps only once"),
    ("paint", lambda *a: adam(*a, clamp="never"), "leaves [0, 1]"),
    ("paint", lambda *a: adam(*a, sign=-1.0), "climbs"),
    ("paint", lambda s, f, n, lr: adam(s, f, n, 1e-3), "ignores the learning rate"),
    ("paint", lambda s, f, n, lr: adam(s, f, n - 1, lr), "evaluates the objective 11 times"),
    ("paint", lambda s, f, n, lr: adam(torch.rand_like(s), f, n, lr), "does not start from the picture"),
    ("paint", paints_over_its_start, "modifies its input"),
    ("paint", forgets_to_detach, "still requires a gradient"),
]


@pytest.mark.parametrize(("name", "answer", "reason"), WRONG)
def test_a_wrong_answer_is_named(name, answer, reason):
    line = verdict(getattr(nst.check, name), answer)
    assert line.startswith(f"{name}: not yet") and reason in line
