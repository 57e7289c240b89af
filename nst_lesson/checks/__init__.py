"""Exercise checks, one module a lesson: `nst.check.paint(my_paint)` says in one line what is right or wrong."""

from .lesson00 import blend, mean_color, to_bytes
from .lesson01 import features_at, name_the_mistake, pixels_seen, vgg_table
from .lesson02 import content_loss_gradient, psnr, reconstruct, same_to_max_pooling
from .lesson03 import covariance, gram, mean_std_distance, style_gradient
from .lesson04 import gatys_style_term, paint, style_term, total_variation
from .lesson05 import beyond_chance, effect, experiment, pareto_front
from .lesson06 import draw_of, fast_loss, instance_norm, residual_block, resize_convolution
from .lesson07 import break_even, chance, flicker, median_seconds, steady
from .lesson08 import adain, blend_moments, stop_early, whiten_color
from .lesson09 import from_coarse_to_fine, masked_gram, match_mean_and_covariance, nearest_patch, swap_luminance
from .lesson10 import best_head, distillation_loss, multiply_adds, rank_correlation, square_map

# fmt: off
__all__ = [
    "adain", "best_head", "beyond_chance", "blend", "blend_moments", "break_even", "chance", "content_loss_gradient",
    "covariance", "distillation_loss", "draw_of", "effect", "experiment", "fast_loss", "features_at", "flicker",
    "from_coarse_to_fine", "gatys_style_term", "gram", "instance_norm", "masked_gram", "match_mean_and_covariance",
    "mean_color", "mean_std_distance", "median_seconds", "multiply_adds", "name_the_mistake", "nearest_patch", "paint",
    "pareto_front", "pixels_seen", "psnr", "rank_correlation", "reconstruct", "residual_block", "resize_convolution",
    "same_to_max_pooling", "square_map", "steady", "stop_early", "style_gradient", "style_term", "swap_luminance",
    "to_bytes", "total_variation", "vgg_table", "whiten_color",
]
