"""The one family of errors that bad input raises: a single line that says what, where, and what to do."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from numbers import Integral, Real

MOST_NAMES = 100  # a message lists no more


def printable(text: object) -> str:
    """A text in one line, in which what a terminal would obey, such as ESC in the name of a file, is spelled out."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))


def reason_of(error: BaseException) -> str:
    """Why something failed, in one short line: the system's words for it, the message, or the name of the type."""
    text = getattr(error, "strerror", None) or str(error)
    return " ".join(text.split())[:200] or type(error).__name__


class LessonError(ValueError):
    """Bad input. The message is one line; the command line prints it and exits with status 2."""

    def __str__(self) -> str:
        return printable(super().__str__())


class ImageError(LessonError):
    """An image that cannot be read, found, downloaded or written."""


class WeightsError(LessonError):
    """Weights that are missing, damaged, or cannot be downloaded."""


class ParameterError(LessonError):
    """A parameter with an unknown name, a wrong type, or a value that makes no sense."""


def check_counts(**counts: int) -> None:
    """ParameterError for a value that is not a whole number, or is below 1."""
    for name, value in counts.items():
        if not isinstance(value, Integral):
            raise ParameterError(f"{name} is {value!r}; give a whole number")
        if value < 1:
            raise ParameterError(f"{name} is {value}; give at least 1")


def check_weights(weights: Mapping[str, float]) -> None:
    """ParameterError for a weight, {name: value}, that is negative or not a finite number."""
    for name, weight in weights.items():
        if not isinstance(weight, Real) or not 0 <= weight < math.inf:
            raise ParameterError(f"{name} is {weight!r}; give a finite number, 0 or more")


def unknown(what: str, value: object, valid: Iterable[str]) -> ParameterError:
    """The error for a `value` that is not among `valid`: one line with the most similar name, if there is one, and all.

    Similar is what difflib finds close, or what contains the value.
    """
    names, word = list(valid), str(value).lower()
    near = difflib.get_close_matches(word, names, n=1) or [name for name in names if word and word in name.lower()]
    hint = f": did you mean {near[0]!r}?" if near else ""
    more = f", ... ({len(names)} in all)" if len(names) > MOST_NAMES else ""
    return ParameterError(f"unknown {what} {value!r}{hint} (choose one of {', '.join(names[:MOST_NAMES])}{more})")
