"""Pictures under a slider, as plain HTML: they need no kernel, and work on the page of an exported notebook."""

from __future__ import annotations

import html
from collections.abc import Mapping

from IPython.display import HTML
from torch import Tensor

from ..errors import ParameterError
from ..pictures.images import check_images, data_address, encoded

QUALITY = 65  # of the JPEGs: two busy pictures of 384 x 384 pixels stay below 90 KB

# The handler names no element, so a page can have any number of these. JupyterLab is told to leave the arrow keys
# alone. In a notebook that is not trusted it keeps neither handlers nor most styles: then the two halves are seen.
PAGE = """
<div style="width: {width}px; max-width: 100%">
  <div style="position: relative; font: 12px sans-serif; color: #fff">
    <img alt="{1}" src="{3}" style="display: block; width: 100%; margin: 0">
    <div style="position: absolute; top: 0; left: 0; width: 50%; height: 100%; overflow: hidden;
      box-shadow: 2px 0 #fff">
      <img alt="{0}" src="{2}" style="display: block; width: 200%; max-width: none; height: 100%; margin: 0">
    </div>
    <span style="position: absolute; left: 6px; bottom: 6px; padding: 1px 5px; background: #0009">{0}</span>
    <span style="position: absolute; right: 6px; bottom: 6px; padding: 1px 5px; background: #0009">{1}</span>
  </div>
  <input type="range" min="0" max="100" value="50" aria-label="how much of {0} is seen over {1}, in percent"
    style="display: block; width: 100%; margin: 4px 0" data-lm-suppress-shortcuts="true"
    oninput="const upper = this.previousElementSibling.children[1]; upper.style.width = this.value + '%';
      upper.firstElementChild.style.width = 10000 / this.value + '%'">
</div>
"""

# The same for any number of pictures, of which one is seen: the last one if there is no handler.
STACK = """
<div style="width: {width}px; max-width: 100%">
  <div>{pictures}</div>
  <input type="range" min="0" max="{last}" value="{last}" aria-label="{name}"
    style="display: block; width: 100%; margin: 4px 0" data-lm-suppress-shortcuts="true"
    oninput="for (const [n, e] of Array.from(this.previousElementSibling.children).entries())
      e.style.display = n == this.value ? 'block' : 'none'">
  <span style="display: block; font: 13px sans-serif; text-align: center" aria-hidden="true">{name}</span>
</div>
"""
LAYER = """<div style="display: {display}; position: relative; font: 12px sans-serif; color: #fff">
    <img alt="{label}" src="{source}" style="display: block; width: 100%; margin: 0">
    <span style="position: absolute; left: 6px; bottom: 6px; padding: 1px 5px; background: #0009">{label}</span>
  </div>"""


class BeforeAfter(HTML):
    """Two pictures of one size, and a slider that uncovers one under the other.

    Both are (1, 3, H, W) in [0, 1]; `labels` name them. They are shown with the longer side `size` pixels long, and
    stored no larger. Raises ParameterError where their sizes differ.
    """

    def __init__(
        self, before: Tensor, after: Tensor, *, labels: tuple[str, str] = ("before", "after"), size: int = 384
    ) -> None:
        check_images(before=before, after=after)
        if before.shape != after.shape:
            raise ParameterError(f"the pictures differ in size: {tuple(before.shape)} and {tuple(after.shape)}")
        self.labels, width = labels, round(size * before.shape[3] / max(before.shape[2:]))
        sources = (_embedded(image, size) for image in (before, after))
        super().__init__(PAGE.format(*map(html.escape, labels), *sources, width=width))

    def __repr__(self) -> str:
        """The names of the pictures, for a viewer without HTML."""
        return "BeforeAfter({!r}, {!r})".format(*self.labels)


class PictureSlider(HTML):
    """Pictures that were computed beforehand, {label: (1, 3, H, W) in [0, 1]}, one at a time, and a slider over them.

    `name` says what the slider changes. They are shown with the longer side `size` pixels long, and stored no larger.
    Raises ParameterError where there are fewer than two.
    """

    def __init__(self, pictures: Mapping[str, Tensor], name: str, *, size: int = 256) -> None:
        if len(pictures) < 2:
            raise ParameterError(f"{len(pictures)} picture(s) under a slider: give at least two, as {{label: picture}}")
        check_images(**{f"picture {label}": image for label, image in pictures.items()})
        self.name, self.labels, last = name, list(pictures), len(pictures) - 1
        layers = (
            LAYER.format(
                display="block" if n == last else "none", label=html.escape(label), source=_embedded(image, size)
            )
            for n, (label, image) in enumerate(pictures.items())
        )
        width = max(round(size * i.shape[3] / max(i.shape[2:])) for i in pictures.values())
        super().__init__(STACK.format(width=width, pictures="\n  ".join(layers), last=last, name=html.escape(name)))

    def __repr__(self) -> str:
        """What slides, for a viewer without HTML."""
        return f"PictureSlider({self.name!r}: {', '.join(self.labels)})"


def _embedded(image: Tensor, size: int) -> str:
    """A picture as a data address, which puts it into the page itself."""
    return data_address(encoded(image, "jpeg", size, quality=QUALITY, optimize=True), "image/jpeg")
