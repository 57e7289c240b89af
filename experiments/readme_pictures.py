"""Paint the pictures of the README with the package itself: `python experiments/readme_pictures.py`.

They go into docs/; all three take a quarter of an hour on two cores. The first two are what `nst-lesson paint` makes:

    first.jpg     of a photograph and a painting, with its defaults
    gallery.jpg   of every bundled photograph in every bundled style at 384 pixels, with WEIGHTS in place of the default
    fast.jpg      every bundled photograph through every fast network, one pass each at 512 pixels

Of the astronaut both have the head (HEAD): in the whole photograph at these sizes her face is 60 pixels wide, no more
than a few strokes.

`python experiments/readme_pictures.py fast.jpg` paints only that one.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import torch
from PIL import Image, ImageOps

import nst_lesson as nst
from nst_lesson.cli.main import main as nst_lesson

OUT = Path(__file__).resolve().parents[1] / "docs"
GAP = 6
HEAD = (60, 0, 384, 216)  # left, top, right, bottom of a part of the astronaut
WEIGHTS = {"astronaut": 8.0, "ink_wash": 10.0}  # of a face; of a painting whose red seal comes along at the default


def sheet(rows: list[list[torch.Tensor | None]], cell: tuple[int, int], path: Path) -> None:
    """Save rows of pictures (1, 3, H, W), None for an empty place, each fitted into `cell` (width, height) pixels.

    A row is as high as its highest picture.
    """
    fitted = [[image if image is None else ImageOps.contain(nst.to_pil(image), cell) for image in row] for row in rows]
    heights = [max(picture.height for picture in row if picture) for row in fitted]
    width = cell[0]
    size = (len(rows[0]) * (width + GAP) - GAP, sum(heights) + GAP * (len(rows) - 1))
    canvas, y = Image.new("RGB", size, "white"), 0
    for row, height in zip(fitted, heights, strict=True):
        for x, picture in enumerate(row):
            if picture:
                corner = (x * (width + GAP) + (width - picture.width) // 2, y + (height - picture.height) // 2)
                canvas.paste(picture, corner)
        y += height + GAP
    canvas.save(path, quality=88)
    print(path.name, canvas.size)


def paint(photo: str, style: str, *options: str) -> torch.Tensor:
    """The picture (1, 3, H, W) that `nst-lesson paint` makes of a photograph and a painting."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "painted.png")
        if status := nst_lesson(["paint", photo, "--style", style, "-o", str(file), *options]):
            raise SystemExit(status)
        return nst.load_image(file)


def photographs(size: int) -> dict[str, torch.Tensor]:
    """The bundled photographs (1, 3, H, W), longer side `size` pixels; of the astronaut her head."""
    head = nst.to_pil(nst.load_image("astronaut")).crop(HEAD)
    whole = {name: nst.load_image(name, size) for name in nst.photo_names()}
    return whole | {"astronaut": nst.load_image(head, size, upsample=True)}


def first(path: Path) -> None:
    """A photograph, a painting and the result."""
    photo, style = nst.load_image("coffee", 512), nst.load_image("nocturne", 512)
    sheet([[photo, style, paint("coffee", "nocturne")]], (480, 320), path)


def weight_of(photo: str, style: str) -> list[str]:
    """The style weight of a pair, as an option of the command; nothing for the default."""
    found = [WEIGHTS[name] for name in (photo, style) if name in WEIGHTS]
    return ["--style-weight", str(min(found))] if found else []


def gallery(path: Path) -> None:
    """Every photograph in every style."""
    rows = [[None, *(nst.load_image(style, 384) for style in nst.style_names())]]
    with tempfile.TemporaryDirectory() as folder:
        for name, photo in photographs(384).items():
            file, options = Path(folder, f"{name}.png"), ("--size", "384", "--steps", "150")
            nst.save_image(photo, file)
            painted = (paint(str(file), style, *options, *weight_of(name, style)) for style in nst.style_names())
            rows.append([photo, *painted])
    sheet(rows, (240, 200), path)


def fast(path: Path) -> None:
    """Every photograph through every fast network."""
    networks = {name: nst.load_model(name) for name in nst.style_model_names()}
    rows = [[None, *(nst.load_image(name, 512) for name in networks)]]
    rows += [[photo, *(nst.stylize(one, photo) for one in networks.values())] for photo in photographs(512).values()]
    sheet(rows, (200, 150), path)


def main() -> None:
    """Paint the pictures that are named, or all."""
    pictures = {f"{draw.__name__}.jpg": draw for draw in (first, gallery, fast)}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"default: all of {', '.join(pictures)}")
    names = parser.parse_args().names
    if unknown := set(names) - set(pictures):
        parser.error(f"no picture {', '.join(sorted(unknown))}; there are {', '.join(pictures)}")
    for name in names or pictures:
        pictures[name](OUT / name)


if __name__ == "__main__":
    main()
