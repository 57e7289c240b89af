"""What a student moves and clicks. Each widget works off the kernel's main thread and shows its errors.

They use only what ipywidgets 7.7 (Colab) and 8 share, and in a thread never pyplot, which belongs to the main thread.
"""

from __future__ import annotations

import atexit
import html
import math
import random
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import anywidget
import ipywidgets
import torch
from IPython.display import Image
from torch import Tensor

from ..errors import LessonError, ParameterError
from ..methods.gatys import Step, transfer
from ..methods.losses import FeatureExtractor, gram_matrix, layer_shares, style_loss
from ..methods.objective import STYLE_SHARES, STYLE_WEIGHT, Term
from ..networks.backbones import STYLE_LAYERS, Backbone, layer_names
from ..pictures.images import check_images, data_address, encoded, load_image
from .show import show_images, show_maps

REDRAW_SECONDS = 0.2  # five pictures a second are enough for the eye and for a slow connection
PROBE_SIDE = 96  # pixels: enough for every network of torchvision, and a few milliseconds of work
SIDES = ("left", "right")
EXIT_SECONDS = 5.0  # to wait at the interpreter's exit: it aborts where a thread is still inside torch


class Worker(ipywidgets.VBox):
    """A widget that works in a thread, so that the notebook stays usable: the base of those below.

    One request is worked on at a time, and the latest of those that wait is the next; the others are dropped. An error
    is shown in the widget, in red, and `wait()` raises it.
    """

    def __init__(self, *children: ipywidgets.Widget) -> None:
        self.error: Exception | None = None
        self.message = ipywidgets.HTML()
        self._lock, self._busy = threading.Lock(), False
        self._thread: threading.Thread | None = None
        self._next: Callable[[], None] | None = None
        super().__init__([*children, self.message])

    def show_busy(self, busy: bool) -> None:
        """Called as the work begins and as it ends, for buttons that follow it."""

    def request(self, work: Callable[[], None]) -> None:
        """Have `work` done in the thread, instead of one that waits there; returns at once."""
        with self._lock:
            self._next = work
            if not self._busy:
                self._busy = True
                _at_work.add(self)
                self.show_busy(True)
                self._thread = threading.Thread(target=self._serve, daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """Drop the request that waits."""
        with self._lock:
            self._next = None

    def wait(self, timeout: float | None = None) -> Any:
        """Wait until all is done, or for `timeout` seconds; raise the error that ended the last work, if one did."""
        if self._thread:
            self._thread.join(timeout)
        if self.error:
            raise self.error

    def _take(self) -> Callable[[], None] | None:
        """The next request; if there is none, the thread is at its end."""
        with self._lock:
            work, self._next = self._next, None
            if not work:
                self._busy = False
                _at_work.discard(self)
                self.show_busy(False)
            return work

    def _serve(self) -> None:
        while work := self._take():
            self.error, self.message.value = None, ""
            try:
                with torch.enable_grad():  # a new thread does not inherit the caller's grad mode
                    work()
            except Exception as error:
                self.error = error
                bad_input = isinstance(error, LessonError)  # whose one line says all
                text = str(error) if bad_input else "".join(traceback.format_exception_only(error))
                self.message.value = (
                    f"<pre style='color:var(--jp-error-color1,#d32f2f);white-space:pre-wrap'>{html.escape(text)}</pre>"
                )


_at_work: set[Worker] = set()


@atexit.register
def _leave() -> None:
    for worker in (leaving := list(_at_work)):
        worker.stop()
    for worker in leaving:
        if worker._thread:
            worker._thread.join(EXIT_SECONDS)


class SliderNames(anywidget.AnyWidget):
    """An empty widget that names the sliders beside it by their labels, for screen readers; ipywidgets does not."""

    _esm = """
    export default { render({ el }) {
      const name = () => el.closest(".widget-vbox")?.querySelectorAll("[role=slider]").forEach((slider) => {
        slider.ariaLabel = slider.closest(".widget-slider").querySelector(".widget-label").textContent;
      });
      requestAnimationFrame(function watch() {
        const box = el.closest(".widget-vbox");
        if (!box) return requestAnimationFrame(watch);
        new MutationObserver(name).observe(box, { childList: true, subtree: true });
        name();
      });
    } };
    """


def slider_names() -> list[SliderNames]:
    """SliderNames, where sliders have a role that can be named: from ipywidgets 8 on."""
    return [SliderNames()] if int(ipywidgets.__version__.split(".")[0]) >= 8 else []


class LiveTransfer(Worker):
    """A run of steps that is watched as it paints: Run, Stop, a progress bar and the picture.

    `begin` makes a fresh iterator of Steps, for instance `lambda: nst.transfer(content, style, backbone, steps=100)`.
    Stop takes effect after the step in hand. `.step` is the last Step (None before the first). `first` is a picture
    (1, 3, H, W) in [0, 1] to show until Run is pressed. *Save picture*, once a run has ended, is a download.
    """

    def __init__(
        self, begin: Callable[[], Iterator[Step]], steps: int, *, size: int = 384, first: Tensor | None = None
    ) -> None:
        self.begin = begin
        self.step: Step | None = None
        self._stop = threading.Event()
        self.run_button = ipywidgets.Button(description="Run", icon="play")
        self.stop_button = ipywidgets.Button(description="Stop", icon="stop", disabled=True)
        self.bar = ipywidgets.IntProgress(max=steps, description="step 0")
        self.picture = ipywidgets.Image(format="jpeg", width=size, layout=ipywidgets.Layout(visibility="hidden"))
        self.run_button.on_click(lambda _: self.run())
        self.stop_button.on_click(lambda _: self.stop())
        self.save = ipywidgets.HTML()
        self.controls = _row(self.run_button, self.stop_button, self.bar, self.save)
        super().__init__(self.controls, self.picture)
        if first is not None:
            check_images(first=first)
            self._show(first)

    def run(self) -> None:
        """Start from the beginning. A second click while it runs does nothing."""
        if not self._busy:
            self.restart()

    def restart(self) -> None:
        """Start from the beginning, also while it runs: the run in hand ends after its step."""
        self._stop.set()
        self._stop = threading.Event()  # each run has its own
        self.request(partial(self._paint, self._stop))

    def stop(self) -> None:
        """Ask the run to end after the step in hand; the picture so far stays."""
        super().stop()
        self._stop.set()

    def wait(self, timeout: float | None = None) -> Step | None:
        """Wait for the end of the run and return its last step; raise the error that ended it, if one did."""
        super().wait(timeout)
        return self.step

    def show_busy(self, busy: bool) -> None:
        """While it runs there is something to stop, and nothing to run."""
        self.run_button.disabled, self.stop_button.disabled = busy, not busy

    def _paint(self, stop: threading.Event) -> None:
        """Take the steps until `stop`, and draw some of them."""
        self.step, self.save.value, drawn = None, "", 0.0
        for step in self.begin():
            self.step = step
            if stop.is_set():
                break
            if time.monotonic() - drawn > REDRAW_SECONDS:
                self._draw(step)
                drawn = time.monotonic()
        if self.step:
            self._draw(self.step)
            self.save.value = _download(self.step.image, f"step_{self.step.index}.png")

    def _draw(self, step: Step) -> None:
        self._show(step.image)
        self.bar.value, self.bar.description = step.index, f"step {step.index}"

    def _show(self, image: Tensor) -> None:
        self.picture.value, self.picture.layout.visibility = encoded(image, "jpeg", quality=88), "visible"


class StyleMixer(LiveTransfer):
    """Style transfer with a slider for the weight of each style layer and one for style against content, β / α.

    Of the layers' weights only the ratios count. A slider that is moved starts a run from the beginning, also while one
    runs: the picture is what `transfer` makes with `settings()`, whatever came before. `style` and `options` are those
    of `transfer`; `style_weight`, above 0, and `style_layers` among them say where the sliders begin.
    """

    def __init__(
        self,
        content: Tensor,
        style: Tensor | Mapping[str, tuple[float, Term]],
        backbone: FeatureExtractor,
        steps: int = 60,
        *,
        size: int = 384,
        **options: Any,
    ) -> None:
        weight = options.pop("style_weight", STYLE_WEIGHT)
        if not isinstance(weight, (int, float)) or not 0 < weight < math.inf:
            raise ParameterError(f"style_weight is {weight!r}; give a number above 0, where the slider begins")
        power = math.log10(weight)  # what the slider's ends are, too
        shares = layer_shares(options.pop("style_layers", STYLE_SHARES))
        self.weights = {
            name: ipywidgets.FloatSlider(share / max(shares.values()), max=1, step=0.05, description=name)
            for name, share in shares.items()
        }
        ends = {"min": min(0, math.floor(power)), "max": max(6, math.ceil(power))}
        self.style_weight = ipywidgets.FloatLogSlider(
            weight, step=0.25, description="β / α", readout_format=",.3r", **ends
        )
        super().__init__(
            lambda: transfer(content, style, backbone, steps=steps, **options, **self.settings()),
            steps,
            size=size,
            first=content,
        )
        sliders = [*self.weights.values(), self.style_weight]
        for slider in sliders:
            slider.continuous_update = False  # a run for each place on the way would be many
            slider.observe(lambda _: self.restart(), "value")
        self.children = [self.controls, _row(self.picture, ipywidgets.VBox(sliders)), self.message, *slider_names()]

    def settings(self) -> dict[str, Any]:
        """What the sliders say, as arguments of `transfer`."""
        layers = {name: slider.value for name, slider in self.weights.items()}
        return {"style_weight": self.style_weight.value, "style_layers": layers}


class Explorer(Worker):
    """The common part of the explorers: menus of pictures, a button for one of yours, and a menu of layers.

    `images` is {title: (1, 3, H, W) in [0, 1]}; `menus` are the labels of as many menus of them; a subclass has
    `draw()`, which shows what is chosen. Raises ParameterError for no pictures or layers, for something that is no
    picture, and for an unknown layer.
    """

    def __init__(
        self, backbone: Backbone, images: Mapping[str, Tensor], layers: str | Sequence[str], menus: Sequence[str]
    ) -> None:
        if not images or not layers:
            raise ParameterError("there is nothing to explore: give at least one picture and one layer")
        check_images(**images)
        layers = layer_names(layers)
        self.backbone, self.images, titles = backbone, dict(images), list(images)
        probe = images[titles[0]].new_zeros(1, 3, PROBE_SIDE, PROBE_SIDE)
        with torch.no_grad():
            self.channels = {layer: f.shape[1] for layer, f in backbone(probe, layers).items()}
        self.menus = [
            ipywidgets.Dropdown(options=titles, index=min(n, len(titles) - 1), description=label)
            for n, label in enumerate(menus)
        ]
        self.layer = ipywidgets.Dropdown(options=layers, description="layer")
        self.upload = ipywidgets.FileUpload(
            accept="image/*", description="Your picture", tooltip="show a picture file of yours"
        )
        self.caption = ipywidgets.HTML()
        self._uploads: deque[bytes] = deque()
        self._received, self._taken = 0, 0  # uploads that came, and those that the thread has dealt with
        self._own = 0  # pictures that were uploaded and could be read
        super().__init__()
        self.upload.observe(lambda change: self._receive(change["new"]), "value")
        self.draw_on_change(*self.menus, self.layer)

    def draw(self) -> None:
        """Show what is chosen; runs in the thread."""
        raise NotImplementedError

    def draw_on_change(self, *controls: ipywidgets.Widget) -> None:
        """A new value of one of `controls` asks for a new drawing."""
        for control in controls:
            control.observe(lambda _: self.refresh(), "value")

    def refresh(self) -> None:
        """Ask for a new drawing; returns at once.

        The drawing takes the uploads that came before it was asked for and leaves a later one to the later request:
        taken early, its error would be gone with that request's drawing.
        """
        self.request(partial(self._take_uploads_and_draw, self._received))

    def features(self, title: str, layer: str) -> Tensor:
        """Features (1, C, H', W') of the picture `title` at `layer`."""
        with torch.no_grad():
            return self.backbone(self.images[title], [layer])[layer]

    def _receive(self, value: Any) -> None:
        """Keep uploaded files for the thread. They come as {name: file} in ipywidgets 7 and as a tuple in 8."""
        files = value.values() if isinstance(value, Mapping) else value
        contents = [bytes(file["content"]) for file in files]
        self._uploads.extend(contents)
        self._received += len(contents)
        self.refresh()

    def _take_uploads_and_draw(self, received: int) -> None:
        while self._taken < received:
            self._taken += 1
            first = next(iter(self.images.values()))
            image = load_image(self._uploads.popleft(), max(first.shape[2:]), device=first.device)
            self._own += 1
            self.images[f"your picture {self._own}"] = image
            for menu in self.menus:
                kept = menu.value
                menu.options = list(self.images)  # chooses the first
                menu.value = kept
            self.menus[0].value = menu.options[-1]
        self.draw()


class LayerExplorer(Explorer):
    """What each channel of each layer of a network answers to a picture.

    `images` is {title: (1, 3, H, W) in [0, 1]}; `layers` are names, by default all of the backbone's. The channels are
    numbered, or sorted by their energy, the mean square of the map. Raises ParameterError as `Explorer` does.
    """

    def __init__(
        self, backbone: Backbone, images: Mapping[str, Tensor], layers: str | Sequence[str] | None = None
    ) -> None:
        super().__init__(backbone, images, layers or backbone.layers, ["picture"])
        self.channel = ipywidgets.IntSlider(description="channel", continuous_update=False)
        self.strongest = ipywidgets.Checkbox(description="strongest first", indent=False, layout={"width": "auto"})
        self.picture, self.map = (ipywidgets.Image(format="jpeg") for _ in range(2))
        self.layer.observe(lambda _: self._fit_slider(), "value")
        self._fit_slider()
        self.draw_on_change(self.channel, self.strongest)
        choice, place = _row(*self.menus, self.upload), _row(self.layer, self.channel, self.strongest)
        self.children = [choice, place, self.caption, _row(self.picture, self.map), self.message, *slider_names()]
        self.refresh()

    def _fit_slider(self) -> None:
        self.channel.max = self.channels[self.layer.value] - 1

    def draw(self) -> None:
        """The picture and the map."""
        title, layer = self.menus[0].value, self.layer.value
        features = self.features(title, layer)[0]
        energy = features.square().mean((1, 2))
        order = energy.argsort(descending=True) if self.strongest.value else torch.arange(len(energy))
        index = int(order[min(self.channel.value, len(order) - 1)])
        chosen = features[index]
        rank = int((energy > energy[index]).sum()) + 1
        count, height, width = features.shape
        self.caption.value = (
            f"<b>{layer}</b>, channel <b>{index}</b> of {count}: {height} × {width} values from {chosen.min():.3g} "
            f"to {chosen.max():.3g}, mean square {energy[index]:.3g} (rank {rank})"
        )
        self.picture.value = show_images({title: self.images[title]}, width=4).data
        self.map.value = show_maps({f"{layer}, channel {index}": chosen}, width=4).data


class GramExplorer(Explorer):
    """The Gram matrices of two pictures at a layer, their difference and their distance.

    `images` is {title: (1, 3, H, W) in [0, 1]}. The three matrices share one scale, on which 0 is white. The distance
    is |G - A|^2 / |A|^2: the style loss of a picture with the Gram matrix G against a style with A. Raises
    ParameterError as `Explorer` does.
    """

    def __init__(
        self, backbone: Backbone, images: Mapping[str, Tensor], layers: str | Sequence[str] = STYLE_LAYERS
    ) -> None:
        super().__init__(backbone, images, layers, ["picture", "style"])
        self.pictures, self.matrices = (ipywidgets.Image(format="jpeg") for _ in range(2))
        choice, place = _row(*self.menus), _row(self.layer, self.upload)
        self.children = [choice, place, self.caption, _row(self.pictures), _row(self.matrices), self.message]
        self.refresh()

    def draw(self) -> None:
        """The two pictures, the three matrices and the distance."""
        titles, layer = [menu.value for menu in self.menus], self.layer.value
        gram, target = (gram_matrix(self.features(title, layer)) for title in titles)
        self.caption.value = (
            f"<b>{layer}</b>: G and A are {gram.shape[1]} × {gram.shape[2]}; "
            f"|G − A|² / |A|² = <b>{style_loss(gram, target).item():.3g}</b>"
        )
        labels = [f"{letter}: {title}" for letter, title in zip("GA", titles, strict=True)]
        pictures = {label: self.images[title] for label, title in zip(labels, titles, strict=True)}
        self.pictures.value = show_images(pictures, width=5).data
        matrices = {"Gram matrix G": gram[0], "Gram matrix A": target[0], "G − A": (gram - target)[0]}
        self.matrices.value = show_maps(
            matrices, width=10, signed=True, label="entry", axes=("channel", "channel")
        ).data


class BlindVote(ipywidgets.VBox):
    """Two pictures side by side, of which a person chooses one without knowing whose they are; the votes are counted.

    `pairs` is {title: {name: (1, 3, H, W) in [0, 1]}}, with the same two names each time. `seed` draws the order of the
    pairs and the sides, such that each name stands left in half of them. A click shows the next pair, and after the
    last one the next person begins. Reveal ends the vote. `votes` is {name: clicks}; `key` says what `sheet` shows,
    {"pair 1, left": name}. Raises ParameterError for no pairs, and where the names are not two and the same.
    """

    def __init__(
        self,
        pairs: Mapping[str, Mapping[str, Tensor]],
        question: str = "Which one do you like better?",
        *,
        seed: int = 0,
    ) -> None:
        names = list(next(iter(pairs.values()), ()))
        if len(names) != 2 or any(set(pair) != set(names) for pair in pairs.values()):
            raise ParameterError("a vote is between two: give {title: {name: picture, other name: picture}}")
        draw = random.Random(seed)
        turned = draw.sample([n % 2 == 1 for n in range(len(pairs))], len(pairs))
        sides = [names[::-1] if turn else names for turn in turned]
        self._pairs = {f"pair {n}": pairs[title] for n, title in enumerate(draw.sample(list(pairs), len(pairs)), 1)}
        self.key = {
            f"{pair}, {side}": name
            for pair, order in zip(self._pairs, sides, strict=True)
            for side, name in zip(SIDES, order, strict=True)
        }
        self.votes, self.question = dict.fromkeys(names, 0), question
        self.caption = ipywidgets.HTML()
        self.picture = ipywidgets.Image(format="jpeg")
        self.buttons = {side: ipywidgets.Button(description=side) for side in SIDES}
        for side, button in self.buttons.items():
            button.on_click(lambda _, side=side: self.vote(side))
        self.reveal_button = ipywidgets.Button(description="Reveal")
        self.reveal_button.on_click(lambda _: self.reveal())
        super().__init__([self.caption, self.picture, _row(*self.buttons.values(), self.reveal_button)])
        self._ask()

    def vote(self, side: str) -> None:
        """Count a vote for what stands on that side, "left" or "right", and show the next pair; none after `reveal`."""
        if self.buttons[side].disabled:
            return
        self.votes[self.key[f"{self._pair}, {side}"]] += 1
        self._ask()

    def reveal(self) -> None:
        """Say what was counted. There is no vote after it: nobody would be blind any more."""
        counts = ", ".join(f"{html.escape(name)}: <b>{count}</b>" for name, count in self.votes.items())
        where = "; ".join(f"{place}: {html.escape(name)}" for place, name in self.key.items())
        self.caption.value = f"{counts}<br>{where}"
        for button in self.buttons.values():
            button.disabled = True

    def sheet(self) -> Image:
        """All pairs as one still picture, for a vote by hands, or on a page that cannot run code."""
        return show_images(
            {place: self._pairs[place.split(",")[0]][name] for place, name in self.key.items()}, columns=2
        )

    def _ask(self) -> None:
        """Show the pair that is next."""
        person, number = divmod(sum(self.votes.values()), len(self._pairs))
        self._pair = list(self._pairs)[number]
        self.caption.value = f"Person {person + 1}, {self._pair} of {len(self._pairs)}: {html.escape(self.question)}"
        shown = {side: self._pairs[self._pair][self.key[f"{self._pair}, {side}"]] for side in SIDES}
        self.picture.value = show_images(shown).data


def _download(image: Tensor, name: str) -> str:
    """A link that looks like a button and saves a picture, which is in the link itself."""
    address = data_address(encoded(image, "png"), "image/png")
    return f'<a class="jupyter-button" download="{name}" href="{address}">Save picture</a>'


def _row(*children: ipywidgets.Widget) -> ipywidgets.HBox:
    """Side by side, and below each other where the page is narrow."""
    return ipywidgets.HBox(children, layout=ipywidgets.Layout(flex_flow="row wrap"))
