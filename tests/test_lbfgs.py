"""L-BFGS: its direction against the matrix that it stands for, its steps, and what it reads from the device."""

import itertools

import pytest
import torch
from readings import Readings

from nst_lesson.methods.lbfgs import FIRST_STEP, LBFGS, MAX_STEP


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def valley(size=12):
    """A quadratic function of (size,) whose curvature differs a hundredfold, and its matrix."""
    basis, _ = torch.linalg.qr(random(size, size))
    return basis @ torch.diag(torch.logspace(-1, 1, size, dtype=torch.float64)) @ basis.T


def closure_of(image, function, optimizer):
    def closure():
        optimizer.zero_grad()
        loss = function(image)
        loss.backward()
        return loss

    return closure


def points_of(steps, *, lr=1.0, history_size=20, clamp=None):
    """The points that it visits in the valley, from (0.5, ..., 0.5)."""
    matrix = valley()
    image = torch.full((12,), 0.5, dtype=torch.float64, requires_grad=True)
    optimizer = LBFGS([image], lr, history_size)
    closure = closure_of(image, lambda x: x @ matrix @ x / 2, optimizer)
    points = [image.detach().clone()]
    for _ in range(steps):
        optimizer.step(closure)
        if clamp:
            image.data.clamp_(*clamp)
        points.append(image.detach().clone())
    return points, matrix


def bounded(move):
    return move * min(1, MAX_STEP / move.square().mean().sqrt())


@pytest.mark.parametrize("history", [3, 20])
@pytest.mark.parametrize("clamp", [None, (0.1, 0.6)], ids=["free", "clamped"])
def test_a_step_is_the_inverse_hessian_that_the_true_pairs_give(history, clamp):
    """The matrix H of Nocedal & Wright 2006, eq. 7.19, multiplied out, for pairs of what the points really did."""
    points, matrix = points_of(9, history_size=history, clamp=clamp)
    eye = torch.eye(12, dtype=torch.float64)
    for now in range(1, 9):
        pairs = [(b - a, matrix @ (b - a)) for a, b in itertools.pairwise(points[max(0, now - history) : now + 1])]
        s, y = pairs[-1]
        inverse = eye * (s @ y) / (y @ y)
        for s, y in pairs:
            left = eye - torch.outer(s, y) / (s @ y)
            inverse = left @ inverse @ left.T + torch.outer(s, s) / (s @ y)
        wanted = points[now] + bounded(-inverse @ matrix @ points[now])
        torch.testing.assert_close(points[now + 1], wanted.clamp(*clamp) if clamp else wanted)


def test_the_first_step_goes_down_the_gradient_by_a_fixed_length():
    (start, first), matrix = points_of(1)
    gradient = matrix @ start
    torch.testing.assert_close(first, start - FIRST_STEP * gradient / gradient.square().mean().sqrt())


def test_steps_are_bounded_however_large_the_rate():
    points, _ = points_of(10, lr=100.0)
    lengths = [(b - a).square().mean().sqrt().item() for a, b in itertools.pairwise(points)]
    assert max(lengths) == pytest.approx(MAX_STEP)


def test_it_arrives():
    points, matrix = points_of(60)
    assert points[-1].abs().max() < 1e-6


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_the_size_of_the_loss_changes_nothing(scale):
    paths = []
    for factor in (1.0, scale):
        image = torch.full((12,), 0.5, requires_grad=True)
        optimizer, matrix = LBFGS([image]), valley().float()
        closure = closure_of(image, lambda x, f=factor, m=matrix: f * (x @ m @ x), optimizer)
        for _ in range(5):
            optimizer.step(closure)
        paths.append(image.detach())
    torch.testing.assert_close(*paths, rtol=1e-3, atol=1e-4)  # a loss that is scaled is rounded otherwise


def test_a_pair_without_curvature_has_no_weight():
    image = torch.full((3,), 0.5, requires_grad=True)
    optimizer = LBFGS([image])
    closure = closure_of(image, torch.sum, optimizer)  # a slope: the gradient never changes
    for _ in range(4):
        optimizer.step(closure)
    assert image.isfinite().all() and image.max() < 0.5


def test_where_the_loss_curves_downward_steps_double():
    image = torch.full((8,), 3.0, dtype=torch.float64, requires_grad=True)
    optimizer = LBFGS([image])
    closure = closure_of(image, lambda x: -torch.exp(-x.square() / 2).sum(), optimizer)  # curved upward below 1
    places = [3.0]
    for _ in range(70):
        optimizer.step(closure)
        places.append(image[0].item())
    lengths = [a - b for a, b in itertools.pairwise(places[:5])]
    assert lengths == pytest.approx([FIRST_STEP, 2 * FIRST_STEP, 4 * FIRST_STEP, MAX_STEP])
    assert abs(places[-1]) < 1e-3


def test_forgetting_is_starting_anew():
    image = torch.full((4,), 0.5, requires_grad=True)
    optimizer = LBFGS([image])
    closure = closure_of(image, lambda x: (x * x * torch.arange(1.0, 5)).sum(), optimizer)
    for _ in range(3):
        optimizer.step(closure)
    optimizer.forget()
    before = image.detach().clone()
    optimizer.step(closure)
    torch.testing.assert_close((image - before).square().mean().sqrt().item(), FIRST_STEP)


def test_nothing_is_read_from_the_device():
    image = torch.full((30,), 0.5, requires_grad=True)
    optimizer = LBFGS([image])
    closure = closure_of(image, lambda x: (x - 0.1).pow(4).sum(), optimizer)
    with Readings() as readings:
        for _ in range(25):
            optimizer.step(closure)
    assert readings.count == 0
