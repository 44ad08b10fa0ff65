"""The judge: says what a picture shows by classical image processing, knowing nothing of the model.

Background: the colour that most of the border has. Shapes: connected regions of pixels that are far from the background.
Colour: the nearest named colour of a region's inner pixels. Shape: area, holes and outline against reference outlines.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from tiny_model.render import render
from tiny_model.scene import COLOURS, SHAPES, Group, Placed, Scene

_SMALLEST = 0.004
"""Regions smaller than this share of the picture are specks."""
_FAR = 26.0
"""Distance in CIE L*a*b* from which on a pixel is not background; the nearest two named colours are 30 apart."""
_NAMED = 30.0
"""A colour farther than this from every named one is "other"."""
OTHER = "other"
_GRID = 24
"""Regions are compared as silhouettes on a grid of this many cells a side."""


@dataclass(frozen=True, slots=True)
class Region:
    """One connected shape in a picture; positions are fractions of the side."""

    colour: str
    shape: str
    x: float
    y: float
    area: float


@dataclass(frozen=True, slots=True)
class Seen:
    """What the judge sees in a picture."""

    background: str
    regions: tuple[Region, ...]

    def main(self) -> Region | None:
        """The largest region."""
        return max(self.regions, key=lambda region: region.area, default=None)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Which of the things asked for a picture shows."""

    background: bool
    colours: bool
    shapes: bool
    counts: bool
    places: bool


def lab(pixels: np.ndarray) -> np.ndarray:
    """sRGB bytes to CIE L*a*b* (D65; formulas of CIE 15 and IEC 61966-2-1)."""
    srgb = np.asarray(pixels, dtype=np.float64) / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = linear @ to_xyz.T / np.array([0.9505, 1.0, 1.089])
    root = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = root[..., 0], root[..., 1], root[..., 2]
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


@cache
def _named() -> tuple[tuple[str, ...], np.ndarray]:
    return tuple(COLOURS), lab(np.array(list(COLOURS.values())))


def colour_name(value: np.ndarray) -> str:
    """The named colour nearest to one L*a*b* value, or "other" if none is near."""
    names, values = _named()
    distances = np.linalg.norm(values - value, axis=1)
    nearest = int(np.argmin(distances))
    return names[nearest] if distances[nearest] <= _NAMED else OTHER


def look(picture: np.ndarray) -> Seen:
    """What is in the picture (bytes, height x width x 3)."""
    values = lab(picture)
    ground = _background(values)
    foreground = np.linalg.norm(values - ground, axis=-1) > _FAR
    regions = [_region(values, mask) for mask in connected(foreground) if mask.mean() >= _SMALLEST]
    return Seen(colour_name(ground), tuple(regions))


def _background(values: np.ndarray) -> np.ndarray:
    """The median of those border pixels that have the colour most common at the border."""
    width = max(1, min(values.shape[:2]) // 32)
    inside = np.zeros(values.shape[:2], dtype=bool)
    inside[width:-width, width:-width] = True
    border = values[~inside]
    names, known = _named()
    nearest = np.argmin(np.linalg.norm(border[:, None] - known[None], axis=2), axis=1)
    return np.median(border[nearest == np.bincount(nearest, minlength=len(names)).argmax()], axis=0)


def connected(mask: np.ndarray) -> list[np.ndarray]:
    """The connected regions (four neighbours) of a boolean picture, each as a mask."""
    height, width = mask.shape
    labels = np.where(mask, np.arange(1, height * width + 1).reshape(height, width), 0)
    while True:
        padded = np.pad(labels, 1)
        around = np.stack([padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:], labels])
        spread = np.where(mask, around.max(axis=0), 0)
        # Jump to the label's own label: regions close in a few rounds, not in as many as they are long.
        flat = np.concatenate([[0], spread.ravel()])
        spread = np.where(mask, np.maximum(spread, flat[spread]), 0)
        if np.array_equal(spread, labels):
            return [labels == label for label in np.unique(labels) if label]
        labels = spread


def _region(values: np.ndarray, mask: np.ndarray) -> Region:
    inner = eroded(mask, 2)
    if inner.sum() < 8:
        inner = eroded(mask, 1)
    chosen = values[inner if inner.any() else mask]
    rows, columns = np.nonzero(mask)
    height, width = mask.shape
    return Region(
        colour=colour_name(np.median(chosen, axis=0)),
        shape=shape_name(mask),
        x=float((columns.min() + columns.max() + 1) / 2 / width),
        y=float((rows.min() + rows.max() + 1) / 2 / height),
        area=float(mask.mean()),
    )


def eroded(mask: np.ndarray, times: int) -> np.ndarray:
    """The mask without its outermost pixels."""
    for _ in range(times):
        padded = np.pad(mask, 1)
        mask = mask & padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return mask


def silhouette(mask: np.ndarray) -> np.ndarray:
    """The region's bounding box, stretched to a grid: the covered share of every cell."""
    rows, columns = np.nonzero(mask)
    box = mask[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1].astype(np.float64)
    return _resample(_resample(box, 0), 1)


def _resample(values: np.ndarray, axis: int) -> np.ndarray:
    """Mean over equal parts of one axis, exact also where a part ends within a pixel."""
    length = values.shape[axis]
    sums = np.concatenate([np.zeros_like(values.take([0], axis)), values.cumsum(axis)], axis)
    edges = np.linspace(0, length, _GRID + 1)
    below = np.minimum(edges.astype(int), length - 1)
    rest = np.expand_dims(edges - below, 1 - axis) if values.ndim == 2 else edges - below
    at = sums.take(below, axis) + rest * values.take(below, axis)
    return np.diff(at, axis=axis) * _GRID / length


@cache
def _references() -> np.ndarray:
    """Silhouettes of clean drawings, in the order of SHAPES."""
    drawings = [render([Placed(shape, "black", 0.5, 0.5, 0.4)], "white") for shape in SHAPES]
    return np.stack([silhouette(drawing[..., 1] < 128) for drawing in drawings])


def shape_name(mask: np.ndarray) -> str:
    """The shape whose silhouette differs least."""
    return SHAPES[int(np.argmin(np.abs(_references() - silhouette(mask)).mean(axis=(1, 2))))]


def judge(picture: np.ndarray, scene: Scene) -> Verdict:
    """Compare what the picture shows with what was asked for."""
    seen = look(picture)
    owned = [[region for region in seen.regions if region.colour == group.colour] for group in scene.groups]
    colours = bool(all(owned)) and sum(map(len, owned)) == len(seen.regions)
    if scene.one_shape:
        main = seen.main()
        colours = main is not None and main.colour == scene.groups[0].colour
    return Verdict(
        background=seen.background == scene.background,
        colours=colours,
        shapes=colours
        and all(_mostly(regions, group) for regions, group in zip(owned, scene.groups, strict=True)),
        counts=colours
        and all(len(regions) == group.count for regions, group in zip(owned, scene.groups, strict=True)),
        places=colours and _placed(owned, scene),
    )


def _mostly(regions: list[Region], group: Group) -> bool:
    """Whether every region of a group has its shape."""
    return all(region.shape == group.shape for region in regions)


def _placed(owned: list[list[Region]], scene: Scene) -> bool:
    """Whether named places and relations hold. True where none is named."""
    middles = [(np.mean([r.x for r in regions]), np.mean([r.y for r in regions])) for regions in owned]
    if scene.relation and len(middles) == 2:
        (x1, y1), (x2, y2) = middles
        return {"above": y1 < y2, "below": y1 > y2, "left of": x1 < x2, "right of": x1 > x2}[scene.relation]
    if scene.place:
        x, y = middles[0]
        wanted = {"left": x < 0.42, "right": x > 0.58, "top": y < 0.42, "bottom": y > 0.58}
        if scene.place == "center":
            return abs(x - 0.5) < 0.1 and abs(y - 0.5) < 0.1
        return all(wanted[word] for word in scene.place.split())
    return True
