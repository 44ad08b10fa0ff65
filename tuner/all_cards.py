"""Every known card: which mode it needs for a size, and how large a picture it can make."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from doctor.cards import cards
from tuner.device_model import Device, device_of_card
from tuner.planning import Planner, ladder_rungs
from tuner.settings import Settings
from tuner.target import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class CardRow:
    """One card. Sides of squares in pixels; None where nothing fits."""

    device: Device
    width: int
    height: int
    needed: str | None
    """The first rung that makes a picture of that size."""
    largest_fastest: int | None
    largest: int | None
    largest_rung: str | None


def all_cards(
    planner: Planner, start: Callable[[Device], Settings], size: tuple[int, int] | None
) -> list[CardRow]:
    """A row for each card, the smallest memory first. Raises Refused."""
    devices = sorted((device_of_card(card) for card in cards()), key=lambda device: device.budget or 0)
    known: dict[object, CardRow] = {}
    rows: list[CardRow] = []
    for device in devices:
        fastest = start(device)
        # Cards that differ in speed only give the same answer.
        key = (device.budget, _workspace_class(device), fastest)
        if key not in known:
            known[key] = _row(planner, device, fastest, size, rows[-1] if rows else None)
        rows.append(replace(known[key], device=device))
    return rows


def _workspace_class(device: Device) -> tuple[bool, ...]:
    capability = device.capability or (0, 0)
    return capability >= (7, 0), capability >= (8, 0), capability == (9, 0)


def _row(
    planner: Planner, device: Device, fastest: Settings, size: tuple[int, int] | None, before: CardRow | None
) -> CardRow:
    rungs = ladder_rungs(fastest, _target(device))
    width, height = size or (None, None)
    rows = [planner.row(rung.settings, device, width, height) for rung in rungs]
    needed = next((rung.name for rung, row in zip(rungs, rows, strict=True) if row.fits), None)
    first = planner.largest(rungs[0], device, before.largest_fastest if before else None)
    last = planner.largest(rungs[-1], device, before.largest if before else None)
    best = last if (last.side or 0) > (first.side or 0) else first
    return CardRow(
        device=device,
        width=rows[0].width,
        height=rows[0].height,
        needed=needed,
        largest_fastest=first.side,
        largest=best.side,
        largest_rung=best.rung.name if best.side else None,
    )


def _target(device: Device) -> Target:
    return Target(device="cuda:0", capability=device.capability, packages=("accelerate",))
