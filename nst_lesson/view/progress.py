"""A loop that says how far it is: a bar in JupyterLab and Colab, one line in a stored notebook, tqdm in a terminal."""

from __future__ import annotations

import html
import time
from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

from IPython.core.getipython import get_ipython
from IPython.display import display
from tqdm import tqdm

T = TypeVar("T")
REDRAW_SECONDS = 0.5


def progress(items: Iterable[T], total: int | None = None, what: str = "") -> Iterator[T]:
    """Hand on the items one by one, and show how many of `total` are done and how many seconds are left.

    `total` is their number where `len(items)` does not say it, as with a generator:

        for step in nst.progress(nst.transfer(content, style, backbone, steps=200), 200, "main run"):

    At the end, or where the loop is left early, one line stays: *main run: 200 of 200*.
    """
    total = len(items) if total is None and isinstance(items, Sized) else total
    if getattr(get_ipython(), "kernel", None) is None:
        yield from tqdm(items, what, total, disable=None)  # None: not where nobody looks at a terminal
        return
    count, begin = 0, time.monotonic()
    drawn, shown = begin, display(_line(what, 0, total, None), raw=True, display_id=True)
    try:
        for count, item in enumerate(items, 1):
            yield item
            now = time.monotonic()
            if now - drawn >= REDRAW_SECONDS:
                drawn = now
                shown.update(_line(what, count, total, (now - begin) / count), raw=True)
    finally:
        shown.update(_line(what, count, total, None), raw=True)


def _line(what: str, count: int, total: int | None, pace: float | None) -> dict[str, str]:
    """The line for a notebook, as text and, while it runs at `pace` seconds an item, with a bar."""
    text = f"{what}: {count}".removeprefix(": ") + (f" of {total}" if total else "")
    if pace is None or not total:
        return {"text/plain": text}
    left = f"{text}, {pace * max(0, total - count):.0f} s left"
    bar = f'<progress max="{total}" value="{count}" aria-label="{html.escape(what)}"></progress> {html.escape(left)}'
    return {"text/plain": left, "text/html": bar}
