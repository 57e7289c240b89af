"""The one family of errors that bad input raises: a single line that says what, where, and what to do."""


class LessonError(ValueError):
    """Bad input. The message is one line; the command line prints it and exits with status 2."""


class ImageError(LessonError):
    """An image that cannot be read, found, downloaded or written."""


class WeightsError(LessonError):
    """Weights that are missing, damaged, or cannot be downloaded."""


class ParameterError(LessonError):
    """A parameter with an unknown name, a wrong type, or a value that makes no sense."""
