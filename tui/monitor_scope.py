"""Scope: what the panels of the monitor look at, and how figures become a panel and words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from doctor.sizes import KIB, MIB
from doctor.telemetry.sample import Sample
from tui.timeline import Timeline
from tui.widgets.readings import Reading, Series

Figure = Callable[[Sample], float | None]


@dataclass(frozen=True, slots=True)
class Scope:
    """What the plots cover."""

    line: Timeline
    points: int
    """Readings of the widest plot."""
    per: int = 1
    """Samples to a reading."""
    marks: tuple[int, ...] = ()

    def series(self, figure: Figure) -> Series:
        """One figure over the time that is shown."""
        return self.line.series(figure, self.points, self.per)


def reading_of(
    title: str,
    lines: tuple[str, ...],
    scope: Scope,
    figures: tuple[Figure, Figure],
    ceiling: float | None = 100.0,
    top: str = "top: 100 %",
) -> Reading:
    """A panel of two figures; ``ceiling`` None for a round rate above the highest that is shown."""
    fill, contour = (scope.series(figure) for figure in figures)
    if ceiling is None:
        highest = max((value for value in (*fill, *contour) if value is not None), default=0.0)
        ceiling = float(1 << max(20, int(highest).bit_length()))
        top = f"top: {rate(ceiling)}"
    return Reading(
        title=title,
        lines=tuple(line for line in lines if line),
        fill=fill,
        contour=contour,
        ceiling=ceiling,
        ceiling_text=top,
        marks=scope.marks,
    )


def share(value: float | None) -> str:
    """Percent in words."""
    return "unknown" if value is None else f"{value:.0f} %"


def rate(value: float | None) -> str:
    """Bytes per second in words."""
    if value is None:
        return "unknown"
    if value >= 1000 * MIB:
        return f"{value / (1024 * MIB):.1f} GiB/s"
    return f"{value / MIB:.1f} MiB/s" if value >= MIB / 10 else f"{value / KIB:.0f} KiB/s"


def part(value: float | None, whole: float | None) -> float | None:
    """Percent of a whole; None of nothing."""
    return None if value is None or not whole else 100.0 * value / whole
