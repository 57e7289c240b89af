"""Paint the six style pictures of the course: seeded, deterministic, released under CC0.

    python experiments/styles.py [NAME ...] [--out DIR]

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
Points = Sequence[tuple[float, float]]

MAX_BYTES = 200_000
OUT = Path(__file__).resolve().parents[1] / "data" / "styles"


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


def resampled(path: Array, count: int = 160) -> Array:
    """The path with `count` points."""
    t, at = np.linspace(0, 1, len(path)), np.linspace(0, 1, count)
    return np.stack([np.interp(at, t, c) for c in path.T], -1)


def ribbon(axis: Array, width: Array) -> Array:
    """The outline of a line of varying width (N,) along a path (N, 2)."""
    along = np.gradient(axis, axis=0)
    normal = along[:, ::-1] * (-1, 1) / (np.linalg.norm(along, axis=1, keepdims=True) + 1e-6)
    side = normal * width[:, None] / 2
    return np.concatenate([axis + side, (axis - side)[::-1]])


def heading(a: Array, b: Array) -> float:
    """The angle of the way from `a` to `b`."""
    return float(np.arctan2(b[1] - a[1], b[0] - a[0]))


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


def halved(picture: Array) -> Array:
    """The picture at half the resolution: the mean of each block of 2 x 2 pixels."""
    height, width = (n // 2 for n in picture.shape[:2])
    return picture[: 2 * height, : 2 * width].reshape(height, 2, width, 2, -1).mean((1, 3))


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

    def __init__(self, height: int, width: int, ground: Array | float, rng: Generator) -> None:
        self.color = np.empty((height, width, 3), np.float32)
        self.color[:] = ground
        self.relief = np.zeros((height, width), np.float32)
        self.rng = rng
        self.shape = (height, width)
        self.y, self.x = (np.indices(self.shape, np.float32) + 0.5) / height

    def stroke(
        self, x: float, y: float, angle: float, length: float, width: float, color: Array | float, *,
        bend: float = 0.0, body: float = 1.0, dry: float = 0.0, clip: Mask | None = None,
    ) -> None:  # fmt: skip
        """One touch of the brush, centered on (x, y), in a color (3,) or a gray.

        `bend` is the curvature of its path (1 / radius), `body` the thickness of the paint, `dry` the share of the
        bristles that leave no paint, and `clip` a mask outside which nothing is painted.
        """
        box, u, v = self._touched(x, y, angle, length, width, bend)
        length, width = length * self.shape[0], width * self.shape[0]
        mask = np.clip((1 - u**4 - v * v) * np.float32(max(width / 4, 0.75)), 0, 1)
        lane, along = self.rng.integers(256, size=2)
        lanes = (v * np.float32(min(4 + 0.8 * width, 40)) + lane).astype(np.int32) & 255
        grain = BRISTLES[lanes, (u * np.float32(max(length / 3, 8)) + along).astype(np.int32) & 255]
        if dry:
            mask *= np.clip((grain - np.float32(dry)) * 5 + np.float32(0.5), 0, 1)
        if clip is not None:
            mask *= clip[box]
        pigment = np.asarray(color, np.float32) * (np.float32(0.88) + np.float32(0.24) * grain)[..., None]
        self.color[box] += mask[..., None] * (pigment - self.color[box])
        ridge = np.float32(body * min(width / 6, 2)) * (np.float32(0.5) + grain + np.float32(0.6) * v * v)
        self.relief[box] += mask * (ridge - np.float32(0.75) * self.relief[box])

    def _touched(
        self, x: float, y: float, angle: float, length: float, width: float, bend: float
    ) -> tuple[tuple[slice, slice], Array, Array]:
        """The pixels around a stroke, and their places along and across it: within [-1, 1] on the stroke."""
        height, columns = self.shape
        cosine, sine = np.float32(np.cos(angle)), np.float32(np.sin(angle))
        sag = bend * length * length / 8
        across = width / 2 + abs(sag)
        reach_x = abs(cosine) * length / 2 + abs(sine) * across
        reach_y = abs(sine) * length / 2 + abs(cosine) * across
        left, right = np.clip([(x - reach_x) * height - 1, (x + reach_x) * height + 2], 0, columns).astype(int)
        top, bottom = np.clip([(y - reach_y) * height - 1, (y + reach_y) * height + 2], 0, height).astype(int)
        dx = (np.arange(left, right, dtype=np.float32) + np.float32(0.5 - x * height)) / np.float32(height)
        dy = (np.arange(top, bottom, dtype=np.float32) + np.float32(0.5 - y * height))[:, None] / np.float32(height)
        u = (dx * cosine + dy * sine) * np.float32(2 / length)
        v = (dy * cosine - dx * sine - u * u * np.float32(sag)) * np.float32(2 / width)
        return (slice(top, bottom), slice(left, right)), u, v

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
        if not ys.size:
            return
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
    ragged = (1 - 0.35 * up) * (1 + 0.16 * np.sin(38 * up + 22 * (x - axis)))
    half = breadth * ragged * np.sqrt(np.sin(np.pi * (0.30 + 0.70 * up)).clip(0))
    return np.where(y > top, 1 - np.abs(x - axis) / (half + 1e-4), -1.0)


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
    left, right, top, eaves = x + 0.24 * s, x + 1.6 * s, y - 1.06 * s, y - 0.52 * s
    _plane(canvas, [(x, y), (x, eaves), (x + 0.3 * s, y - s), (x + 0.6 * s, eaves), (x + 0.6 * s, y)], wall, 1.5)
    _plane(canvas, [(x + 0.6 * s, y), (x + 0.6 * s, eaves), (x + 1.5 * s, eaves), (x + 1.5 * s, y)], 0.62 * wall, 1.5)
    _plane(canvas, [(left, top), (right - 0.4 * s, top), (right, eaves), (left + 0.4 * s, eaves)], roof, 0.9)
    for dx in (0.3, 0.95, 1.22):
        if dx < 0.5 or rng.random() < 0.6:
            canvas.stroke(x + dx * s, y - 0.30 * s, np.pi / 2, 0.30 * s, 0.17 * s, ink("ffd24a"), body=2)
    if spire:
        half, foot = y - 0.5 * s, y - 1.1 * s
        tower = [(x, half), (x, foot), (x + 0.2 * s, y - spire), (x + 0.4 * s, foot), (x + 0.4 * s, half)]
        _plane(canvas, tower, ink("34507c"), 1.5)


def _paint_sky(canvas: Canvas) -> None:
    """The sky: broad strokes, narrower ones, then light and dark touches apart; rings around the lights."""
    x, y, rng = canvas.x, canvas.y, canvas.rng
    flow = _night_flow(x, y)
    sky = _night_sky(canvas, flow)
    for length, width, coats in [(0.15, 0.032, 2.0), (0.10, 0.019, 2.0), (0.064, 0.0120, 1.6)]:
        canvas.cover(sky, flow, length=length, width=width, coats=coats, vary=0.045, body=1.2)
    for touch, weight in [("0a1440", 0.45), ("eef4d8", 0.42)]:
        accent = mix(sky, ink(touch), weight)
        canvas.cover(accent, flow, length=0.052, width=0.0105, coats=0.22, vary=0.04, wander=0.06, body=1.6)
    for cx, cy, r in [*STARS, MOON, *[(sx, sy, 0.5 * r) for sx, sy, r, _ in SWIRLS]]:
        far = np.hypot(x - cx, y - cy) / r
        for ring, length in [(1.15, 0.75), (0.62, 0.45)]:
            canvas.cover(sky, flow, length=length * r, width=0.18 * r + 0.004, coats=1.8, where=far < ring, body=1.6)
        if (cx, cy, r) in STARS:
            canvas.stroke(cx, cy, rng.uniform(0, np.pi), 0.50 * r, 0.42 * r, ink("fffdf0"), body=2.5)


def _paint_hills(canvas: Canvas) -> None:
    """Three ranges of hills, each with a dark contour, and furrowed fields before them."""
    x, y, rng = canvas.x, canvas.y, canvas.rng
    for base, swell, waves, phase, palette in [
        (0.645, 0.030, 4.6, 0.6, "1c3a78 3c6aa6 6a9bbd"),
        (0.730, 0.026, 5.4, 2.1, "142c58 2a5a86 4f8a8c"),
        (0.815, 0.020, 4.0, 4.0, "163a3a 3a6a4c 8f9a4c"),
    ]:
        crest = _ridge(x, base, swell, waves, phase)
        land, depth = y > crest, np.clip((y - crest) / 0.10, 0, 1)
        along = np.arctan(np.gradient(crest, axis=1) * canvas.shape[0]) + 0.5 * depth * np.sin(9 * x + 20 * y)
        folds = smear(noise(canvas.shape, 0.05, rng, 2), along, 0.2)
        hills = ramp(0.75 - 0.7 * depth + 0.24 * folds, palette)
        _fill(canvas, hills, along, land, [(0.10, 0.024), (0.070, 0.0135)])
        contour = land & (y < crest + 0.007)
        canvas.cover(hills * 0.35, along, length=0.09, width=0.008, coats=1.4, where=contour, vary=0.02)


def _paint_field(canvas: Canvas) -> None:
    """The fields in front: furrows that meet at a point far behind the village."""
    x, y = canvas.x, canvas.y
    furrow = np.arctan2(1.0, (x - 0.55) * 2.2)
    rows = smear(noise(canvas.shape, 0.03, canvas.rng, 2), furrow, 0.2)
    field = ramp(0.45 + 0.25 * rows + 0.5 * (y - 0.9), "17333a 3f6a3c 9a8f36 d9b045")
    _fill(canvas, field, furrow, y > _ridge(x, 0.875, 0.010, 5.0, 1.0), [(0.075, 0.018), (0.055, 0.011)])


def _paint_cypress(canvas: Canvas, foot: float, top: float, breadth: float) -> None:
    """A cypress that flickers like a dark flame."""
    x, y = canvas.x, canvas.y
    tree = _cypress(x, y, foot, top, breadth)
    flame = np.pi / 2 + 0.55 * np.sin(15 * y + 26 * (x - foot)) + 1.6 * (x - foot)
    leaves = smear(noise(canvas.shape, 0.025, canvas.rng, 2), flame, 0.2)
    greens = ramp(0.42 + 0.26 * leaves, "0a1414 10241f 1f3a26 3f5a2a 8a7636")
    _fill(canvas, greens, flame, tree > 0, [(0.10, 0.020), (0.070, 0.012)])


def _fill(canvas: Canvas, reference: Array, angle: Array, where: Mask, brushes: Points) -> None:
    """Paint an opaque thing: its colors thinly, then a coat of strokes with each (length, width) of brush."""
    inner = ndimage.binary_erosion(where, iterations=max(canvas.shape[0] // 150, 1), border_value=1)
    canvas.color[inner] = reference[inner]
    for length, width in brushes:
        canvas.cover(reference, angle, length=length, width=width, coats=1.9, where=where, vary=0.04)


def nocturne(size: int = 768) -> Array:
    """A village asleep below a turning sky, in impasto; after the manner of the late 1880s."""
    canvas = Canvas(round(size * 0.79), size, ink("1b2f63"), np.random.default_rng(1889))
    _paint_sky(canvas)
    _paint_hills(canvas)
    for x, y, tall in [(0.58, 0.835, 0.050), (0.12, 0.838, 0.048), (0.70, 0.852, 0.054), (0.245, 0.850, 0.058),
                       (0.47, 0.852, 0.056), (0.83, 0.862, 0.050)]:  # fmt: skip
        _house(canvas, x, y, tall)
    _house(canvas, 0.355, 0.868, 0.068, spire=0.225)
    _paint_field(canvas)
    _paint_cypress(canvas, 1.145, 0.09, 0.095)
    _paint_cypress(canvas, 1.03, 0.40, 0.055)
    return lit(canvas.color, canvas.relief, 0.17, 0.5)


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
        self.area(ribbon(points, width * taper), block)


def _claw(x: float, y: float, angle: float, radius: float, curl: float, rng: Generator, depth: int) -> list[Array]:
    """The discs (N, 3: x, y, radius) of a finger of foam that curls, and of the smaller fingers on it."""
    discs, fingers = [], []
    for k in range(16):
        size = radius * (1 - k / 16) ** 0.75
        discs.append((x, y, size))
        if depth and k in (2, 5, 8, 11):
            turn = angle - np.sign(curl) * rng.uniform(0.5, 1.2)
            smaller, tighter = size * rng.uniform(0.45, 0.7), curl * rng.uniform(0.9, 1.6)
            fingers += _claw(x, y, turn, smaller, tighter, rng, depth - 1)
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
    s, back, face = np.linspace(0, 1, 160), resampled(back), resampled(face)
    edges = np.cumsum(np.exp(rng.normal(0, 0.3, 2 * bands + 1)))
    edges = (edges - edges[0]) / (edges[-1] - edges[0])
    for k in range(2 * bands):
        low, high = (back + (face - back) * e + 0.004 * np.sin(14 * s + 5 * e)[:, None] for e in edges[k : k + 2])
        block = (DARK, PALE, DARK, MIDDLE, DARK, FOAM, DARK, MIDDLE)[k % 8]
        plate.area(np.concatenate([low, high[::-1]]), block)
        if streak := {DARK: MIDDLE, FOAM: PALE}.get(block):
            for share in (0.35, 0.7):
                line = low + (high - low) * share
                plate.line(line[rng.integers(0, 60) : rng.integers(90, 160)], 0.0032, streak)
        plate.line(low, 0.0050)
    plate.line(back, 0.0095)
    plate.line(face, 0.0095)


def _spray(plate: Plate, x: float, y: float, spread: float, count: int, rng: Generator) -> None:
    """Drops thrown off a crest."""
    centers = np.array([x, y]) + rng.normal(0, spread, (count, 2)) * (1.3, 0.8)
    radii = 0.0022 + 0.004 * rng.random(count) ** 3
    plate.dots(centers, radii + 0.0016, KEY)
    plate.dots(centers, radii, FOAM)


def _fringe(plate: Plate, edge: Array, radius: float, lean: float, curl: float, rng: Generator, depth: int = 2) -> None:
    """A row of claws of foam along an edge, each setting out at the angle `lean` from the edge's direction."""
    way = np.hypot(*np.diff(edge, axis=0).T).cumsum()
    claws = []
    for at in np.arange(0, way[-1], radius * 2.1):
        k = int(np.searchsorted(way, at))
        dx, dy = edge[k + 1] - edge[k]
        angle = np.arctan2(dy, dx) + lean + rng.normal(0, 0.25)
        claws += _claw(*edge[k], angle, radius * rng.uniform(0.7, 1.3), curl * rng.uniform(0.7, 1.3), rng, depth)
    _foam(plate, claws, 0.0024)


def _distance_and_sun(plate: Plate) -> None:
    """The sun with bars of cloud, a mountain with snow, and the sea to the horizon."""
    sun = np.array([[0.31, 0.36]])
    plate.dots(sun, 0.128, KEY)
    plate.dots(sun, 0.124, SUN)
    bars = [(0.12, 0.415, 0.36, 0.016), (0.36, 0.385, 0.26, 0.012), (0.02, 0.20, 0.30, 0.014),
            (0.24, 0.17, 0.20, 0.010), (1.28, 0.14, 0.34, 0.014), (0.52, 0.46, 0.30, 0.014)]  # fmt: skip
    for x, y, length, tall in bars:
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


def _great_wave(plate: Plate, rng: Generator) -> None:
    """The wave on the right, its lip about to fall."""
    back = curve([(1.62, 0.85), (1.46, 0.55), (1.33, 0.36), (1.16, 0.19), (0.98, 0.085), (0.78, 0.065), (0.62, 0.13),
                  (0.55, 0.235)])  # fmt: skip
    face = curve([(0.25, 1.02), (0.60, 0.86), (0.80, 0.70), (0.885, 0.52), (0.865, 0.36), (0.76, 0.25), (0.64, 0.205),
                  (0.55, 0.235)])  # fmt: skip
    _water(plate, back, face, rng, 9)
    _spray(plate, 0.52, 0.36, 0.085, 120, rng)
    _spray(plate, 0.86, 0.05, 0.09, 60, rng)
    _fringe(plate, back[110:], 0.0135, 0.55, -0.17, rng)
    sheets = [(1 - share) * resampled(back) + share * resampled(face) for share in (0.12, 0.25, 0.38, 0.15)]
    plate.area([*back[165:], *sheets[2][:91:-1]], FOAM)
    for sheet in sheets[:3]:
        _fringe(plate, sheet[96:], 0.0105, -0.75, -0.19, rng)
    _fringe(plate, face[190:], 0.0125, -1.0, -0.15, rng)
    _fringe(plate, face[225:], 0.0145, -0.7, -0.15, rng)
    _fringe(plate, sheets[3][100:156], 0.0125, -0.5, -0.18, rng)


def _small_wave(plate: Plate, rng: Generator) -> None:
    """The wave on the left, which answers it."""
    back = curve([(-0.30, 1.00), (-0.10, 0.77), (0.06, 0.66), (0.20, 0.63), (0.31, 0.67), (0.345, 0.735)])
    face = curve([(0.70, 1.10), (0.40, 0.99), (0.26, 0.89), (0.235, 0.79), (0.275, 0.73), (0.345, 0.735)])
    _water(plate, back, face, rng, 6)
    _fringe(plate, back[90:], 0.0095, -0.5, 0.17, rng)
    _fringe(plate, (0.6 * resampled(back) + 0.4 * resampled(face))[100:], 0.009, 0.8, 0.18, rng)
    _fringe(plate, face[140:], 0.0105, 0.95, 0.17, rng)
    _spray(plate, 0.37, 0.70, 0.045, 50, rng)


def _swell(plate: Plate, rng: Generator) -> None:
    """The water in front, with a line of foam."""
    low = curve([(0.10, 1.06), (0.45, 0.95), (0.70, 0.90), (0.98, 0.83), (1.20, 0.76), (1.50, 0.74)])
    high = curve([(0.10, 1.30), (0.60, 1.20), (0.98, 1.10), (1.20, 1.05), (1.5, 1.0)])
    _water(plate, low, high, rng, 5)
    _fringe(plate, low[40:175], 0.0105, -0.9, -0.16, rng)
    _fringe(plate, low[60:160] + (0.0, 0.018), 0.0095, -0.4, -0.18, rng, 1)


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
    plate = Plate(height, width)
    _distance_and_sun(plate)
    for draw in (_great_wave, _small_wave, _swell):
        draw(plate, rng)
    design = np.array(plate.image)
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
    return halved(print_)


# ---------------------------------------------------------------------------------------------------------------
# stained_glass: a tree before the sun
# ---------------------------------------------------------------------------------------------------------------


class Window:
    """A cartoon for a window: for each pixel the piece of glass, and the figure that the piece belongs to."""

    def __init__(self, height: int, width: int, rng: Generator) -> None:
        self.piece = np.zeros((height, width), np.int32)
        self.figure = np.zeros((height, width), np.int32)
        self.colors = np.zeros((1, 3), np.float32)
        self.rng = rng
        self.y, self.x = (np.indices((height, width), np.float32) + 0.5) / height

    def glaze(self, where: Mask, cells: NDArray, codes: str, tone: Array | None = None) -> None:
        """A figure of glass: the mask, cut into `cells`, in colors of the gradient `codes`.

        A piece takes the color at the mean of the field `tone` over it, or any color where there is no tone.
        """
        self.figure[where] = self.figure.max() + 1
        _, number = np.unique(cells[where], return_inverse=True)
        self.piece[where] = number + len(self.colors)
        size = np.bincount(number)
        tones = self.rng.random(size.size) if tone is None else np.bincount(number, tone[where]) / size
        shades = ramp(tones, codes) * np.exp(self.rng.normal(0, 0.10, (size.size, 1)))
        shades += self.rng.normal(0, 0.025, shades.shape)
        self.colors = np.concatenate([self.colors, shades.clip(0.02, 1)]).astype(np.float32)

    def cuts(self, value: Array, spacing: float, vary: float = 0.18) -> NDArray[np.integer]:
        """Number the bands of a field: cuts at unequal steps of about `spacing`."""
        low, high = float(value.min()), float(value.max())
        marks = np.arange(low, high, spacing)
        return np.digitize(value, np.sort(marks + self.rng.normal(0, vary * spacing, marks.size)))


def _sun_and_sky(window: Window, x: float, y: float) -> None:
    """The sun at (x, y), and wedges of sky around it, cut at unequal distances."""
    rng, dx, dy = window.rng, window.x - x, window.y - y
    far, turn = np.hypot(dx, dy), np.arctan2(dy, dx)
    marks = (np.arange(22) + rng.uniform(-0.22, 0.22, 22)) / 22
    wedge = np.digitize((turn + 0.10 * np.sin(14 * far)) / (2 * np.pi) % 1, marks) % 22
    offset = rng.uniform(0, 0.12, 22)[wedge]
    cells = wedge * 50 + ((far + offset) / (0.07 + 0.10 * far)).astype(int)
    dusk = "ffe27a ffc23e f9932a f0603a d8405a a83a8a 6a3fae 2f4fb8 1f44a8 153a94 0d2a6e"
    window.glaze(far < 9, cells, dusk, (far - 0.10) / 0.45 + 0.25 * (rng.random(22 * 50)[cells] - 0.5))
    window.glaze(far < 0.125, (((turn + 9 * far) / (2 * np.pi) * 9) % 9).astype(int), "ffd23e ffae1e f58a1a")
    window.glaze(far < 0.070, far < 0.033, "fff3b0 ffe060")


def _hills_and_river(window: Window) -> None:
    """Blue and green hills, and a river that comes out between them."""
    x, y = window.x, window.y
    for ridge, palette in [
        (0.60 - 0.05 * np.sin(5.5 * x + 0.5), "2a4a8a 3a6ac0 5a5ab0"),
        (0.69 + 0.05 * np.sin(6.0 * x + 0.2), "14705a 2a9a6a 1a8a7a"),
        (0.79 - 0.05 * np.sin(5.0 * x - 0.7), "3a8a2a 7aaa2a 1f6a3a"),
    ]:
        rows = window.cuts(y - ridge + 0.02 * np.sin(9 * x), 0.065)
        window.glaze(y > ridge, window.cuts(x + 0.5 * (y - ridge), 0.10) * 100 + rows, palette)
    bed = 0.20 + 0.16 * np.sin(7.5 * (y - 0.60)) + 0.35 * (y - 0.7)
    river = (np.abs(x - bed) < 0.015 + 0.28 * (y - 0.63)) & (y > 0.69 + 0.05 * np.sin(6.0 * x + 0.2))
    current = window.cuts(y + 0.25 * (x - bed), 0.05) * 10 + (x > bed + 0.02 * np.sin(20 * y))
    window.glaze(river, current, "7ad0e8 3a9ad8 b8e8f0 2a6ac8")


def _leaf(window: Window, x: float, y: float, angle: float, length: float) -> None:
    """A pointed leaf in two halves, which part at a bent rib."""
    dx, dy = window.x - x, window.y - y
    u = (dx * np.cos(angle) + dy * np.sin(angle)) / length
    v = (dy * np.cos(angle) - dx * np.sin(angle)) / length + 0.16 * (u * u - 0.25)
    tone = window.rng.random() + 0.16 * (v > 0)
    autumn = "0d5a2c 14702f 1f8a3a 4fa032 8fb82a d8cc24 e8a01a d8601c b8341c"
    window.glaze(np.abs(v) < 1.04 * (0.25 - u * u), (v > 0).astype(int), autumn, tone)


LIMBS = [  # path, breadth at its foot and at its tip; the trunk is last, for it hides where the branches begin
    ([(0.585, 0.66), (0.66, 0.55), (0.70, 0.42), (0.69, 0.27)], 0.034, 0.012),
    ([(0.57, 0.56), (0.47, 0.47), (0.38, 0.41), (0.25, 0.385)], 0.034, 0.010),
    ([(0.58, 0.46), (0.54, 0.34), (0.46, 0.22), (0.35, 0.15)], 0.030, 0.010),
    ([(0.585, 0.42), (0.61, 0.30), (0.60, 0.18), (0.56, 0.10)], 0.026, 0.010),
    ([(0.575, 0.62), (0.50, 0.575), (0.40, 0.56), (0.33, 0.52)], 0.026, 0.010),
    ([(0.60, 1.02), (0.575, 0.85), (0.60, 0.70), (0.565, 0.55), (0.585, 0.40)], 0.090, 0.030),
]


def _tree_of_glass(window: Window) -> None:
    """Branches and trunk in pieces of brown glass, and leaves on either side of them."""
    rng, bark = window.rng, "5a2410 8a4218 b06a28 6a2a4a"
    for points, thick, thin in LIMBS:
        axis = curve(points)
        where = filled(window.piece.shape, ribbon(axis, np.linspace(thick, thin, len(axis))))
        window.glaze(where, window.cuts(window.y + 0.35 * window.x, 0.075), bark)
        for k in range(44 if thick < 0.05 else 130, len(axis), 9):
            angle = heading(axis[k - 4], axis[k]) + (1 if k % 2 else -1) * rng.uniform(0.5, 1.3)
            length = rng.uniform(0.060, 0.090)
            x, y = axis[k] + 0.62 * length * np.array([np.cos(angle), np.sin(angle)])
            _leaf(window, x, y, angle, length)


def _border(window: Window) -> None:
    """A border of jewels, with a roundel in each corner."""
    x, y, right = window.x, window.y, window.piece.shape[1] / window.piece.shape[0]
    beside, above = np.minimum(x, right - x), np.minimum(y, 1 - y)
    cells = window.cuts(np.where(beside < above, y, x + 5), 0.062, 0.1)
    window.glaze(np.minimum(beside, above) < 0.052, cells, "a8121f d0202e 6a1a6a 1f3fb0 e8981a 1a7a5a")
    for cx in (0.052, right - 0.052):
        for cy in (0.052, 0.948):
            far, turn = np.hypot(x - cx, y - cy), np.arctan2(y - cy, x - cx) / (2 * np.pi) % 1
            window.glaze(far < 0.062, (turn * 6).astype(int), "1a3aa8 3a7ad8 2a2a88")
            window.glaze(far < 0.030, far < 9, "f8c83a f8b82a")


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


def _seam(labels: NDArray) -> Array:
    """The distance (H, W), in picture units, to the nearest border between labels."""
    inside = ndimage.maximum_filter(labels, 2) == ndimage.minimum_filter(labels, 2)
    return ndimage.distance_transform_edt(inside) / labels.shape[0]


def _glass(window: Window, seam: Array) -> Array:
    """The glass with the light behind it: streaks, bubbles, an uneven surface, darker along its edges."""
    rng, piece, shape, count = window.rng, window.piece, window.piece.shape, len(window.colors)
    streaks = np.take_along_axis(_streaks(shape, rng), rng.integers(8, size=count)[piece][None], 0)[0]
    lean_x, lean_y = rng.normal(0, 1.0, (2, count))
    slope = lean_x[piece] * np.sin(9 * window.x) + lean_y[piece] * np.sin(9 * window.y)
    behind = 0.78 + 0.50 * np.exp(-((np.hypot(window.x - SUNLIGHT[0], window.y - SUNLIGHT[1]) / 0.30) ** 2))
    light = 1.15 * behind * (1 + 0.18 * streaks + 0.14 * slope) * (0.70 + 0.30 * step(0, 0.016, seam))
    glass = window.colors[piece] * light[..., None] + 0.05 * (streaks.clip(0) * behind)[..., None]
    glass = lit(glass, noise(shape, 0.02, rng, 2) * 1.5, 0.5)
    return glass + 0.35 * (_bubbles(shape, 700, rng) * behind)[..., None]


SUNLIGHT = (0.46, 0.36)  # where the sun stands


def stained_glass(size: int = 768) -> Array:
    """A leaded window with the low sun behind a tree: streaky, bubbly glass that glows."""
    rng = np.random.default_rng(1200)
    window = Window(2 * size, 2 * round(0.79 * size), rng)
    _sun_and_sky(window, *SUNLIGHT)
    _hills_and_river(window)
    _tree_of_glass(window)
    _border(window)
    shape, height = window.piece.shape, window.piece.shape[0]
    uneven, seam = 1 + 0.18 * noise(shape, 0.04, rng, 2), _seam(window.piece)
    came = np.minimum(seam / (0.0038 * uneven), _seam(window.figure) / (0.0058 * uneven))  # 1 at the lead's edge
    bead = np.sqrt(np.clip(1 - came**2, 0, 1)) * 0.004 * height
    lead = lit(ink("2b2c33") * (1 + 0.15 * noise(shape, 0.004, rng, 1))[..., None], bead, 0.35, 0.35)
    picture = mix(_glass(window, seam), lead, step(1.12, 0.9, came))
    glow = ndimage.gaussian_filter(np.clip(picture - 0.35, 0, 1), (0.012 * height, 0.012 * height, 0))
    return halved(picture + 0.40 * glow)


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


def _grove(x: Array, y: Array, crowns: Sequence[tuple[float, float, float]], ragged: Array) -> Array:
    """The depth inside crowns of trees (x, y, radius): 1 at the middle of each, 0 at their edge, negative outside."""
    return np.max([1 - np.hypot((x - cx) / r, (y - cy) / (0.9 * r)) for cx, cy, r in crowns], 0) + 0.14 * ragged


SHORE = 0.47


class Motif:
    """What the painter sees: `color` (H, W, 3), and the `angle` and relative `length` (H, W) of the touches for it."""

    def __init__(self, canvas: Canvas) -> None:
        self.canvas, self.x, self.y, self.rng = canvas, canvas.x, canvas.y, canvas.rng
        self.color = canvas.color.copy()
        self.angle = (0.5 * np.sin(4 * self.x + 3 * self.y) - 0.3).astype(np.float32)
        self.length = np.full(canvas.shape, 1.3, np.float32)
        self.ragged = noise(canvas.shape, 0.05, self.rng)

    def put(self, where: Mask, color: Array, angle: Array | float, length: float) -> None:
        """Put a thing before the others: its color, one or for each pixel, and the touches for it."""
        self.color[where] = color[where] if color.ndim == 3 else color
        self.angle[where] = angle[where] if np.ndim(angle) else angle
        self.length[where] = length

    def shape(self, x: float, y: float, points: Points, color: Array, angle: float, length: float) -> None:
        """Put a flat shape, its points given relative to (x, y)."""
        self.put(filled(self.canvas.shape, np.array(points) + (x, y)), color, angle, length)


def _far_shore(motif: Motif) -> None:
    """The evening sky, hills and groves across the river."""
    x, y, ragged = motif.x, motif.y, motif.ragged
    cloud = noise(motif.canvas.shape, (0.07, 0.30), motif.rng)
    sky = ramp(y, "4f8fd0 86b8e0 c6d6e0 f6dcb0 fbd28a", [0, 0.14, 0.26, 0.38, 0.46])
    sky = mix(sky, ink("fdeed0"), 0.8 * step(0.5, 1.5, cloud) * step(0.45, 0.2, y))
    motif.color = mix(sky, ink("fff3b8"), np.exp(-((np.hypot(x - 0.98, y - 0.36) / 0.10) ** 2)))
    hills = ramp((SHORE - y) / 0.07 + 0.15 * ragged, "6f8fae 8a86c0 b49ac8")
    motif.put(y > SHORE - 0.055 - 0.02 * np.sin(6 * x) - 0.006 * ragged, hills, 0.0, 1.3)
    crowns = [(0.62, 0.43, 0.045), (0.70, 0.42, 0.06), (0.79, 0.44, 0.04), (1.16, 0.43, 0.045), (1.26, 0.41, 0.07),
              (1.36, 0.42, 0.07)]  # fmt: skip
    grove = _grove(x, y, crowns, ragged)
    motif.put(grove > 0, ramp(grove + 0.2 * ragged + 0.2 * (x - 0.98), "7fa04a 3f8a5a 2a5f7a 3a3f80"), -0.6, 1.3)


def _river(motif: Motif) -> None:
    """The river: what stands on the shore upside down, the blue of the depth, and the path of the sun."""
    x, y, canvas = motif.x, motif.y, motif.canvas
    sway = noise(canvas.shape, (0.012, 0.15), motif.rng)
    rows = (np.clip(2 * SHORE - y + 0.012 * sway, 0.01, SHORE) * canvas.shape[0]).astype(int)
    ripple = smear(noise(canvas.shape, (0.012, 0.10), motif.rng), np.zeros(canvas.shape, np.float32), 0.06)
    deep = 0.30 + 0.5 * (y - SHORE) + 0.14 * ripple
    river = mix(motif.color[rows, np.arange(canvas.shape[1])], ramp(y, "7fb0d8 2f62b0", [SHORE, 1]), deep)
    glitter = np.exp(-(((x - 0.98) / (0.03 + 0.15 * (y - SHORE).clip(0))) ** 2)) * step(-0.3, 0.9, ripple)
    motif.put(y > SHORE, mix(river, ink("fbe08a"), 0.9 * glitter), 0.0, 2.0)


def _sailboat(motif: Motif, x: float, y: float, tall: float, cloth: str) -> None:
    """A boat with two sails."""
    canvas = ramp((motif.x - x) / tall + 0.4, cloth)
    sails = [(0, -1), (0.42, -0.1), (-0.28, -0.1), (-0.02, -0.85)]
    motif.put(filled(motif.canvas.shape, np.array(sails) * tall + (x, y)), canvas, 1.4, 1.2)
    hull = np.array([(-0.34, -0.06), (0.46, -0.06), (0.34, 0.07), (-0.24, 0.07)]) * tall
    motif.shape(x, y, hull, ink("7d2f46"), 0.0, 1.6)
    mirrored = np.array([(-0.2, 0.07), (0.3, 0.07), (0.12, 0.6), (-0.02, 0.8), (-0.1, 0.5)]) * tall
    image = filled(motif.canvas.shape, mirrored + (x, y))
    motif.color[image] = 0.5 * motif.color[image] + 0.5 * canvas[image]


def _near_shore(motif: Motif) -> None:
    """The meadow in front, in the sun and in violet shade, and two trees."""
    x, y, ragged = motif.x, motif.y, motif.ragged
    edge = 0.80 + 0.10 * np.sin(2.4 * x + 2.4) - 0.34 * step(0.55, 0.0, x)
    lawn = ramp(0.45 + 0.30 * ragged + 1.2 * (y - edge), "e8d84a b4cc4a 6fae4a 3f8a4a 2a6a5a")
    shade = np.exp(-((((x - 0.30) / 0.42) ** 2 + ((y - 0.93) / 0.10) ** 2) ** 2))
    lawn = mix(lawn, ramp(0.5 + 0.4 * ragged, "2a2f78 1f5a5a 4a3a86"), 0.85 * shade)
    motif.put(y > edge + 0.01 * ragged, lawn, -np.pi / 2 + 0.5 * ragged, 1.7)
    for foot, base, breadth in [(0.17, 0.93, 0.050), (0.375, 0.90, 0.030)]:
        trunk = [(-0.6, 0), (-0.3, -0.33), (-0.4, -0.62), (0.4, -0.62), (0.3, -0.33), (0.7, 0)]
        bark = ramp((x - foot) / breadth + 0.5, "e08a4a 8a4a5a 3a2a6a")
        motif.put(filled(motif.canvas.shape, np.array(trunk) * (breadth, 1) + (foot, base)), bark, np.pi / 2, 1.8)
    crowns = [(0.04, 0.16, 0.13), (0.17, 0.10, 0.15), (0.29, 0.20, 0.12), (0.16, 0.27, 0.12), (0.03, 0.33, 0.10),
              (0.38, 0.27, 0.10), (0.42, 0.15, 0.09), (0.34, 0.06, 0.10)]  # fmt: skip
    sunny = 0.55 + 0.28 * ragged - 0.9 * (x - 0.25) + 0.9 * (y - 0.2)
    leaves = ramp(sunny, "f0d850 9cc44a 3f9a4d 1f6f5a 2a3f86")
    motif.put(_grove(x, y, crowns, ragged) > 0, leaves, 0.8 + ragged, 1.3)


LADY = [  # color, angle and length of the touches, outline relative to her feet; from her shadow to her parasol
    ("27348f", 0.0, 1.8, [(-0.02, 0.01), (-0.25, 0.035), (-0.42, 0.03), (-0.25, 0.005), (-0.02, -0.01)]),
    ("5a2a86", 1.4, 1.5, [(-0.035, 0.01), (-0.055, -0.01), (-0.018, -0.13), (0.02, -0.13), (0.075, -0.02),
                          (0.06, 0.01)]),
    ("c8304f", 1.4, 1.3, [(-0.022, -0.12), (-0.028, -0.19), (-0.012, -0.215), (0.012, -0.215), (0.026, -0.19),
                          (0.022, -0.12)]),
    ("f2b08a", 0.0, 1.0, [(-0.016, -0.215), (-0.017, -0.245), (0, -0.258), (0.016, -0.245), (0.014, -0.215)]),
    ("27348f", 0.0, 1.2, [(-0.034, -0.243), (-0.015, -0.270), (0.015, -0.270), (0.034, -0.243), (0, -0.250)]),
    ("4a2a7d", 1.4, 1.2, [(0.012, -0.18), (0.05, -0.20), (0.042, -0.30), (0.049, -0.30), (0.06, -0.19),
                          (0.012, -0.165)]),
    ("f39a1d", 0.3, 1.2, [(-0.06, -0.285), (-0.035, -0.335), (0.045, -0.372), (0.12, -0.345), (0.15, -0.285),
                          (0.10, -0.298), (0.045, -0.288), (-0.01, -0.298)]),
    ("fbe96b", 0.8, 1.2, [(0.05, -0.292), (0.06, -0.365), (0.12, -0.345), (0.15, -0.285), (0.10, -0.300)]),
]  # fmt: skip


def _dots(motif: Motif, width: float, vary: float, coats: float, where: Mask) -> None:
    """Dots all over `where`, smaller and closer together towards the horizon."""
    canvas, rng, unit = motif.canvas, motif.rng, motif.canvas.shape[0]
    depth = 0.55 + 0.75 * np.abs(canvas.y - 0.46) / 0.54
    rows, columns = np.nonzero(where & (rng.random(canvas.shape) < coats / (width * depth * unit) ** 2))
    order = rng.permutation(rows.size)
    rows, columns = rows[order], columns[order]
    colors = _divided(motif.color[rows, columns], vary, rng)
    for row, column, color in zip(rows, columns, colors, strict=True):
        w = width * depth[row, column] * np.exp(rng.normal(0, 0.12))
        angle, length = motif.angle[row, column] + rng.normal(0, 0.25), w * motif.length[row, column]
        canvas.stroke(column / unit, row / unit, angle, length, w, color, body=1.2)


def pointillist(size: int = 768) -> Array:
    """A summer evening on a river, in dots of pure pigment that mix in the eye."""
    canvas = Canvas(round(size * 0.73), size, ink("efe6d0"), np.random.default_rng(1884))
    motif = Motif(canvas)
    _far_shore(motif)
    _river(motif)
    _sailboat(motif, 0.52, 0.515, 0.17, "d9304a ec5f23 f39a1d fbe96b")
    _sailboat(motif, 1.06, 0.490, 0.085, "e8c0d8 fdf6dc fff2c0")
    _sailboat(motif, 0.86, 0.485, 0.060, "e8c0d8 fdf6dc fff2c0")
    _near_shore(motif)
    for code, angle, length, outline in LADY:
        motif.shape(0.845, 0.945, outline, ink(code), angle, length)
    canvas.cover(motif.color, motif.angle, length=0.034, width=0.017, coats=1.6, vary=0.05, body=0.4)
    everywhere = np.ones(canvas.shape, bool)
    for width, vary, coats in [(0.0155, 0.13, 1.1), (0.0125, 0.16, 0.9), (0.0090, 0.20, 0.35)]:
        _dots(motif, width, vary, coats, everywhere)
    _dots(motif, 0.0075, 0.10, 1.3, ndimage.gaussian_gradient_magnitude(motif.color.mean(-1), 0.0022 * size) > 0.016)
    return lit(canvas.color, canvas.relief, 0.12, 0.15)


# ---------------------------------------------------------------------------------------------------------------
# cubist: a still life in facets
# ---------------------------------------------------------------------------------------------------------------


GUITAR = (0.45, 0.56, -0.95)  # x and y of its middle, the direction of its neck


def _along_guitar(x: Array, y: Array) -> tuple[Array, Array]:
    """Places along and across the guitar."""
    gx, gy, angle = GUITAR
    dx, dy = x - gx, y - gy
    return dx * np.cos(angle) + dy * np.sin(angle), dy * np.cos(angle) - dx * np.sin(angle)


def _guitar_half(u: Array) -> Array:
    """Half the breadth of the guitar's body at `u` along it, 0 beyond its ends."""
    lower = np.sqrt(np.maximum(0.0400 - (u + 0.10) ** 2, 0))
    upper = np.sqrt(np.maximum(0.0222 - (u - 0.115) ** 2, 0))
    waist = 0.122 + 8 * (u - 0.045) ** 2
    bouts = np.maximum(lower, upper)
    return np.where(np.abs(u - 0.045) < 0.075, np.minimum(waist, bouts), bouts)


def _guitar(scene: Array, u: Array, v: Array) -> None:
    """A guitar, whose body and neck lie along `u`."""
    half, wood = _guitar_half(u), 0.5 + 0.3 * np.sin(90 * v) + 0.8 * v
    body, rose, side = np.abs(v) < half, np.hypot(u - 0.085, v), np.abs(v)
    scene[body] = ramp(wood, "8a5420 b67a2e d9a548 ecc878")[body]
    scene[body & (side > half - 0.017)] = ink("5a3214")
    scene[(side < 0.024) & (u > 0.08) & (u < 0.50)] = ink("3a2618")
    scene[(side < 0.040) & (u >= 0.50) & (u < 0.60)] = ink("6a4a2a")
    scene[(rose < 0.075) & (rose > 0.060)] = ink("e6d3a0")
    scene[rose < 0.060] = ink("1a1410")
    scene[(side < 0.075) & (np.abs(u + 0.14) < 0.013)] = ink("2a1a10")


def _still_life(canvas: Canvas) -> Array:
    """The motif, seen plainly (H, W, 3): a guitar, a bottle, a glass and a newspaper on a table."""
    x, y = canvas.x, canvas.y
    smooth = noise(canvas.shape, 0.25, canvas.rng, 2)
    scene = ramp(0.45 + 0.22 * smooth + 0.3 * (x - y), "4c5a66 7d8a90 a9aca2 8c7a58 c0a878")

    def put(points: Points, color: Array) -> None:
        where = filled(canvas.shape, points)
        scene[where] = color[where] if color.ndim == 3 else color

    planks = 0.5 + 0.5 * np.sin(60 * (y + 0.25 * x) + 2 * smooth)
    put([(0.0, 0.74), (0.78, 0.62), (0.9, 1.05), (-0.1, 1.05)], ramp(0.3 + 0.4 * planks, "4a3220 7a5430 a07a45"))
    put([(0.06, 0.80), (0.34, 0.72), (0.46, 0.93), (0.16, 1.0)], ink("ddd6c0"))
    for k in range(9):
        a = np.array([0.10 + 0.012 * k, 0.815 + 0.018 * k])
        put([a, a + (0.24, -0.072), a + (0.243, -0.066), a + (0.003, 0.006)], ink("4a4a48"))
    bottle = curve([(0.13, 0.74), (0.13, 0.42), (0.15, 0.36), (0.185, 0.32), (0.185, 0.16), (0.245, 0.16),
                    (0.245, 0.32), (0.28, 0.36), (0.30, 0.42), (0.30, 0.74), (0.215, 0.76), (0.13, 0.74)])  # fmt: skip
    put(bottle, ramp((x - 0.13) / 0.17, "20302c 4c6a58 9ab09a 3a4e48 1c2826"))
    put([(0.14, 0.50), (0.29, 0.48), (0.29, 0.62), (0.14, 0.64)], ink("d6c9a4"))
    _guitar(scene, *_along_guitar(x, y))
    goblet = curve([(0.60, 0.55), (0.735, 0.54), (0.715, 0.70), (0.68, 0.73), (0.682, 0.83), (0.73, 0.86), (0.62, 0.87),
                    (0.662, 0.83), (0.66, 0.73), (0.62, 0.70), (0.60, 0.55)])  # fmt: skip
    put(goblet, ramp((x - 0.60) / 0.13, "c8d2d2 8fa2a8 eef0ea 6f848c"))
    put([(0.613, 0.63), (0.722, 0.62), (0.71, 0.695), (0.67, 0.72), (0.625, 0.70)], ink("7a2f28"))
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
    ends = resampled(path, max(round(way / 0.035), 1) + 1)
    for a, b in zip(ends[:-1], ends[1:], strict=True):
        length = float(np.hypot(*(b - a)))
        w = width * canvas.rng.uniform(0.75, 1.15)
        canvas.stroke(*(a + b) / 2, heading(a, b), 1.35 * length + w, w, color, body=0.8, dry=0.12)


def _guitar_lines() -> list[tuple[Array, float, Array]]:
    """The lines of the guitar: path, width and color of each."""
    gx, gy, angle = GUITAR

    def at(u: Array, v: Array) -> Array:
        return np.stack([gx + u * np.cos(angle) - v * np.sin(angle), gy + u * np.sin(angle) + v * np.cos(angle)], -1)

    black, cream = ink("1c1512"), ink("f1e8cf")
    u, turn, ones = np.linspace(-0.300, 0.262, 240), np.linspace(0, 2 * np.pi, 150), np.ones(200)
    half = _guitar_half(u)
    lines = [(at(u, side * half), 0.0085, black) for side in (-1, 1)]
    lines += [(at(u - 0.02, side * (half + 0.026)), 0.0055, color) for side, color in ((1, cream), (-1, black))]
    lines += [(at(0.085 + r * np.cos(turn), r * np.sin(turn)), 0.007, c) for r, c in ((0.064, black), (0.080, cream))]
    strings = [at(np.linspace(-0.16, 0.54, 200), 0.010 * (k - 2) * ones) for k in range(5)]
    frets = [at(0.27 + 0.045 * k * ones, np.linspace(-0.028, 0.028, 200)) for k in range(6)]
    return lines + [(path, 0.0038, color) for paths, color in ((strings, cream), (frets, black)) for path in paths]


OUTLINES = [  # of the bottle and of the glass
    [(0.125, 0.74), (0.125, 0.44), (0.15, 0.36), (0.185, 0.31), (0.185, 0.15), (0.25, 0.15)],
    [(0.250, 0.15), (0.250, 0.30), (0.29, 0.38), (0.31, 0.46), (0.31, 0.74), (0.125, 0.745)],
    [(0.178, 0.19), (0.215, 0.197), (0.257, 0.19)],
    [(0.59, 0.55), (0.605, 0.64), (0.655, 0.72), (0.66, 0.82), (0.60, 0.87), (0.75, 0.875)],
    [(0.60, 0.553), (0.665, 0.572), (0.735, 0.545), (0.67, 0.532), (0.60, 0.553)],
    [(0.74, 0.54), (0.745, 0.63), (0.70, 0.71), (0.69, 0.82), (0.75, 0.875)],
]


def _drawing(canvas: Canvas, facets: list[Array]) -> None:
    """Lines drawn over the planes: every facet shifts its part of a line, and some leave it out."""
    labels = np.zeros(canvas.shape, int)
    for number, facet in enumerate(facets):
        labels[filled(canvas.shape, facet)] = number
    shift = canvas.rng.normal(0, 0.007, (len(facets), 2))
    shown = canvas.rng.random(len(facets)) < 0.88
    for path, width, color in _guitar_lines() + [(curve(points), 0.0075, ink("1c1512")) for points in OUTLINES]:
        rows, columns = np.clip((path[:, ::-1] * canvas.shape[0]).astype(int), 0, np.array(canvas.shape) - 1).T
        number = labels[rows, columns]
        for run in np.split(np.arange(len(path)), np.flatnonzero(np.diff(number)) + 1):
            if shown[number[run[0]]] and len(run) > 2:
                _contour(canvas, path[run] + shift[number[run[0]]], width * canvas.rng.uniform(0.6, 1.3), color)


def _paint_facet(canvas: Canvas, scene: Array, facet: Array) -> None:
    """One plane: its view of the scene, tinted, shaded across and hatched; some edges are drawn, dark or light."""
    rng, where = canvas.rng, filled(canvas.shape, facet)
    towards = rng.choice([-0.8, 0.6, 2.2, 3.6]) + rng.normal(0, 0.2)
    (cx, cy), tint = facet.mean(0), ink(rng.choice(["d8b877", "6f8aa0", "cfcbb8", "47535c", "8a6a3c"]))
    slope = (canvas.x - cx) * np.cos(towards) + (canvas.y - cy) * np.sin(towards)
    reach = np.abs(slope[where]).max(initial=1e-3)
    view = mix(_seen(scene, facet, rng), tint, rng.uniform(0.10, 0.45))
    view = view * (1 + 0.15 * rng.normal() + 0.50 * slope / reach)[..., None]
    canvas.color[where] = view[where]
    hatch = np.full(canvas.shape, towards + np.pi / 2 + rng.normal(0, 0.15), np.float32)
    for length, width in [(0.064, 0.021), (0.044, 0.013)]:
        canvas.cover(view, hatch, length=length, width=width, coats=1.5, where=where, vary=0.025, dry=0.35, clip=True)
    for k in range(len(facet)):
        edge = np.linspace(facet[k - 1], facet[k], 25)
        if rng.random() < 0.55:
            _contour(canvas, edge[: rng.integers(12, 26)], 0.0052, ink("241c16"))
        elif rng.random() < 0.4:
            _contour(canvas, edge + 0.003, 0.0045, ink("efe6cc"))


def cubist(size: int = 768) -> Array:
    """A guitar, a bottle and a glass on a table, in facets, each seen from a place of its own; ocher, gray, blue."""
    rng = np.random.default_rng(1912)
    canvas = Canvas(size, round(0.80 * size), ink("8a7a5c"), rng)
    scene = _still_life(canvas)
    facets = _facets(np.array([(0, 0), (0.8, 0), (0.8, 1), (0, 1)], np.float32), np.array([0.42, 0.52]), rng)
    for facet in facets:
        _paint_facet(canvas, scene, facet)
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


class Scroll(Canvas):
    """Rice paper: `wash` (H, W) is the ink of the wet layers; the strokes, in `color`, are ink as well, not paint."""

    def __init__(self, height: int, width: int, rng: Generator) -> None:
        super().__init__(height, width, 0.0, rng)
        self.bloom, self.grain = noise(self.shape, 0.06, rng, 4), noise(self.shape, 0.004, rng, 2)
        self.mist = noise(self.shape, (0.09, 0.30), rng)
        self.wash = 0.10 * np.clip(self.bloom * 0.5 + 0.3 - 2.0 * self.y, 0, 1)
        self.columns = self.x[0]

    def ground(self, skyline: Array, ink_: float, depth: float, rest: float = 0.0) -> None:
        """Lay a wash below a skyline, which thins out downward into mist, or to `rest`, and hides what is behind."""
        below = self.y - skyline + 0.004 * self.bloom
        body = step(0.0, 0.006, below)
        veil = np.exp(-np.clip(below + 0.03 * self.mist, 0, None) / depth * 2.2)
        wet = (rest + ink_ * veil) * (0.8 + 0.28 * self.bloom + 0.16 * self.grain)
        rim = 0.5 * ink_ * np.exp(-((below / 0.006) ** 2)) * np.clip(0.6 + 0.6 * self.bloom, 0, 1)
        self.wash = self.wash * (1 - 0.9 * body) + body * wet + rim
        self.color *= (1 - 0.93 * body)[..., None]

    def rock(self, skyline: Array, depth: float, ink_: float, count: int, size: float) -> None:
        """Dry strokes that give a mountain its rock: they fall from the skyline and fade into the mist."""
        rng, unit = self.rng, self.shape[0]
        slope = ndimage.gaussian_filter1d(np.gradient(skyline) * unit, 6).clip(-1, 1)
        for column in rng.integers(self.shape[1], size=count):
            fall = depth * rng.random() ** 1.6
            steep = np.pi / 2 - 0.75 * slope[column] + rng.normal(0, 0.25)
            tone = ink_ * (1 - fall / depth) ** 0.8 * rng.uniform(0.5, 1.2)
            length = size * np.exp(rng.normal(0, 0.35)).clip(0.4, 1.7)
            y = skyline[column] + fall + 0.42 * length * np.sin(steep)
            dry = rng.uniform(0.35, 0.75)
            self.stroke(column / unit, y, steep, length, 0.20 * length, tone, bend=rng.normal(0, 5), dry=dry)


def _needles(scroll: Scroll, x: float, y: float, size: float, ink_: float) -> None:
    """A fan of pine needles."""
    for angle in np.linspace(np.pi * 1.05, np.pi * 1.95, 13) + scroll.rng.normal(0, 0.06, 13):
        length = size * scroll.rng.uniform(0.7, 1.1)
        middle = x + 0.5 * length * np.cos(angle), y + 0.5 * length * np.sin(angle)
        scroll.stroke(*middle, angle, length, 0.0045, ink_ * scroll.rng.uniform(0.6, 1.1))


def _tree(scroll: Scroll, x: float, y: float, tall: float, ink_: float) -> None:
    """A tree far off: a stem and a few level dabs."""
    scroll.stroke(x, y - tall / 2, np.pi / 2, tall, 0.0035, ink_)
    for k in range(4):
        breadth = tall * (0.9 - 0.17 * k) * scroll.rng.uniform(0.7, 1.2)
        scroll.stroke(x, y - tall * (0.35 + 0.2 * k), scroll.rng.normal(0, 0.15), breadth, 0.005, ink_, dry=0.2)


def _bough(scroll: Scroll, root: Array, tall: float, reach: float, ink_: float) -> None:
    """A level bough of a pine, to the left or (reach > 0) to the right, with its tier of needles."""
    rng = scroll.rng
    tip = root + (reach, -0.05 * tall * rng.random())
    scroll.stroke(*(root + tip) / 2, heading(root, tip), 1.1 * abs(reach), 0.018 * tall, ink_, bend=-2 * np.sign(reach))
    for share in np.linspace(0.25, 1.05, 7):
        x, y = root + (tip - root) * share + rng.normal(0, 0.012 * tall, 2)
        _needles(scroll, x, y, 0.085 * tall * rng.uniform(0.8, 1.2), ink_ * rng.uniform(0.75, 1.1))


def _pine(scroll: Scroll, x: float, y: float, tall: float, lean: float, ink_: float) -> None:
    """A mountain pine: a crooked trunk, level boughs, tiers of needles."""
    rng, rise = scroll.rng, np.linspace(0, 1, 7)
    axis = curve([(x + lean * tall * t**1.5 + rng.normal(0, 0.025 * tall), y - tall * t) for t in rise], 12)
    for k, (a, b) in enumerate(zip(axis[:-1], axis[1:], strict=True)):
        width = tall * 0.055 * (1 - 0.75 * k / len(axis))
        scroll.stroke(*(a + b) / 2, heading(a, b), 2.4 * float(np.hypot(*(b - a))), width, ink_, dry=0.3)
    for t in np.linspace(0.35, 1.0, 9):
        reach = rng.choice([-1, 1]) * tall * (0.44 - 0.28 * t) * rng.uniform(0.6, 1.2)
        _bough(scroll, axis[int(t * (len(axis) - 1))], tall, reach, ink_)


def _boat(scroll: Scroll, x: float, y: float, s: float) -> None:
    """A fishing boat of length `s`: hull, awning, a fisherman and his rod, and their image in the water."""
    for dy, length, tone in [(0.0, 1.0, 1.9), (0.05, 0.86, 1.5), (0.10, 0.62, 1.2)]:
        scroll.stroke(x, y + dy * s, 0.0, length * s, 0.07 * s, tone, bend=-1.0 / s, dry=0.2)
    scroll.stroke(x - 0.08 * s, y - 0.14 * s, 0.0, 0.44 * s, 0.14 * s, 1.2, bend=2.4 / s)
    scroll.stroke(x + 0.28 * s, y - 0.14 * s, 1.45, 0.22 * s, 0.09 * s, 1.8)
    scroll.stroke(x + 0.28 * s, y - 0.27 * s, 0.0, 0.17 * s, 0.045 * s, 2.0)
    scroll.stroke(x + 0.56 * s, y - 0.26 * s, -0.35, 0.62 * s, 0.016 * s, 1.6, bend=0.8 / s)
    for k in range(5):
        left = x + scroll.rng.normal(0, 0.2) * s
        scroll.stroke(left, y + (0.2 + 0.07 * k) * s, 0.0, (0.7 - 0.08 * k) * s, 0.03 * s, 0.5, dry=0.4)


def _birds(scroll: Scroll, x: float, y: float, count: int) -> None:
    """A flight of birds, two strokes each."""
    for k in range(count):
        bx, by = x + 0.035 * k + scroll.rng.normal(0, 0.01), y - 0.012 * k + scroll.rng.normal(0, 0.008)
        for side in (-1, 1):
            scroll.stroke(bx + side * 0.0077, by, -side * 0.4, 0.017, 0.0038, 1.4, bend=20)


def _seal(scroll: Scroll, x: float, y: float, size: float) -> Array:
    """How much vermilion (H, W) a carved seal leaves: the sign of a mountain in a frame, unevenly inked."""
    stone = np.array([[int(cell) for cell in row] for row in SEAL], np.uint8) * 255
    side, unit = int(size * scroll.shape[0]), scroll.shape[0]
    stamp = np.array(Image.fromarray(stone).resize((side, side), Image.Resampling.BILINEAR)) / 255
    mark, top, left = np.zeros(scroll.shape, np.float32), int(y * unit), int(x * unit)
    mark[top : top + side, left : left + side] = step(0.35, 0.65, stamp)
    return mark * np.clip(0.85 + 0.22 * noise(scroll.shape, 0.006, scroll.rng, 2), 0, 1)


SEAL = "111111111 100000001 100010001 101010101 101010101 101010101 101111101 100000001 111111111".split()  # a mountain

RANGES = [  # peaks (x, y); ink and depth of the wash; ink, number and size of the dry strokes
    ([(0, 0.34), (0.14, 0.24), (0.30, 0.31), (0.47, 0.16), (0.62, 0.28), (0.79, 0.20)],
     0.42, 0.16, 0.40, 260, 0.050),
    ([(0, 0.30), (0.10, 0.38), (0.24, 0.20), (0.33, 0.33), (0.5, 0.44), (0.66, 0.38), (0.79, 0.46)],
     0.75, 0.20, 0.90, 700, 0.055),
    ([(0, 0.55), (0.16, 0.52), (0.30, 0.64), (0.48, 0.66), (0.62, 0.47), (0.70, 0.42), (0.79, 0.47)],
     1.05, 0.20, 1.50, 900, 0.060),
]  # fmt: skip
BANK = [(0, 0.70), (0.10, 0.74), (0.22, 0.80), (0.36, 0.93), (0.44, 1.05), (0.8, 1.2)]


def _mountains(scroll: Scroll) -> None:
    """Three ranges, each nearer and darker, with trees on their ridges."""
    rng = scroll.rng
    for peaks, wash, depth, dark, count, size in RANGES:
        skyline = _range(scroll.columns, peaks, 0.023, rng)
        scroll.ground(skyline, wash, depth)
        scroll.rock(skyline, 0.85 * depth, dark, count, size)
        for column in rng.integers(scroll.shape[1], size=count // 14):
            tall = 0.014 + 0.010 * wash * rng.random()
            _tree(scroll, scroll.columns[column], skyline[column] + 0.004, tall, 1.1 * dark)


def _bank_and_water(scroll: Scroll) -> None:
    """The near bank with three pines, and ripples on the open water."""
    rng = scroll.rng
    bank = _range(scroll.columns, BANK, 0.018, rng)
    scroll.ground(bank, 0.8, 0.11, rest=0.30)
    scroll.rock(bank, 0.30, 2.5, 520, 0.075)
    for x, tall, lean in [(0.07, 0.33, 0.22), (0.15, 0.40, 0.30), (0.235, 0.22, -0.35)]:
        _pine(scroll, x, np.interp(x, scroll.columns, bank) + 0.02, tall, lean, 2.6)
    for y in 0.76 + 0.24 * rng.random(70) ** 0.8:
        x, length, tone = rng.uniform(0.3, 0.79), rng.uniform(0.05, 0.22), rng.uniform(0.15, 0.45)
        if y < np.interp(x, scroll.columns, bank) - 0.01:
            scroll.stroke(x, y, rng.normal(0, 0.02), length, 0.007, tone, dry=0.55)


def ink_wash(size: int = 768) -> Array:
    """Peaks above the mist, pines on a cliff, a boat: ink on rice paper, wet and dry, and a red seal."""
    rng = np.random.default_rng(1100)
    scroll = Scroll(size, round(0.79 * size), rng)
    _mountains(scroll)
    _bank_and_water(scroll)
    _boat(scroll, 0.575, 0.845, 0.14)
    _birds(scroll, 0.50, 0.10, 7)
    dry = ndimage.gaussian_filter(scroll.color[..., 0], 0.0012 * size)
    ink_ = np.clip(scroll.wash + dry * (1 + 0.10 * scroll.grain), 0, 3.2)
    fibers = smear(noise(scroll.shape, 0.006, rng, 2), 2.5 * noise(scroll.shape, 0.12, rng, 2), 0.02)
    paper = ink("f0e6d0") * (1 + 0.018 * fibers + 0.012 * scroll.grain)[..., None]
    picture = paper * np.exp(-ink_[..., None] * np.array([0.98, 0.93, 0.86], np.float32))  # the ink is slightly warm
    return mix(picture, ink("b8281e") * (1 + 0.06 * fibers)[..., None], 0.92 * _seal(scroll, 0.685, 0.055, 0.062))


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
    for quality in range(92, 0, -1):
        file = io.BytesIO()
        image.save(file, "JPEG", quality=quality, subsampling="4:4:4")
        if file.tell() < MAX_BYTES:
            break
    return file.getvalue()


def main() -> None:
    """Paint the pictures that the command line names, or all of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"default: all of {', '.join(PAINTINGS)}")
    parser.add_argument("--out", type=Path, default=OUT, metavar="DIR", help="where to write NAME.jpg")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(PAINTINGS):
        parser.error(f"no painting {', '.join(sorted(unknown))}; there are {', '.join(PAINTINGS)}")
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name in arguments.names or PAINTINGS:
        (arguments.out / f"{name}.jpg").write_bytes(jpeg(to_image(PAINTINGS[name]())))
        print(arguments.out / f"{name}.jpg")


if __name__ == "__main__":
    main()
