"""The chart of a plan: memory over the side of a square picture, one line per rung, the card's memory across it."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from pathlib import Path

from doctor.errors import NotInOrder, UsageError
from doctor.sizes import GIB
from tuner.device_model import Device
from tuner.plan_curves import Curve

_COLOURS = ("#1b6ca8", "#2a9d5c", "#c77d0a", "#8a4fae")
_LIMIT = "#c0392b"
_WIDTH, _HEIGHT = 880, 520
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 200, 50, 60


def check_chart_path(text: str) -> Path:
    """The file to draw into. Raises UsageError before any work is done for it."""
    path = Path(text).expanduser()
    if path.suffix.lower() not in (".svg", ".png"):
        raise UsageError(f"--chart {text}: write a file name that ends in .svg or .png.")
    if not path.parent.is_dir():
        raise UsageError(f"--chart {text}: there is no folder {path.parent}.")
    return path


class _Scale:
    """From pixels and bytes to places in the drawing."""

    def __init__(self, curves: Sequence[Curve], limit: int | None) -> None:
        points = [point for curve in curves for point in curve.points]
        self.sides = sorted({side for side, _ in points})
        highest = max([value for _, value in points] + [limit or 0]) / GIB
        self.step = next(step for step in (0.5, 1, 2, 5, 10, 20, 50, 100) if highest / step <= 9)
        self.top = math.ceil(highest / self.step) * self.step
        self.ticks = [self.step * n for n in range(round(self.top / self.step) + 1)]

    def x(self, side: float) -> float:
        first, last = self.sides[0], self.sides[-1]
        return _LEFT + (side - first) / max(1, last - first) * (_WIDTH - _LEFT - _RIGHT)

    def y(self, count: float) -> float:
        return _HEIGHT - _BOTTOM - count / GIB / self.top * (_HEIGHT - _TOP - _BOTTOM)


def write_chart(path: Path, curves: Sequence[Curve], device: Device, model: str) -> None:
    """Draw into ``path``. Raises NotInOrder if the file cannot be written."""
    scale = _Scale(curves, device.usable_bytes)
    title = f"{model} on {device.name}: predicted memory"
    try:
        if path.suffix.lower() == ".svg":
            path.write_text(_svg(scale, curves, device, title), encoding="utf-8")
        else:
            _png(path, scale, curves, device, title)
    except OSError as error:
        raise NotInOrder(f"The chart could not be written to {path}: {error.strerror or error}.") from error


def _svg(scale: _Scale, curves: Sequence[Curve], device: Device, title: str) -> str:
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}" font-family="sans-serif">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        f'<text x="{_LEFT}" y="28" font-size="16">{html.escape(title)}</text>',
    ]
    for tick in scale.ticks:
        y = scale.y(tick * GIB)
        parts.append(f'<line x1="{_LEFT}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}" stroke="#ddd"/>')
        parts.append(
            f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" font-size="12" text-anchor="end">{tick:g}</text>'
        )
    for side in scale.sides:
        x = scale.x(side)
        parts.append(f'<line x1="{x:.1f}" y1="{bottom}" x2="{x:.1f}" y2="{bottom + 5}" stroke="black"/>')
        parts.append(f'<text x="{x:.1f}" y="{bottom + 20}" font-size="12" text-anchor="middle">{side}</text>')
    middle = (_LEFT + right) / 2
    parts += [
        f'<path d="M{_LEFT} {_TOP}V{bottom}H{right}" stroke="black" fill="none"/>',
        f'<text x="{middle}" y="{_HEIGHT - 14}" font-size="13" text-anchor="middle">side of a square picture, pixels</text>',
        f'<text x="16" y="{_TOP - 8}" font-size="13">GiB on the device</text>',
    ]
    for number, curve in enumerate(curves):
        colour = _COLOURS[number % len(_COLOURS)]
        path = " ".join(f"{scale.x(side):.1f},{scale.y(value):.1f}" for side, value in curve.points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        y = _TOP + 20 * number + 10
        parts.append(f'<rect x="{right + 16}" y="{y - 6}" width="18" height="3" fill="{colour}"/>')
        parts.append(f'<text x="{right + 40}" y="{y}" font-size="12">{html.escape(curve.name)}</text>')
    if device.usable_bytes:
        y = scale.y(device.usable_bytes)
        parts.append(
            f'<line x1="{_LEFT}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}" stroke="{_LIMIT}" '
            'stroke-width="2" stroke-dasharray="6 4"/>'
        )
        parts.append(
            f'<text x="{_LEFT + 8}" y="{y - 5:.1f}" font-size="12" fill="{_LIMIT}">{html.escape(_limit(device))}</text>'
        )
    return "\n".join([*parts, "</svg>", ""])


def _limit(device: Device) -> str:
    return f"{(device.usable_bytes or 0) / GIB:.1f} GiB to use"


def _png(path: Path, scale: _Scale, curves: Sequence[Curve], device: Device, title: str) -> None:
    from PIL import Image, ImageDraw

    image = Image.new("RGB", (_WIDTH, _HEIGHT), "white")
    draw = ImageDraw.Draw(image)
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    draw.text((_LEFT, 14), title, fill="black")
    draw.text((16, _TOP - 18), "GiB on the device", fill="black")
    draw.text(((_LEFT + right) / 2 - 90, _HEIGHT - 24), "side of a square picture, pixels", fill="black")
    for tick in scale.ticks:
        y = scale.y(tick * GIB)
        draw.line((_LEFT, y, right, y), fill="#dddddd")
        draw.text((_LEFT - 30, y - 6), f"{tick:g}", fill="black")
    for side in scale.sides:
        draw.line((scale.x(side), bottom, scale.x(side), bottom + 5), fill="black")
        draw.text((scale.x(side) - 12, bottom + 9), str(side), fill="black")
    draw.line((_LEFT, _TOP, _LEFT, bottom, right, bottom), fill="black")
    for number, curve in enumerate(curves):
        colour = _COLOURS[number % len(_COLOURS)]
        draw.line([(scale.x(side), scale.y(value)) for side, value in curve.points], fill=colour, width=2)
        y = _TOP + 20 * number + 10
        draw.line((right + 16, y, right + 34, y), fill=colour, width=3)
        draw.text((right + 40, y - 6), curve.name, fill="black")
    if device.usable_bytes:
        y = scale.y(device.usable_bytes)
        for x in range(_LEFT, right, 10):
            draw.line((x, y, x + 6, y), fill=_LIMIT, width=2)
        # Inside the plot: beside it stands the legend.
        draw.text((_LEFT + 8, y - 15), _limit(device), fill=_LIMIT)
    image.save(path)


def terminal_chart(curves: Sequence[Curve], device: Device, rows: int = 14) -> str:
    """The same for a terminal: a letter per rung, a line of dashes for the memory of the card."""
    scale = _Scale(curves, device.usable_bytes)
    width = 6
    grid = [[" "] * (width * len(scale.sides)) for _ in range(rows)]

    def line(count: float) -> int:
        return rows - 1 - min(rows - 1, round(count / GIB / scale.top * (rows - 1)))

    if device.usable_bytes:
        grid[line(device.usable_bytes)] = ["-"] * (width * len(scale.sides))
    for number, curve in enumerate(curves):
        for side, value in curve.points:
            grid[line(value)][width * scale.sides.index(side) + 1 + number] = "abcdefgh"[number]
    labels = [scale.top * (rows - 1 - row) / (rows - 1) for row in range(rows)]
    lines = ["", "GiB on the device (predicted), over the side of a square picture:"]
    lines += [f"{label:6.1f} |{''.join(cells)}".rstrip() for label, cells in zip(labels, grid, strict=True)]
    lines.append(" " * 8 + "".join(f"{side:<{width}}" for side in scale.sides))
    names = "  ".join(f"{'abcdefgh'[number]} {curve.name}" for number, curve in enumerate(curves))
    lines.append(f"        {names}  --- {_limit(device)}")
    return "\n".join(lines)
