"""Trials as marks in a rectangle of cells: time to the right, memory upwards. A pure function of its points."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

_FAR_APART = 20.0
"""Ratio of the slowest to the fastest from which the axis of time is logarithmic: else the fast ones are one heap."""


@dataclass(frozen=True, slots=True)
class Point:
    """One trial. Bytes and seconds; of two in one cell the one with the higher ``rank`` is seen."""

    seconds: float
    peak: float
    mark: str
    rank: int = 0


@dataclass(frozen=True, slots=True)
class Plotted:
    """The cells, row by row from the top, and what the ends of the axes stand for."""

    rows: tuple[str, ...]
    fastest: float
    slowest: float
    ceiling: float
    is_logarithmic: bool


def scatter(points: Sequence[Point], width: int, height: int, budget: float | None) -> Plotted | None:
    """None if there is nothing to draw or no room. A ``budget`` (bytes) within reach is a line of dots."""
    if not points or width < 4 or height < 2:
        return None
    fastest, slowest = (pick(point.seconds for point in points) for pick in (min, max))
    highest = max(point.peak for point in points)
    # A budget far above everything would press the marks into the floor.
    line = budget if budget is not None and budget <= 3 * highest else None
    ceiling = max(highest, line or 0.0)
    log = fastest > 0 and slowest / fastest > _FAR_APART
    cells = [[" "] * width for _ in range(height)]
    if line is not None:
        cells[_row(line, ceiling, height)] = ["·"] * width
    for point in sorted(points, key=lambda point: point.rank):
        column = round(_share(point.seconds, fastest, slowest, log) * (width - 1))
        cells[_row(point.peak, ceiling, height)][column] = point.mark
    return Plotted(tuple("".join(row) for row in cells), fastest, slowest, ceiling, log)


def _row(value: float, ceiling: float, height: int) -> int:
    return height - 1 - round(value / ceiling * (height - 1)) if ceiling > 0 else height - 1


def _share(value: float, low: float, high: float, log: bool) -> float:
    if high <= low:
        return 0.5
    return math.log(value / low) / math.log(high / low) if log else (value - low) / (high - low)
