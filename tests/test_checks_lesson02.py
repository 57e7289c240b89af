"""The exercises of lesson 02: right answers in other styles pass, and each classic mistake is named."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from exercises import verdict

import nst_lesson as nst


def mse(a, b):
    return (a - b).square().mean()


def relu_in_place(z, P):
    return (z.relu_() - P) * (z > 0)


def by_autograd(z, P):
    z = z.clone().requires_grad_()
    return torch.autograd.grad(0.5 * (z.relu() - P).square().sum(), z)[0]


def doubled(x):
    return x.repeat_interleave(2, 2).repeat_interleave(2, 3)


def average(x):
    return F.avg_pool2d(x, 2)


def maxima(x):
    return F.max_pool2d(x, 2)


def others_black(image):
    return image * (image == doubled(maxima(image)))


def darken_one_a_little(image):
    return image - 0.001 * (image == doubled(-maxima(-image)))


def adam(
    start, target, features, steps, lr, *, clear=True, clamp="every", sign=1.0, graph=False, again=False, anew=False
):
    with torch.set_grad_enabled(graph):
        wanted = features(target)
    image = start.clone().requires_grad_()
    solver = torch.optim.Adam([image], lr=lr)
    for _ in range(steps):
        if anew:
            solver = torch.optim.Adam([image], lr=lr)
        if clear:
            solver.zero_grad()
        if again:
            wanted = features(target).detach()
        (sign * 0.5 * (features(image) - wanted).square().sum()).backward()  # Adam does not see a constant factor
        solver.step()
        if clamp == "every":
            image.data.clamp_(0, 1)
        elif clamp == "watched":
            image.clamp_(0, 1)
        elif clamp == "rebound":
            image = image.clamp(0, 1)
        elif clamp == "lost":
            image = image.detach().clamp(0, 1)
    return image.detach().clamp(0, 1) if clamp == "end" else image.detach()


def compares_pixels(start, target, features, steps, lr):
    return adam(start, target, lambda x: (features(x), x)[1], steps, lr)


def never_looks_at_the_target(start, target, features, steps, lr):
    return adam(start, torch.zeros_like(target), features, steps, lr)


def measures_once(start, target, features, steps, lr):
    image, wanted = start.clone().requires_grad_(), features(target).detach()
    solver = torch.optim.Adam([image], lr=lr)
    loss = (features(image) - wanted).square().sum()
    for _ in range(steps):
        solver.zero_grad()
        loss.backward()
        solver.step()
        image.data.clamp_(0, 1)
    return image.detach()


def forgets_the_gradient(start, target, features, steps, lr):
    image, wanted = start.clone(), features(target).detach()
    solver = torch.optim.Adam([image], lr=lr)
    for _ in range(steps):
        solver.zero_grad()
        (features(image) - wanted).square().sum().backward()
        solver.step()
        image.data.clamp_(0, 1)
    return image


def looks_without_gradients(start, target, features, steps, lr):
    image, wanted = start.clone().requires_grad_(), features(target).detach()
    for _ in range(steps):
        with torch.no_grad():
            loss = (features(image) - wanted).square().sum()
        loss.backward()
    return image.detach()


def paints_over_its_start(start, target, features, steps, lr):
    start.copy_(adam(start, target, features, steps, lr))
    return start


RIGHT = [
    ("psnr", lambda x, y: 20 * torch.log10(1 / mse(x, y).sqrt())),
    ("psnr", lambda x, y: -10 * ((x.double() - y.double()) ** 2).mean().log10()),
    ("content_loss_gradient", lambda z, P: torch.where(z > 0, z - P, 0.0)),
    ("content_loss_gradient", lambda z, P: (z.double().relu() - P.double()) * (z > 0)),
    ("same_to_max_pooling", others_black),
    ("same_to_max_pooling", lambda x: doubled(maxima(x.double()))),
    ("reconstruct", adam),
]


@pytest.mark.parametrize(("name", "answer"), RIGHT)
def test_a_right_answer_in_another_style_passes(name, answer):
    assert verdict(getattr(nst.check, name), answer) == f"{name}: correct"


WRONG = [
    ("psnr", lambda x, y: 10 * mse(x, y).log10(), "sign is wrong"),
    ("psnr", lambda x, y: -10 * mse(x, y).log(), "natural logarithm"),
    ("psnr", lambda x, y: -10 * (3 * mse(x, y)).log10(), "divides by H W alone"),
    ("psnr", lambda x, y: -10 * (x - y).square().mean((0, 2, 3)).log10().mean(), "mean of three PSNRs"),
    ("content_loss_gradient", lambda z, P: (z.relu() - P) * (z > P), "ask where z > P"),
    ("content_loss_gradient", lambda z, P: 0.5 * (z.relu() - P).square(), "terms of the loss"),
    ("psnr", lambda x, y: -10 * mse(x, y).log2(), "to base 2"),
    ("psnr", lambda x, y: 1 / mse(x, y), "leaves out the logarithm"),
    ("psnr", lambda x, y: -mse(x, y).log10(), "factor 10"),
    ("psnr", lambda x, y: -20 * mse(x, y).log10(), "factor is 20"),
    ("psnr", lambda x, y: -10 * mse(x, y).sqrt().log10(), "takes the root of the error"),
    ("psnr", lambda x, y: -10 * (x - y).square().sum().log10(), "sums the squares"),
    ("psnr", lambda x, y: -10 * (x - y).var().log10(), "leaves out its mean"),
    ("psnr", lambda x, y: -20 * (x - y).std(correction=0).log10(), "leaves out its mean"),
    ("psnr", lambda x, y: -10 * (x - y).abs().mean().log10(), "absolute differences"),
    ("psnr", lambda x, y: 10 * (255**2 / mse(x, y)).log10(), "255"),
    ("psnr", mse, "mean squared difference itself"),
    ("psnr", lambda x, y: -10 * mse(x, y).log10() + 1, "not 10 log10(1 / mean squared difference) (it gives"),
    ("psnr", lambda x, y: (-10 * mse(x, y).log10()).item(), "returns a float"),
    ("psnr", lambda x, y: -10 * (x - y).square().mean((2, 3)).log10(), "returns the shape (1, 3)"),
    ("content_loss_gradient", lambda z, P: z.relu() - P, "leaves out the second case"),
    ("content_loss_gradient", lambda z, P: z - P, "forgets the ReLU"),
    ("content_loss_gradient", lambda z, P: (z.relu() - P) * (P > 0), "where P > 0"),
    ("content_loss_gradient", lambda z, P: (z.relu() - P) * (z >= 0), "z > 0, not z >= 0"),
    ("content_loss_gradient", lambda z, P: (z.relu() - P) * (z <= 0), "swapped"),
    ("content_loss_gradient", lambda z, P: (P - z.relu()) * (z > 0), "sign is wrong"),
    ("content_loss_gradient", lambda z, P: 2 * (z.relu() - P) * (z > 0), "twice too large"),
    ("content_loss_gradient", lambda z, P: (z.relu() - P) * (z > 0) / z.numel(), "number of values"),
    ("content_loss_gradient", lambda z, P: 0.5 * (z.relu() - P) * (z > 0), "half of it"),
    ("content_loss_gradient", lambda z, P: (z.relu() - P) * (z > 0) / len(z), "batch size"),
    ("content_loss_gradient", lambda z, P: ((z.relu() - P) * (z > 0)).sign(), "only the sign"),
    ("content_loss_gradient", lambda z, P: z * P, "autograd gives"),
    ("content_loss_gradient", lambda z, P: ((z.relu() - P) * (z > 0)).sum(), "returns the shape ()"),
    ("content_loss_gradient", relu_in_place, "modifies its input"),
    ("content_loss_gradient", by_autograd, "asks autograd"),
    ("same_to_max_pooling", lambda x: x.clone(), "hardly differs"),
    ("same_to_max_pooling", darken_one_a_little, "hardly differs"),
    ("same_to_max_pooling", lambda x: maxima(x), "returns the shape (1, 3, 4, 7)"),
    ("same_to_max_pooling", lambda x: doubled(average(x)), "keeps the averages"),
    ("same_to_max_pooling", lambda x: doubled(-maxima(-x)), "keeps the minima"),
    ("same_to_max_pooling", lambda x: maxima(x).repeat(1, 1, 2, 2), "repeat_interleave"),
    ("same_to_max_pooling", lambda x: x.flip(3), "wrong blocks"),
    ("same_to_max_pooling", lambda x: x.square(), "max pooling differs"),
    ("same_to_max_pooling", lambda x: others_black(x) - (others_black(x) == 0).float(), "leave [0, 1]"),
    ("same_to_max_pooling", lambda x: x / 0, "leave [0, 1]"),
    ("reconstruct", lambda *a: adam(*a, clear=False), "never clears the gradient"),
    ("reconstruct", lambda *a: adam(*a, clamp="end"), "clamps only once"),
    ("reconstruct", lambda *a: adam(*a, clamp="never"), "leaves [0, 1]"),
    ("reconstruct", lambda *a: adam(*a, sign=-1.0), "climbs"),
    ("reconstruct", lambda s, t, f, n, lr: adam(s, t, f, n, 1e-3), "ignores the learning rate"),
    ("reconstruct", lambda s, t, f, n, lr: adam(s, t, f, n, 0.05), "ignores the learning rate"),
    ("reconstruct", lambda s, t, f, n, lr: adam(s, t, f, n - 1, lr), "11 times in 12 steps"),
    ("reconstruct", lambda s, t, f, n, lr: adam(torch.rand_like(s), t, f, n, lr), "does not start from"),
    ("reconstruct", lambda *a: adam(*a, graph=True), "carry a graph"),
    ("reconstruct", lambda *a: adam(*a, clamp="watched"), "in place that requires a gradient"),
    ("reconstruct", lambda *a: adam(*a, clamp="rebound"), "through the graph of an earlier step"),
    ("reconstruct", lambda *a: adam(*a, clamp="rebound", graph=True), "through the graph of an earlier step"),
    ("reconstruct", lambda *a: adam(*a, clamp="lost"), "requires no gradient any more: clamp it in place"),
    ("reconstruct", lambda *a: adam(*a, anew=True), "makes a new Adam in every step"),
    ("reconstruct", measures_once, "measure the loss anew in every step"),
    ("reconstruct", lambda s, t, f, n, lr: adam(t, s, f, n, lr), "start and target are swapped"),
    ("reconstruct", lambda s, t, f, n, lr: adam(s, t, lambda x: f(x.detach()), n, lr), "and detach it nowhere"),
    ("reconstruct", forgets_the_gradient, "begin with start.clone().requires_grad_()"),
    ("reconstruct", looks_without_gradients, "under torch.no_grad(): only the clamp"),
    ("reconstruct", lambda s, t, f, n, lr: (adam(s, t, f, n, lr), t)[1], "returns the target"),
    ("reconstruct", lambda s, t, f, n, lr: (adam(s, t, f, n, lr), s)[1], "returns the picture that it was given"),
    ("reconstruct", lambda *a: adam(*a, sign=0.0), "step 1 leaves the picture as it was"),
    ("reconstruct", lambda *a: adam(*a, again=True), "target's features 13 times"),
    ("reconstruct", never_looks_at_the_target, "never asks for the features of the target"),
    ("reconstruct", compares_pixels, "compares pixels"),
    ("reconstruct", paints_over_its_start, "modifies its input"),
    ("reconstruct", lambda *a: adam(*a).requires_grad_(), "still requires a gradient"),
    ("reconstruct", lambda s, t, f, n, lr: adam(s, t, f, n, lr).clamp(0.2, 1), "Adam with its default betas"),
]


@pytest.mark.parametrize(("name", "answer", "reason"), WRONG)
def test_a_wrong_answer_is_named(name, answer, reason):
    line = verdict(getattr(nst.check, name), answer)
    assert line.startswith(f"{name}: not yet") and reason in line
