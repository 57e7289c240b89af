"""`nst-lesson export`: write a trained network as an ONNX file."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..errors import ParameterError
from ..networks.export import META, export_onnx
from ..networks.models import load_model
from .command import Commands, add_command, add_overwrite, check_output, place, say


def add_parser(commands: Commands) -> None:
    """The command and its options."""
    command = add_command(commands, "export", run, "write a trained network as ONNX, for programs without torch")
    command.add_argument("model", metavar="MODEL", help="a style that comes with the course, or a file")
    text = "the file to write, such as wave.onnx"
    command.add_argument("-o", "--out", type=place, required=True, metavar="FILE", help=text)
    add_overwrite(command)


def run(arguments: argparse.Namespace) -> int:
    """Write the file and say what goes in and out."""
    out: Path = arguments.out
    if out.suffix.lower() != ".onnx":
        raise ParameterError(f"cannot write {out}: end the name in .onnx")
    check_output(out, [arguments.model], arguments.overwrite)
    export_onnx(load_model(arguments.model), out)
    say(f"wrote {out}", *(f"  {name}: {text}" for name, text in META.items()))
    return 0
