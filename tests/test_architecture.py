"""The shape of the package: rooms and what they import, sizes, documentation, types, what `import nst_lesson` costs."""

import ast
import inspect
import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import nbformat
import pytest

import nst_lesson

PACKAGE = Path(nst_lesson.__file__).parent
ROOT = PACKAGE.parent
FILES = sorted(PACKAGE.rglob("*.py"))
FLOORS = (  # of rooms, lowest first: a room imports from itself and from lower floors
    ("errors",),
    ("paths",),
    ("downloads",),
    ("pictures",),
    ("networks",),
    ("methods",),
    ("view", "checks"),
    ("course",),
    ("cli",),
)
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
ROOF = ("__init__", "__main__")  # they hand on what the rooms offer
FOLDERS = [room for room in FLOOR_OF if (PACKAGE / room).is_dir()]
MOST_ROOMS, MOST_LINES, MOST_PARAMETERS = 14, 60, 9

by_file = pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())


def room_of(path: Path) -> str:
    """The module or folder directly below nst_lesson that a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    """Names below nst_lesson that a file imports, anywhere in it, such as "methods.gatys.Step"; "" is all of it."""
    here = ["nst_lesson", *path.relative_to(PACKAGE).parts[:-1]]
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level + 1] if node.level else []
            start = ".".join([*base, *([node.module] if node.module else [])])
            names |= {f"{start}.{alias.name}" for alias in node.names}
    return {name.partition(".")[2] for name in names if name.split(".")[0] == "nst_lesson"}


def module_at(name: str) -> str:
    """The module that such a name is or belongs to; "" is nst_lesson itself."""
    while name and not (
        PACKAGE.joinpath(*name.split(".")).is_dir() or (PACKAGE / f"{name.replace('.', '/')}.py").exists()
    ):
        name = name.rpartition(".")[0]
    return name


def public(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef | ast.ClassDef]]:
    """Public functions and classes of a module, and the public methods and __init__ of those classes."""
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
            yield node.name, node
            for method in node.body if isinstance(node, ast.ClassDef) else ():
                named = isinstance(method, ast.FunctionDef)
                if named and (method.name == "__init__" or not method.name.startswith("_")):
                    yield f"{node.name}.{method.name}", method


def code_lines(function: ast.AST, source: str) -> int:
    """Its lines without comments, blank lines and the docstrings in it."""
    skipped = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    lines = {n for t in tokens if t.type not in skipped for n in range(t.start[0], t.end[0] + 1)}
    for node in ast.walk(function):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and ast.get_docstring(node):
            lines -= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    return len(lines & set(range(function.lineno, function.end_lineno + 1)))


def parameters(function: ast.FunctionDef) -> list[ast.arg]:
    """All of them but self; *args and **kwargs are one each."""
    spec = function.args
    found = [*spec.posonlyargs, *spec.args, *spec.kwonlyargs, *filter(None, (spec.vararg, spec.kwarg))]
    return [argument for argument in found if argument.arg not in ("self", "cls")]


def untyped(function: ast.FunctionDef) -> list[str]:
    """Arguments without a type, and "return" where that is missing."""
    missing = [argument.arg for argument in parameters(function) if argument.annotation is None]
    return missing + (["return"] if function.returns is None else [])


# ---- rooms


@by_file
def test_a_room_imports_from_itself_and_from_lower_floors(path):
    room = room_of(path)
    if room in ROOF:
        return
    assert room in FLOOR_OF, f"give nst_lesson/{room} a floor in this test"
    rooms = {name.split(".")[0] for name in imported(path)} - {room}
    assert not {other for other in rooms if FLOOR_OF.get(other, 99) >= FLOOR_OF[room]}


def test_there_are_few_rooms():
    assert len({room_of(path) for path in FILES} - set(ROOF)) <= MOST_ROOMS


def test_no_modules_import_each_other_in_a_circle():
    graph = {}
    for path in FILES:
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix("__init__").removesuffix(".")
        graph[name] = {module_at(other) for other in imported(path)} - {name}
    assert list(TopologicalSorter(graph).static_order())[-1] in ("", "__main__")  # raises CycleError, which names them


def test_the_reader_of_imports_sees_every_form(tmp_path, monkeypatch):
    (tmp_path / "checks").mkdir()
    file = tmp_path / "checks" / "one.py"
    file.write_text(
        "import torch, nst_lesson, nst_lesson.cli\nfrom nst_lesson import view\n"
        "from nst_lesson.methods.gatys import Step\n"
        "from ..errors import unknown\nfrom .. import paths\nfrom . import framework\nfrom .two import check\n"
        "def late():\n    from ..course.runs import run\n"
    )
    (tmp_path / "checks" / "two.py").touch()
    (tmp_path / "errors.py").touch()
    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", tmp_path)
    assert imported(file) == {
        *("", "cli", "view", "methods.gatys.Step", "errors.unknown", "paths"),
        *("checks.framework", "checks.two.check", "course.runs.run"),
    }
    names = ("checks.two.check", "checks.framework", "errors.unknown", "__version__")
    assert [module_at(name) for name in names] == ["checks.two", "checks", "errors", ""]


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_the_pages_for_people_name_every_room(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    assert not [room for room in FOLDERS if not re.search(rf"\b{room}/", text)]


def test_data_is_files_only():
    assert not list((ROOT / "data").rglob("*.py"))


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_notebook_imports_nst_alone(path):
    code = "\n".join(c.source for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code")
    found = re.findall(r"^\s*((?:from|import)\s+nst_lesson\b.*)", code, re.MULTILINE)
    assert {line.split("#")[0].strip() for line in found} == {"import nst_lesson as nst"}


# ---- sizes, documentation, types


@by_file
def test_public_functions_are_short_and_have_few_parameters(path):
    source = path.read_text(encoding="utf-8")
    functions = {name: f for name, f in public(ast.parse(source)) if isinstance(f, ast.FunctionDef)}
    lines = {name: code_lines(function, source) for name, function in functions.items()}
    assert not {name: count for name, count in lines.items() if count > MOST_LINES}
    counts = {name: len(parameters(function)) for name, function in functions.items()}
    assert not {name: count for name, count in counts.items() if count > MOST_PARAMETERS}


def test_the_counters_count():
    source = (
        '@cache\ndef f(self, a, /, b, *c, d=1, **e):\n    """Two\n    lines."""\n\n    # a comment\n'
        '    x = """two\nlines"""\n    def g():\n        """One."""\n        return 1\n    return g\n\ny = 1\n'
    )
    function = ast.parse(source).body[0]
    assert code_lines(function, source) == 6
    assert [argument.arg for argument in parameters(function)] == ["a", "b", "d", "c", "e"]


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


def test_import_leaves_jupyter_pyplot_and_torchvision_alone():
    code = "import sys, ipywidgets; before = {*sys.modules}; import nst_lesson; print(*sys.modules.keys() - before)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    loaded = {name.split(".")[0] for name in out.stdout.split()}  # without what ipywidgets 7 itself loads
    assert not loaded & {"papermill", "nbconvert", "nbformat", "nbclient", "jupyterlab", "jupyter_client", "ipykernel"}
    assert "torchvision" not in loaded  # a third of the seconds that each command begins with
    assert "matplotlib.pyplot" not in out.stdout.split()  # importing it chooses a backend for the whole process
