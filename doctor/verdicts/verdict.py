"""Verdict: what limits the work, with its evidence; and Rule: the pure function that comes to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from doctor.finding import Remedy, Severity
from doctor.verdicts.window import Window

Figure = float | int | str

_AT_THRESHOLD, _SURE = 0.5, 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One answer to the question what the work waits for."""

    id: str
    """The cause, stable over releases: "starved-by-quota"."""
    severity: Severity
    """OK: as it should be; NOTE: a fact; WARNING: time is being lost."""
    title: str
    """One sentence for a tired person."""
    confidence: float
    """0 to 1: how far the figures are beyond their thresholds. No probability."""
    evidence: dict[str, Figure] = field(default_factory=dict)
    """The figures that it rests on, with their units in the names."""
    advice: Remedy | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One thing that may limit the work."""

    name: str
    causes: dict[str, str]
    """Every verdict id that it may give, each with one sentence on what it means."""
    judge: Callable[[Window], Verdict | None]
    sources: tuple[str, ...] = ()
    """Public pages on which its thresholds rest."""


def confidence(value: float, threshold: float, sure: float) -> float:
    """0.5 at the threshold, 0.95 where there is no doubt any more, straight between. ``sure`` may lie below."""
    way = (value - threshold) / (sure - threshold) if sure != threshold else 1.0
    return round(_AT_THRESHOLD + (_SURE - _AT_THRESHOLD) * min(1.0, max(0.0, way)), 2)


def figures(**values: Figure | None) -> dict[str, Figure]:
    """Those that are known, rounded to what can be read."""
    return {
        name: float(f"{value:.3g}") if isinstance(value, float) else value
        for name, value in values.items()
        if value is not None
    }
