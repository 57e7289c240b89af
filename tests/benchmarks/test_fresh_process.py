"""What a student waits for and what it takes, in a Python that has just been started: memory, and the first picture."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

LESSON = Path(__file__).resolve().parents[2] / "notebooks" / "00_start_here.ipynb"

MEMORY = """
import sys
import nst_lesson as nst
content, style = (nst.load_image(name, 384) for name in ("astronaut", "coffee"))
imported = nst.peak_memory_mb()
for step in nst.transfer(content, style, nst.load_backbone(sys.argv[1]), steps=25):  # L-BFGS's memory is full at 20
    pass
print(imported, nst.peak_memory_mb())
"""


def fresh(code: str, *arguments: str) -> str:
    """Run `code` in a fresh Python and return what it prints.

    A bare Python stands in between: on Linux the peak of a process begins with the memory of the one that started it.
    """
    launch = "import subprocess, sys; subprocess.run([sys.executable, '-c', *sys.argv[1:]], check=True)"
    command = [sys.executable, "-c", launch, code, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def first_cells() -> str:
    """The code of lesson 00 up to the cell that shows the first picture: the one after the first `transfer`."""
    cells = json.loads(LESSON.read_text(encoding="utf-8"))["cells"]
    sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    first = next(n for n, source in enumerate(sources) if "nst.transfer(" in source)
    return "\n".join(sources[: first + 2])


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("backbone", ["pocket", "random-vgg19"])
def test_memory(benchmark, report, backbone):
    out = benchmark.pedantic(fresh, (MEMORY, backbone), rounds=1)
    imported, peak = map(float, out.split())
    benchmark.extra_info.update(imported_mb=imported, peak_mb=peak)
    report(f"peak memory of a run at 384 px, {backbone}: {peak:.0f} MB (under 2000), of it imports {imported:.0f}")


@pytest.mark.timeout(3600)
def test_first_picture(benchmark, report, tmp_path, monkeypatch):
    code = first_cells()
    monkeypatch.chdir(tmp_path)
    benchmark.pedantic(fresh, (code,), rounds=3)
    seconds = benchmark.stats.stats.median
    report(f"first picture of lesson 00 from starting Python: {seconds:.1f} s (within 15)")
