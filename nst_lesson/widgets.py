"""What a student moves and clicks. Each widget works off the kernel's main thread and shows its errors."""

from __future__ import annotations

import html
import io
import threading
import time
import traceback
from collections.abc import Callable, Iterator

import ipywidgets
import torch

from .gatys import Step
from .images import to_pil

REDRAW_SECONDS = 0.2  # five pictures a second are enough for the eye and for a slow connection


class LiveTransfer(ipywidgets.VBox):
    """A run of steps that is watched as it paints: Run, Stop, a progress bar and the picture.

    `begin` makes a fresh iterator of Steps, for instance `lambda: nst.transfer(content, style, backbone, steps=100)`.
    The steps run in a thread, so the notebook stays usable and Stop takes effect after the step in hand. `.step` is the
    last Step (None before the first). An error is shown in the widget, and `wait()` raises it.
    """

    def __init__(self, begin: Callable[[], Iterator[Step]], steps: int, *, size: int = 384) -> None:
        self.begin, self.step, self.error = begin, None, None
        self._stop, self._thread = threading.Event(), None
        self.run_button = ipywidgets.Button(description="Run", icon="play")
        self.stop_button = ipywidgets.Button(description="Stop", icon="stop", disabled=True)
        self.bar = ipywidgets.IntProgress(max=steps, description="step 0")
        self.picture = ipywidgets.Image(format="jpeg", width=size, layout=ipywidgets.Layout(visibility="hidden"))
        self.message = ipywidgets.HTML()
        self.run_button.on_click(lambda _: self.run())
        self.stop_button.on_click(lambda _: self.stop())
        controls = ipywidgets.HBox([self.run_button, self.stop_button, self.bar])
        super().__init__([controls, self.picture, self.message])

    def run(self) -> None:
        """Start from the beginning. A second click while it runs does nothing."""
        if self._thread and self._thread.is_alive():
            return
        self._stop.clear()
        self.step, self.error, self.message.value = None, None, ""
        self.run_button.disabled, self.stop_button.disabled = True, False
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ask the run to end after the step in hand; the picture so far stays."""
        self._stop.set()

    def wait(self, timeout: float | None = None) -> Step | None:
        """Wait for the end of the run and return its last step; raise the error that ended it, if one did."""
        if self._thread:
            self._thread.join(timeout)
        if self.error:
            raise self.error
        return self.step

    def _work(self) -> None:
        drawn = 0.0
        try:
            with torch.enable_grad():  # a new thread does not inherit the caller's grad mode
                for step in self.begin():
                    self.step = step
                    if self._stop.is_set():
                        break
                    if time.monotonic() - drawn > REDRAW_SECONDS:
                        self._draw()
                        drawn = time.monotonic()
            if self.step:
                self._draw()
        except Exception as error:
            self.error = error
            text = html.escape("".join(traceback.format_exception_only(error)))
            self.message.value = f"<pre style='color:#b00020'>{text}</pre>"
        finally:
            self.run_button.disabled, self.stop_button.disabled = False, True

    def _draw(self) -> None:
        buffer = io.BytesIO()
        to_pil(self.step.image).save(buffer, format="jpeg", quality=88)
        self.picture.value, self.picture.layout.visibility = buffer.getvalue(), "visible"
        self.bar.value, self.bar.description = self.step.index, f"step {self.step.index}"
