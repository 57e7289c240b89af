"""Neural style transfer, taught by running it. `import nst_lesson as nst` is all that a lesson needs."""

from . import checks as check
from .backbones import STYLE_LAYERS, load_backbone, resolve_device, stand_ins
from .control import (
    keep_luminance,
    layer_mask,
    make_control_objective,
    match_colors,
    nearest_patches,
    patch_term,
    style_term,
)
from .errors import LessonError
from .gatys import (
    CONTENT_LAYERS,
    Step,
    coarse_to_fine,
    make_objective,
    optimize,
    reconstruct,
    synthesize_texture,
    transfer,
)
from .images import download_names, load_image, photo_names, save_image, style_names, to_pil
from .losses import NORMALIZATIONS, PerceptualLoss, content_loss, gram_matrix, style_loss, total_variation
from .masks import MaskPainter
from .metrics import content_distance, peak_memory_mb, save_results, style_distance
from .paths import data_dir, run_folder
from .show import figure_image, plot_losses, show_images, show_maps
from .sliders import BeforeAfter, PictureSlider
from .transformer import (
    TransformationNetwork,
    load_style_model,
    save_style_model,
    style_model_names,
    stylize,
)
from .widgets import GramExplorer, LayerExplorer, LiveTransfer, StyleMixer

__all__ = [
    "CONTENT_LAYERS",
    "NORMALIZATIONS",
    "STYLE_LAYERS",
    "BeforeAfter",
    "GramExplorer",
    "LayerExplorer",
    "LessonError",
    "LiveTransfer",
    "MaskPainter",
    "PerceptualLoss",
    "PictureSlider",
    "Step",
    "StyleMixer",
    "TransformationNetwork",
    "check",
    "coarse_to_fine",
    "content_distance",
    "content_loss",
    "data_dir",
    "download_names",
    "figure_image",
    "gram_matrix",
    "keep_luminance",
    "layer_mask",
    "load_backbone",
    "load_image",
    "load_style_model",
    "make_control_objective",
    "make_objective",
    "match_colors",
    "nearest_patches",
    "optimize",
    "patch_term",
    "peak_memory_mb",
    "photo_names",
    "plot_losses",
    "reconstruct",
    "resolve_device",
    "run_folder",
    "save_image",
    "save_results",
    "save_style_model",
    "show_images",
    "show_maps",
    "stand_ins",
    "style_distance",
    "style_loss",
    "style_model_names",
    "style_names",
    "style_term",
    "stylize",
    "synthesize_texture",
    "to_pil",
    "total_variation",
    "transfer",
]
