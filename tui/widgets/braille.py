"""Time plots out of braille characters: two readings wide and four levels high to a cell."""

from __future__ import annotations

from collections.abc import Sequence

FILL = "⣿"
"""Stands for the filled series in a legend."""
CONTOUR = "⠒"
"""Stands for the contour in a legend."""

_EMPTY = 0x2800
# The dots of a cell from the bottom up, left column and right column (Unicode, block Braille Patterns).
_DOTS = ((0x40, 0x04, 0x02, 0x01), (0x80, 0x20, 0x10, 0x08))

_BARS = "▁▂▃▄▅▆▇█"


def plot(
    fill: Sequence[float | None],
    contour: Sequence[float | None],
    width: int,
    rows: int,
    ceiling: float,
) -> tuple[str, ...]:
    """``rows`` lines of ``width`` cells, newest reading at the right; the range is 0 to ``ceiling``.

    ``fill`` is drawn as an area and ``contour`` as a line of dots, cut out where it crosses the area. An
    unknown reading leaves its column empty; a reading of zero still draws the lowest dot.
    """
    cells = [[_EMPTY] * width for _ in range(rows)]
    for column, (area, line) in enumerate(
        zip(_levels(fill, width, rows, ceiling), _levels(contour, width, rows, ceiling), strict=True)
    ):
        dots = _DOTS[column % 2]
        for level in range(area or 0):
            cells[rows - 1 - level // 4][column // 2] |= dots[level % 4]
        if line is not None and line != area:
            cells[rows - 1 - (line - 1) // 4][column // 2] ^= dots[(line - 1) % 4]
    return tuple("".join(chr(cell) if cell != _EMPTY else " " for cell in row) for row in cells)


def _levels(values: Sequence[float | None], width: int, rows: int, ceiling: float) -> list[int | None]:
    """The newest ``2 * width`` readings as levels 1 to ``4 * rows``, filled up with None at the left."""
    newest = list(values[-2 * width :]) if width else []
    top = 4 * rows
    levels = [
        None if value is None else min(top, max(1, round(value / ceiling * top))) if ceiling > 0 else 1
        for value in newest
    ]
    return [None] * (2 * width - len(levels)) + levels


def bars(percents: Sequence[float | None], width: int) -> str:
    """One character per percentage, "?" for an unknown one; at most ``width``, "…" for those left out."""
    marks = ["?" if value is None else _BARS[min(7, max(0, int(value / 12.5)))] for value in percents]
    if len(marks) > width:
        marks = [*marks[: max(0, width - 1)], "…"]
    return "".join(marks)
