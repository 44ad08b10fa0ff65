"""The chart of growth.py: panels of lines side by side, as one SVG file."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_WIDTH, _HEIGHT = 340, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 16, 48, 44
_COLOURS = ("#1b6ca8", "#c77d0a")
_ACROSS = 4
"""Panels in a row."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line: its name and its points."""

    name: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One small chart, with zero at its foot."""

    title: str
    across: str
    unit: str
    lines: tuple[Line, ...]


def write(path: Path, panels: Sequence[Panel]) -> None:
    """Draw into an SVG file."""
    columns = min(_ACROSS, len(panels))
    rows = math.ceil(len(panels) / _ACROSS)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{columns * _WIDTH}" height="{rows * _HEIGHT}" '
        'font-family="sans-serif" font-size="11">',
        '<rect width="100%" height="100%" fill="white"/>',
    ]
    for number, panel in enumerate(panels):
        at = f"translate({number % _ACROSS * _WIDTH},{number // _ACROSS * _HEIGHT})"
        parts += [f'<g transform="{at}">', *_panel(panel), "</g>"]
    path.write_text("\n".join([*parts, "</svg>", ""]), "utf-8")


def _panel(panel: Panel) -> list[str]:
    sides = sorted({x for line in panel.lines for x, _ in line.points})
    highest = max(y for line in panel.lines for _, y in line.points)
    step = _step(highest)
    top = math.ceil(highest / step) * step
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM

    def x(value: float) -> float:
        return _LEFT + (value - sides[0]) / (sides[-1] - sides[0]) * (right - _LEFT)

    def y(value: float) -> float:
        return bottom - value / top * (bottom - _TOP)

    parts = [
        f'<text x="{_LEFT}" y="18" font-size="13">{html.escape(panel.title)}: {html.escape(panel.unit)}</text>'
    ]
    for tick in range(round(top / step) + 1):
        height = y(tick * step)
        parts.append(f'<line x1="{_LEFT}" y1="{height:.1f}" x2="{right}" y2="{height:.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{height + 4:.1f}" text-anchor="end">{tick * step:g}</text>')
    for side in sides:
        parts.append(f'<text x="{x(side):.1f}" y="{bottom + 16}" text-anchor="middle">{side:g}</text>')
    middle = (_LEFT + right) / 2
    across = html.escape(panel.across)
    parts.append(f'<text x="{middle}" y="{bottom + 34}" text-anchor="middle">{across}</text>')
    for number, line in enumerate(panel.lines):
        colour = _COLOURS[number % len(_COLOURS)]
        places = [(x(at), y(value)) for at, value in line.points]
        path = " ".join(f"{a:.1f},{b:.1f}" for a, b in places)
        dashes = ' stroke-dasharray="6 4"' if number else ""
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"{dashes}/>')
        parts += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3" fill="{colour}"/>' for a, b in places]
        parts.append(
            f'<text x="{_LEFT + number * 90}" y="36" fill="{colour}">{html.escape(line.name)}</text>'
        )
    return parts


def _step(highest: float) -> float:
    """A round distance between lines of the grid, four to nine of them."""
    unit = 10.0 ** math.floor(math.log10(highest))
    return next(unit * factor for factor in (0.1, 0.2, 0.5, 1.0, 2.0) if highest / (unit * factor) <= 8)
