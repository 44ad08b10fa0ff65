"""Rendering: a laid-out scene as an antialiased picture."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image, ImageDraw
from tiny_model.scene import COLOURS, Placed

_OVERSAMPLING = 4
RING_WIDTH = 0.42
"""Width of a ring's band, as a fraction of its radius."""

Points = list[tuple[float, float]]


def render(things: Sequence[Placed], background: str, side: int = 128) -> np.ndarray:
    """The picture as an array of bytes, side x side x 3."""
    big = side * _OVERSAMPLING
    image = Image.new("RGB", (big, big), COLOURS[background])
    draw = ImageDraw.Draw(image)
    for thing in things:
        x, y, radius = thing.x * big, thing.y * big, thing.radius * big
        colour = COLOURS[thing.colour]
        if thing.shape in ("circle", "ring"):
            box = (x - radius, y - radius, x + radius, y + radius)
            if thing.shape == "circle":
                draw.ellipse(box, fill=colour)
            else:
                draw.ellipse(box, outline=colour, width=round(RING_WIDTH * radius))
        else:
            draw.polygon(
                [(x + radius * px, y + radius * py) for px, py in OUTLINES[thing.shape]()], fill=colour
            )
    return np.asarray(image.reduce(_OVERSAMPLING))


def _square() -> Points:
    return [(-0.85, -0.85), (0.85, -0.85), (0.85, 0.85), (-0.85, 0.85)]


def _triangle() -> Points:
    return [(0.0, -1.0), (1.0, 0.8), (-1.0, 0.8)]


def _diamond() -> Points:
    return [(0.0, -1.05), (0.8, 0.0), (0.0, 1.05), (-0.8, 0.0)]


def _star() -> Points:
    points = []
    for corner in range(10):
        radius = 1.08 if corner % 2 == 0 else 0.45
        angle = math.pi * corner / 5
        points.append((radius * math.sin(angle), -radius * math.cos(angle) + 0.05))
    return points


def _cross() -> Points:
    a, b = 0.32, 0.95
    return [
        (-a, -b),
        (a, -b),
        (a, -a),
        (b, -a),
        (b, a),
        (a, a),
        (a, b),
        (-a, b),
        (-a, a),
        (-b, a),
        (-b, -a),
        (-a, -a),
    ]


def _heart() -> Points:
    points = []
    for step in range(72):
        t = 2 * math.pi * step / 72
        x = 16 * math.sin(t) ** 3
        y = 13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)
        points.append((x / 16.5, -y / 16.5 - 0.08))
    return points


OUTLINES: dict[str, Callable[[], Points]] = {
    "square": _square,
    "triangle": _triangle,
    "diamond": _diamond,
    "star": _star,
    "cross": _cross,
    "heart": _heart,
}
