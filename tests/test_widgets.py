"""The widgets, driven without a browser: what their controls do, and that no error is lost in their threads."""

import io
import itertools
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest
import torch
from PIL import Image

from nst_lesson.errors import ImageError, LessonError, ParameterError
from nst_lesson.methods.gatys import Step, transfer
from nst_lesson.methods.losses import gram_matrix, style_loss
from nst_lesson.methods.objective import Style
from nst_lesson.networks.backbones import STYLE_LAYERS, VGG, load_backbone
from nst_lesson.pictures.images import load_image
from nst_lesson.view import widgets
from nst_lesson.view.widgets import (
    REDRAW_SECONDS,
    BlindVote,
    GramExplorer,
    LayerExplorer,
    LiveTransfer,
    StyleMixer,
    Worker,
)

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


def finish(widget: Worker) -> Step | None:
    """wait(), but a hanging thread fails the test."""
    last = widget.wait(PATIENCE)
    assert not widget._thread.is_alive()
    return last


def test_a_first_picture_is_shown_before_run_and_the_last_can_be_saved():
    live = LiveTransfer(counting(3), 3, first=torch.rand(1, 3, 8, 8))
    first = live.picture.value
    assert first and live.picture.layout.visibility == "visible" and live.save.value == ""
    live.run()
    live.wait(60)
    assert live.picture.value != first
    assert 'download="step_3.png" href="data:image/png;base64,' in live.save.value
    with pytest.raises(LessonError, match="first"):
        LiveTransfer(counting(3), 3, first=torch.rand(8, 8))


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
        backbone = VGG(((4,), (4,))).requires_grad_(False)
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
        network, calls = VGG(((4,),)).requires_grad_(False), itertools.count()

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
    monkeypatch.setattr(live, "_draw", lambda step: drawn.append((step.index, next(clock))))
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


def noise(seed: int, height: int = 48, width: int = 64) -> torch.Tensor:
    """A picture (1, 3, height, width) of its own."""
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def pocket():
    return load_backbone("pocket")


@pytest.fixture
def images():
    return {"a": noise(1), "b": noise(2, 64, 40), "c": noise(3)}


def features(backbone, image, layer):
    """Features (1, C, H', W'), as a student would compute them."""
    with torch.no_grad():
        return backbone(image, [layer])[layer]


def shown(picture) -> Image.Image:
    """What an image widget shows."""
    image = Image.open(io.BytesIO(picture.value))
    image.load()
    return image


def png(image: torch.Tensor) -> bytes:
    """A file that a student may upload."""
    buffer = io.BytesIO()
    Image.fromarray((image[0].permute(1, 2, 0).numpy() * 255).round().astype("uint8")).save(buffer, "png")
    return buffer.getvalue()


def upload(widget, content: bytes, name: str = "me.png") -> None:
    """What the front end of the installed ipywidgets sends once a file is chosen."""
    about = {"name": name, "type": "image/png", "size": len(content)}
    if "metadata" in widget.trait_names():  # ipywidgets 7
        widget.set_state({"metadata": [about], "data": [memoryview(content)], "_counter": widget._counter + 1})
    else:
        widget.set_state({"value": [{**about, "content": memoryview(content), "last_modified": 0}]})


class Counted:
    """A backbone that notes each call and the thread it came in, and can be held up."""

    def __init__(self, backbone, held: bool = False) -> None:
        self.backbone, self.layers, self.calls, self.threads = backbone, backbone.layers, [], set()
        self.gate, self.entered = threading.Event(), threading.Semaphore(0)
        if not held:
            self.gate.set()

    def __call__(self, image, layers):
        if threading.current_thread() is not threading.main_thread():  # the constructor probes in its caller's
            self.entered.release()
            assert self.gate.wait(PATIENCE)
            self.calls.append(tuple(layers))
            self.threads.add(threading.current_thread())
        return self.backbone(image, layers)


def test_the_latest_request_replaces_one_that_waits():
    worker, gate, began, done = Worker(), threading.Event(), threading.Event(), []

    def first():
        began.set()
        assert gate.wait(PATIENCE)
        done.append(0)

    worker.request(first)
    assert began.wait(PATIENCE)
    for index in range(1, 10):
        worker.request(lambda index=index: done.append(index))  # returns while the first is held up
    gate.set()
    finish(worker)
    assert done == [0, 9]
    worker.request(lambda: done.append(10))
    finish(worker)
    assert done[-1] == 10


def test_the_error_of_a_request_that_was_followed_by_a_good_one_is_over():
    worker = Worker()
    for work, message in ((lambda: 1 / 0, "ZeroDivisionError: division by zero"), (lambda: None, "")):
        worker.request(work)
        worker._thread.join(PATIENCE)
        assert message in worker.message.value
    assert finish(worker) is None and worker.message.value == ""


def test_layer_explorer_shows_the_channel_that_is_chosen(pocket, images):
    explorer = LayerExplorer(pocket, images)
    assert explorer.layer.options == pocket.layers and explorer.menus[0].options == ("a", "b", "c")
    explorer.menus[0].value, explorer.layer.value, explorer.channel.value = "b", "relu3_1", 5
    finish(explorer)
    wanted = features(pocket, images["b"], "relu3_1")[0, 5]
    for part in ("relu3_1", "channel <b>5</b> of 128", "16 × 10", f"{wanted.min():.3g} ", f"{wanted.max():.3g},"):
        assert part in explorer.caption.value
    for picture in (explorer.picture, explorer.map):
        assert picture.format == shown(picture).format.lower() == "jpeg"
    assert shown(explorer.map).height > 400  # the map is upright and enlarged, as the picture is


def test_layer_explorer_changes_its_map_with_the_channel(pocket, images):
    explorer = LayerExplorer(pocket, images, ["relu2_1"])
    seen = set()
    for channel in (0, 1, 1, 2):
        explorer.channel.value = channel
        finish(explorer)
        seen.add(explorer.map.value)
    assert len(seen) == 3


def test_the_slider_ends_at_the_last_channel_of_the_layer(pocket, images):
    explorer = LayerExplorer(pocket, images, ["relu5_1", "relu1_1", "relu2_1"])
    explorer.channel.value = 383
    assert explorer.channel.max == 383
    explorer.layer.value = "relu1_1"
    assert explorer.channel.max == 15 and explorer.channel.value == 15
    finish(explorer)
    assert "channel <b>15</b> of 16" in explorer.caption.value


def test_channels_can_be_sorted_by_their_energy(pocket, images):
    explorer = LayerExplorer(pocket, images, ["relu4_1"])
    explorer.strongest.value = True
    energy = features(pocket, images["a"], "relu4_1")[0].square().mean((1, 2))
    for place, channel in enumerate(energy.argsort(descending=True)[:3].tolist()):
        explorer.channel.value = place
        finish(explorer)
        assert f"channel <b>{channel}</b> of" in explorer.caption.value
        assert f"(rank {place + 1})" in explorer.caption.value


def test_gram_explorer_shows_the_distance_of_the_lesson(pocket, images):
    explorer = GramExplorer(pocket, images)
    assert explorer.layer.options == STYLE_LAYERS
    assert [menu.value for menu in explorer.menus] == ["a", "b"]
    explorer.menus[1].value, explorer.layer.value = "c", "relu2_1"
    finish(explorer)
    gram, target = (gram_matrix(features(pocket, images[title], "relu2_1")) for title in "ac")
    assert f"<b>{style_loss(gram, target).item():.3g}</b>" in explorer.caption.value
    assert "64 × 64" in explorer.caption.value
    assert shown(explorer.pictures).size[0] < shown(explorer.matrices).size[0]
    explorer.menus[1].value = "a"
    finish(explorer)
    assert "<b>0</b>" in explorer.caption.value


def test_gram_explorer_takes_a_single_picture(pocket, images):
    explorer = GramExplorer(pocket, {"a": images["a"]})
    finish(explorer)
    assert "<b>0</b>" in explorer.caption.value


@pytest.mark.parametrize("kind", [LayerExplorer, GramExplorer])
def test_explorers_work_in_a_daemon_thread_and_never_in_the_main_one(kind, pocket, images):
    backbone = Counted(pocket)
    explorer = kind(backbone, images, ["relu1_1"])
    explorer.menus[0].value = "c"
    finish(explorer)
    assert backbone.threads and all(thread.daemon for thread in backbone.threads)


def test_clicks_while_an_explorer_works_return_at_once_and_cost_one_drawing(pocket, images):
    backbone = Counted(pocket, held=True)
    explorer = LayerExplorer(backbone, images)
    assert backbone.entered.acquire(timeout=PATIENCE)  # the first drawing is held up
    for layer in ("relu1_1", "relu2_1", "relu3_1", "relu4_1"):
        explorer.layer.value = layer
    assert explorer._thread.is_alive()
    backbone.gate.set()
    finish(explorer)
    assert backbone.calls == [("conv1_1",), ("relu4_1",)]
    assert "relu4_1" in explorer.caption.value


@pytest.mark.parametrize("kind", [LayerExplorer, GramExplorer])
def test_an_own_picture_is_chosen_once_it_is_uploaded(kind, pocket, images):
    explorer = kind(pocket, images, ["relu2_1"])
    upload(explorer.upload, png(noise(4, 90, 120)))
    finish(explorer)
    assert [menu.value for menu in explorer.menus] == ["your picture 1", "b"][: len(explorer.menus)]
    assert all(menu.options == ("a", "b", "c", "your picture 1") for menu in explorer.menus)
    assert explorer.images["your picture 1"].shape == (1, 3, 48, 64)  # as large as the others
    explorer.menus[0].value = "a"
    upload(explorer.upload, png(noise(5)), "other.png")
    finish(explorer)
    assert explorer.menus[0].value == "your picture 2"
    assert torch.equal(explorer.images["your picture 2"], load_image(png(noise(5))))


@pytest.mark.parametrize("form", ["7", "8"])
def test_both_forms_of_an_upload_are_read(form, pocket, images):
    explorer = LayerExplorer(pocket, images, ["relu1_1"])
    content = memoryview(png(noise(4)))
    file = {"name": "me.png", "content": content}
    explorer._receive(
        {"me.png": {"metadata": {"name": "me.png"}, "content": bytes(content)}} if form == "7" else (file,)
    )
    finish(explorer)
    assert explorer.menus[0].value == "your picture 1"


def test_an_upload_that_is_followed_by_clicks_is_not_lost(pocket, images):
    backbone = Counted(pocket, held=True)
    explorer = LayerExplorer(backbone, images)
    assert backbone.entered.acquire(timeout=PATIENCE)
    upload(explorer.upload, png(noise(4)))
    explorer.layer.value = "relu2_1"  # takes the place of the request that came with the upload
    backbone.gate.set()
    finish(explorer)
    assert explorer.menus[0].value == "your picture 1" and "relu2_1" in explorer.caption.value


def test_a_broken_upload_is_one_red_line_and_raised_and_then_forgotten(pocket, images):
    explorer = LayerExplorer(pocket, images, ["relu1_1"])
    upload(explorer.upload, png(noise(4))[:300])
    with pytest.raises(ImageError):
        finish(explorer)
    line = explorer.message.value
    assert "--jp-error-color1" in line and "\n" not in line and "export it again" in line
    assert explorer.menus[0].options == ("a", "b", "c")
    explorer.menus[0].value = "b"
    finish(explorer)
    assert explorer.message.value == ""


def test_the_error_of_an_upload_outlives_a_drawing_that_was_asked_for_before_it(pocket, images, monkeypatch):
    begun, gate, take = threading.Event(), threading.Event(), LayerExplorer._take_uploads_and_draw

    def held(self, *arguments):
        begun.set()
        assert gate.wait(PATIENCE)
        take(self, *arguments)

    monkeypatch.setattr(LayerExplorer, "_take_uploads_and_draw", held)
    explorer = LayerExplorer(pocket, images, ["relu1_1"])
    assert begun.wait(PATIENCE)  # the first drawing has begun
    upload(explorer.upload, b"no picture")
    gate.set()
    with pytest.raises(ImageError):
        finish(explorer)
    assert "--jp-error-color1" in explorer.message.value


@pytest.mark.parametrize("kind", [LayerExplorer, GramExplorer])
def test_a_picture_that_is_too_small_for_a_layer_is_an_error_in_the_widget(kind, pocket):
    explorer = kind(pocket, {"small": noise(1, 8, 8)}, ["relu1_1", "relu5_1"])
    finish(explorer)
    explorer.layer.value = "relu5_1"
    with pytest.raises(ParameterError, match="too small for relu5_1"):
        finish(explorer)
    assert "an image of 8x8 pixels is too small for relu5_1" in explorer.message.value
    explorer.layer.value = "relu1_1"
    finish(explorer)
    assert explorer.message.value == ""


@pytest.mark.parametrize("kind", [LayerExplorer, GramExplorer])
def test_what_cannot_be_explored_is_an_error_in_the_cell(kind, pocket, images):
    with pytest.raises(ParameterError, match="at least one picture"):
        kind(pocket, {})
    with pytest.raises(ParameterError, match="relu9_9"):
        kind(pocket, images, ["relu9_9"])
    with pytest.raises(ParameterError, match="flat is"):
        kind(pocket, {"flat": images["a"][0]})


def mixer(backbone, steps: int = 4) -> StyleMixer:
    layers = {"style_layers": ("relu1_1", "relu2_1"), "content_layers": "relu2_1"}
    return StyleMixer(noise(1), noise(2), backbone, steps, **layers)


def test_style_mixer_paints_what_transfer_paints_with_its_settings(pocket):
    mix = mixer(pocket)
    assert shown(mix.picture).size == (64, 48)  # the content, before a run
    assert not any(slider.continuous_update for slider in (*mix.weights.values(), mix.style_weight))
    mix.weights["relu1_1"].value = 0.25  # begins a run
    mix.style_weight.value = 1e4
    last = finish(mix)
    settings = {"style_weight": 1e4, "style_layers": {"relu1_1": 0.25, "relu2_1": 1.0}}
    assert mix.settings() == settings
    *_, wanted = transfer(noise(1), noise(2), pocket, steps=4, content_layers=("relu2_1",), **settings)
    assert last.index == 4 and torch.equal(last.image, wanted.image)


def test_options_of_transfer_say_where_the_sliders_begin_and_styles_may_be_several(pocket):
    styles = {"left": (1.0, Style(noise(2))), "right": (0.5, Style(noise(3), "relu1_1"))}
    options = {"style_weight": 100.0, "style_layers": {"relu1_1": 0.5, "relu2_1": 2.0}, "tv_weight": 3.0, "seed": 4}
    mix = StyleMixer(noise(1), styles, pocket, 2, **options)
    assert mix.settings() == {"style_weight": 100.0, "style_layers": {"relu1_1": 0.25, "relu2_1": 1.0}}
    mix.run()
    *_, wanted = transfer(noise(1), styles, pocket, steps=2, **options)
    assert torch.equal(finish(mix).image, wanted.image)


@pytest.mark.parametrize("weight", [0.02, 0.5, 1.0, 1e7])
def test_the_slider_begins_at_any_weight(pocket, weight):
    assert StyleMixer(noise(1), noise(2), pocket, 2, style_weight=weight).settings()["style_weight"] == weight


@pytest.mark.parametrize("weight", [0, -1.0, float("nan"), "20"])
def test_a_weight_without_a_place_on_the_slider_is_said(pocket, weight):
    with pytest.raises(ParameterError, match="style_weight is .*; give a number above 0"):
        StyleMixer(noise(1), noise(2), pocket, 2, style_weight=weight)


def test_a_slider_that_moves_starts_the_run_anew_and_only_once(pocket, monkeypatch):
    gated, begun = Gated(), []
    monkeypatch.setattr(widgets, "transfer", lambda *_, **settings: begun.append(settings["style_layers"]) or gated())
    mix = mixer(pocket)
    mix.run_button.click()
    gated.let(3)
    for value in (0.5, 0.4, 0.3):
        mix.weights["relu2_1"].value = value
    assert mix.run_button.disabled and not mix.stop_button.disabled
    gated.gate.release()  # the step in hand; the next run begins
    gated.let(2)
    assert mix.step.index == 2
    mix.stop_button.click()
    gated.gate.release()
    assert finish(mix).index == 3
    assert begun == [{"relu1_1": 1.0, "relu2_1": 1.0}, {"relu1_1": 1.0, "relu2_1": 0.3}]
    assert not mix.run_button.disabled and mix.stop_button.disabled


def test_stop_also_ends_a_run_that_has_not_begun(pocket, monkeypatch):
    gated = Gated()
    monkeypatch.setattr(widgets, "transfer", lambda *_, **__: gated())
    mix = mixer(pocket)
    mix.run()
    gated.let(2)
    mix.weights["relu1_1"].value = 0.5  # waits for the step in hand
    mix.stop_button.click()
    gated.gate.release()
    assert finish(mix).index == 3 and gated.begun == 1
    assert not mix.run_button.disabled and mix.stop_button.disabled


def test_a_mix_of_nothing_is_a_red_line(pocket):
    mix = mixer(pocket)
    for slider in mix.weights.values():
        slider.value = 0
    with pytest.raises(ParameterError, match="no layer has a weight"):
        finish(mix)
    assert "no layer has a weight" in mix.message.value and not mix.run_button.disabled
    mix.weights["relu2_1"].value = 0.5
    assert finish(mix).index == 4 and mix.message.value == ""


def test_a_kernel_can_be_left_in_the_middle_of_a_run():
    """A thread that is inside torch when the interpreter ends would abort it ("terminate called ...")."""
    code = """
import nst_lesson as nst, torch
network, images = nst.load_backbone("random"), {name: torch.rand(1, 3, 64, 64) for name in "ab"}
live = nst.LiveTransfer(lambda: nst.transfer(images["a"], images["b"], network, steps=10**6), 10**6)
live.run()
while not live.step:
    assert live._thread.is_alive()
explorers = nst.LayerExplorer(network, images), nst.GramExplorer(network, images)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and "terminate" not in done.stderr, done.stderr


def pairs():
    """Three pairs of small pictures, told apart by their gray."""
    return {
        f"photo {n}": {"slow": torch.full((1, 3, 8, 12), 0.2), "fast": torch.full((1, 3, 8, 12), 0.8)} for n in "abc"
    }


def test_a_blind_vote_counts_what_stands_on_the_side_that_was_clicked():
    vote = BlindVote(pairs(), "Which?", seed=1)
    assert vote.votes == {"slow": 0, "fast": 0} and sorted(vote.key.values()) == ["fast"] * 3 + ["slow"] * 3
    for number in range(1, 4):  # one person, who always takes the same method
        assert f"Person 1, pair {number} of 3: Which?" in vote.caption.value
        vote.buttons["left" if vote.key[f"pair {number}, left"] == "fast" else "right"].click()
    assert "Person 2, pair 1 of 3" in vote.caption.value and vote.votes == {"slow": 0, "fast": 3}
    assert not any(name in vote.caption.value for name in vote.votes)
    vote.reveal_button.click()
    assert "fast: <b>3</b>" in vote.caption.value and all(button.disabled for button in vote.buttons.values())


def test_a_blind_vote_turns_half_of_the_pairs_and_shows_what_its_key_says():
    for seed in range(8):
        vote = BlindVote(pairs(), seed=seed)
        left = [vote.key[f"pair {number}, left"] for number in (1, 2, 3)]
        assert 1 <= left.count("fast") <= 2 and vote.key == BlindVote(pairs(), seed=seed).key
        middle = Image.open(io.BytesIO(vote.picture.value)).convert("L")
        gray = middle.getpixel((middle.width // 4, middle.height // 2))
        assert (gray > 128) == (left[0] == "fast")
    assert vote.sheet().data


@pytest.mark.parametrize("wrong", [{}, {"a": {"slow": torch.rand(1, 3, 8, 8)}}, pairs() | {"d": {"x": 0, "y": 0}}])
def test_a_blind_vote_is_between_two(wrong):
    with pytest.raises(ParameterError, match="between two"):
        BlindVote(wrong)
