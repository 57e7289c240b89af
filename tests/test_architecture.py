"""The shape of the package: floors, documentation, types, and what `import nst_lesson` costs."""

import ast
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import nst_lesson

PACKAGE = Path(nst_lesson.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
FLOORS = {
    0: ("errors", "images", "paths", "photographs", "weights"),
    1: ("backbones", "checkpoint", "losses", "transformer"),
    2: ("adain", "control", "distill", "gatys", "metrics", "training"),
    3: ("checks", "masks", "show", "sliders", "widgets"),
    4: ("cli", "course", "doctor", "notebooks", "pages", "publish"),
}
FLOOR_OF = {module: floor for floor, modules in FLOORS.items() for module in modules}
ROOF = ("__init__", "__main__")  # they hand on what the floors offer

by_file = pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())


def module_of(path: Path) -> str:
    """The module or subpackage directly below nst_lesson that a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    """Modules directly below nst_lesson that a file imports, anywhere in it, from its own package or absolutely."""
    here = ["nst_lesson", *path.relative_to(PACKAGE).parts[:-1]]
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level + 1] if node.level else []
            start = ".".join([*base, *([node.module] if node.module else [])])
            names |= {f"{start}.{alias.name}" for alias in node.names}
    parts = (name.split(".") for name in names)
    return {p[1] for p in parts if p[0] == "nst_lesson" and len(p) > 1}


def public(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef | ast.ClassDef]]:
    """Public functions and classes of a module, and the public methods and __init__ of those classes."""
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
            yield node.name, node
            for method in node.body if isinstance(node, ast.ClassDef) else ():
                named = isinstance(method, ast.FunctionDef)
                if named and (method.name == "__init__" or not method.name.startswith("_")):
                    yield f"{node.name}.{method.name}", method


def untyped(function: ast.FunctionDef) -> list[str]:
    """Arguments without a type, and "return" where that is missing."""
    spec = function.args
    arguments = [*spec.posonlyargs, *spec.args, *spec.kwonlyargs, *filter(None, (spec.vararg, spec.kwarg))]
    missing = [a.arg for a in arguments if a.annotation is None and a.arg not in ("self", "cls")]
    return missing + (["return"] if function.returns is None else [])


@by_file
def test_nothing_imports_upwards(path):
    module = module_of(path)
    if module in ROOF:
        return
    assert module in FLOOR_OF, f"give nst_lesson/{module} a floor in this test"
    above = {name for name in imported(path) if FLOOR_OF.get(name, 9) > FLOOR_OF[module]}
    assert not above, f"{module} (floor {FLOOR_OF[module]}) imports {above}"


def test_the_reader_of_imports_sees_every_form(tmp_path, monkeypatch):
    (tmp_path / "checks").mkdir()
    file = tmp_path / "checks" / "one.py"
    file.write_text(
        "import torch, nst_lesson.cli\nfrom nst_lesson import show\nfrom nst_lesson.gatys import Step\n"
        "from ..losses import gram_matrix\nfrom .. import paths\nfrom . import framework\n"
        "def late():\n    from ..course import run\n"
    )
    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", tmp_path)
    assert imported(file) == {"cli", "show", "gatys", "losses", "paths", "checks", "course"}


@by_file
def test_everything_public_is_documented_and_typed(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree), "the module says what it is"
    found = list(public(tree))
    silent = [name for name, node in found if not name.endswith("__init__") and not ast.get_docstring(node)]
    assert not silent, f"without a docstring: {silent}"
    functions = [(name, node) for name, node in found if isinstance(node, ast.FunctionDef)]
    assert not {name: untyped(node) for name, node in functions if untyped(node)}


@by_file
def test_nothing_is_left_to_do(path):
    assert not re.findall(r"\b(?:TODO|FIXME|XXX)\b.*", path.read_text(encoding="utf-8"))


def test_all_is_sorted_and_true():
    names = nst_lesson.__all__
    style = [(not n.isupper(), not n[0].isupper(), n) for n in names]  # CONSTANTS, Classes, functions, as ruff sorts
    assert style == sorted(style) and len(set(names)) == len(names)
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    handed_on = {a.asname or a.name for node in tree.body if isinstance(node, ast.ImportFrom) for a in node.names}
    assert handed_on == set(names)


@pytest.mark.parametrize("name", nst_lesson.__all__)
def test_every_public_name_is_there_and_explains_itself(name):
    thing = getattr(nst_lesson, name)
    if callable(thing) or inspect.ismodule(thing):
        assert inspect.getdoc(thing)


def test_import_leaves_jupyter_and_pyplot_alone():
    code = "import sys, nst_lesson; print(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PACKAGE.parent)
    loaded = {name.split(".")[0] for name in out.stdout.split()}
    assert not loaded & {"papermill", "nbconvert", "nbformat", "nbclient", "jupyterlab", "jupyter_client", "ipykernel"}
    assert "matplotlib.pyplot" not in out.stdout.split()  # importing it chooses a backend for the whole process
