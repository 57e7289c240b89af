"""Errors: one line that a terminal can show, and names that may have been meant."""

import pytest

from nst_lesson.errors import ImageError, LessonError, unknown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("no file 'a\nb.jpg'", r"no file 'a\nb.jpg'"),
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("a\tb\r\x07", r"a\tb\r\x07"),
        ("\u202egnp.exe", r"\u202egnp.exe"),  # turns the direction of writing
        ("lone \udc80", r"lone \udc80"),
        ("фото „Größe“ 写真 C:\\new", "фото „Größe“ 写真 C:\\new"),
    ],
)
def test_a_message_is_one_line_that_a_terminal_obeys_in_nothing(text, shown):
    assert str(LessonError(text)) == str(ImageError(text)) == shown


@pytest.mark.parametrize(
    ("value", "near"),
    [("noctrune", "nocturne"), ("WAVE", "wave"), ("glass", "stained_glass"), ("xyz", None), ("", None)],
)
def test_an_unknown_name_comes_with_the_nearest_one(value, near):
    message = str(unknown("style", value, ["nocturne", "stained_glass", "wave"]))
    assert message.startswith(f"unknown style {value!r}") and "(choose one of nocturne, stained_glass, wave)" in message
    assert (f"did you mean {near!r}?" in message) if near else ("did you mean" not in message)


def test_a_long_list_is_cut():
    message = str(unknown("number", "x", [f"n{i}" for i in range(250)]))
    assert "n99, ... (250 in all)" in message and "n100" not in message
