"""One answer of a student, judged in a process of its own: our check, other inputs, limits of time and memory.

A verdict comes from the check in this package, through a pipe that the answer does not know, beside a token; what the
answer prints goes nowhere. `answers.py` says what may run at all. On top of that no file can be written, no notebook
read, no program started and no network asked from the process (an audit hook, on every system), and its address space
is bounded (`resource`, which Windows lacks: there only the memory that is seen in use ends it).
"""

from __future__ import annotations

import builtins
import importlib
import json
import linecache
import multiprocessing
import os
import secrets
import sys
import time
import types
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import psutil
import torch

from .. import checks
from ..checks import framework
from .answers import Answer, Task

SECONDS = 20  # of computing, for one answer; six times as long by the clock
MEMORY = 2 * 2**30  # bytes beyond what the process has before it begins
MOST_BYTES = 10_000  # of a verdict
PLAIN = (torch.Tensor, torch.nn.Parameter, torch.Size, bool, int, float, complex, str, type(None))
FORBIDDEN: tuple[str, ...] = ("socket.", "subprocess.", "os.exec", "os.fork", "os.spawn", "os.posix_spawn", "os.kill")
FORBIDDEN += ("os.system", "os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.chmod", "os.link", "os.symlink")
FORBIDDEN += ("shutil.", "ctypes.", "urllib.", "webbrowser.", "sqlite3.", "gc.")

# torch loads its compiler with the first optimizer: now, since an answer's process may not read and change so much.
torch.optim.Adam([torch.zeros(1)])


def verdict_on(answer: Answer, task: Task) -> str:
    """What our check says of an answer: "correct", "not attempted yet", "not yet - ..." or why it ended otherwise.

    Started as a fresh process: forked from one that has the package at hand where the system can, spawned elsewhere.
    """
    if not answer.complete:
        return answer.objection
    said = _run(answer, task)
    if said.startswith("not yet"):
        # On a busy machine about one process in a hundred computes a right `whiten_color` with errors of a thousandth,
        # for a reason that was not found: a no is asked for twice.
        said = _run(answer, task)
    return said if said == framework.CORRECT or not answer.objection else f"{said} ({answer.objection})"


def _run(answer: Answer, task: Task) -> str:
    """The verdict of a process, which ends before this returns."""
    context: Any = multiprocessing.get_context("forkserver" if os.name == "posix" else "spawn")
    if os.name == "posix":
        context.set_forkserver_preload([__name__])
    receiver, sender = context.Pipe(duplex=False)
    token = secrets.token_hex(16)
    process = context.Process(target=_serve, args=(sender, token, answer, task), daemon=True)
    process.start()
    sender.close()  # now the end of the process is the end of the pipe
    try:
        trouble = _wait(receiver, process.pid or 0)
        given, said = ("", trouble) if trouble else json.loads(receiver.recv_bytes(MOST_BYTES))
        return said if trouble or secrets.compare_digest(given, token) else "not run: it meddled with the verdict"
    except (EOFError, OSError, ValueError):
        process.join(5)
        return f"not yet - it ended Python itself (exit status {process.exitcode})"
    finally:
        receiver.close()
        process.kill()
        process.join()


def _wait(receiver: Connection, pid: int) -> str:
    """Wait for a verdict or the end of the process; what is wrong where a limit comes first."""
    begin, first = time.monotonic(), None
    while not receiver.poll(0.1):
        try:
            process = psutil.Process(pid)
            used, memory = process.cpu_times(), process.memory_info().rss
        except psutil.Error:  # it has just ended: the pipe says so next
            continue
        if first is None:
            first = used.user + used.system
        if used.user + used.system - first > SECONDS or time.monotonic() - begin > 6 * SECONDS:
            return f"not yet - it takes more than {SECONDS} seconds: is there a loop without an end?"
        if memory > 1.5 * MEMORY:
            return f"not yet - it takes more than {MEMORY / 2**30:.0f} GB of memory"
    return ""


def _serve(sender: Connection, token: str, answer: Answer, task: Task) -> None:
    """The life of the process: judge, and send the verdict."""
    silence = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(silence, stream)
    torch.set_num_threads(1)
    check = getattr(checks, task.name)
    _reseed(secrets.randbelow(10**6))
    _bound()
    try:
        said = _judge(check.__wrapped__, answer, task)
    except MemoryError:
        said = "not yet - it takes too much memory"
    except BaseException as error:  # SystemExit and its like, which a check lets through
        said = f"not yet - it raised {type(error).__name__}"
    sender.send_bytes(json.dumps([token, " ".join(said.split())[:500]]).encode())
    sender.close()
    os._exit(0)  # nothing of the answer's runs on the way out


def _judge(check: Callable[[Callable], None], answer: Answer, task: Task) -> str:
    """Run the definitions, then the check on the function that they define."""
    everything = importlib.import_module("nst_lesson")
    before = _ground()
    lesson: dict[str, Any] = {"torch": torch, "nst": everything}
    _run_all(task.given, lesson)
    ours = {name: other for name in task.earlier if (other := getattr(checks, name).otherwise)}
    course = types.SimpleNamespace(**{name: getattr(everything, name, None) for name in task.uses})
    namespace = {"__name__": "answer"} | {k: v for k, v in lesson.items() if not k.startswith("_")}
    namespace |= {"torch": torch, "nst": course}
    _run_all(answer.earlier, namespace)
    namespace |= ours  # as in the notebook, where a wrong answer to an earlier exercise does not spoil a later one
    trouble = _run_all(answer.statements, namespace)
    if not callable(function := namespace.get(task.name)):
        return f"not yet - it defines no function {task.name}{trouble}"
    said = framework.judge(check, lambda *inputs, **named: _plain(function(*map(_given, inputs), **named)))
    changed = [name for name, value in _ground().items() if before.get(name, value) is not value]
    return f"not run: it changes {changed[0]}" if changed else said


def _ground() -> dict[str, Any]:
    """What a check stands on, {place.name: value}: an answer that replaces any of it could have any verdict."""
    ours = [module for name, module in sys.modules.items() if name.startswith("nst_lesson.")]
    places: list[Any] = [builtins, torch, torch.Tensor, torch.nn.functional, torch.linalg, *ours]
    return {f"{place.__name__}.{name}": value for place in places for name, value in vars(place).items()}


def _run_all(statements: tuple[str, ...], namespace: dict[str, Any]) -> str:
    """Run definitions one by one; the last trouble, since a later one may be all right without an earlier one."""
    trouble = ""
    for statement in statements:
        file = f"<answer {len(linecache.cache)}>"
        linecache.cache[file] = (len(statement), None, statement.splitlines(keepends=True), file)
        try:
            exec(compile(statement, file, "exec"), namespace)
        except Exception as error:
            trouble = f" ({type(error).__name__}: {error})"
    return trouble


def _plain(result: Any) -> Any:
    """A result of plain types alone: one of a class of the answer's own could call itself equal to anything."""
    if type(result) in (list, tuple):
        return type(result)(map(_plain, result))
    if type(result) in (dict, OrderedDict, defaultdict):
        return {_plain(key): _plain(value) for key, value in result.items()}
    if type(result) in PLAIN:
        return result
    if type(result).__module__.partition(".")[0] == "numpy":
        return result
    raise framework.Wrong(f"it returns a {type(result).__name__}; plain numbers and tensors are expected")


def _given(value: Any) -> Any:
    """An input as the answer gets it: a function of ours takes plain values from the answer alone."""
    if not isinstance(value, types.FunctionType):
        return value
    return lambda *inputs, **named: value(*map(_plain, inputs), **{key: _plain(item) for key, item in named.items()})


def _reseed(offset: int) -> None:
    """Let checks draw other inputs than in a notebook, so that numbers which their messages tell are no answers."""

    class Generator(torch.Generator):
        def manual_seed(self, seed: int) -> torch.Generator:
            return super().manual_seed(seed + offset)

    torch.Generator = Generator  # type: ignore[misc]


def _bound() -> None:
    """From here on: a bounded address space where the system has it, and no harm to anything outside the process."""
    if os.name == "posix":
        import resource

        most = psutil.Process().memory_info().vms + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.dont_write_bytecode = True
    sys.addaudithook(_refuse)


def _refuse(event: str, arguments: tuple) -> None:
    """An audit hook; it can be added and never taken away."""
    if event.startswith(FORBIDDEN):
        raise PermissionError(f"{event}: an answer may not do that")
    if event == "open":
        path, mode, flags = arguments
        writing = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) or set(mode or "") & set("wax+")
        if writing or str(path).endswith(".ipynb"):
            raise PermissionError(f"{path}: an answer may not open that")
