"""The live widget, driven without a browser: what its buttons do, and that no error is lost in its thread."""

import io
import itertools
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest
import torch
from PIL import Image

from nst_lesson import widgets
from nst_lesson.backbones import VGG
from nst_lesson.errors import LessonError, ParameterError
from nst_lesson.gatys import Step, transfer
from nst_lesson.widgets import REDRAW_SECONDS, LiveTransfer

PATIENCE = 30  # seconds after which something hangs; nothing here takes one


def step(index: int) -> Step:
    """A small gray picture as the step `index`."""
    return Step(index, torch.full((1, 3, 8, 12), 0.5), 1 / index, {"style": 1 / index}, 0.1 * index)


def counting(count: int) -> Callable[[], Iterator[Step]]:
    """What begins a run of `count` steps."""
    return lambda: (step(n) for n in range(1, count + 1))


class Gated:
    """An endless run that makes a step only when it is let, so that a test decides what happens when."""

    def __init__(self) -> None:
        self.begun, self.gate, self.made = 0, threading.Semaphore(0), threading.Semaphore(0)

    def __call__(self) -> Iterator[Step]:
        self.begun += 1
        for index in itertools.count(1):
            assert self.gate.acquire(timeout=PATIENCE)
            yield step(index)
            self.made.release()  # the widget has taken the step and asks for the next

    def let(self, count: int) -> None:
        """Let `count` steps through and wait until the widget has dealt with them."""
        for _ in range(count):
            self.gate.release()
            assert self.made.acquire(timeout=PATIENCE)


def finish(live: LiveTransfer) -> Step | None:
    """wait(), but a hanging thread fails the test."""
    last = live.wait(PATIENCE)
    assert not live._thread.is_alive()
    return last


def test_before_a_run_there_is_nothing_to_stop_or_to_see():
    live = LiveTransfer(counting(3), 3)
    assert live.stop_button.disabled and not live.run_button.disabled
    assert live.picture.layout.visibility == "hidden"
    assert live.wait() is None and live.step is None


def test_a_run_ends_at_its_last_step_and_shows_it():
    live = LiveTransfer(counting(7), 7)
    live.run_button.click()
    assert finish(live).index == 7
    assert live.bar.value == 7 and live.bar.description == "step 7"
    assert live.stop_button.disabled and not live.run_button.disabled
    assert live.picture.layout.visibility == "visible" and live.message.value == ""
    shown = Image.open(io.BytesIO(live.picture.value))
    assert shown.format == "JPEG" and shown.size == (12, 8)


def test_it_paints_what_transfer_paints():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        backbone = VGG((1, 1), (4, 4)).requires_grad_(False)
    content, style = (torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(n)) for n in (1, 2))
    layers = {"content_layers": ("relu2_1",), "style_layers": ("relu1_1",)}
    *_, wanted = transfer(content, style, backbone, steps=4, **layers)
    live = LiveTransfer(lambda: transfer(content, style, backbone, steps=4, **layers), 4)
    with torch.no_grad():  # as a student may have it around the cell; a thread does not see it
        live.run()
        assert torch.equal(finish(live).image, wanted.image)


def test_stop_ends_after_the_step_in_hand_and_keeps_the_picture():
    gated = Gated()
    live = LiveTransfer(gated, 100)
    live.run_button.click()
    gated.let(3)
    assert not live.stop_button.disabled
    live.stop_button.click()
    gated.gate.release()  # the step in hand
    assert finish(live).index == 4
    assert live.bar.value == 4 and live.picture.value
    assert live.stop_button.disabled and not live.run_button.disabled


def test_a_second_click_while_it_runs_does_nothing():
    gated = Gated()
    live = LiveTransfer(gated, 100)
    live.run_button.click()
    gated.let(2)
    thread = live._thread
    live.run_button.click()
    live.run()
    assert live._thread is thread and live.step.index == 2
    live.stop()
    gated.gate.release()
    finish(live)
    assert gated.begun == 1


def test_it_can_run_again_from_the_beginning():
    live = LiveTransfer(counting(3), 3)
    for _ in range(2):
        live.run()
        assert finish(live).index == 3


def test_a_stopped_run_can_run_again():
    gated = Gated()
    live = LiveTransfer(gated, 100)
    for _ in range(2):
        live.run()
        gated.let(1)
        live.stop()
        gated.gate.release()
        assert finish(live).index == 2
    assert gated.begun == 2


def test_an_error_before_the_first_step_is_shown_and_raised():
    def begin() -> Iterator[Step]:
        raise ParameterError("steps is 0; give at least 1")

    live = LiveTransfer(begin, 3)
    live.run()
    with pytest.raises(ParameterError, match="steps is 0"):
        finish(live)
    assert "steps is 0; give at least 1" in live.message.value
    assert live.stop_button.disabled and not live.run_button.disabled


def test_a_backbone_that_breaks_in_the_middle_is_shown_and_raised():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network, calls = VGG((1,), (4,)).requires_grad_(False), itertools.count()

    def breaking(image: torch.Tensor, layers: tuple[str, ...]) -> dict[str, torch.Tensor]:
        if next(calls) == 5:  # two targets and three steps are behind it
            raise RuntimeError("out of memory")
        return network(image, layers)

    content, layers = torch.rand(1, 3, 8, 8), {"content_layers": ("relu1_1",), "style_layers": ("relu1_1",)}
    live = LiveTransfer(lambda: transfer(content, content, breaking, start="noise", **layers), 200)
    live.run()
    with pytest.raises(RuntimeError, match="out of memory"):
        finish(live)
    assert live.step.index == 3  # the picture so far is not lost
    assert "out of memory" in live.message.value
    assert not live.run_button.disabled


def test_a_picture_that_cannot_be_drawn_is_an_error_like_any_other():
    broken = Step(1, torch.full((1, 3, 4, 4), torch.nan), 1.0, {}, 0.0)
    live = LiveTransfer(lambda: iter([broken]), 1)
    live.run()
    with pytest.raises(LessonError, match="NaN"):
        finish(live)


def test_a_message_is_text_and_not_html():
    def begin() -> Iterator[Step]:
        raise TypeError("expected a float, got <class 'str'> & more")

    live = LiveTransfer(begin, 3)
    live.run()
    with pytest.raises(TypeError):
        finish(live)
    assert "&lt;class" in live.message.value and "&amp; more" in live.message.value


def test_a_new_run_forgets_the_error_of_the_last():
    begins = iter([iter([Step(1, torch.zeros(1), 0.0, {}, 0.0)]), counting(2)()])  # the first is no picture
    live = LiveTransfer(lambda: next(begins), 2)
    live.run()
    with pytest.raises(LessonError):
        finish(live)
    live.run()
    assert finish(live).index == 2
    assert live.message.value == "" and live.error is None


def test_pictures_are_drawn_at_a_bounded_rate(monkeypatch):
    drawn = []
    clock = itertools.count(100, 0.01)  # every look at the clock is 10 ms later than the one before
    monkeypatch.setattr(widgets, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    live = LiveTransfer(counting(200), 200)
    monkeypatch.setattr(live, "_draw", lambda: drawn.append((live.step.index, next(clock))))
    live.run()
    finish(live)
    times = [now for _, now in drawn[:-1]]  # the last picture is drawn at the end, whenever that is
    assert all(later - earlier > REDRAW_SECONDS for earlier, later in itertools.pairwise(times))
    assert drawn[0][0] == 1 and drawn[-1][0] == 200
    assert 5 <= len(drawn) <= 2 + 2.5 / REDRAW_SECONDS  # the clock goes on by some 2.3 s


def test_an_empty_run_ends_in_peace():
    live = LiveTransfer(counting(0), 3)
    live.run()
    assert finish(live) is None
    assert live.picture.layout.visibility == "hidden" and not live.run_button.disabled
