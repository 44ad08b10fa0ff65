"""What each panel shows, as pure functions of the view: figures in words, and series for the plot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from doctor.sizes import gib
from doctor.telemetry.sample import GpuSample, Sample
from tui.state import View
from tui.widgets.braille import CONTOUR, FILL, bars

Series = tuple[float | None, ...]

_CORES_SHOWN = 64
_FLAT = 8
"""A peak below this part of the limit would draw a plot of a row or two."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The content of one panel."""

    title: str
    lines: tuple[str, ...]
    """The most important first: a low panel drops the last."""
    fill: Series
    contour: Series = ()
    ceiling: float
    """Value at the top of the plot; its bottom is zero."""
    ceiling_text: str
    marks: tuple[int, ...] = ()
    """Where something happened: readings before the newest one."""


def memory_reading(view: View) -> Reading:
    """The worker's memory: what is used and held now, the peaks, the limit."""
    device = view.run.device if view.run else None
    on_cpu = device == "cpu"
    used, held = ("resident", "mapped") if on_cpu else ("allocated", "reserved")
    title = {
        True: "memory beyond the bare worker",
        False: f"worker memory on {device}, by torch" if device else "worker memory",
    }[on_cpu]
    limit = view.run.budget_bytes if view.run else None
    peak = max((count for count in (view.peak_allocated, view.peak_reserved) if count), default=0)
    ceiling = _memory_ceiling(peak, limit)
    # The kernel meters the peak of resident memory; of mapped memory there is only the largest figure seen.
    most = "seen" if on_cpu else "peak"
    return Reading(
        title=title,
        lines=(
            f"{FILL} {used:<10}{gib(view.allocated):>9} peak{gib(view.peak_allocated):>10}",
            f"{CONTOUR} {held:<10}{gib(view.reserved):>9} {most}{gib(view.peak_reserved):>10}",
            f"  {'limit':<10}{gib(limit):>9}" if limit else "  no limit set",
            *_others(view),
        ),
        fill=tuple(point.allocated for point in view.memory),
        contour=tuple(point.reserved for point in view.memory),
        ceiling=float(ceiling),
        ceiling_text="top: limit" if ceiling == limit else f"top: {gib(ceiling)}",
    )


def _others(view: View) -> tuple[str, ...]:
    """What the card holds that torch does not: other programs, and every program's CUDA context."""
    card = None if view.sample is None or view.run is None else _card_of(view.sample, view.run.device)
    if card is None or card.memory_used is None or view.reserved is None:
        return ()
    return (f"  {'others':<10}{gib(max(0, card.memory_used - view.reserved)):>9} on the card",)


def _card_of(sample: Sample, device: str | None) -> GpuSample | None:
    """The card that "cuda:1" is, in the driver's order, which sdoctor's worker asks for."""
    if device is None or not device.startswith("cuda"):
        return None
    index = int(device.partition(":")[2] or 0)
    return next((card for card in sample.gpus or () if card.index == index), None)


def _memory_ceiling(peak: int, limit: int | None) -> int:
    """The limit; or, if that lies so far above the peak that the plot would be flat, a power of two."""
    if limit is not None and peak * _FLAT >= limit:
        return limit
    return 1 << max(20, peak.bit_length())


def cpu_reading(view: View) -> Reading:
    """The processor: all cores, the worker's part of it, each core."""
    sample = view.sample
    cores = sample.core_percents if sample else None
    count = len(cores) if cores else None
    busy = None if sample is None or sample.process_cpu_percent is None else sample.process_cpu_percent / 100
    of_all = f" of {count}" if count else ""
    return Reading(
        title="CPU",
        lines=(
            f"{FILL} machine {_percent(sample.cpu_percent if sample else None)}",
            f"{CONTOUR} worker  {'unknown' if busy is None else f'{busy:.1f}{of_all} cores'}",
            f"  cores {bars(cores, _CORES_SHOWN)}" if cores else "  cores unknown",
        ),
        fill=tuple(each.cpu_percent for each in view.samples),
        contour=tuple(_worker_share(each) for each in view.samples),
        ceiling=100.0,
        ceiling_text="top: 100 %",
    )


def ram_reading(view: View) -> Reading:
    """Host memory: what is not available, the worker's whole process, swap."""
    sample = view.sample
    total = sample.memory_total if sample else None
    return Reading(
        title="RAM",
        lines=(
            f"{FILL} used   {gib(sample.memory_used if sample else None)} of {gib(total)}",
            f"{CONTOUR} worker {gib(sample.process_rss if sample else None)} (whole process)",
            f"  swap   {gib(sample.swap_used if sample else None)}",
        ),
        fill=tuple(each.memory_used for each in view.samples),
        contour=tuple(each.process_rss for each in view.samples),
        ceiling=float(total or 1),
        ceiling_text=f"top: {gib(total)}" if total else "",
    )


def gpu_reading(view: View) -> Reading | None:
    """The graphics cards, plotted for the first; None before a sample and without an NVIDIA driver."""
    sample = view.sample
    if sample is None or sample.gpus == ():
        return None
    if sample.gpus is None:
        lines: tuple[str, ...] = (f"cannot be read: {sample.gpu_error or 'unknown reason'}",)
        return Reading(title="GPU", lines=lines, fill=(), ceiling=100.0, ceiling_text="")
    first = sample.gpus[0]
    return Reading(
        title=f"GPU {first.index} {first.name or ''}".rstrip(),
        lines=(
            f"{FILL} busy   {_percent(first.utilization)}",
            f"{CONTOUR} memory {gib(first.memory_used)} of {gib(first.memory_total)}",
            f"  {_watts_and_degrees(first)}",
            *(_other_card(card) for card in sample.gpus[1:]),
        ),
        fill=tuple(each.gpus[0].utilization if each.gpus else None for each in view.samples),
        contour=tuple(_memory_percent(each.gpus[0]) if each.gpus else None for each in view.samples),
        ceiling=100.0,
        ceiling_text="top: 100 %",
    )


def heat_reading(view: View) -> Reading | None:
    """Power and temperature of the card that draws, else of the first; None where there is none to be read."""
    sample = view.sample
    if sample is None or not sample.gpus:
        return None
    card = _card_of(sample, view.run.device if view.run else None) or sample.gpus[0]

    def of(figure: Callable[[GpuSample], float | None]) -> Series:
        return tuple(
            next((figure(each) for each in past.gpus or () if each.index == card.index), None)
            for past in view.samples
        )

    limit = f" of {card.power_limit:.0f} W" if card.power_limit else ""
    held = card.throttle_reasons
    return Reading(
        title=f"GPU {card.index} power and heat",
        lines=(
            f"{FILL} {'power unknown' if card.power is None else f'{card.power:.0f} W{limit}'}",
            f"{CONTOUR} {'temperature unknown' if card.temperature is None else f'{card.temperature:.0f} °C'}",
            "  throttling unknown"
            if held is None
            else f"  held down by {', '.join(held)}"
            if held
            else "  not held down",
        ),
        fill=of(_power_percent),
        contour=of(lambda each: each.temperature),
        ceiling=100.0,
        ceiling_text="top: limit, 100 °C",
    )


def _power_percent(card: GpuSample) -> float | None:
    return None if card.power is None or not card.power_limit else 100.0 * card.power / card.power_limit


def _worker_share(sample: Sample) -> float | None:
    """The worker's CPU time as percent of all cores."""
    if sample.process_cpu_percent is None or not sample.core_percents:
        return None
    return sample.process_cpu_percent / len(sample.core_percents)


def _memory_percent(card: GpuSample) -> float | None:
    if card.memory_used is None or not card.memory_total:
        return None
    return 100.0 * card.memory_used / card.memory_total


def _other_card(card: GpuSample) -> str:
    used, total = gib(card.memory_used), gib(card.memory_total)
    return f"  GPU {card.index}: {_percent(card.utilization)}, {used} of {total}, {_watts_and_degrees(card)}"


def _watts_and_degrees(card: GpuSample) -> str:
    power = "power unknown" if card.power is None else f"{card.power:.0f} W"
    return power + (", temperature unknown" if card.temperature is None else f", {card.temperature:.0f} °C")


def _percent(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.0f} %"
