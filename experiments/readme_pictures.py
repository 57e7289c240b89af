"""Paint the pictures of the README with the package itself: `python experiments/readme_pictures.py`.

They go into docs/; all three take ten minutes on two cores.

    first.jpg     a photograph, a painting and the result at 512 pixels
    gallery.jpg   every bundled photograph in every bundled style, at the default weights
    fast.jpg      every bundled photograph through every fast network, one pass each at 512 pixels

`python experiments/readme_pictures.py fast.jpg` paints only that one.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from PIL import Image, ImageOps

import nst_lesson as nst

OUT = Path(__file__).resolve().parents[1] / "docs"
GAP = 6


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


def paint(photo: str, style: str, size: int, steps: int) -> torch.Tensor:
    """The last picture of a transfer with the pocket network at the defaults."""
    content, painting = nst.load_image(photo, size), nst.load_image(style, size)
    *_, last = nst.transfer(content, painting, nst.load_backbone("pocket"), steps=steps)
    return last.image


def first(path: Path) -> None:
    """A photograph, a painting and the result."""
    photo, style = nst.load_image("chelsea", 512), nst.load_image("nocturne", 512)
    sheet([[photo, style, paint("chelsea", "nocturne", 512, 100)]], (400, 330), path)


def gallery(path: Path) -> None:
    """Every photograph in every style."""
    photos, styles = nst.photo_names(), nst.style_names()
    top = [None, *(nst.load_image(style, 256) for style in styles)]
    rows = [[nst.load_image(photo, 256), *(paint(photo, style, 256, 150) for style in styles)] for photo in photos]
    sheet([top, *rows], (190, 190), path)


def fast(path: Path) -> None:
    """Every photograph through every fast network."""
    networks = [nst.load_model(name) for name in nst.style_model_names()]
    photos = [nst.load_image(name, 512) for name in nst.photo_names()]
    sheet([[nst.stylize(network, photo) for network in networks] for photo in photos], (220, 165), path)


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
