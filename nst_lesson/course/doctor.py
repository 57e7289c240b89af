"""`nst-lesson doctor`: what the course needs of a machine, each found or not, and what to do where it is not."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

from ..errors import reason_of
from ..paths import cache_dir, data_dir, user_path

STYLES = 6  # paintings that come with the course
MEMORY_GB = 3.5  # a lesson takes up to 2, a desktop with a browser the rest
DISK_GB = 1.0  # the published file of VGG-19 has 0.55, and a small copy of it is made beside it
LABELS = {True: "[OK]  ", False: "[FAIL]", None: "[--]  "}
INSTALL = 'pip install "nst-lesson[lab]" (in a clone: pip install -e ".[lab]")'


class Finding(NamedTuple):
    """The result of one check: found, missing, or, with None, missing but not needed; and what to do."""

    ok: bool | None
    text: str
    remedy: str = ""


def report() -> bool:
    """Print the findings of every check as it is made; True if nothing that is needed is missing."""
    fine = True
    for check in CHECKS:
        for finding in _findings(check):
            print(f"{LABELS[finding.ok]} {finding.text}", flush=True)
            if finding.remedy and not finding.ok:
                print(f"       -> {finding.remedy}", flush=True)
            fine &= finding.ok is not False
    print("everything that the course needs is here" if fine else "follow each -> above, then run this again")
    return fine


def _findings(check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """The findings of a check; an error that it did not foresee is one more finding."""
    try:
        yield from check()
    except Exception as error:
        text = f"{check.__name__.strip('_')}: {type(error).__name__}: {reason_of(error)}"
        yield Finding(False, text, INSTALL)


def _python() -> Iterator[Finding]:
    ok = (3, 11) <= sys.version_info < (3, 14)
    yield Finding(ok, f"Python {platform.python_version()} on {platform.system()}", "install Python 3.11, 3.12 or 3.13")


def _torch() -> Iterator[Finding]:
    import torch

    image, filters = torch.ones(1, 1, 8, 8, requires_grad=True), torch.ones(1, 1, 3, 3)
    torch.nn.functional.conv2d(image, filters).sum().backward()
    ok = image.grad is not None and image.grad.max().item() == 9  # an inner pixel lies under all nine taps
    yield Finding(ok, f"torch {torch.__version__} computes a convolution and its gradient", "install torch again")
    # torchvision's operators are loaded on use: a wheel for another torch fails here and nowhere earlier.
    import torchvision

    torchvision.ops.nms(torch.zeros(1, 4), torch.zeros(1), 0.5)
    yield Finding(True, f"torchvision {torchvision.__version__} fits this torch")


def _device() -> Iterator[Finding]:
    import psutil
    import torch

    from ..networks.backbones import resolve_device

    device = resolve_device("auto")
    name = torch.cuda.get_device_name() if device == "cuda" else device
    yield Finding(device != "cpu" or None, f"graphics processor: {name if device != 'cpu' else 'none (not needed)'}")
    cores, threads = os.cpu_count() or 1, torch.get_num_threads()
    remedy = "unset OMP_NUM_THREADS, or call torch.set_num_threads"
    yield Finding(True if threads > 1 or cores == 1 else None, f"{cores} cores, of which torch uses {threads}", remedy)
    busy = psutil.getloadavg()[0]  # how many processes wanted to compute, over the last minute
    remedy = "other programs compute as well, and everything here takes longer: end them, or shut down other kernels"
    yield Finding(True if busy < cores + 0.5 else None, f"{busy:.1f} processes at work on {cores} cores", remedy)


def _memory() -> Iterator[Finding]:
    import psutil

    memory = psutil.virtual_memory()
    text = f"memory: {memory.total / 1e9:.1f} GB, {memory.available / 1e9:.1f} free"
    yield Finding(memory.total / 1e9 >= MEMORY_GB, text, "run the lessons with -p size 256, or on Colab")


def _disk() -> Iterator[Finding]:
    folder = cache_dir()
    present = next(place for place in (folder, *folder.parents) if place.exists())
    free = shutil.disk_usage(present).free / 1e9
    remedy = "free some, or set NST_LESSON_CACHE to a folder on another disk"
    yield Finding(free >= DISK_GB, f"disk: {free:.1f} GB free for downloads in {folder}", remedy)
    writable = present.is_dir() and os.access(present, os.W_OK)
    yield Finding(writable or None, f"the folder for downloads {'can' if writable else 'cannot'} be written", remedy)


def _weights() -> Iterator[Finding]:
    folders = [cache_dir() / "weights", user_path(os.environ.get("NST_LESSON_WEIGHTS") or cache_dir() / "weights")]
    found = set()
    for path in (path for folder in dict.fromkeys(folders) for path in folder.glob("*.*")):
        if path.suffix == ".safetensors" and (reason := _damage(path)):
            yield Finding(None, f"weights that cannot be read: {path} ({reason})", "delete the file, fetch them again")
        elif path.suffix in (".safetensors", ".pth"):
            found.add(path.stem)
    remedy = "only for lessons with the real VGG-19: nst-lesson fetch vgg19"
    yield Finding(bool(found) or None, f"downloaded weights: {', '.join(sorted(found)) or 'none'}", remedy)


def _damage(path: Path) -> str:
    """Why a file of weights cannot be read, or ""; its header says where its tensors lie."""
    from safetensors import safe_open

    try:
        with safe_open(path, "pt"):
            return ""
    except Exception as error:  # safetensors' own, and the system's
        return reason_of(error)


def _data() -> Iterator[Finding]:
    from ..networks.backbones import load_backbone
    from ..pictures.images import load_image, photo_names, style_names

    styles, remedy = style_names(), "clone or install the course again"
    for name in (*styles, *photo_names()):
        load_image(name, 32)
    text = f"{len(styles)} style paintings and {len(photo_names())} photographs in {data_dir()}"
    yield Finding(len(styles) >= STYLES, text, remedy)
    features = load_backbone("pocket")(load_image(photo_names()[0], 64), ["relu5_1"])["relu5_1"]
    yield Finding(features.isfinite().all().item(), f"the pocket network works ({features.shape[1]} channels)", remedy)


def _packages() -> Iterator[Finding]:
    for name in ("ipywidgets", "papermill", "nbconvert", "jupyterlab"):
        try:
            yield Finding(True, f"{name} {version(name)}")
        except PackageNotFoundError:
            yield Finding(False, f"{name} is missing", INSTALL)


def _kernel() -> Iterator[Finding]:
    from nbclient import NotebookClient
    from nbformat.v4 import new_code_cell, new_notebook

    from .runs import OwnKernel

    notebook = new_notebook(cells=[new_code_cell("import sys, ipywidgets; print(sys.executable)")])
    NotebookClient(notebook, kernel_manager_class=OwnKernel, timeout=60).execute()
    ok = notebook.cells[0].outputs[0].text.strip() == sys.executable
    yield Finding(ok, f"a notebook kernel of {sys.executable} starts", INSTALL)


CHECKS = (_python, _torch, _device, _memory, _disk, _weights, _data, _packages, _kernel)
