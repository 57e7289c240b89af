"""What students handed in: the definitions that belong to an exercise, and whether they may be run.

Nothing is run here. Of a notebook only definitions, imports and assignments count, and only those that the sections of
its exercises hold: experiments, installations and printed claims are never executed.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from IPython.core.inputtransformer2 import TransformerManager

from ..errors import reason_of
from .files import lessons, read_notebook

HEADING = re.compile(r"^(?=#{2,3} )", re.MULTILINE)
CHECK = re.compile(r"\bnst\.check\.(\w+)\(")
RUNS_THE_CELL = re.compile(r"\A\s*%%(time|capture|prun)\b.*\n")  # a cell magic that leaves the definitions as they are
HANDED_ON = (ast.FunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)
KEPT = (*HANDED_ON, ast.Assign, ast.AnnAssign)

# What an answer may use. It runs in the process that checks it, so it must not reach that process: no module but those
# that compute, no private attribute, none of the built-in functions that lead to files, frames or names, no change of
# anyone else's attributes. An answer that needs more is left to the instructor.
MODULES = {"torch", "numpy", "scipy", "math", "cmath", "random", "itertools", "functools", "collections", "statistics"}
MODULES |= {"typing", "dataclasses", "__future__"}
BUILTINS = {"open", "exec", "eval", "compile", "globals", "locals", "vars", "getattr", "setattr", "delattr", "input"}
BUILTINS |= {"breakpoint", "exit", "quit", "help", "get_ipython"}
ATTRIBUTES = {"os", "sys", "builtins", "importlib", "inspect", "gc", "io", "types", "ctypes", "ctypeslib", "pathlib"}
ATTRIBUTES |= {"subprocess", "multiprocessing", "threading", "socket", "pickle", "warnings", "traceback", "operator"}
ATTRIBUTES |= {"load", "save", "hub", "jit", "ops", "utils", "library", "package", "serialization", "distributed", "fx"}
ATTRIBUTES |= {"overrides", "profiler", "from_file", "fromfile", "tofile", "memmap", "loadtxt", "savetxt", "savez"}
ATTRIBUTES |= {"genfromtxt", "f2py", "testing", "format", "format_map", "make_dataclass", "classes", "load_library"}
ATTRIBUTES |= {"update_wrapper", "wraps", "singledispatch", "singledispatchmethod", "get_type_hints"}
HIDDEN = re.compile(r"_|(gi|cr|ag|tb|f|co)_(frame|back|locals|globals|code|builtins|next|await)|register_module")
METHODS = {f"__{name}__" for name in ("init", "call", "len", "iter", "next", "getitem", "enter", "exit", "future")}
SETTABLE = {"requires_grad", "data"}


class Task(NamedTuple):
    """An exercise of the course: its lesson's number, its function's name, points, and the names of nst it needs.

    `given` are the functions and imports of the lesson above it, as text, and `earlier` the exercises there.
    """

    lesson: str
    name: str
    points: int
    uses: frozenset[str]
    given: tuple[str, ...] = ()
    earlier: tuple[str, ...] = ()


@dataclass(frozen=True)
class Answer:
    """A student's definitions for an exercise, as text, and those of the exercises above it.

    `objection` says why some were left out; it is `complete` where the function itself was not.
    """

    statements: tuple[str, ...] = ()
    earlier: tuple[str, ...] = ()
    objection: str = ""
    complete: bool = True


def tasks() -> dict[str, Task]:
    """The exercises of the course by name: what the lessons' headings and solutions say. ● in a heading is a point."""
    found = {}
    for path in lessons().values():
        given: list[str] = []
        earlier: list[str] = []
        for heading, text, code in _sections(path):
            name = CHECK.search("\n".join(code))
            if heading.startswith("### Exercise") and name:
                uses = frozenset(re.findall(r"\bnst\.(\w+)", "\n".join((text, *code)))) - {"check"}
                number, points = path.stem.partition("_")[0], max(1, heading.count("●"))
                found[name[1]] = Task(number, name[1], points, uses, tuple(given), tuple(earlier))
                earlier.append(name[1])
            else:
                statements, _ = _definitions(code)
                given += [ast.unparse(s) for s in statements if _handed_on(s)]
    return found


def _handed_on(statement: ast.stmt) -> bool:
    """Whether what a lesson defines is there for its exercises: functions, and imports that an answer may use."""
    if isinstance(statement, (ast.Import, ast.ImportFrom)):
        return not _objection(statement, frozenset())
    return isinstance(statement, ast.FunctionDef)


def read_answers(path: Path, wanted: dict[str, Task]) -> dict[str, Answer]:
    """The answers in a notebook, name of the exercise -> Answer. Raises LessonError where it is not a notebook."""
    answers: dict[str, Answer] = {}
    earlier: list[str] = []  # what other exercises define: a later one may use it
    for heading, _, code in _sections(path):
        if not heading.startswith("### Exercise"):  # the heading is gone, or this is the lesson's own text
            code = [cell for cell in code if CHECK.search(cell)]
        statements, trouble = _definitions(code)
        names = set(CHECK.findall("\n".join(code))) | {name for s in statements for name in _defined(s)}
        for name in names & set(wanted):
            objections = {s: _objection(s, wanted[name].uses) for s in statements}
            run = [s for s in statements if not objections[s]]
            objection = next(filter(None, objections.values()), trouble)
            complete = not objection or any(name in _defined(s) for s in run)
            answers[name] = Answer(tuple(map(ast.unparse, run)), tuple(earlier), objection, complete)
        earlier += [ast.unparse(s) for s in statements if isinstance(s, HANDED_ON) and not _objection(s, frozenset())]
    return answers


def _sections(path: Path) -> Iterator[tuple[str, str, list[str]]]:
    """The sections of a notebook: heading, prose, and code cells. A text cell with headings begins one at its last.

    An exercise ends with the text after its check, which has the hint: the lesson's own cells that follow are not it.
    """
    heading, text, code = "", "", list[str]()
    for cell in read_notebook(path).cells:
        if cell.cell_type == "code":
            code.append(cell.source)
        elif cell.cell_type == "markdown":
            before, *headings = HEADING.split(cell.source)
            text += before
            checked = heading.startswith("### Exercise") and any(map(CHECK.search, code))
            if headings or checked:
                yield heading, text, code
                last = headings[-1] if headings else ""
                heading, text, code = last.partition("\n")[0], last, []
    yield heading, text, code


def _definitions(cells: list[str]) -> tuple[list[ast.stmt], str]:
    """The definitions, imports and assignments of a section, without calls of checks; and what cannot be read."""
    statements: list[ast.stmt] = []
    trouble = ""
    for cell in cells:
        try:
            tree = ast.parse(TransformerManager().transform_cell(RUNS_THE_CELL.sub("", cell)))
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            trouble = f"it cannot be read: {reason_of(error)}"
            continue
        statements += [s for s in tree.body if isinstance(s, KEPT) and not _is_course(s)]
    return statements, trouble


def _is_course(statement: ast.stmt) -> bool:
    """Whether a statement imports the course, which is at hand, or assigns what a check returns."""
    if isinstance(statement, (ast.Assign, ast.AnnAssign)):
        return bool(CHECK.search(ast.unparse(statement)))
    return ast.unparse(statement).strip() == "import nst_lesson as nst"


def _defined(statement: ast.stmt) -> set[str]:
    """The names that a statement defines."""
    match statement:
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            return {name}
        case ast.Assign(targets=targets):
            return {target.id for target in targets if isinstance(target, ast.Name)}
        case ast.AnnAssign(target=ast.Name(id=name)):
            return {name}
    return set()


def _objection(statement: ast.stmt, uses: frozenset[str]) -> str:
    """Why a statement is not run: the first thing in it that an answer has no need of; "" where all is well."""
    calls = [node for node in ast.walk(statement) if isinstance(node, ast.Call) and len(node.args) == 1]
    asked = {call.func for call in calls if not call.keywords}  # type(x) is harmless, any other `type` makes classes
    for node in ast.walk(statement):
        if used := _hidden(node) or _refused(node, uses, node in asked):
            return f"not run: it uses {used}"
    return ""


def _hidden(node: ast.AST) -> str:
    """The first name of Python's own in a node, `__globals__` for one, wherever it stands."""
    fields = [] if isinstance(node, ast.Constant) else [value for _, value in ast.iter_fields(node)]
    names = [name for value in fields for name in (value if isinstance(value, list) else [value])]
    hidden = (name for name in names if isinstance(name, str) and name.startswith("__"))
    return next((name for name in hidden if name not in METHODS), "")


def _refused(node: ast.AST, uses: frozenset[str], called: bool) -> str:
    """The name of what an answer may not use, if the node does."""
    match node:
        case ast.Import(names=names):
            paths = [alias.name.split(".") for alias in names]
            return next((".".join(p) for p in paths if p[0] not in MODULES or any(map(_private, p[1:]))), "")
        case ast.ImportFrom(module=module, names=names, level=level):
            first, *parts = (module or "").split(".") + [alias.name for alias in names]
            return f"{module}" if level or first not in MODULES or "*" in parts or any(map(_private, parts)) else ""
        case ast.Attribute(value=ast.Name(id="nst"), attr=name) if name not in uses:
            return f"nst.{name}"
        case ast.Attribute(attr=name) if name != "__init__" and _private(name):
            return name
        case ast.Attribute(attr=name, ctx=ast.Store() | ast.Del()) if name not in SETTABLE:
            return f"{ast.unparse(node)} = ..."
        case ast.MatchClass(kwd_attrs=names):
            return next(filter(_private, names), "")
        case ast.Name(id=name) if name in BUILTINS or (name == "type" and not called):
            return name
    return ""


def _private(name: str) -> bool:
    return name in ATTRIBUTES or HIDDEN.match(name) is not None
