"""A film in a notebook, as plain HTML: it needs no kernel, and plays on the page of an exported notebook."""

from __future__ import annotations

import html
import io
from collections.abc import Sequence

from IPython.display import HTML
from torch import Tensor

from ..errors import ParameterError, printable
from ..pictures.images import check_images, check_same_size, data_address, to_pil

MILLISECONDS = 80  # of a frame
QUALITY = 25  # of the WebP: two seconds of brush strokes at 256 pixels a side are 0.3 MB in a notebook


def show_film(frames: Sequence[Tensor], title: str) -> HTML:
    """Frames (1, 3, H, W) in [0, 1], again and again, above their title.

    They are stored as one animated WebP, a fraction of what a GIF takes. Raises ParameterError where there are none, or
    of different sizes.
    """
    if not frames:
        raise ParameterError("there are no frames to show: give at least one")
    named = {f"frame {number}": frame for number, frame in enumerate(frames)}
    check_images(**named)
    check_same_size(**named)
    first, *rest = map(to_pil, frames)
    buffer, text = io.BytesIO(), html.escape(printable(title))
    options = {"quality": QUALITY, "method": 6, "duration": MILLISECONDS, "loop": 0}
    first.save(buffer, "webp", save_all=True, append_images=rest, **options)
    source = data_address(buffer.getvalue(), "image/webp")
    return HTML(f'<figure style="margin: 0"><img alt="{text}" src="{source}"><figcaption>{text}</figcaption></figure>')
