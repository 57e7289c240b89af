"""Paint photographs of any size in one pass with a trained network, and say how much of the painting shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import Tensor

from ..pictures.colors import keep_luminance
from ..pictures.enlarge import enlarge
from ..pictures.images import resize
from .any_style import AnyStyleNetwork, stylize_any
from .transformer import TransformationNetwork, stylize

STYLE_SIZE = 384  # longer side of a painting in pixels: its strokes come out as large as they are in it
LARGE = 1536  # longer side in pixels: a photograph above it is painted smaller, or its strokes would be hair-thin
STROKES = 1024  # longer side at which a large photograph is painted


@dataclass(frozen=True)
class Painter:
    """A network for one painting, or one for any with its `paintings`, and how it is used.

    `paintings` (1, 3, h, w) count by `weights` (None: equally). A photograph is painted at `strokes` pixels (longer
    side; None: at its own size up to LARGE pixels, else at STROKES) and the painting enlarged: fewer pixels are larger
    strokes. `strength`, from 0 to 1, lays the painting over the photograph; `keep_colors` takes only its brightness.
    """

    network: TransformationNetwork | AnyStyleNetwork
    paintings: Sequence[Tensor] = field(default=(), repr=False)
    weights: Sequence[float] | None = None
    strokes: int | None = None
    strength: float = 1.0
    keep_colors: bool = False

    def __call__(self, photo: Tensor) -> Tensor:
        """The photograph (1, 3, H, W), RGB in [0, 1], painted: the same shape and range."""
        scale = self.scale(photo.shape[2], photo.shape[3])
        small = photo if scale == 1 else resize(photo, scale)
        painted = self._painted(small)
        if small is not photo:
            painted = enlarge(painted, small, photo)
        if self.keep_colors:
            painted = keep_luminance(painted, photo)
        return painted if self.strength == 1 else photo.lerp(painted, self.strength)

    def scale(self, height: int, width: int) -> float:
        """What a picture of so many pixels is reduced to before it is painted, 1 at most."""
        longer = max(height, width)
        wanted = (STROKES if longer > LARGE else longer) if self.strokes is None else self.strokes
        return min(1.0, wanted / longer)

    def _painted(self, photo: Tensor) -> Tensor:
        if isinstance(self.network, AnyStyleNetwork):
            return stylize_any(self.network, photo, self.paintings, weights=self.weights)
        return stylize(self.network, photo)
