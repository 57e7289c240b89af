"""What an exercise check prints for right, wrong, missing and raising answers; it never raises."""

import random
import re
from collections.abc import Callable

import numpy as np
import pytest
import torch
from exercises import solutions, verdict
from torch import Tensor

from nst_lesson import checks
from nst_lesson.checks.framework import (
    ReturnedNone,
    Wrong,
    call,
    close,
    exercise,
    expect_gradient,
    expect_in_all_cases,
    expect_tensor,
    expect_value,
    number,
)


@exercise
def double(answer: Callable) -> None:
    """A small check, as a lesson has it: does `answer` return twice its input?"""
    x = torch.tensor([[1.0, 2.0]], requires_grad=True)
    result = expect_tensor(call(answer, x), (1, 2))
    expect_value(result, 2 * x, {}, "it does not return twice its input")
    expect_gradient(result, 2 * x, x)


def stub(x: Tensor) -> Tensor:
    raise NotImplementedError


def in_place(x: Tensor) -> Tensor:
    with torch.no_grad():
        return x.mul_(2)


def two_lines(x: Tensor) -> Tensor:
    raise ValueError("first line\nsecond line")


def silent(x: Tensor) -> Tensor:
    raise RuntimeError


def not_in_torch(x: Tensor) -> Tensor:
    return torch.nn.functional.pad(x[None, None], (1, 1), mode="reflect")


def half_detached(x: Tensor) -> Tensor:
    return x + x.detach()


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
        (half_detached, "double: not yet - its value is right and its gradient is not"),
        (in_place, "double: not yet - it modifies its input: build a new tensor"),
        (two_lines, "double: not yet - it raised ValueError in line "),
        (silent, "double: not yet - it raised RuntimeError in line "),
        (not_in_torch, "double: not yet - it raised NotImplementedError in line "),
        (lambda: None, "double: not yet - it raised TypeError"),
        (lambda x: 1 / 0, "double: not yet - it raised ZeroDivisionError in line "),
        (None, "double: not yet - it raised TypeError"),
    ],
)
def test_every_answer_gets_one_line(capsys, answer, line):
    assert double(answer) is None
    out = capsys.readouterr().out
    assert out.startswith(line) and out.count("\n") == 1


def deep(x: Tensor) -> Tensor:
    return torch.nn.functional.conv2d(x, "weight")


@pytest.mark.parametrize(("answer", "source"), [(two_lines, "raise ValueError("), (deep, "return torch.nn.functional")])
def test_an_error_is_said_with_the_students_own_line(answer, source):
    line = verdict(double, answer)
    assert f" in line {answer.__code__.co_firstlineno + 1}, `{source}" in line  # not a line of torch's
    assert (
        "first line second line" in line or "expected one of: * (Tensor input" in line
    )  # nor does a message break off


def test_a_check_gives_the_function_to_go_on_with(capsys):
    def ours(x: Tensor) -> Tensor:
        return 2 * x

    @exercise(otherwise=ours)
    def twice(answer: Callable) -> None:
        double.__wrapped__(answer)

    def right(x: Tensor) -> Tensor:
        return x + x

    assert [twice(answer) for answer in (right, stub, in_place, silent)] == [right, ours, ours, ours]
    assert double(right) is None  # where nothing needs it, a notebook shows no function
    assert capsys.readouterr().out.startswith("twice: correct\ntwice: not attempted yet\ntwice: not yet - ")


@pytest.mark.parametrize("name", [name for name in checks.__all__ if getattr(checks, name).otherwise])
def test_what_a_lesson_goes_on_with_passes_its_own_check(name):
    check = getattr(checks, name)
    assert verdict(check, check.otherwise) == f"{name}: correct"


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
    expect_gradient(call(lambda x: 3 * x, x), 3 * x, x)


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


def test_close_takes_numbers_and_lists_of_them():
    assert close([1, 2.5], torch.tensor([1.0, 2.5])) and close(3, 3.0, tolerance=0)
    assert not close([[1, 2], [3, 4]], [[1, 2], [4, 3]], tolerance=0)


def test_a_known_mistake_is_named_by_the_first_value_that_matches():
    mistakes = {"it is one": 1, "it is two or three": (2, torch.tensor(3.0)), "it is three": 3}
    expect_value(4, 4, mistakes)
    for result, reason in {1: "it is one", 3: "it is two or three", 5: "it gives 5 where 4 is right"}.items():
        with pytest.raises(Wrong, match=f"^{reason}$"):
            expect_value(torch.tensor(result), 4, mistakes)
    with pytest.raises(Wrong, match="^another$"):
        expect_value(5, 4, mistakes, "another")


def test_a_mistake_explains_the_replies_in_all_cases_or_the_first_wrong_one_is_said():
    cases, wanted = [1, 2, 3], [1, 4, 9]
    mistakes = [{"it doubles": (2 * n, 2.0 * n + 1), "it cubes": n**3} for n in cases]

    def reason(*replies):
        with pytest.raises(Wrong) as caught:
            expect_in_all_cases(cases, replies, wanted, mistakes, lambda case, reply, right: f"{case} {reply} {right}")
        return str(caught.value)

    expect_in_all_cases(cases, wanted, wanted, mistakes, str)
    assert [reason(2, 4, 6), reason(3, 5, 7), reason(1, 8, 27)] == ["it doubles", "it doubles", "it cubes"]
    assert reason(1, 4, 6) == "3 6 9"  # doubled in one case only


def test_a_number_comes_in_any_type():
    assert [number(x) for x in (2, 2.5, np.float32(1), torch.tensor([[3]]))] == [2, 2.5, 1, 3]
    assert isinstance(number(2.0), int)
    for reply in ("two", [1.0, 2.0], torch.ones(2)):
        with pytest.raises(Wrong, match="one number is expected"):
            number(reply)


def test_expect_gradient():
    x = torch.ones(2, requires_grad=True)
    expect_gradient(x * 2, x.double() * 2, x)
    with pytest.raises(Wrong, match="detaches"):
        expect_gradient(torch.ones(2), x * 2, x)
    with pytest.raises(Wrong, match="no gradient reaches"):
        expect_gradient(torch.ones(2, requires_grad=True) * 2, x * 2, x)
    with pytest.raises(Wrong, match="^missing$"):
        expect_gradient(torch.ones(2, requires_grad=True) * 2, x * 2, x, missing="missing")
    with pytest.raises(Wrong, match="its gradient is not"):
        expect_gradient(x * x.detach(), x * x, x)


@pytest.mark.parametrize(
    "name",
    ["adain", "distillation_loss", "fast_loss", "gatys_style_term", "gram", "instance_norm", "masked_gram"]
    + ["mean_std_distance", "resize_convolution", "total_variation"],
)
def test_a_right_value_with_a_wrong_gradient_does_not_pass(name):
    def answer(*inputs: object) -> Tensor:
        right = solutions()[name](*inputs)
        return 2 * right - right.detach()

    assert re.search("not yet - .*(gradient is|whole gradient)", verdict(getattr(checks, name), answer))


# ---- what a check leaves as it was


def unwritten(*inputs: object) -> None:
    raise NotImplementedError


def careless(*inputs: object) -> Tensor:
    """An answer that changes all that it can reach, and is wrong."""
    drawn = torch.rand(2) + np.random.rand() + random.random()
    torch.set_default_dtype(torch.float16)
    torch.set_grad_enabled(not torch.is_grad_enabled())
    return drawn


def surroundings() -> tuple:
    """All that belongs to the notebook and not to a check, in a form that can be compared."""
    kind, keys, *rest = np.random.get_state()
    states = (torch.get_rng_state().tolist(), kind, keys.tolist(), rest, random.getstate())
    return states, torch.is_grad_enabled(), torch.get_default_dtype()


@pytest.fixture(params=[(True, torch.float32), (False, torch.float64)], ids=["as usual", "no_grad, float64"])
def notebook(request):
    """A notebook in the usual modes, and in others."""
    enabled, dtype = request.param
    torch.set_default_dtype(dtype)
    with torch.set_grad_enabled(enabled):
        yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("name", checks.__all__)
def test_a_check_leaves_random_states_grad_mode_and_default_dtype_alone(name, notebook):
    answers = {"not attempted yet": unwritten, "not yet": careless, "correct": solutions()[name]}
    for line, answer in answers.items():
        before = surroundings()
        assert verdict(getattr(checks, name), answer).startswith(f"{name}: {line}")
        assert surroundings() == before


def test_a_check_gives_a_drawing_answer_the_state_that_the_notebook_has():
    drawn = []
    for _ in range(2):
        torch.manual_seed(7)
        double(lambda x: drawn.append(torch.rand(3)))
    torch.manual_seed(7)
    assert all(torch.equal(x, drawn[0]) for x in (drawn[1], torch.rand(3)))
