"""Memory over the size of the picture, one curve per rung: what a chart shows."""

from __future__ import annotations

from dataclasses import dataclass

from tuner.device_model import Device
from tuner.dryrun.client import Refused
from tuner.planning import Planner, ladder_rungs
from tuner.settings import Settings
from tuner.target import Target

SIDES = (256, 512, 768, 1024, 1280, 1536, 2048)
QUICK_SIDES = (512, 1024, 1536, 2048)
"""For a chart that nobody asked for: most of them are known from the search for the largest size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One rung: (side in pixels, bytes on the device), predicted as if there were room for everything."""

    name: str
    points: tuple[tuple[int, int], ...]


def curves(
    planner: Planner, fastest: Settings, device: Device, target: Target, sides: tuple[int, ...] | None = None
) -> tuple[Curve, ...]:
    """The rungs' curves over the same sides."""
    found = []
    for rung in ladder_rungs(fastest, target):
        points = []
        for side in sides or SIDES:
            try:
                points.append((side, planner.row(rung.settings, device, side, side).peak_device_bytes))
            except Refused:
                continue
        found.append(Curve(name=rung.name, points=tuple(points)))
    return tuple(found)
