"""Exercise checks, one module a lesson: `nst.check.paint(my_paint)` says in one line what is right or wrong."""

from .lesson00 import blend, mean_color, to_bytes
from .lesson01 import conv_cost, features_at, normalize_image, receptive_field
from .lesson04 import gatys_style_term, paint, total_variation_l1

__all__ = [
    "blend",
    "conv_cost",
    "features_at",
    "gatys_style_term",
    "mean_color",
    "normalize_image",
    "paint",
    "receptive_field",
    "to_bytes",
    "total_variation_l1",
]
