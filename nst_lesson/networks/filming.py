"""Paint a film frame by frame, so that a kill loses one frame at most."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

from PIL import Image
from tqdm.auto import tqdm

from ..paths import locked, write_text
from ..pictures.films import read_film, write_film
from ..pictures.images import load_image, save_image
from ..pictures.motion import steadied
from .painter import Painter
from .weights import digest

SETTINGS = "settings.json"


def paint_film(
    painter: Painter,
    source: Path,
    out: Path,
    *,
    size: int | None = None,
    steady: bool = False,
    settings: Mapping[str, object],
) -> bool:
    """Paint the film `source` and write it to `out`, a GIF or MP4, at its own times; False where its sound is lost.

    `size` bounds the longer side of the frames. `steady` takes flicker away (see `steadied`). Painted frames are kept
    in a hidden folder beside `out` until the film is written: a later call with the same `settings`, network and
    paintings goes on from them, one with others begins anew. Raises ImageError and LessonError as reading and writing a
    film do.
    """
    folder, ours, done = out.with_name(f".{out.name}.frames"), False, False
    try:
        with locked(folder, "painting of this film"):
            ours = True  # and not that of another command, which still paints
            read = {"source": str(source), "bytes": source.stat().st_size, "size": size}
            used = {"painter": digest(*painter.network.state_dict().values(), *painter.paintings), "steady": steady}
            _begin(folder, {**settings, **read, **used})
            seconds = _paint_frames(painter, source, folder, size, steady)
            files = [_frame(folder, number) for number in range(len(seconds))]
            sound_kept = write_film(out, (Image.open(file).convert("RGB") for file in files), seconds, sound_of=source)
            done = True
    finally:
        if ours and (done or not _frame(folder, 0).exists()):
            shutil.rmtree(folder, ignore_errors=True)
    return sound_kept


def _paint_frames(painter: Painter, source: Path, folder: Path, size: int | None, steady: bool) -> list[Fraction]:
    """Write the painted frames that are not there yet; returns when each frame of the film begins, in seconds."""
    seconds = []
    before = None
    for number, (frame, second) in enumerate(tqdm(read_film(source, size), desc=source.name, unit="frame")):
        seconds.append(second)
        file = _frame(folder, number)
        if not file.exists():
            painted = painter(frame)
            if steady and before is not None:
                painted = steadied(painted, frame, before, load_image(_frame(folder, number - 1)))
            save_image(painted, file)
        before = frame
    return seconds


def _begin(folder: Path, settings: Mapping[str, object]) -> None:
    """Remove the frames of a film that was painted with other settings."""
    record, text = folder / SETTINGS, json.dumps(settings, sort_keys=True)
    if record.is_file() and record.read_text(encoding="utf-8") == text:
        return
    for file in folder.glob("*.jpg"):
        file.unlink()
    write_text(record, text)


def _frame(folder: Path, number: int) -> Path:
    """The file of a painted frame; JPEG at high quality, since a minute of frames as PNG takes gigabytes."""
    return folder / f"{number:06}.jpg"
