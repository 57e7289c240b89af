"""What an exercise check prints for right, wrong, missing and raising answers; it never raises."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from nst_lesson.checks.framework import ReturnedNone, Wrong, call, close, exercise, expect_gradient, expect_tensor


@exercise
def double(answer: Callable) -> None:
    """A small check, as a lesson has it: does `answer` return twice its input?"""
    x = torch.tensor([[1.0, 2.0]], requires_grad=True)
    result = expect_tensor(call(answer, x), (1, 2))
    expect_gradient(result, x)
    if not close(result, 2 * x):
        raise Wrong("it does not return twice its input")


def stub(x: Tensor) -> Tensor:
    raise NotImplementedError


def in_place(x: Tensor) -> Tensor:
    with torch.no_grad():
        return x.mul_(2)


def two_lines(x: Tensor) -> Tensor:
    raise KeyError("first line\nsecond line")


def silent(x: Tensor) -> Tensor:
    raise RuntimeError


@pytest.mark.parametrize(
    ("answer", "line"),
    [
        (lambda x: x + x, "double: correct"),
        (lambda x: 2 * x.double(), "double: correct"),
        (stub, "double: not attempted yet"),
        (lambda x: None, "double: not yet - it returns None: is its `return` missing?"),
        (lambda x: 3 * x, "double: not yet - it does not return twice its input"),
        (lambda x: 2 * x + torch.nan, "double: not yet - it does not return twice its input"),
        (lambda x: (2 * x).T, "double: not yet - it returns the shape (2, 1); (1, 2) is expected"),
        (lambda x: [2.0, 4.0], "double: not yet - it returns a list; a torch tensor is expected"),
        (lambda x: 2 * x.detach(), "double: not yet - it detaches the graph: no gradient reaches the picture"),
        (lambda x: torch.tensor([[2.0, 4.0]], requires_grad=True), "double: not yet - no gradient reaches its input"),
        (in_place, "double: not yet - it modifies its input: build a new tensor"),
        (two_lines, "double: not yet - it raised KeyError: 'first line"),
        (silent, "double: not yet - it raised RuntimeError: "),
        (lambda: None, "double: not yet - it raised TypeError: "),
        (lambda x: 1 / 0, "double: not yet - it raised ZeroDivisionError: division by zero"),
        (None, "double: not yet - it raised TypeError: 'NoneType' object is not callable"),
    ],
)
def test_every_answer_gets_one_line(capsys, answer, line):
    assert double(answer) is None
    out = capsys.readouterr().out
    assert out.startswith(line) and out.count("\n") == 1


def test_a_check_keeps_its_name_and_description():
    assert double.__name__ == "double" and double.__doc__.startswith("A small check")


def test_a_student_can_interrupt_an_endless_answer():
    def endless(x: Tensor) -> Tensor:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        double(endless)


def test_call_returns_what_the_answer_returns():
    assert call(lambda a, b: (a, b), 1, "two") == (1, "two")
    with pytest.raises(ReturnedNone):
        call(lambda: None)


def test_call_notices_a_change_of_values_or_of_shape():
    for change in (lambda x: x.add_(1), lambda x: x.unsqueeze_(0)):
        with pytest.raises(Wrong, match="modifies its input"):
            call(change, torch.ones(2))
    call(lambda x, y: x + y, torch.ones(2), torch.ones(2))


def test_call_leaves_the_graph_whole():
    x = torch.ones(2, requires_grad=True)
    expect_gradient(call(lambda x: 3 * x, x), x)


def test_expect_tensor_hands_its_tensor_on():
    x = torch.ones(2, 3)
    assert expect_tensor(x, (2, 3)) is x
    with pytest.raises(Wrong, match="NoneType"):
        expect_tensor(None, ())


def test_close_is_relative_to_the_largest_value():
    wanted = torch.tensor([1000.0, 0.001])
    assert close(wanted + 0.09, wanted) and not close(wanted + 0.11, wanted)
    assert close(torch.zeros(3), torch.zeros(3)) and not close(torch.full((3,), 1e-3), torch.zeros(3))
    assert not close(torch.tensor([torch.nan]), torch.ones(1)) and not close(torch.tensor([torch.inf]), torch.ones(1))


def test_close_compares_across_types_without_rounding_the_reference():
    wanted = torch.tensor([0.25, 0.75])
    assert close(wanted.double(), wanted) and close(wanted.half(), wanted) and close(wanted, wanted.double())
    assert not close(torch.tensor([0, 0]), wanted)  # whole numbers are not made of the reference
    assert close(torch.tensor([1, 2]), torch.tensor([1.0, 2.0]))
    levels = torch.tensor([0, 255], dtype=torch.uint8)
    assert close(levels, levels.clone()) and not close(levels.flip(0), levels)
    assert not close(torch.tensor([0.4, 255.4]), levels)


def test_expect_gradient():
    x = torch.ones(2, requires_grad=True)
    expect_gradient(x * 2, x)
    with pytest.raises(Wrong, match="detaches"):
        expect_gradient(torch.ones(2), x)
    with pytest.raises(Wrong, match="no gradient reaches"):
        expect_gradient(torch.ones(2, requires_grad=True) * 2, x)
