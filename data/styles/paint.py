"""Paint the six style pictures of the course: seeded, deterministic, released under CC0.

    python data/styles/paint.py [NAME ...] [--out DIR]

Lengths are in units of the picture's height, x points right and y points down, angles are in radians from x
towards y. Colors are RGB in [0, 1]. A painting therefore looks the same, apart from detail, at any size.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage
from skimage.transform import resize

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]
Color = Sequence[float]
Points = Sequence[tuple[float, float]]

MAX_BYTES = 200_000
HERE = Path(__file__).resolve().parent


# ---------------------------------------------------------------------------------------------------------------
# Shared tools: colors, noise, curves, shapes, flow
# ---------------------------------------------------------------------------------------------------------------


def ink(code: str) -> Array:
    """The color of a hexadecimal code such as ``"1d3a6e"``."""
    return np.array([int(code[i : i + 2], 16) for i in (0, 2, 4)], np.float32) / 255


def inks(codes: str) -> Array:
    """The colors (N, 3) of codes separated by blanks."""
    return np.stack([ink(code) for code in codes.split()])


def ramp(value: Array | float, codes: str, stops: Sequence[float] | None = None) -> Array:
    """Colors (..., 3) along a gradient through `codes`, which lie at `stops` (default: evenly on [0, 1])."""
    colors = inks(codes)
    at = np.linspace(0, 1, len(colors)) if stops is None else stops
    return np.stack([np.interp(value, at, channel) for channel in colors.T], -1).astype(np.float32)


def mix(a: Array, b: Array, weight: Array | float) -> Array:
    """``a`` where the weight is 0, ``b`` where it is 1; a weight (H, W) serves all three channels."""
    weight = np.clip(weight, 0, 1)
    return a + (b - a) * (weight[..., None] if np.ndim(weight) == 2 else weight)


def step(edge0: float, edge1: float, value: Array) -> Array:
    """A smooth step from 0 at `edge0` to 1 at `edge1`."""
    t = np.clip((value - edge0) / (edge1 - edge0), 0, 1)
    return t * t * (3 - 2 * t)


def noise(shape: tuple[int, int], cell: float | tuple[float, float], rng: Generator, octaves: int = 3) -> Array:
    """Smooth noise (H, W) of about zero mean and unit deviation; `cell` is its grain, or (tall, wide) grain."""
    total = np.zeros(shape, np.float32)
    tall, wide = np.broadcast_to(cell, 2)
    for octave in range(octaves):
        rows = int(np.ceil(2**octave / tall)) + 3
        columns = int(np.ceil(2**octave * shape[1] / shape[0] / wide)) + 3
        grid = rng.standard_normal((rows, columns)).astype(np.float32)
        total += resize(grid, shape, order=3, mode="edge", anti_aliasing=False) * 0.55**octave
    return (total / total.std()).astype(np.float32)


def curve(points: Points, count: int = 40) -> Array:
    """A Catmull-Rom spline (N, 2) through the points, `count` samples for each of its pieces."""
    p = np.array([points[0], *points, points[-1]], np.float32)
    t = np.linspace(0, 1, count, endpoint=False, dtype=np.float32)[:, None]
    pieces = [
        0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
        for a, b, c, d in zip(p[:-3], p[1:-2], p[2:-1], p[3:], strict=True)
    ]
    return np.concatenate([*pieces, p[-1:]])


def filled(shape: tuple[int, int], *polygons: Array | Points) -> Mask:
    """The mask (H, W) of the union of polygons given in picture units."""
    image = Image.new("1", shape[::-1])
    draw = ImageDraw.Draw(image)
    for polygon in polygons:
        draw.polygon([tuple(p) for p in np.asarray(polygon) * shape[0]], fill=1)
    return np.array(image)


def smear(texture: Array, angle: Array, length: float, steps: int = 10) -> Array:
    """The texture blurred along the directions `angle`: line integral convolution (Cabral and Leedom 1993)."""
    height, width = texture.shape
    stride = length * height / (2 * steps)
    cosine, sine = np.cos(angle) * stride, np.sin(angle) * stride
    total = texture.copy()
    for sign in (-1, 1):
        y, x = np.indices(texture.shape, np.float32)
        for _ in range(steps):
            at = np.clip(y, 0, height - 1).astype(np.intp), np.clip(x, 0, width - 1).astype(np.intp)
            x, y = x + sign * cosine[at], y + sign * sine[at]
            total += texture[at]
    return total / total.std()


def lit(color: Array, relief: Array, strength: float, gloss: float = 0.0) -> Array:
    """Light from the upper left on paint of height `relief` (in pixels): shaded flanks and glossy ridges."""
    slope_y, slope_x = np.gradient(relief)
    toward = -(slope_x + slope_y) * strength
    shaded = color * (1 + np.clip(toward, -0.45, 0.45))[..., None]
    return shaded + gloss * (np.clip(toward - 0.12, 0, 0.6) ** 1.5)[..., None]


# ---------------------------------------------------------------------------------------------------------------
# The canvas and its brush
# ---------------------------------------------------------------------------------------------------------------


def _bristles() -> Array:
    """A brush's imprint (256, 256) in [0, 1]: lanes across, fading slowly along the second axis."""
    rng = np.random.default_rng(1)
    lanes = ndimage.gaussian_filter(rng.standard_normal((256, 256)), (1.6, 30), mode="wrap")
    coarse = ndimage.gaussian_filter(rng.standard_normal((256, 256)), (6, 40), mode="wrap")
    ranks = (lanes / lanes.std() + coarse / coarse.std()).ravel().argsort().argsort()
    return (ranks.reshape(256, 256) / 65535).astype(np.float32)


BRISTLES = _bristles()


class Canvas:
    """Paint on a ground: `color` (H, W, 3) and `relief`, its thickness in pixels (H, W)."""

    def __init__(self, height: int, width: int, ground: Color | Array, rng: Generator) -> None:
        self.color = np.empty((height, width, 3), np.float32)
        self.color[:] = ground
        self.relief = np.zeros((height, width), np.float32)
        self.rng = rng
        self.shape = (height, width)
        self.y, self.x = (np.indices(self.shape, np.float32) + 0.5) / height

    def stroke(
        self, x: float, y: float, angle: float, length: float, width: float, color: Color, *,
        bend: float = 0.0, body: float = 1.0, dry: float = 0.0, clip: Mask | None = None,
    ) -> None:  # fmt: skip
        """One touch of the brush, centered on (x, y).

        `bend` is the curvature of its path (1 / radius), `body` the thickness of the paint, `dry` the share of the
        bristles that leave no paint, and `clip` a mask outside which nothing is painted.
        """
        height, columns = self.shape
        x, y, length, width, bend = x * height, y * height, length * height, width * height, bend / height
        cosine, sine = np.cos(angle), np.sin(angle)
        across = width / 2 + abs(bend) * length * length / 8 + 1
        reach_x = abs(cosine) * length / 2 + abs(sine) * across + 1
        reach_y = abs(sine) * length / 2 + abs(cosine) * across + 1
        left, right = max(int(x - reach_x), 0), min(int(x + reach_x) + 1, columns)
        top, bottom = max(int(y - reach_y), 0), min(int(y + reach_y) + 1, height)
        if left >= right or top >= bottom:
            return
        dx = np.arange(left, right, dtype=np.float32)[None, :] + np.float32(0.5 - x)
        dy = np.arange(top, bottom, dtype=np.float32)[:, None] + np.float32(0.5 - y)
        u = (dx * np.float32(cosine) + dy * np.float32(sine)) * np.float32(2 / length)
        v = dy * np.float32(cosine) - dx * np.float32(sine)
        uu = u * u
        v = (v - uu * np.float32(bend * length * length / 8)) * np.float32(2 / width)
        inside = np.float32(1) - uu * uu - v * v
        mask = np.clip(inside * np.float32(max(width / 4, 0.75)), 0, 1)

        lane, along = self.rng.integers(256, size=2)
        rows = (v * np.float32(min(4 + 0.8 * width, 40)) + lane).astype(np.int32) & 255
        cols = (u * np.float32(max(length / 3, 8)) + along).astype(np.int32) & 255
        grain = BRISTLES[rows, cols]
        if dry:
            mask *= np.clip((grain - np.float32(dry)) * 5 + np.float32(0.5), 0, 1)
        if clip is not None:
            mask *= clip[top:bottom, left:right]

        pigment = np.asarray(color, np.float32) * (np.float32(0.88) + np.float32(0.24) * grain)[..., None]
        patch = self.color[top:bottom, left:right]
        patch += mask[..., None] * (pigment - patch)
        ridge = np.float32(body * min(width / 6, 2)) * (np.float32(0.5) + grain + np.float32(0.6) * v * v)
        thickness = self.relief[top:bottom, left:right]
        thickness += mask * (ridge - np.float32(0.75) * thickness)

    def cover(
        self, reference: Array, angle: Array, *, length: float, width: float, coats: float = 1.6,
        where: Mask | None = None, vary: float = 0.05, wander: float = 0.12, body: float = 1.0, dry: float = 0.0,
        clip: bool = False,
    ) -> None:  # fmt: skip
        """Cover the picture, or the mask `where`, with strokes in the reference's colors along the angles.

        `coats` is how often each point is covered on average, `vary` the deviation of the colors, `wander` that of
        the angles, and `clip` stops the strokes at the mask's edge.
        """
        where = np.ones(self.shape, bool) if where is None else where
        ys, xs = np.nonzero(where)
        count = int(coats * ys.size / self.shape[0] ** 2 / (length * width))
        ahead = length * self.shape[0] / 3
        for pick in self.rng.integers(ys.size, size=count):
            row, column = ys[pick], xs[pick]
            theta = angle[row, column]
            bend = self._turn(angle, row, column, theta, ahead) / (2 * ahead / self.shape[0])
            light, *tint = self.rng.normal(0, vary, 4)
            size = np.exp(self.rng.normal(0, 0.22))
            self.stroke(
                column / self.shape[0], row / self.shape[0], theta + self.rng.normal(0, wander), length * size,
                width * size, np.clip(reference[row, column] + light + 0.6 * np.array(tint), 0, 1),
                bend=bend, body=body, dry=dry * self.rng.random(), clip=where if clip else None,
            )  # fmt: skip

    def _turn(self, angle: Array, row: int, column: int, theta: float, ahead: float) -> float:
        """By how much the direction turns from `ahead` pixels before a point to as many after it."""
        dy, dx = np.sin(theta) * ahead, np.cos(theta) * ahead
        height, width = self.shape
        before = angle[int(np.clip(row - dy, 0, height - 1)), int(np.clip(column - dx, 0, width - 1))]
        after = angle[int(np.clip(row + dy, 0, height - 1)), int(np.clip(column + dx, 0, width - 1))]
        turn = after - before
        return float(np.clip(turn - np.pi * np.round(turn / np.pi), -1.2, 1.2))


# ---------------------------------------------------------------------------------------------------------------
# nocturne: a swirling night in thick paint
# ---------------------------------------------------------------------------------------------------------------

STARS = [  # x, y, radius
    (0.10, 0.30, 0.050), (0.30, 0.09, 0.062), (0.385, 0.42, 0.040), (0.565, 0.12, 0.046), (0.78, 0.07, 0.040),
    (0.86, 0.44, 0.052), (0.125, 0.525, 0.034), (1.215, 0.10, 0.045), (1.20, 0.44, 0.040), (0.60, 0.50, 0.030),
]  # fmt: skip
MOON = (0.965, 0.20, 0.105)
SWIRLS = [(0.42, 0.255, 0.17, 1.0), (0.66, 0.335, 0.13, 1.0)]  # x, y, radius, sense of rotation


def _night_flow(x: Array, y: Array) -> Array:
    """The direction of the sky: a wind from the left that turns around the stars and rolls up in two swirls."""
    east = np.full_like(x, 0.55)
    south = 0.42 * np.cos(4.2 * x + 2.0 * y) * (1 - 0.6 * step(0.4, 0.7, y))
    whirls = [(sx, sy, 2.1 * r, 1.6, 1.0) for sx, sy, r in [*STARS, MOON]]
    whirls += [(sx, sy, r, 2.4, sense) for sx, sy, r, sense in SWIRLS]
    for cx, cy, radius, strength, sense in whirls:
        dx, dy = x - cx, y - cy
        far = np.hypot(dx, dy) + 1e-4
        pull = strength * np.exp(-((far / radius) ** 3)) / far
        east += pull * sense * (-dy - 0.12 * dx)
        south += pull * sense * (dx - 0.12 * dy)
    return np.arctan2(south, east)


def _night_sky(canvas: Canvas, angle: Array) -> Array:
    """Underpainting of the sky: ribbons of blue along the wind, and halos around the stars and the moon."""
    x, y = canvas.x, canvas.y
    ribbons = smear(noise(canvas.shape, 0.035, canvas.rng, 2), angle, 0.22)
    tone = 0.16 + 0.85 * y + 0.20 * ribbons
    sky = ramp(tone, "0b1a4a 12296e 1d4596 2f68b4 5c97c4 9cc3c4 d6d9a8", [0, 0.2, 0.4, 0.55, 0.7, 0.85, 1])
    for cx, cy, radius, _ in SWIRLS:
        far = np.hypot(x - cx, y - cy) / radius
        crest = 0.5 + 0.5 * np.cos(np.arctan2(y - cy, x - cx) + 9 * far)
        sky = mix(sky, ramp(crest, "1b3f8f 5f9fd0 e6edcf"), 0.75 * np.exp(-(far**4)))
    for cx, cy, radius in [*STARS, MOON]:
        far = np.hypot(x - cx, y - cy) / radius + 0.05 * ribbons
        halo = ramp(far, "fffbe0 fde98a f4c430 e9d87a 9cc7b4 4f8fc0", [0, 0.35, 0.62, 0.95, 1.35, 1.9])
        sky = mix(sky, halo, 1.15 - step(0.9, 2.0, far) * 1.15 + 0.15 * np.cos(9 * far) * np.exp(-(far**2) / 3))
    cx, cy, radius = MOON
    disc = np.hypot(x - cx, y - cy) < radius * 0.62
    bite = np.hypot(x - cx - 0.30 * radius, y - cy + 0.10 * radius) < radius * 0.46
    return np.where(disc[..., None], np.where(bite[..., None], ink("f6d66a"), ink("f08c12")), sky)


def _ridge(x: Array, base: float, swell: float, waves: float, phase: float) -> Array:
    """The height of a range of hills above every x: a few unequal waves."""
    return base - swell * (np.sin(waves * x + phase) + 0.45 * np.sin(2.3 * waves * x + 2 * phase))


def _cypress(x: Array, y: Array, foot: float, top: float, breadth: float) -> Array:
    """Where a cypress stands: 1 on its axis, 0 at its ragged edge, negative outside."""
    up = np.clip((1.05 - y) / (1.05 - top), 0, 1)
    axis = foot + 0.018 * np.sin(7 * up + 1)
    half = breadth * np.sqrt(np.sin(np.pi * (0.30 + 0.70 * up)).clip(0)) * (1 + 0.16 * np.sin(38 * up + 22 * (x - axis)))
    return np.where(y > top, 1 - np.abs(x - axis) / (half * (1 - 0.35 * up) + 1e-4), -1.0)


def _plane(canvas: Canvas, points: Points, color: Array, angle: float, width: float = 0.008) -> None:
    """A flat thing, such as a wall, in strokes that stop at its edge."""
    where = filled(canvas.shape, points)
    canvas.color[where] = color
    reference, along = np.broadcast_to(color, canvas.color.shape), np.full(canvas.shape, angle, np.float32)
    canvas.cover(reference, along, length=4 * width, width=width, where=where, vary=0.03, coats=1.5, clip=True)


def _house(canvas: Canvas, x: float, y: float, size: float, spire: float = 0.0) -> None:
    """A house with its gable to the left and its roof in the light, and perhaps a spire."""
    rng, s = canvas.rng, size
    wall, roof = ramp(rng.random(), "5f7f9c 8ea0a4 b0a890"), ramp(rng.random(), "8a3f2c 3a4a86 a8602f")
    _plane(canvas, [(x, y), (x, y - 0.6 * s), (x + 0.3 * s, y - s), (x + 0.6 * s, y - 0.6 * s), (x + 0.6 * s, y)], wall, 1.5)
    _plane(canvas, [(x + 0.6 * s, y), (x + 0.6 * s, y - 0.6 * s), (x + 1.5 * s, y - 0.6 * s), (x + 1.5 * s, y)], 0.62 * wall, 1.5)
    _plane(canvas, [(x + 0.24 * s, y - 1.06 * s), (x + 1.2 * s, y - 1.06 * s), (x + 1.6 * s, y - 0.52 * s), (x + 0.64 * s, y - 0.52 * s)], roof, 0.9)
    for dx in (0.3, 0.95, 1.22):
        if dx < 0.5 or rng.random() < 0.6:
            canvas.stroke(x + dx * s, y - 0.30 * s, np.pi / 2, 0.30 * s, 0.17 * s, ink("ffd24a"), body=2)
    if spire:
        _plane(canvas, [(x, y - 0.5 * s), (x, y - 1.1 * s), (x + 0.2 * s, y - spire), (x + 0.4 * s, y - 1.1 * s), (x + 0.4 * s, y - 0.5 * s)], ink("34507c"), 1.5)


def nocturne(size: int = 768) -> Array:
    """A village asleep below a turning sky, in impasto; after the manner of the late 1880s."""
    rng = np.random.default_rng(1889)
    canvas = Canvas(round(size * 0.79), size, ink("1b2f63"), rng)
    x, y = canvas.x, canvas.y
    flow = _night_flow(x, y)
    sky = _night_sky(canvas, flow)
    for length, width, coats in [(0.15, 0.030, 2.0), (0.095, 0.017, 2.0), (0.058, 0.0105, 1.7)]:
        canvas.cover(sky, flow, length=length, width=width, coats=coats, vary=0.045, body=1.2)
    for cx, cy, r in [*STARS, MOON, *[(sx, sy, 0.5 * r) for sx, sy, r, _ in SWIRLS]]:
        for ring, length in [(1.15, 0.75), (0.62, 0.45)]:
            near = np.hypot(x - cx, y - cy) < ring * r
            canvas.cover(sky, flow, length=length * r, width=0.17 * r + 0.004, coats=1.8, where=near, vary=0.045, body=1.6)
        if (cx, cy, r) in STARS:
            canvas.stroke(cx, cy, rng.uniform(0, np.pi), 0.50 * r, 0.42 * r, ink("fffdf0"), body=2.5)

    ranges = [
        (_ridge(x, 0.645, 0.030, 4.6, 0.6), "1c3a78 3c6aa6 6a9bbd"),
        (_ridge(x, 0.730, 0.026, 5.4, 2.1), "142c58 2a5a86 4f8a8c"),
        (_ridge(x, 0.815, 0.020, 4.0, 4.0), "163a3a 3a6a4c 8f9a4c"),
    ]
    for crest, palette in ranges:
        land = y > crest
        depth = np.clip((y - crest) / 0.10, 0, 1)
        along = np.arctan(np.gradient(crest, axis=1) * canvas.shape[0]) + 0.5 * depth * np.sin(9 * x + 20 * y)
        folds = smear(noise(canvas.shape, 0.05, rng, 2), along, 0.2)
        hills = ramp(0.75 - 0.7 * depth + 0.22 * folds, palette)
        canvas.color[land] = hills[land]
        for length, width in [(0.10, 0.021), (0.060, 0.011)]:
            canvas.cover(hills, along, length=length, width=width, coats=1.8, where=land, vary=0.04)
        edge = land & (y < crest + 0.007)
        canvas.cover(hills * 0.35, along, length=0.09, width=0.007, coats=1.2, where=edge, vary=0.02)
    for hx, hy, tall in [(0.58, 0.835, 0.046), (0.12, 0.838, 0.044), (0.70, 0.852, 0.050), (0.245, 0.850, 0.052),
                         (0.47, 0.852, 0.052), (0.83, 0.862, 0.046)]:  # fmt: skip
        _house(canvas, hx, hy, tall)
    _house(canvas, 0.355, 0.868, 0.062, spire=0.215)

    furrow = np.arctan2(1.0, (x - 0.55) * 2.2)
    rows = smear(noise(canvas.shape, 0.03, rng, 2), furrow, 0.2)
    field = ramp(0.45 + 0.25 * rows + 0.5 * (y - 0.9), "17333a 3f6a3c 9a8f36 d9b045")
    meadow = y > _ridge(x, 0.875, 0.010, 5.0, 1.0)
    canvas.color[meadow] = field[meadow]
    for length, width in [(0.075, 0.017), (0.048, 0.009)]:
        canvas.cover(field, furrow, length=length, width=width, coats=1.9, where=meadow, vary=0.05)

    for foot, top, breadth in [(1.145, 0.09, 0.095), (1.03, 0.40, 0.055)]:
        tree = _cypress(x, y, foot, top, breadth)
        flame = np.pi / 2 + 0.55 * np.sin(15 * y + 26 * (x - foot)) + 1.6 * (x - foot)
        leaves = smear(noise(canvas.shape, 0.025, rng, 2), flame, 0.2)
        greens = ramp(0.42 + 0.24 * leaves, "0a1414 10241f 1f3a26 3f5a2a 7a6a30")
        canvas.color[tree > 0.1] = greens[tree > 0.1]
        for length, width in [(0.10, 0.018), (0.065, 0.010)]:
            canvas.cover(greens, flame, length=length, width=width, coats=2.0, where=tree > 0, vary=0.025, body=1.2)
    return lit(canvas.color, canvas.relief, 0.16, 0.5)


# ---------------------------------------------------------------------------------------------------------------
# wave: a print from wood blocks
# ---------------------------------------------------------------------------------------------------------------

PAPER, SKY, SUN, PALE, MIDDLE, DARK, FOAM, KEY = range(8)  # the blocks, in the order of printing


class Plate:
    """A drawing for the block cutter: each pixel carries the number of the block that inks it."""

    def __init__(self, height: int, width: int) -> None:
        self.image = Image.new("L", (width, height), SKY)
        self.draw = ImageDraw.Draw(self.image)
        self.unit = height

    def area(self, points: Array | Points, block: int) -> None:
        """Cut a filled area."""
        self.draw.polygon([tuple(p) for p in np.asarray(points) * self.unit], fill=block)

    def dots(self, centers: Array, radii: Array | float, block: int) -> None:
        """Cut discs; along a path they make a line of varying width."""
        radii = np.broadcast_to(radii, len(centers))
        for (x, y), r in zip(centers * self.unit, radii * self.unit, strict=True):
            self.draw.ellipse((x - r, y - r, x + r, y + r), fill=block)

    def line(self, points: Array, width: float, block: int = KEY) -> None:
        """Cut a line that swells in the middle and tapers at both ends."""
        taper = 0.25 + 0.75 * np.sqrt(np.sin(np.linspace(0, np.pi, len(points))).clip(0))
        self.area(_ribbon(points, width * taper), block)


def _ribbon(axis: Array, width: Array) -> Array:
    """The outline of a line of varying width along a path."""
    along = np.gradient(axis, axis=0)
    normal = along[:, ::-1] * (-1, 1) / (np.linalg.norm(along, axis=1, keepdims=True) + 1e-6)
    side = normal * width[:, None] / 2
    return np.concatenate([axis + side, (axis - side)[::-1]])


def _claw(x: float, y: float, angle: float, radius: float, curl: float, rng: Generator, depth: int) -> list[Array]:
    """The discs (N, 3: x, y, radius) of a finger of foam that curls, and of the smaller fingers on it."""
    discs, fingers = [], []
    for k in range(16):
        size = radius * (1 - k / 16) ** 0.75
        discs.append((x, y, size))
        if depth and k in (2, 5, 8, 11):
            turn = angle - np.sign(curl) * rng.uniform(0.5, 1.2)
            fingers += _claw(x, y, turn, size * rng.uniform(0.45, 0.7), curl * rng.uniform(0.9, 1.6), rng, depth - 1)
        x, y = x + 0.72 * radius * np.cos(angle), y + 0.72 * radius * np.sin(angle)
        angle += curl * (0.3 + k / 7)
    return [np.array(discs, np.float32), *fingers]


def _foam(plate: Plate, claws: list[Array], line: float) -> None:
    """Draw a tuft of foam: a key line around all its fingers, and blue shade on their lower sides."""
    discs = np.concatenate(claws)
    centers, radii = discs[:, :2], discs[:, 2]
    plate.dots(centers, radii + line, KEY)
    plate.dots(centers, radii, PALE)
    plate.dots(centers - 0.22 * radii[:, None], radii * 0.80, FOAM)


def _water(plate: Plate, back: Array, face: Array, rng: Generator, bands: int) -> None:
    """A wave between the curve of its back and that of its face, in bands of blue that run up to the lip."""
    s, back, face = np.linspace(0, 1, 160), _even(back), _even(face)
    edges = np.cumsum(np.exp(rng.normal(0, 0.4, 2 * bands + 1)))
    edges = (edges - edges[0]) / (edges[-1] - edges[0])
    for k in range(2 * bands):
        low, high = (back + (face - back) * e + 0.004 * np.sin(14 * s + 5 * e)[:, None] for e in edges[k : k + 2])
        block = (DARK, PALE, DARK, MIDDLE, DARK, FOAM, DARK, MIDDLE)[k % 8]
        plate.area(np.concatenate([low, high[::-1]]), block)
        if block == DARK:
            for e in (0.3, 0.55, 0.8):
                plate.line((low + (high - low) * e)[int(rng.integers(0, 60)) : int(rng.integers(90, 160))], 0.0022, MIDDLE)
        plate.line(low, 0.0035)
    plate.line(back, 0.0075)
    plate.line(face, 0.0075)


def _spray(plate: Plate, x: float, y: float, spread: float, count: int, rng: Generator) -> None:
    """Drops thrown off a crest."""
    centers = np.array([x, y]) + rng.normal(0, spread, (count, 2)) * (1.3, 0.8)
    radii = 0.0022 + 0.004 * rng.random(count) ** 3
    plate.dots(centers, radii + 0.0016, KEY)
    plate.dots(centers, radii, FOAM)


def _fringe(
    plate: Plate, edge: Array, radius: float, heading: float, curl: float, rng: Generator, depth: int = 2
) -> None:
    """A row of claws of foam along an edge, each setting out in the heading (relative to the edge's direction)."""
    way = np.hypot(*np.diff(edge, axis=0).T).cumsum()
    claws = []
    for at in np.arange(0, way[-1], radius * 2.1):
        k = int(np.searchsorted(way, at))
        dx, dy = edge[k + 1] - edge[k]
        angle = np.arctan2(dy, dx) + heading + rng.normal(0, 0.25)
        claws += _claw(*edge[k], angle, radius * rng.uniform(0.7, 1.3), curl * rng.uniform(0.7, 1.3), rng, depth)
    _foam(plate, claws, 0.0019)


def _distance_and_sun(plate: Plate) -> None:
    """The sun with bars of cloud, a mountain with snow, and the sea to the horizon."""
    sun = np.array([[0.31, 0.36]])
    plate.dots(sun, 0.128, KEY)
    plate.dots(sun, 0.124, SUN)
    for x, y, length, tall in [(0.12, 0.415, 0.36, 0.016), (0.36, 0.385, 0.26, 0.012), (0.02, 0.20, 0.30, 0.014),
                               (0.24, 0.17, 0.20, 0.010), (1.28, 0.14, 0.34, 0.014), (0.52, 0.46, 0.30, 0.014)]:  # fmt: skip
        bar = np.stack([np.linspace(x - length / 2, x + length / 2, 60), np.full(60, y)], -1)
        plate.line(bar, tall + 0.005)
        plate.line(bar, tall, FOAM)
    mountain = curve([(-0.02, 0.66), (0.18, 0.585), (0.30, 0.475), (0.345, 0.472), (0.45, 0.575), (0.66, 0.66)])
    plate.area(mountain, MIDDLE)
    plate.area([(0.30, 0.475), (0.345, 0.472), (0.40, 0.525), (0.37, 0.52), (0.35, 0.55), (0.325, 0.515),
                (0.295, 0.545), (0.28, 0.52), (0.245, 0.535)], FOAM)  # fmt: skip
    plate.line(mountain, 0.006)
    x = np.linspace(0, 1.5, 90)
    for k in range(17):
        y = 0.645 + 0.010 * k + 0.0003 * k * k
        crests = np.stack([x, y + 0.0035 * np.sin(23 * x + 2.4 * k) * (0.4 + 0.1 * k)], -1)
        plate.area([*crests, (1.5, 1), (0, 1)], (PALE, MIDDLE, FOAM, DARK, MIDDLE)[k % 5])
        plate.line(crests, 0.003)


def _cut_wave(height: int, width: int, rng: Generator) -> Array:
    """The design: which block (H, W) prints where, key lines included."""
    plate = Plate(height, width)
    _distance_and_sun(plate)
    back = curve([(1.62, 0.85), (1.46, 0.55), (1.33, 0.36), (1.16, 0.19), (0.98, 0.085), (0.78, 0.065), (0.62, 0.13),
                  (0.55, 0.235)])  # fmt: skip
    face = curve([(0.25, 1.02), (0.60, 0.86), (0.80, 0.70), (0.885, 0.52), (0.865, 0.36), (0.76, 0.25), (0.64, 0.205),
                  (0.55, 0.235)])  # fmt: skip
    _water(plate, back, face, rng, 11)
    _spray(plate, 0.52, 0.36, 0.085, 120, rng)
    _spray(plate, 0.86, 0.05, 0.09, 60, rng)
    _fringe(plate, back[110:], 0.0135, 0.55, -0.17, rng)
    inner = 0.62 * _even(back)[92:] + 0.38 * _even(face)[92:]
    plate.area([*back[165:], *inner[::-1]], FOAM)
    for share in (0.12, 0.25, 0.38):
        _fringe(plate, ((1 - share) * _even(back) + share * _even(face))[96:], 0.0105, -0.75, -0.19, rng)
    _fringe(plate, face[190:], 0.0125, -1.0, -0.15, rng)
    _fringe(plate, face[225:], 0.0145, -0.7, -0.15, rng)
    _fringe(plate, (0.85 * _even(back) + 0.15 * _even(face))[100:156], 0.0125, -0.5, -0.18, rng)

    back = curve([(-0.30, 1.00), (-0.10, 0.77), (0.06, 0.66), (0.20, 0.63), (0.31, 0.67), (0.345, 0.735)])
    face = curve([(0.70, 1.10), (0.40, 0.99), (0.26, 0.89), (0.235, 0.79), (0.275, 0.73), (0.345, 0.735)])
    _water(plate, back, face, rng, 7)
    _fringe(plate, back[90:], 0.0095, -0.5, 0.17, rng)
    _fringe(plate, (0.6 * _even(back) + 0.4 * _even(face))[100:], 0.009, 0.8, 0.18, rng)
    _fringe(plate, face[140:], 0.0105, 0.95, 0.17, rng)
    _spray(plate, 0.37, 0.70, 0.045, 50, rng)

    low = curve([(0.10, 1.06), (0.45, 0.95), (0.70, 0.90), (0.98, 0.83), (1.20, 0.76), (1.50, 0.74)])
    high = curve([(0.10, 1.30), (0.60, 1.20), (0.98, 1.10), (1.20, 1.05), (1.5, 1.0)])
    _water(plate, low, high, rng, 6)
    _fringe(plate, low[40:175], 0.0095, -0.9, -0.16, rng)
    _fringe(plate, low[60:160] + (0.0, 0.018), 0.0085, -0.4, -0.18, rng, 1)
    return np.array(plate.image)


def _even(path: Array, count: int = 160) -> Array:
    """The path, resampled to `count` points."""
    t, at = np.linspace(0, 1, len(path)), np.linspace(0, 1, count)
    return np.stack([np.interp(at, t, c) for c in path.T], -1)


def _wood(shape: tuple[int, int], rng: Generator) -> Array:
    """The grain of a plank (H, W) in [0, 1]: long bent year rings and fine pores."""
    y = (np.indices(shape, np.float32)[0]) / shape[0]
    rings = np.sin(2 * np.pi * (24 * y + 0.9 * noise(shape, (0.35, 1.2), rng, 2)))
    pores = noise(shape, (0.004, 0.12), rng, 1)
    return np.clip(0.5 + 0.22 * rings + 0.17 * pores, 0, 1)


def wave(size: int = 768) -> Array:
    """A wave about to break before a low sun: flat inks, key lines, graded sky, the grain of the blocks."""
    rng = np.random.default_rng(1831)
    height, width = round(size * 0.70) * 2, size * 2
    design = _cut_wave(height, width, rng)
    y = (np.indices(design.shape, np.float32)[0]) / height
    nearest = ndimage.distance_transform_edt(design == KEY, return_distances=False, return_indices=True)
    areas = design[tuple(nearest)]
    grain, fiber = _wood(design.shape, rng), noise(design.shape, 0.006, rng, 2)
    print_ = ink("efe2c4") * (1 + 0.018 * fiber)[..., None]
    sky = ramp(y, "1f3b63 7d96a3 dccfae ecd3a6 e2a57c d98e6c", [0.0, 0.13, 0.27, 0.42, 0.58, 0.68])
    pigments = {SKY: sky, SUN: ink("c8452f"), PALE: ink("9dbcc4"), MIDDLE: ink("3f6f9c"), DARK: ink("173a66"),
                FOAM: ink("f4ecd6"), KEY: ink("131f38")}  # fmt: skip
    for block, pigment in pigments.items():
        shift = np.round(rng.uniform(-0.0022, 0.0022, 2) * height * (block != KEY)).astype(int)
        inked = design == KEY if block == KEY else ndimage.shift(areas == block, shift, order=0, mode="nearest")
        load = (0.98 if block in (KEY, FOAM) else 0.74 + 0.26 * np.roll(grain, 97 * block, 0)) - 0.03 * fiber
        print_ = mix(print_, pigment, inked * load)
    return _halved(print_)


def _halved(picture: Array) -> Array:
    """The picture at half the resolution: the mean of each block of 2 x 2 pixels."""
    height, width = (n // 2 for n in picture.shape[:2])
    return picture[: 2 * height, : 2 * width].reshape(height, 2, width, 2, -1).mean((1, 3))


# ---------------------------------------------------------------------------------------------------------------
# stained_glass: a tree before the sun
# ---------------------------------------------------------------------------------------------------------------


class Window:
    """A cartoon for a window: for each pixel the piece of glass, and the figure that the piece belongs to."""

    def __init__(self, height: int, width: int, rng: Generator) -> None:
        self.piece = np.zeros((height, width), np.int32)
        self.figure = np.zeros((height, width), np.int32)
        self.colors = [np.zeros(3, np.float32)]
        self.rng = rng
        self.y, self.x = (np.indices((height, width), np.float32) + 0.5) / height

    def glaze(self, where: Mask, cells: NDArray[np.integer], palette: Callable[[float, float], Array]) -> None:
        """A figure of glass: the mask, cut into `cells`, each in the palette's color at its center of mass."""
        self.figure[where] = self.figure.max() + 1
        _, numbers = np.unique(cells[where], return_inverse=True)
        count = np.bincount(numbers)
        centers = zip(*(np.bincount(numbers, c[where]) / count for c in (self.x, self.y)), strict=True)
        self.piece[where] = numbers + len(self.colors)
        for x, y in centers:
            shade = palette(x, y) * np.exp(self.rng.normal(0, 0.10)) + self.rng.normal(0, 0.025, 3)
            self.colors.append(np.clip(shade, 0.02, 1).astype(np.float32))

    def cuts(self, value: Array, spacing: float, vary: float = 0.18) -> NDArray[np.integer]:
        """Number the bands of a field: cuts at unequal steps of about `spacing`."""
        low, high = float(value.min()), float(value.max())
        marks = np.arange(low, high, spacing)
        return np.digitize(value, np.sort(marks + self.rng.normal(0, vary * spacing, marks.size)))


def _rays(window: Window, x: float, y: float) -> tuple[Array, NDArray[np.integer]]:
    """The sky around the sun at (x, y): the distance from it, and wedges cut at unequal distances."""
    dx, dy = window.x - x, window.y - y
    far = np.hypot(dx, dy)
    turn = (np.arctan2(dy, dx) + 0.10 * np.sin(14 * far)) / (2 * np.pi) % 1
    marks = (np.arange(22) + window.rng.uniform(-0.22, 0.22, 22)) / 22
    wedge = np.digitize(turn, marks) % 22
    offset = window.rng.uniform(0, 0.12, 22)[wedge]
    return far, wedge * 50 + ((far + offset) / (0.07 + 0.10 * far)).astype(int)


def _leaf(window: Window, x: float, y: float, angle: float, length: float) -> None:
    """A pointed leaf in two halves, which part at a bent rib."""
    dx, dy = window.x - x, window.y - y
    u = (dx * np.cos(angle) + dy * np.sin(angle)) / length
    v = (dy * np.cos(angle) - dx * np.sin(angle)) / length + 0.16 * (u * u - 0.25)
    tone = window.rng.random()
    leaf = ramp(tone, "0d5a2c 1f8a3a 6fae2a c9c024 e08a1a b8341c", [0, 0.35, 0.6, 0.78, 0.9, 1])
    light = iter((1.0, 0.72))
    window.glaze(np.abs(v) < 0.42 * (0.25 - u * u) / 0.25 * 0.62, (v > 0).astype(int), lambda *_: leaf * next(light))


def _limb(window: Window, points: Points, thick: float, thin: float) -> Array:
    """A tapering trunk or branch of brown glass, cut across; returns its axis."""
    axis = curve(points)
    normal = np.gradient(axis, axis=0)[:, ::-1] * (-1, 1)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True) + 1e-6
    half = np.linspace(thick, thin, len(axis))[:, None] / 2
    where = filled(window.piece.shape, np.concatenate([axis + normal * half, (axis - normal * half)[::-1]]))
    window.glaze(where, window.cuts(window.y + 0.35 * window.x, 0.075), lambda *_: ramp(window.rng.random(), "5a2410 8a4218 b06a28 6a2a4a"))
    return axis


def _cartoon(height: int, width: int, rng: Generator) -> Window:
    """Sun, sky, hills, river, tree and border, back to front."""
    window = Window(height, width, rng)
    x, y, right = window.x, window.y, width / height
    far, wedges = _rays(window, 0.46, 0.36)
    window.glaze(far < 9, wedges, lambda a, b: ramp(
        np.hypot(a - 0.46, b - 0.36) + rng.normal(0, 0.035), "ffe27a ffb52e f47a2a d8405a 8a3a9a 2f4fb8 153a94 0d2a6e",
        [0.10, 0.17, 0.23, 0.30, 0.37, 0.45, 0.58, 0.7]))  # fmt: skip
    turn = np.arctan2(y - 0.36, x - 0.46) + 9 * far
    window.glaze(far < 0.125, (turn / (2 * np.pi) * 9 % 9).astype(int), lambda *_: ramp(rng.random(), "ffd23e ffae1e f58a1a"))
    window.glaze(far < 0.070, far < 0.033, lambda a, b: ramp(rng.random(), "fff3b0 ffe060"))

    ridges = [
        (0.60 - 0.05 * np.sin(5.5 * x + 0.5), "2a4a8a 3a6aa0 5a5a9a"),
        (0.69 + 0.05 * np.sin(6.0 * x + 0.2), "14705a 2a9a6a 1a8a7a"),
        (0.79 - 0.05 * np.sin(5.0 * x - 0.7), "3a8a2a 7aaa2a 1f6a3a"),
    ]
    for ridge, palette in ridges:
        cells = window.cuts(x + 0.5 * (y - ridge), 0.10) * 100 + window.cuts(y - ridge + 0.02 * np.sin(9 * x), 0.065)
        window.glaze(y > ridge, cells, lambda *_, p=palette: ramp(rng.random(), p))
    bed = 0.20 + 0.16 * np.sin(7.5 * (y - 0.60)) + 0.35 * (y - 0.7)
    river = (np.abs(x - bed) < 0.015 + 0.28 * (y - 0.63)) & (y > ridges[1][0])
    current = window.cuts(y + 0.25 * (x - bed), 0.05) * 10 + (x > bed + 0.02 * np.sin(20 * y))
    window.glaze(river, current, lambda *_: ramp(rng.random(), "7ad0e8 3a9ad8 b8e8f0 2a6ac8"))

    limbs = [
        (((0.585, 0.66), (0.66, 0.55), (0.70, 0.42), (0.69, 0.27)), 0.034, 0.012),
        (((0.57, 0.56), (0.47, 0.47), (0.38, 0.41), (0.25, 0.385)), 0.034, 0.010),
        (((0.58, 0.46), (0.54, 0.34), (0.46, 0.22), (0.35, 0.15)), 0.030, 0.010),
        (((0.585, 0.42), (0.61, 0.30), (0.60, 0.18), (0.56, 0.10)), 0.026, 0.010),
        (((0.575, 0.62), (0.50, 0.575), (0.40, 0.56), (0.33, 0.52)), 0.026, 0.010),
        (((0.60, 1.02), (0.575, 0.85), (0.60, 0.70), (0.565, 0.55), (0.585, 0.40)), 0.090, 0.030),
    ]
    for points, thick, thin in limbs:
        axis = _limb(window, points, thick, thin)
        for k in range(44 if thick < 0.05 else 130, len(axis), 8):
            side = 1 if k % 16 < 8 else -1
            angle = np.arctan2(*(axis[k] - axis[k - 4])[::-1]) + side * rng.uniform(0.5, 1.3)
            length = rng.uniform(0.055, 0.085)
            reach = 0.62 * length * np.array([np.cos(angle), np.sin(angle)])
            _leaf(window, *(axis[k] + reach), angle, length)

    inset = np.minimum(np.minimum(x, right - x), np.minimum(y, 1 - y))
    upright = np.minimum(x, right - x) < np.minimum(y, 1 - y)
    jewels = "a8121f d0202e 6a1a6a 1f3fb0 e8981a 1a7a5a"
    window.glaze(inset < 0.052, window.cuts(np.where(upright, y, x + 5), 0.062, 0.1), lambda *_: ramp(rng.random(), jewels))
    for cx, cy in [(0.052, 0.052), (right - 0.052, 0.052), (0.052, 0.948), (right - 0.052, 0.948)]:
        far, turn = np.hypot(x - cx, y - cy), np.arctan2(y - cy, x - cx) / (2 * np.pi) % 1
        window.glaze(far < 0.062, (turn * 6).astype(int), lambda *_: ramp(rng.random(), "1a3aa8 3a7ad8 2a2a88"))
        window.glaze(far < 0.030, far < 0.0, lambda *_: ink("f8c83a"))
    return window


def _streaks(shape: tuple[int, int], rng: Generator) -> Array:
    """Eight textures (8, H, W) of streaky glass, drawn out in eight directions."""
    seed = noise(shape, 0.012, rng, 2)
    return np.stack([smear(seed, np.full(shape, k * np.pi / 8, np.float32), 0.10, 6) for k in range(8)])


def _bubbles(shape: tuple[int, int], count: int, rng: Generator) -> Array:
    """Seeds of air in the glass (H, W): a bright upper and a dark lower rim each, 0 elsewhere."""
    canvas = np.zeros(shape, np.float32)
    for x, y in rng.integers(0, shape[::-1], (count, 2)):
        r = shape[0] * rng.uniform(0.0012, 0.004)
        top, left = max(int(y - 2 * r), 0), max(int(x - 2 * r), 0)
        patch = canvas[top : int(y + 2 * r), left : int(x + 2 * r)]
        dy, dx = np.indices(patch.shape) + np.array([top - y, left - x])[:, None, None]
        patch += np.exp(-((np.hypot(dy, dx) / r) ** 4)) * (-dy / r) * 0.5
    return canvas


def stained_glass(size: int = 768) -> Array:
    """A leaded window with the low sun behind a tree: streaky, bubbly glass that glows."""
    rng = np.random.default_rng(1200)
    height, width = 2 * size, 2 * round(0.79 * size)
    window = _cartoon(height, width, rng)
    piece, shape = window.piece, window.piece.shape

    def seam(labels: NDArray[np.integer]) -> Array:
        """The distance (H, W) to the nearest border between labels."""
        return ndimage.distance_transform_edt(ndimage.maximum_filter(labels, 2) == ndimage.minimum_filter(labels, 2)) / height

    uneven = 1 + 0.18 * noise(shape, 0.04, rng, 2)
    thin, thick = seam(piece), seam(window.figure)
    came = np.minimum(thin / (0.0030 * uneven), thick / (0.0050 * uneven))

    grain = np.take_along_axis(_streaks(shape, rng), rng.integers(8, size=len(window.colors))[piece][None], 0)[0]
    lean = rng.normal(0, 2.2, (2, len(window.colors)))
    gradient = lean[0][piece] * (window.x - 0.4) % 0.6 + lean[1][piece] * (window.y - 0.5) % 0.6 - 0.6
    behind = 0.78 + 0.50 * np.exp(-((np.hypot(window.x - 0.46, window.y - 0.36) / 0.30) ** 2))
    light = 1.15 * behind * (1 + 0.17 * grain + 0.22 * gradient) * (0.72 + 0.28 * step(0, 0.016, thin))
    glass = np.array(window.colors)[piece] * light[..., None]
    glass = lit(glass + 0.05 * (grain.clip(0) * behind)[..., None], noise(shape, 0.02, rng, 2) * 1.5, 0.5)
    glass += (_bubbles(shape, 700, rng) * behind)[..., None] * 0.35
    lead = lit(np.full((*shape, 3), ink("2b2c33")), np.sqrt(np.clip(1 - came**2, 0, 1)) * 0.004 * height, 0.35, 0.35)
    picture = mix(glass, lead * (1 + 0.15 * noise(shape, 0.004, rng, 1))[..., None], step(1.12, 0.9, came))
    glow = ndimage.gaussian_filter(np.clip(picture - 0.35, 0, 1), (0.012 * height, 0.012 * height, 0))
    return _halved(picture + 0.40 * glow)


# ---------------------------------------------------------------------------------------------------------------
# pointillist: a river in divided color
# ---------------------------------------------------------------------------------------------------------------

PIGMENTS = inks(
    "f7d11e fbe96b f39a1d ec5f23 d9304a e8709a 7d2f86 4a2a7d 27348f 2c5fb8 3f9bd0 8cc9e2 1f8f86 2f9a4d 14593c "
    "8dbf3a c9dc58 fbf4dc f8cfc0 f9e2a0 c3b4e0 a8dcd0 5b3a2e"
)


def _divided(target: Array, vary: float, rng: Generator) -> Array:
    """A pure pigment for each target color (N, 3), such that neighbors mix to the target in the eye."""
    aim = target + rng.normal(0, vary, target.shape)
    return PIGMENTS[np.argmin(((aim[:, None] - PIGMENTS) ** 2 * (0.8, 1.2, 0.7)).sum(-1), 1)]


def _grove(x: Array, y: Array, crowns: Points, sizes: Sequence[float], ragged: Array) -> Array:
    """Crowns of trees: the depth inside their union, in units of each crown's radius, negative outside."""
    return np.max([1 - np.hypot((x - cx) / s, (y - cy) / (0.9 * s)) for (cx, cy), s in zip(crowns, sizes, strict=True)], 0) + 0.14 * ragged


def _lady(put: Callable[..., None], shape: tuple[int, int], x: float, y: float) -> None:
    """A lady with a parasol, her feet at (x, y), and her shadow on the grass."""
    def at(points: Points) -> Mask:
        return filled(shape, curve([(x + dx, y + dy) for dx, dy in points], 12))

    put(at([(-0.02, 0.0), (-0.25, 0.035), (-0.42, 0.03), (-0.25, 0.005), (-0.02, -0.01)]), ink("27348f"), 0.0, 1.8)
    put(at([(-0.035, 0.01), (-0.055, -0.005), (-0.018, -0.13), (0.020, -0.13), (0.075, -0.02), (0.06, 0.012), (-0.035, 0.01)]), ink("5a2a86"), 1.4, 1.5)
    put(at([(-0.022, -0.12), (-0.028, -0.19), (-0.012, -0.215), (0.012, -0.215), (0.026, -0.19), (0.022, -0.12)]), ink("c8304f"), 1.4, 1.3)
    put(at([(-0.016, -0.215), (-0.017, -0.245), (0.0, -0.258), (0.016, -0.245), (0.014, -0.215)]), ink("f2b08a"), 0.0, 1.0)
    put(at([(-0.032, -0.243), (0.0, -0.275), (0.032, -0.243), (0.0, -0.250), (-0.032, -0.243)]), ink("27348f"), 0.0, 1.2)
    put(at([(0.012, -0.18), (0.052, -0.20), (0.042, -0.30), (0.048, -0.30), (0.060, -0.19), (0.012, -0.165)]), ink("4a2a7d"), 1.4, 1.2)
    put(at([(-0.06, -0.285), (-0.03, -0.345), (0.045, -0.372), (0.12, -0.345), (0.15, -0.285), (0.10, -0.300), (0.045, -0.290), (-0.01, -0.300), (-0.06, -0.285)]), ink("f39a1d"), 0.3, 1.2)
    put(at([(0.05, -0.292), (0.06, -0.365), (0.12, -0.345), (0.15, -0.285), (0.10, -0.300)]), ink("fbe96b"), 0.8, 1.2)


def _riverside(canvas: Canvas) -> tuple[Array, Array, Array]:
    """What the painter sees: its colors (H, W, 3), the direction and the relative length of the touches."""
    x, y, rng = canvas.x, canvas.y, canvas.rng
    ragged, cloud = noise(canvas.shape, 0.05, rng), noise(canvas.shape, (0.07, 0.30), rng)
    shore = 0.47
    scene = ramp(y, "4f8fd0 86b8e0 c6d6e0 f6dcb0 fbd28a", [0, 0.14, 0.26, 0.38, 0.46])
    scene = mix(scene, ink("fdeed0"), 0.8 * step(0.5, 1.5, cloud) * step(0.45, 0.2, y))
    scene = mix(scene, ink("fff3b8"), np.exp(-(np.hypot(x - 0.98, y - 0.36) / 0.10) ** 2))
    hills = y > shore - 0.055 - 0.02 * np.sin(6 * x) - 0.006 * ragged
    scene = np.where(hills[..., None], ramp((shore - y) / 0.07 + 0.15 * ragged, "6f8fae 8a86c0 b49ac8"), scene)
    bank = _grove(x, y, [(0.62, 0.43), (0.70, 0.42), (0.79, 0.44), (1.16, 0.43), (1.26, 0.41), (1.36, 0.42)],
                  [0.045, 0.06, 0.04, 0.045, 0.07, 0.07], ragged)  # fmt: skip
    scene = np.where(((bank > 0) & (y < shore))[..., None], ramp(bank + 0.2 * ragged + (x - 0.98) * 0.2, "7fa04a 3f8a5a 2a5f7a 3a3f80"), scene)

    mirror = np.clip(2 * shore - y + 0.012 * noise(canvas.shape, (0.012, 0.15), rng), 0.01, shore)
    rows = (mirror * canvas.shape[0]).astype(int)
    ripple = smear(noise(canvas.shape, (0.012, 0.10), rng), np.zeros(canvas.shape, np.float32), 0.06)
    river = mix(scene[rows, np.arange(canvas.shape[1])], ramp(y, "7fb0d8 2f62b0", [shore, 1]), 0.30 + 0.5 * (y - shore) + 0.14 * ripple)
    river = mix(river, ink("fbe08a"), 0.9 * np.exp(-((x - 0.98) / (0.03 + 0.15 * (y - shore))) ** 2) * step(-0.3, 0.9, ripple))
    scene = np.where((y > shore)[..., None], river, scene)
    angle = np.where(y > shore, 0.0, 0.5 * np.sin(4 * x + 3 * y) - 0.3).astype(np.float32)
    stretch = np.where(y > shore, 2.0, 1.3).astype(np.float32)

    def put(where: Mask, color: Array, direction: Array | float, length: float) -> None:
        scene[where] = color[where] if color.ndim == 3 else color
        angle[where] = direction[where] if np.ndim(direction) else direction
        stretch[where] = length

    for sx, base, tall in [(0.52, 0.515, 0.17), (1.06, 0.490, 0.085), (0.86, 0.485, 0.06)]:
        sail = filled(canvas.shape, [(sx, base - tall), (sx + 0.42 * tall, base - 0.1 * tall), (sx, base - 0.1 * tall)],
                      [(sx - 0.02 * tall, base - 0.9 * tall), (sx - 0.28 * tall, base - 0.1 * tall), (sx - 0.02 * tall, base - 0.1 * tall)])  # fmt: skip
        cloth = "d9304a ec5f23 f39a1d fbe96b" if tall > 0.1 else "e8c0d8 fdf6dc fff2c0"
        put(sail, ramp((x - sx) / tall + 0.4, cloth), 1.4, 1.2)
        hull = filled(canvas.shape, [(sx - 0.34 * tall, base - 0.06 * tall), (sx + 0.46 * tall, base - 0.06 * tall), (sx + 0.34 * tall, base + 0.07 * tall), (sx - 0.24 * tall, base + 0.07 * tall)])
        put(hull, ink("7d2f46"), 0.0, 1.6)
        glint = (np.abs(x - sx - 0.06 * tall) < 0.2 * tall * (1 + 0.5 * ripple)) & (y > base + 0.07 * tall) & (y < base + 0.85 * tall)
        scene[glint] = 0.4 * scene[glint] + 0.6 * ink("f6e6d0")

    edge = 0.80 + 0.10 * np.sin(2.4 * x + 2.4) - 0.34 * step(0.55, 0.0, x)
    meadow = y > edge + 0.01 * ragged
    lawn = ramp(0.45 + 0.30 * ragged + 1.2 * (y - edge), "e8d84a b4cc4a 6fae4a 3f8a4a 2a6a5a")
    shade = np.exp(-(((x - 0.30) / 0.42) ** 2 + ((y - 0.93) / 0.10) ** 2) ** 2)
    lawn = mix(lawn, ramp(0.5 + 0.4 * ragged, "2a2f78 1f5a5a 4a3a86"), 0.85 * shade)
    put(meadow, lawn, -np.pi / 2 + 0.5 * ragged, 1.7)
    for trunk in ([(0.155, 0.93), (0.165, 0.6), (0.15, 0.3), (0.185, 0.3), (0.20, 0.6), (0.215, 0.93)],
                  [(0.36, 0.90), (0.365, 0.62), (0.355, 0.34), (0.375, 0.34), (0.388, 0.62), (0.395, 0.90)]):  # fmt: skip
        put(filled(canvas.shape, trunk), ramp((x - trunk[0][0]) / 0.06, "e08a4a 8a4a5a 3a2a6a"), np.pi / 2, 1.8)
    _lady(put, canvas.shape, 0.665, 0.945)
    crown = _grove(x, y, [(0.04, 0.16), (0.17, 0.10), (0.29, 0.20), (0.16, 0.27), (0.03, 0.33), (0.38, 0.27), (0.42, 0.15), (0.34, 0.06)],
                   [0.13, 0.15, 0.12, 0.12, 0.10, 0.10, 0.09, 0.10], ragged)  # fmt: skip
    sunny = 0.55 + 0.28 * ragged - 0.9 * (x - 0.25) + 0.9 * (y - 0.2)
    put(crown > 0, ramp(sunny, "f0d850 9cc44a 3f9a4d 1f6f5a 2a3f86"), 0.8 + ragged, 1.3)
    return scene, angle, stretch


def pointillist(size: int = 768) -> Array:
    """A summer evening on a river, in dots of pure pigment that mix in the eye."""
    rng = np.random.default_rng(1884)
    canvas = Canvas(round(size * 0.73), size, ink("efe6d0"), rng)
    scene, angle, stretch = _riverside(canvas)
    depth = 0.55 + 0.75 * np.abs(canvas.y - 0.46) / 0.54
    canvas.cover(scene, angle, length=0.03, width=0.014, coats=1.6, vary=0.05, body=0.4)
    contours = ndimage.gaussian_gradient_magnitude(scene.mean(-1), 1.2) > 0.022
    for width, vary, coats in [(0.0125, 0.13, 1.3), (0.0098, 0.16, 1.2), (0.0072, 0.20, 0.6), (0.0064, 0.10, 2.2)]:
        count = int(coats * canvas.x.size / canvas.shape[0] ** 2 / width**2 / np.mean(depth**2))
        rows, columns = rng.integers(0, canvas.shape[0], count), rng.integers(0, canvas.shape[1], count)
        small = rng.random(count) * depth.max() ** -2 < depth[rows, columns] ** -2
        if width < 0.007:
            small &= contours[rows, columns]
        colors = _divided(scene[rows, columns], vary, rng)
        for row, column, color in zip(rows[small], columns[small], colors[small], strict=True):
            w = width * depth[row, column] * np.exp(rng.normal(0, 0.12))
            canvas.stroke(
                (column + 0.5) / canvas.shape[0], (row + 0.5) / canvas.shape[0], angle[row, column] + rng.normal(0, 0.25),
                w * stretch[row, column], w, color, body=1.2,
            )  # fmt: skip
    return lit(canvas.color, canvas.relief, 0.12, 0.15)


# ---------------------------------------------------------------------------------------------------------------
# cubist: a still life in facets
# ---------------------------------------------------------------------------------------------------------------


def _still_life(canvas: Canvas) -> Array:
    """The motif, seen plainly (H, W, 3): a guitar, a bottle, a glass and a newspaper on a table."""
    x, y, rng = canvas.x, canvas.y, canvas.rng
    smooth = noise(canvas.shape, 0.25, rng, 2)
    scene = ramp(0.45 + 0.22 * smooth + 0.3 * (x - y), "4c5a66 7d8a90 a9aca2 8c7a58 c0a878")

    def shape(points: Points, color: Array) -> None:
        where = filled(canvas.shape, curve(points) if len(points) > 6 else points)
        scene[where] = color[where] if color.ndim == 3 else color

    planks = 0.5 + 0.5 * np.sin(60 * (y + 0.25 * x) + 2 * smooth)
    shape([(0.0, 0.74), (0.78, 0.62), (0.9, 1.05), (-0.1, 1.05)], ramp(0.3 + 0.4 * planks, "4a3220 7a5430 a07a45"))
    shape([(0.06, 0.80), (0.34, 0.72), (0.46, 0.93), (0.16, 1.0)], ink("ddd6c0"))
    for k in range(9):
        a = np.array([0.10 + 0.012 * k, 0.815 + 0.018 * k])
        shape([a, a + (0.24, -0.072), a + (0.243, -0.066), a + (0.003, 0.006)], ink("4a4a48"))

    shape([(0.13, 0.74), (0.13, 0.42), (0.15, 0.36), (0.185, 0.32), (0.185, 0.16), (0.245, 0.16), (0.245, 0.32),
           (0.28, 0.36), (0.30, 0.42), (0.30, 0.74), (0.215, 0.76), (0.13, 0.74)],
          ramp((x - 0.13) / 0.17, "20302c 4c6a58 9ab09a 3a4e48 1c2826"))  # fmt: skip
    shape([(0.14, 0.50), (0.29, 0.48), (0.29, 0.62), (0.14, 0.64)], ink("d6c9a4"))

    gx, gy, angle = GUITAR
    u = (x - gx) * np.cos(angle) + (y - gy) * np.sin(angle)
    v = (y - gy) * np.cos(angle) - (x - gx) * np.sin(angle)
    half = _guitar_half(u)
    body, wood = np.abs(v) < half, 0.5 + 0.3 * np.sin(90 * v + 2 * smooth) + 0.8 * v
    scene[body] = ramp(wood, "8a5420 b67a2e d9a548 ecc878")[body]
    scene[body & (np.abs(v) > half - 0.017)] = ink("5a3214")
    scene[(np.abs(v) < 0.024) & (u > 0.08) & (u < 0.50)] = ink("3a2618")
    scene[(np.abs(v) < 0.040) & (u >= 0.50) & (u < 0.60)] = ink("6a4a2a")
    rose = np.hypot(u - 0.085, v)
    scene[(rose < 0.075) & (rose > 0.060)] = ink("e6d3a0")
    scene[rose < 0.060] = ink("1a1410")
    scene[(np.abs(v) < 0.075) & (np.abs(u + 0.14) < 0.013)] = ink("2a1a10")
    for k in range(6):
        scene[(np.abs(v - 0.0064 * (k - 2.5)) < 0.0012) & (u > -0.14) & (u < 0.52)] = ink("f0e6cc")

    shape([(0.60, 0.55), (0.735, 0.54), (0.715, 0.70), (0.68, 0.73), (0.682, 0.83), (0.73, 0.86), (0.62, 0.87), (0.662, 0.83),
           (0.66, 0.73), (0.62, 0.70), (0.60, 0.55)], ramp((x - 0.60) / 0.13, "c8d2d2 8fa2a8 eef0ea 6f848c"))  # fmt: skip
    shape([(0.613, 0.63), (0.722, 0.62), (0.71, 0.695), (0.67, 0.72), (0.625, 0.70)], ink("7a2f28"))
    return scene


def _halve(polygon: Array, at: Array, angle: float) -> tuple[Array, Array]:
    """The two parts of a convex polygon on either side of the line through `at` in the direction `angle`."""
    side = (polygon - at) @ np.array([-np.sin(angle), np.cos(angle)])
    parts: tuple[list, list] = ([], [])
    for k in range(len(polygon)):
        a, b, p, q = side[k - 1], side[k], polygon[k - 1], polygon[k]
        if a * b < 0:
            cut = p + (q - p) * a / (a - b)
            parts[0].append(cut)
            parts[1].append(cut)
        parts[int(b > 0)].append(q)
    return np.array(parts[0]), np.array(parts[1])


def _area(polygon: Array) -> float:
    """The area of a polygon (the shoelace formula)."""
    x, y = polygon.T
    return 0.5 * abs(float(x @ np.roll(y, 1) - y @ np.roll(x, 1)))


def _facets(polygon: Array, focus: Array, rng: Generator) -> list[Array]:
    """Convex facets that fill the polygon: small near the focus, cut along a few recurring directions."""
    center = polygon.mean(0)
    grain = 0.0030 + 0.036 * np.sum((center - focus) ** 2)
    if _area(polygon) < grain * rng.uniform(0.7, 2.2):
        return [polygon]
    angle = rng.choice([-1.15, -0.62, 0.42, 0.95, 1.45]) + rng.normal(0, 0.10)
    at = center + rng.normal(0, 0.12, 2) * np.ptp(polygon, axis=0)
    parts = [part for part in _halve(polygon, at, angle) if len(part) > 2]
    return [facet for part in parts for facet in _facets(part, focus, rng)] if len(parts) == 2 else [polygon]


def _seen(scene: Array, facet: Array, rng: Generator) -> Array:
    """The scene as this facet shows it: shifted, turned and scaled about the facet's center (nearest pixels)."""
    height, width = scene.shape[:2]
    y, x = np.indices((height, width), np.float32) / height
    (cx, cy), turn, zoom = facet.mean(0), rng.normal(0, 0.13), rng.uniform(0.85, 1.15)
    dx, dy = (x - cx) * zoom, (y - cy) * zoom
    sx = cx + rng.normal(0, 0.018) + dx * np.cos(turn) - dy * np.sin(turn)
    sy = cy + rng.normal(0, 0.018) + dx * np.sin(turn) + dy * np.cos(turn)
    rows, columns = (np.clip(c * height, 0, n - 1).astype(int) for c, n in ((sy, height), (sx, width)))
    return scene[rows, columns]


def _contour(canvas: Canvas, path: Array, width: float, color: Array) -> None:
    """A painted line along a path, in overlapping strokes that swell and thin."""
    way = float(np.hypot(*np.diff(path, axis=0).T).sum())
    ends = _even(path, max(round(way / 0.035), 1) + 1)
    for a, b in zip(ends[:-1], ends[1:], strict=True):
        length = float(np.hypot(*(b - a)))
        w = width * canvas.rng.uniform(0.75, 1.15)
        canvas.stroke(*(a + b) / 2, np.arctan2(*(b - a)[::-1]), 1.35 * length + w, w, color, body=0.8, dry=0.12)


def _signs() -> list[tuple[Array, float, Array]]:
    """The lines by which the things are known: path, width and color of each."""
    gx, gy, angle = GUITAR
    black, cream = ink("1c1512"), ink("f1e8cf")

    def at(u: Array, v: Array) -> Array:
        """Points given along and across the guitar."""
        return np.stack([gx + u * np.cos(angle) - v * np.sin(angle), gy + u * np.sin(angle) + v * np.cos(angle)], -1)

    u, turn = np.linspace(-0.300, 0.262, 240), np.linspace(0, 2 * np.pi, 150)
    half = _guitar_half(u)
    lines = [(at(u, side * half), 0.0085, black) for side in (-1, 1)]
    lines += [(at(u - 0.02, side * (half + 0.026)), 0.0055, color) for side, color in ((1, cream), (-1, black))]
    lines += [(at(0.085 + r * np.cos(turn), r * np.sin(turn)), 0.007, c) for r, c in ((0.064, black), (0.080, cream))]
    for k in range(6):
        lines.append((at(np.linspace(-0.16, 0.54, 200), np.full(200, 0.009 * (k - 2.5))), 0.0032, (black, cream)[k % 2]))
    for k in range(7):
        lines.append((at(np.full(40, 0.27 + 0.038 * k), np.linspace(-0.028, 0.028, 40)), 0.0040, cream))
    for points in (
        [(0.125, 0.74), (0.125, 0.44), (0.15, 0.36), (0.185, 0.31), (0.185, 0.15), (0.25, 0.15)],
        [(0.250, 0.15), (0.250, 0.30), (0.29, 0.38), (0.31, 0.46), (0.31, 0.74), (0.125, 0.745)],
        [(0.178, 0.19), (0.215, 0.197), (0.257, 0.19)],
        [(0.59, 0.55), (0.605, 0.64), (0.655, 0.72), (0.66, 0.82), (0.60, 0.87), (0.75, 0.875)],
        [(0.60, 0.553), (0.665, 0.572), (0.735, 0.545), (0.67, 0.532), (0.60, 0.553)],
        [(0.74, 0.54), (0.745, 0.63), (0.70, 0.71), (0.69, 0.82), (0.75, 0.875)],
    ):
        lines.append((curve(points), 0.0075, black))
    return lines


def _drawing(canvas: Canvas, facets: list[Array]) -> None:
    """The signs drawn over the planes: every facet shifts its part of a line, and some leave it out."""
    labels = np.zeros(canvas.shape, int)
    for number, facet in enumerate(facets):
        labels[filled(canvas.shape, facet)] = number
    shift = canvas.rng.normal(0, 0.007, (len(facets), 2))
    shown = canvas.rng.random(len(facets)) < 0.88
    for path, width, color in _signs():
        rows, columns = np.clip((path[:, ::-1] * canvas.shape[0]).astype(int), 0, np.array(canvas.shape) - 1).T
        number = labels[rows, columns]
        for run in np.split(np.arange(len(path)), np.flatnonzero(np.diff(number)) + 1):
            if shown[number[run[0]]] and len(run) > 2:
                _contour(canvas, path[run] + shift[number[run[0]]], width * canvas.rng.uniform(0.6, 1.3), color)


GUITAR = (0.45, 0.56, -0.95)  # x and y of its middle, the direction of its neck


def _guitar_half(u: Array) -> Array:
    """Half the breadth of the guitar's body at `u` along it, 0 beyond its ends."""
    lower = np.sqrt(np.maximum(0.0400 - (u + 0.10) ** 2, 0))
    upper = np.sqrt(np.maximum(0.0222 - (u - 0.115) ** 2, 0))
    waist = 0.122 + 8 * (u - 0.045) ** 2
    return np.where(np.abs(u - 0.045) < 0.075, np.minimum(waist, np.maximum(lower, upper)), np.maximum(lower, upper))


def cubist(size: int = 768) -> Array:
    """A guitar, a bottle and a glass on a table, in facets, each seen from a place of its own; ocher, gray, blue."""
    rng = np.random.default_rng(1912)
    canvas = Canvas(size, round(0.80 * size), ink("8a7a5c"), rng)
    x, y = canvas.x, canvas.y
    scene = _still_life(canvas)
    frame = np.array([(0, 0), (0.8, 0), (0.8, 1), (0, 1)], np.float32)
    facets = _facets(frame, np.array([0.42, 0.52]), rng)
    for facet in facets:
        where = filled(canvas.shape, facet)
        if not where.any():
            continue
        towards = rng.choice([-0.8, 0.6, 2.2, 3.6]) + rng.normal(0, 0.2)
        slope = (x - facet[:, 0].mean()) * np.cos(towards) + (y - facet[:, 1].mean()) * np.sin(towards)
        reach = float(np.abs(slope[where]).max())
        tint = ink(rng.choice(["d8b877", "6f8aa0", "cfcbb8", "47535c", "8a6a3c"]))
        view = mix(_seen(scene, facet, rng), tint, rng.uniform(0.10, 0.45))
        view = view * (1 + 0.15 * rng.normal() + 0.50 * slope / reach)[..., None]
        canvas.color[where] = view[where]
        hatch = np.full(canvas.shape, towards + np.pi / 2 + rng.normal(0, 0.15), np.float32)
        for length, width, coats in [(0.062, 0.020, 1.6), (0.040, 0.0115, 1.5)]:
            canvas.cover(view, hatch, length=length, width=width, coats=coats, where=where, vary=0.022, wander=0.10,
                         dry=0.35, clip=True)  # fmt: skip
        for k in range(len(facet)):
            edge = np.linspace(facet[k - 1], facet[k], 25)
            if rng.random() < 0.55:
                _contour(canvas, edge[: rng.integers(12, 26)], 0.0048, ink("241c16"))
            elif rng.random() < 0.4:
                _contour(canvas, edge + 0.003, 0.004, ink("efe6cc"))
    _drawing(canvas, facets)
    return lit(canvas.color, canvas.relief, 0.14, 0.12)


# ---------------------------------------------------------------------------------------------------------------
# ink_wash: mountains and water
# ---------------------------------------------------------------------------------------------------------------


def _range(x: Array, peaks: Points, rough: float, rng: Generator) -> Array:
    """The skyline (W,) of mountains given by peaks (x, y), roughened at ever smaller scales."""
    line = np.interp(x, *np.array(peaks).T)
    for octave in range(7):
        knots = np.arange(-1, 2, 0.16 / 2**octave)
        line = line + rough * 0.56**octave * np.interp(x, knots, rng.standard_normal(knots.size))
    return ndimage.gaussian_filter1d(line, 1.2)


def _needles(canvas: Canvas, x: float, y: float, size: float, density: float) -> None:
    """A fan of pine needles."""
    for angle in np.linspace(np.pi * 1.05, np.pi * 1.95, 13) + canvas.rng.normal(0, 0.06, 13):
        length = size * canvas.rng.uniform(0.7, 1.1)
        middle = x + 0.5 * length * np.cos(angle), y + 0.5 * length * np.sin(angle)
        canvas.stroke(*middle, angle, length, 0.0042, [density * canvas.rng.uniform(0.6, 1.1)] * 3)


def _tree(canvas: Canvas, x: float, y: float, tall: float, density: float) -> None:
    """A tree far off: a stem and a few level dabs."""
    canvas.stroke(x, y - tall / 2, np.pi / 2, tall, 0.0035, [density] * 3)
    for k in range(4):
        breadth = tall * (0.9 - 0.17 * k) * canvas.rng.uniform(0.7, 1.2)
        canvas.stroke(x, y - tall * (0.35 + 0.2 * k), canvas.rng.normal(0, 0.15), breadth, 0.005, [density] * 3, dry=0.2)


def _pine(canvas: Canvas, x: float, y: float, tall: float, lean: float, density: float) -> None:
    """A mountain pine: a crooked trunk, level boughs, tiers of needles."""
    rng = canvas.rng
    axis = curve([(x + lean * tall * t**1.5 + rng.normal(0, 0.025 * tall), y - tall * t) for t in np.linspace(0, 1, 7)], 12)
    for k, (a, b) in enumerate(zip(axis[:-1], axis[1:], strict=True)):
        width = tall * 0.055 * (1 - 0.75 * k / len(axis))
        canvas.stroke(*(a + b) / 2, np.arctan2(*(b - a)[::-1]), 2.4 * np.hypot(*(b - a)), width, [density] * 3, dry=0.3)
    for t in np.linspace(0.35, 1.0, 9):
        side, root = rng.choice([-1, 1]), axis[int(t * (len(axis) - 1))]
        reach = tall * (0.44 - 0.28 * t) * rng.uniform(0.6, 1.2)
        tip = root + (side * reach, -0.05 * tall * rng.random())
        canvas.stroke(*(root + tip) / 2, np.arctan2(*(tip - root)[::-1]), reach * 1.1, 0.012 * tall * 1.5, [density] * 3, bend=-side * 2)
        for s in np.linspace(0.25, 1.05, 7):
            spot = root + (tip - root) * s + rng.normal(0, 0.012 * tall, 2)
            _needles(canvas, *spot, 0.085 * tall * rng.uniform(0.8, 1.2), density * rng.uniform(0.75, 1.1))


def _cliff(strokes: Canvas, skyline: Array, depth: float, density: float, count: int, size: float) -> None:
    """Dry strokes that give a mountain its rock: they fall from the skyline and fade into the mist."""
    rng = strokes.rng
    slope = ndimage.gaussian_filter1d(np.gradient(skyline) * strokes.shape[0], 6)
    for _ in range(count):
        column = rng.integers(strokes.shape[1])
        fall = depth * rng.random() ** 1.6
        steep = np.pi / 2 - 0.75 * np.sign(slope[column]) * min(abs(slope[column]), 1) + rng.normal(0, 0.25)
        tone = density * (1 - fall / depth) ** 0.8 * rng.uniform(0.5, 1.2)
        grow = size * np.exp(rng.normal(0, 0.35)).clip(0.4, 1.7)
        strokes.stroke(
            (column + 0.5) / strokes.shape[0], skyline[column] + fall + 0.42 * grow * np.sin(steep), steep, grow, 0.20 * grow, [tone] * 3,
            bend=rng.normal(0, 5), dry=rng.uniform(0.35, 0.75),
        )  # fmt: skip


def _boat(canvas: Canvas, x: float, y: float, size: float) -> None:
    """A fishing boat: hull, awning, a fisherman and his rod."""
    for dy, length, tone in [(0.0, 1.0, 1.9), (0.05, 0.86, 1.5), (0.10, 0.62, 1.2)]:
        canvas.stroke(x, y + dy * size, 0.0, length * size, 0.07 * size, [tone] * 3, bend=-1.0 / size, dry=0.2)
    canvas.stroke(x - 0.08 * size, y - 0.16 * size, 0.0, 0.44 * size, 0.20 * size, [0.9] * 3, bend=2.4 / size, dry=0.35)
    canvas.stroke(x + 0.28 * size, y - 0.14 * size, 1.45, 0.22 * size, 0.09 * size, [1.8] * 3)
    canvas.stroke(x + 0.28 * size, y - 0.27 * size, 0.0, 0.17 * size, 0.045 * size, [2.0] * 3)
    canvas.stroke(x + 0.56 * size, y - 0.26 * size, -0.35, 0.62 * size, 0.012 * size, [1.6] * 3, bend=0.8 / size)
    for k in range(5):
        canvas.stroke(x + canvas.rng.normal(0, 0.2) * size, y + (0.2 + 0.07 * k) * size, 0.0, 0.7 * size * (1 - 0.12 * k), 0.02 * size, [0.5] * 3, dry=0.4)


def _seal(height: int, width: int, x: float, y: float, size: float, rng: Generator) -> Array:
    """How much vermilion (H, W) a carved seal leaves: an abstract maze in a frame, worn at the edges."""
    stone = Image.new("L", (9, 9), 255)
    marks = np.array(stone)
    marks[1:8, 1:8] = 0
    for row, columns in [(2, (2, 3, 4, 6)), (3, (4, 6)), (4, (2, 4, 5, 6)), (5, (2,)), (6, (2, 3, 4, 5, 6))]:
        marks[row, list(columns)] = 255
    side = int(size * height)
    print_ = np.zeros((height, width), np.float32)
    top, left = int(y * height), int(x * height)
    stamp = np.array(Image.fromarray(marks).resize((side, side), Image.Resampling.BILINEAR)) / 255
    print_[top : top + side, left : left + side] = step(0.35, 0.65, stamp)
    return print_ * np.clip(0.85 + 0.22 * noise((height, width), 0.006, rng, 2), 0, 1)


def ink_wash(size: int = 768) -> Array:
    """Peaks above the mist, pines on a cliff, a boat: ink on rice paper, wet and dry, and a red seal."""
    rng = np.random.default_rng(1100)
    height, width = size, round(0.79 * size)
    shape = (height, width)
    strokes = Canvas(height, width, [0, 0, 0], rng)
    x, y = strokes.x, strokes.y
    mist, grain = noise(shape, (0.09, 0.30), rng), noise(shape, 0.004, rng, 2)
    bloom = noise(shape, 0.06, rng, 4)
    ink_ = 0.10 * np.clip(bloom * 0.5 + 0.3 - 2.0 * y, 0, 1)

    ranges = [  # peaks; roughness; ink of the wash; its depth; ink, number and size of the dry strokes
        ([(0, 0.34), (0.14, 0.24), (0.30, 0.31), (0.47, 0.16), (0.62, 0.28), (0.79, 0.20)], 0.020, 0.42, 0.16, 0.35, 260, 0.05),
        ([(0, 0.30), (0.10, 0.38), (0.24, 0.20), (0.33, 0.33), (0.5, 0.44), (0.66, 0.38), (0.79, 0.46)], 0.024, 0.75, 0.20, 0.85, 700, 0.055),
        ([(0, 0.55), (0.16, 0.52), (0.30, 0.64), (0.48, 0.66), (0.62, 0.47), (0.70, 0.42), (0.79, 0.47)], 0.024, 1.05, 0.20, 1.5, 900, 0.06),
    ]
    columns = (np.arange(width) + 0.5) / height
    for peaks, rough, wash, depth, dark, count, stroke in ranges:
        skyline = _range(columns, peaks, rough, rng)
        below = y - skyline + 0.004 * bloom
        veil = np.exp(-np.clip(below + 0.03 * mist, 0, None) / depth * 2.2)
        body = step(0.0, 0.006, below)
        ink_ = ink_ * (1 - 0.85 * body) + body * wash * veil * (0.8 + 0.25 * bloom + 0.16 * grain)
        ink_ += 0.5 * wash * np.exp(-((below / 0.006) ** 2)) * np.clip(0.6 + 0.6 * bloom, 0, 1)
        strokes.color *= (1 - body * 0.92)[..., None]
        _cliff(strokes, skyline, depth * 0.85, dark, count, stroke)
        for column in rng.integers(width, size=count // 14):
            _tree(strokes, (column + 0.5) / height, skyline[column] + 0.004, 0.014 + 0.010 * wash * rng.random(), 1.1 * dark)

    bank = _range(columns, [(0, 0.70), (0.10, 0.74), (0.22, 0.80), (0.36, 0.93), (0.44, 1.05), (0.8, 1.2)], 0.018, rng)
    below = y - bank
    body = step(0, 0.006, below)
    ink_ = ink_ * (1 - body) + body * (0.30 + 0.8 * np.exp(-np.clip(below, 0, None) / 0.05)) * (0.8 + 0.35 * bloom + 0.2 * grain)
    strokes.color *= (1 - body * 0.95)[..., None]
    _cliff(strokes, bank, 0.30, 2.5, 520, 0.075)
    for px, tall, lean in [(0.07, 0.33, 0.22), (0.15, 0.40, 0.30), (0.235, 0.22, -0.35)]:
        _pine(strokes, px, float(bank[int(px * height)]) + 0.02, tall, lean, 2.6)
    for k in range(70):
        wy = 0.76 + 0.24 * rng.random() ** 0.8
        wx = rng.uniform(0.3, 0.79)
        if wy < np.interp(wx, columns, bank) - 0.01:
            strokes.stroke(wx, wy, rng.normal(0, 0.02), rng.uniform(0.05, 0.22), 0.006, [0.35 * rng.uniform(0.4, 1.3)] * 3, dry=0.55)
    _boat(strokes, 0.575, 0.845, 0.13)
    for k in range(7):
        bx, by, s = 0.50 + 0.035 * k + rng.normal(0, 0.01), 0.10 - 0.012 * k + rng.normal(0, 0.008), 0.017
        for side in (-1, 1):
            strokes.stroke(bx + side * 0.45 * s, by, -side * 0.4, s, 0.0035, [1.4] * 3, bend=20)

    edges = ndimage.gaussian_filter(strokes.color[..., 0], 0.0012 * height)
    ink_ = np.clip(ink_ + edges * (1 + 0.10 * grain), 0, 3.2)
    fibers = smear(noise(shape, 0.006, rng, 2), 2.5 * noise(shape, 0.12, rng, 2), 0.02)
    paper = ink("f0e6d0") * (1 + 0.018 * fibers + 0.012 * grain)[..., None]
    picture = paper * np.exp(-ink_[..., None] * np.array([0.98, 0.93, 0.86], np.float32))
    seal = _seal(height, width, 0.685, 0.055, 0.062, rng)
    return mix(picture, ink("b8281e") * (1 + 0.06 * fibers)[..., None], 0.92 * seal)


# ---------------------------------------------------------------------------------------------------------------
# Files
# ---------------------------------------------------------------------------------------------------------------

PAINTINGS: dict[str, Callable[[int], Array]] = {
    "nocturne": nocturne,
    "wave": wave,
    "stained_glass": stained_glass,
    "pointillist": pointillist,
    "cubist": cubist,
    "ink_wash": ink_wash,
}


def to_image(picture: Array) -> Image.Image:
    """The picture, clipped to [0, 1], as an 8-bit RGB image."""
    return Image.fromarray((np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8))


def jpeg(image: Image.Image) -> bytes:
    """The image as a JPEG file of the best quality that fits MAX_BYTES, with full-resolution color."""
    for quality in range(92, 40, -1):
        file = io.BytesIO()
        image.save(file, "JPEG", quality=quality, subsampling="4:4:4")
        if file.tell() < MAX_BYTES:
            break
    return file.getvalue()


def main() -> None:
    """Paint the pictures that the command line names, or all of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"default: all of {', '.join(PAINTINGS)}")
    parser.add_argument("--out", type=Path, default=HERE, metavar="DIR", help="where to write NAME.jpg")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(PAINTINGS):
        parser.error(f"no painting {', '.join(sorted(unknown))}; there are {', '.join(PAINTINGS)}")
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name in arguments.names or PAINTINGS:
        (arguments.out / f"{name}.jpg").write_bytes(jpeg(to_image(PAINTINGS[name]())))
        print(arguments.out / f"{name}.jpg")


if __name__ == "__main__":
    main()
