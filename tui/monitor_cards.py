"""The panels of the graphics cards, as pure functions of the timeline."""

from __future__ import annotations

from collections.abc import Callable
from textwrap import wrap

from doctor.sizes import gib
from doctor.telemetry.sample import GpuSample, Sample, Throttling
from tui.monitor_scope import Figure, Scope, part, rate, reading_of, share
from tui.widgets.braille import CONTOUR, FILL
from tui.widgets.readings import Reading
from tui.widgets.words import printable

_HOTTEST = 100.0
"""Degrees at the top of a plot of temperatures: cards shut down between 90 and 105."""
_NARROWEST = 33
"""Letters that a panel holds on a terminal of 80 columns."""


def card_readings(sample: Sample, scope: Scope) -> list[tuple[str, Reading]]:
    """Two panels for each card: what it does, and what that costs; none where there is no NVIDIA driver."""
    if sample.gpus is None:
        words = tuple(wrap(printable(sample.gpu_error or "unknown reason"), _NARROWEST))
        lines = ("  cannot be read:", *(f"  {line}" for line in words))
        return [("gpu", reading_of("GPU", lines, scope, (_nothing, _nothing), top=""))]
    found = []
    for card in sample.gpus:
        found.append((f"gpu{card.index}", _card(card, scope)))
        if card.name is not None:
            found.append((f"heat{card.index}", _heat(card, scope)))
    return found


def _card(card: GpuSample, scope: Scope) -> Reading:
    if card == GpuSample(index=card.index):
        return reading_of(
            f"GPU {card.index}",
            ("  does not answer: fell off the bus, or asleep",),
            scope,
            _of_card(card.index, lambda each: each.utilization, _vram),
        )
    return reading_of(
        f"GPU {card.index} {printable(card.name or '')}".rstrip(),
        (
            f"{FILL} busy {share(card.utilization)}, memory {share(card.memory_activity)}",
            f"{CONTOUR} {gib(card.memory_used)} of {gib(card.memory_total)}",
            f"  {_power(card)}, {_degrees(card.temperature)}",
            f"  {_held(card)}",
            f"  {_clocks(card)}",
            f"  {_traffic(card)}",
            _link(card),
        ),
        scope,
        _of_card(card.index, lambda each: each.utilization, _vram),
    )


def _heat(card: GpuSample, scope: Scope) -> Reading:
    return reading_of(
        f"GPU {card.index} power and heat",
        (
            f"{FILL} {_power(card)}",
            f"{CONTOUR} {_degrees(card.temperature)}",
            f"  {_held(card)}",
            f"  {_clocks(card)}",
        ),
        scope,
        _of_card(card.index, lambda each: part(each.power, each.power_limit), _warmth),
        top="top: limit, 100 °C",
    )


def _of_card(
    index: int, fill: Callable[[GpuSample], float | None], contour: Callable[[GpuSample], float | None]
) -> tuple[Figure, Figure]:
    def of(figure: Callable[[GpuSample], float | None]) -> Figure:
        return lambda sample: next(
            (figure(card) for card in sample.gpus or () if card.index == index),
            None,
        )

    return of(fill), of(contour)


def _power(card: GpuSample) -> str:
    if card.power is None:
        return "power unknown"
    return f"{card.power:.0f} W" + ("" if card.power_limit is None else f" of {card.power_limit:.0f} W")


def _clocks(card: GpuSample) -> str:
    if card.clock is None:
        return "clocks unknown"
    most = "" if card.clock_max is None else f" of {card.clock_max:.0f}"
    memory = "" if card.memory_clock is None else f", memory {card.memory_clock:.0f}"
    return f"{card.clock:.0f}{most} MHz{memory}"


def _held(card: GpuSample) -> str:
    """Why the clock is held down, with the part of the time where the driver counts it."""
    counted = _counted(card.throttling)
    if counted:
        return "held down by " + ", ".join(f"{name} {time:.0f} %" for name, time in counted)
    if card.throttle_reasons is None and card.throttling is None:
        return "throttling unknown"
    return f"held down by {', '.join(card.throttle_reasons)}" if card.throttle_reasons else "not held down"


def _counted(held: Throttling | None) -> list[tuple[str, float]]:
    if held is None:
        return []
    shares = (
        ("power cap", held.power_cap),
        ("software thermal", held.software_thermal),
        ("hardware thermal", held.hardware_thermal),
        ("power brake", held.power_brake),
    )
    return [(name, time) for name, time in shares if time]


def _traffic(card: GpuSample) -> str:
    if card.pcie_received is None and card.pcie_sent is None:
        return "PCIe traffic unknown"
    return f"PCIe in {rate(card.pcie_received)}, out {rate(card.pcie_sent)}"


def _link(card: GpuSample) -> str:
    if card.pcie_generation is None or card.pcie_width is None:
        return ""
    return f"  PCIe link now {card.pcie_generation}.0 x{card.pcie_width}"


def _vram(card: GpuSample) -> float | None:
    return part(card.memory_used, card.memory_total)


def _warmth(card: GpuSample) -> float | None:
    return None if card.temperature is None else 100.0 * card.temperature / _HOTTEST


def _degrees(value: float | None) -> str:
    return "temperature unknown" if value is None else f"{value:.0f} °C"


def _nothing(_sample: Sample) -> None:
    return None
