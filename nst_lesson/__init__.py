"""Neural style transfer, taught by running it. `import nst_lesson as nst` is all that a lesson imports of it."""

import os
import signal
import sys

# The command is interrupted without a traceback also while torch is loaded, which takes seconds.
_program = os.path.splitext(os.path.basename(sys.argv[0]))[0]
if _program in ("nst-lesson", "-m") and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))  # 128 + SIGINT; `cli.main` takes it over

# torch's threads spin while they wait for each other, and two programs on two cores then hinder each other tenfold. If
# they sleep at once, a step on a small picture takes twice as long. So they sleep; where OpenMP is GNU's, as in torch
# for Linux, they spin for some microseconds first. OpenMP reads this as torch is loaded; programs that are started from
# here, such as a lesson's kernel, inherit it.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

from . import checks as check
from .errors import LessonError
from .methods import distillation
from .methods.any_style import reconstruction_loss
from .methods.checkpoint import Checkpoint
from .methods.gatys import Step, coarse_to_fine, optimize, reconstruct, solver, synthesize_texture, transfer
from .methods.losses import NORMALIZATIONS, content_loss, gram_matrix, style_loss, total_variation
from .methods.metrics import content_distance, peak_memory_mb, save_results, style_distance
from .methods.objective import STYLE_SHARES, Content, Objective, Patches, Smoothness, Style, transfer_terms
from .methods.statistics import layer_mask, nearest_patches
from .methods.training import Hardware, evaluate, stylizing_loss, train
from .networks.any_style import AnyStyleNetwork, stylize_any, transport
from .networks.backbones import CONTENT_LAYERS, STYLE_LAYERS, VGG, load_backbone, resolve_device, stand_ins
from .networks.models import load_model, save_model, style_model_names
from .networks.transformer import TransformationNetwork, stylize
from .paths import cache_dir, data_dir, run_folder
from .pictures.colors import keep_luminance, match_colors, moments
from .pictures.films import read_film
from .pictures.images import download_names, load_image, photo_names, save_image, style_names, to_pil
from .pictures.motion import steadied
from .pictures.photographs import Photographs
from .view.diagram import show_diagram
from .view.film import show_film
from .view.masks import MaskPainter
from .view.progress import progress
from .view.show import closeup, figure_image, plain_ticks, plot_losses, show_images, show_maps
from .view.sliders import BeforeAfter, PictureSlider
from .view.widgets import BlindVote, GramExplorer, LayerExplorer, LiveTransfer, StyleMixer

__version__ = "0.3.0"

# fmt: off
__all__ = [
    "CONTENT_LAYERS", "NORMALIZATIONS", "STYLE_LAYERS", "STYLE_SHARES", "VGG", "AnyStyleNetwork", "BeforeAfter",
    "BlindVote", "Checkpoint", "Content", "GramExplorer", "Hardware", "LayerExplorer", "LessonError", "LiveTransfer",
    "MaskPainter", "Objective", "Patches", "Photographs", "PictureSlider", "Smoothness", "Step", "Style", "StyleMixer",
    "TransformationNetwork", "cache_dir", "check", "closeup", "coarse_to_fine", "content_distance", "content_loss",
    "data_dir", "distillation", "download_names", "evaluate", "figure_image", "gram_matrix", "keep_luminance",
    "layer_mask", "load_backbone", "load_image", "load_model", "match_colors", "moments", "nearest_patches", "optimize",
    "peak_memory_mb", "photo_names", "plain_ticks", "plot_losses", "progress", "read_film", "reconstruct",
    "reconstruction_loss", "resolve_device", "run_folder", "save_image", "save_model", "save_results", "show_diagram",
    "show_film", "show_images", "show_maps", "solver", "stand_ins", "steadied", "style_distance", "style_loss",
    "style_model_names", "style_names", "stylize", "stylize_any", "stylizing_loss", "synthesize_texture", "to_pil",
    "total_variation", "train", "transfer", "transfer_terms", "transport",
]
