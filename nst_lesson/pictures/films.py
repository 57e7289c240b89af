"""Films as pictures: the frames of an animated GIF or a video with their times, and a film made of painted ones."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image, ImageSequence
from torch import Tensor

from ..errors import ImageError, LessonError, reason_of
from ..paths import atomic_path, user_path
from .images import identify, load_image, one_line_errors

if TYPE_CHECKING:
    import av

VIDEOS = (".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi")  # what is read; written are MP4 and GIF
WRITTEN = (".gif", ".mp4")
TICKS = 90_000  # a second, in an MP4 that we write: times of any common frame rate are whole numbers of them
GIF_END = b";"  # the last byte of a GIF, but for what some programs append
CUT = 0.8  # of the seconds that a video announces: where its pictures end before, a part of the file is missing
GIF_SECONDS = 0.1  # for a frame of a GIF that names no time, as browsers show it


def is_film(path: str | os.PathLike[str]) -> bool:
    """Whether a path is a file that is a video by its suffix, or a GIF with more than one picture."""
    suffix = Path(path).suffix.lower()
    if not os.path.isfile(path):  # a pipe would be waited for
        return False
    if suffix == ".gif":
        with suppress(Exception), open(path, "rb") as file:  # a damaged one: `load_image` says what is wrong with it
            return getattr(identify(file), "n_frames", 1) > 1
    return suffix in VIDEOS


def read_film(path: str | os.PathLike[str], size: int | None = None) -> Iterator[tuple[Tensor, Fraction]]:
    """The frames of a film, (1, 3, H, W) in [0, 1], each with the second at which it begins, from 0 on.

    `size` bounds the longer side in pixels. From a film that is cut short the frames that exist are read, with a
    warning. Raises ImageError where there is no file, for one that is not a film or is damaged, and LessonError where a
    video is read without PyAV.
    """
    path = user_path(path)
    if not path.is_file():
        raise ImageError(f"{path} is not a file: give the path of a film")
    frames = _gif_frames(path) if path.suffix.lower() == ".gif" else _video_frames(path)
    for picture, second in frames:
        yield load_image(picture, size), second


def write_film(
    path: Path, pictures: Iterable[Image.Image], seconds: Sequence[Fraction], sound_of: Path | None = None
) -> bool:
    """Write RGB pictures as a film, GIF or MP4 (H.264) by the suffix of `path`: all of it or nothing.

    `seconds` say when each picture begins; the last one of a GIF lasts as long as the one before. The sound of the
    video `sound_of` is copied into an MP4. Returns False where it has sound that could not be kept. Raises ImageError
    where the film cannot be written.
    """
    steps = [after - before for before, after in pairwise(seconds)]
    lasting = [*steps, steps[-1] if steps else Fraction(GIF_SECONDS)]
    try:
        with atomic_path(path) as temporary:
            if path.suffix.lower() == ".gif":
                _write_gif(temporary, pictures, lasting)
                return not (sound_of and _has_sound(sound_of))
            return _write_video(temporary, pictures, seconds, sound_of)
    except _failures() as error:
        raise ImageError(f"cannot write {path} ({reason_of(error)}): choose another place") from None


def _gif_frames(path: Path) -> Iterator[tuple[Image.Image, Fraction]]:
    """The pictures of a GIF, transparency over white."""
    second = Fraction(0)
    with one_line_errors(str(path)), path.open("rb") as file:
        frames = 0
        for frame in ImageSequence.Iterator(identify(file)):
            frames += 1
            yield frame.convert("RGBA"), second
            second += Fraction(round(frame.info.get("duration", 0)) or round(1000 * GIF_SECONDS), 1000)
        file.seek(max(0, path.stat().st_size - 64))
        if GIF_END not in file.read():
            _warn_of_a_cut(path, frames)


def _video_frames(path: Path) -> Iterator[tuple[Image.Image, Fraction]]:
    """The pictures of a video, upright."""
    av = _pyav()
    start = None
    try:
        with av.open(str(path)) as film:
            if not film.streams.video:
                raise ImageError(f"{path} has no pictures: is it a sound file?")
            stream = film.streams.video[0]
            stream.thread_type = "AUTO"
            for number, frame in enumerate(film.decode(stream)):
                rate = stream.average_rate or 25
                time = Fraction(number) / rate if frame.pts is None else frame.pts * Fraction(frame.time_base)
                start = time if start is None else start
                picture = frame.to_image()
                yield picture.rotate(frame.rotation, expand=True) if frame.rotation else picture, time - start
            announced = Fraction((not film.streams.audio and film.duration) or 0, av.time_base)
            if stream.duration:
                announced = stream.duration * Fraction(stream.time_base)
            if start is not None and time - start < CUT * announced - 1 / rate:
                _warn_of_a_cut(path, number + 1)
    except _failures() as error:
        raise ImageError(f"{path} cannot be read as a film ({reason_of(error)}): export it again") from None
    if start is None:
        raise ImageError(f"{path} has no pictures: export it again")


def _warn_of_a_cut(path: Path, frames: int) -> None:
    warnings.warn(f"{path} is cut short: it ends after {frames} frames", stacklevel=3)


def _write_gif(path: Path, pictures: Iterable[Image.Image], lasting: Sequence[Fraction]) -> None:
    rest = iter(pictures)
    first = next(rest)
    durations = [max(20, round(1000 * seconds)) for seconds in lasting]  # browsers slow down what is faster
    first.save(path, save_all=True, append_images=rest, duration=durations, loop=0)


def _write_video(
    path: Path, pictures: Iterable[Image.Image], seconds: Sequence[Fraction], sound_of: Path | None
) -> bool:
    """Write an MP4; False where there was sound that could not be copied."""
    av = _pyav()
    rate = Fraction(len(seconds) - 1) / (seconds[-1] - seconds[0]) if len(seconds) > 1 else Fraction(25)
    with av.open(str(path), "w") as film:
        stream: Any = film.add_stream("libx264", rate=rate.limit_denominator(1001), options={"crf": "18"})
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, TICKS)
        sound = _add_sound(film, sound_of) if sound_of else []
        for number, (picture, second) in enumerate(zip(pictures, seconds, strict=True)):
            width, height = (max(2, side - side % 2) for side in picture.size)  # this format has no odd sides
            if not number:
                stream.width, stream.height = width, height
            even = picture.crop((0, 0, width, height)) if min(picture.size) > 1 else picture.resize((width, height))
            frame = av.VideoFrame.from_image(even)
            frame.pts, frame.time_base = round(second * TICKS), Fraction(1, TICKS)
            film.mux(stream.encode(frame))
        film.mux(stream.encode())
        for packet in sound or []:
            film.mux(packet)
    return sound is not None


def _add_sound(film: av.container.OutputContainer, source: Path) -> list[av.Packet] | None:
    """The packets of the sound of a video, for a new stream of `film`; None where MP4 does not take its form."""
    av = _pyav()
    with av.open(str(source)) as video:
        if not video.streams.audio:
            return []
        theirs = video.streams.audio[0]
        if theirs.codec_context.name not in film.supported_codecs:
            return None
        ours = film.add_stream_from_template(theirs)
        packets = [packet for packet in video.demux(theirs) if packet.dts is not None]
        for packet in packets:
            packet.stream = ours
        return packets


def _has_sound(path: Path) -> bool:
    if path.suffix.lower() == ".gif":
        return False
    with _pyav().open(str(path)) as video:
        return bool(video.streams.audio)


def _failures() -> tuple[type[Exception], ...]:
    """What reading and writing a film raises: PyAV's errors have no other class in common."""
    with suppress(ModuleNotFoundError):
        import av

        return (OSError, av.FFmpegError)
    return (OSError,)


def _pyav() -> Any:
    """The package PyAV, which brings its own ffmpeg."""
    try:
        import av
    except ModuleNotFoundError:
        raise LessonError('videos need PyAV; do: pip install "nst-lesson[film]" (GIFs work without it)') from None
    return av
