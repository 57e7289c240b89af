"""Networks for other programs: an ONNX file that runs in ONNX Runtime, in a browser or on a phone, without torch."""

from __future__ import annotations

import copy
import json
import os
import warnings

import torch
from torch import Tensor, nn

from ..errors import LessonError, reason_of
from ..paths import atomic_path, user_path
from .any_style import AnyStyleNetwork
from .transformer import MARGIN, TransformationNetwork, painted_whole

INPUT, OUTPUT = "image", "painted"  # the names of both in the file
LEAST, MOST = MARGIN + 1, 16384  # pixels a side: less cannot be mirrored; and the exporter wants some bound
META = {
    INPUT: f"float32 (1, 3, height, width), RGB in [0, 1], height and width {LEAST} or more",
    OUTPUT: "float32 (1, 3, height, width), RGB in [0, 1]",
}


class _Painting(nn.Module):
    """What `stylize` computes for a picture in one piece."""

    def __init__(self, network: TransformationNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        return painted_whole(self.network, image)


def export_onnx(network: TransformationNetwork | AnyStyleNetwork, path: str | os.PathLike[str]) -> None:
    """Write a network for one painting as an ONNX file for pictures of any size from LEAST pixels a side on.

    The file's metadata say what goes in and comes out (META), and the network's settings. Raises LessonError for an
    any-style network, where the packages of the extra `export` are missing or too old, and where the file cannot be
    written.
    """
    if not isinstance(network, TransformationNetwork):
        reason = "it matches colors by eigenvalues, for which ONNX has no operator"
        raise LessonError(
            f"an any-style network cannot be exported ({reason}): export one that paints like a single painting"
        )
    try:
        import onnx
        import onnxscript  # noqa: F401  (torch's exporter needs it, and says so in many lines)
    except ModuleNotFoundError as error:
        raise LessonError(f'{error.name} is not installed; do: pip install "nst-lesson[export]"') from None
    sides = {2: torch.export.Dim("height", min=LEAST, max=MOST), 3: torch.export.Dim("width", min=LEAST, max=MOST)}
    example = torch.zeros(1, 3, 65, 98)  # an odd size: nothing of it may be taken for a constant
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the exporter's own parts
            program = torch.onnx.export(
                _Painting(copy.deepcopy(network).cpu().eval()),
                (example.to(memory_format=torch.contiguous_format),),
                dynamo=True,
                verbose=False,
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_shapes={"image": sides},
            )
    except Exception as error:  # of any type, where torch's exporter and these packages do not fit together
        advice = 'do: pip install --upgrade "nst-lesson[export]"'
        raise LessonError(f"cannot export ({reason_of(error)}); {advice}") from None
    assert program is not None  # the older exporter gives nothing back
    model = program.model_proto
    onnx.helper.set_model_props(model, {**META, "settings": json.dumps(network.settings)})
    try:
        with atomic_path(user_path(path)) as temporary:
            onnx.save_model(model, str(temporary))
    except OSError as error:
        raise LessonError(f"cannot write {path} ({reason_of(error)}): choose another place") from None
