"""Figures: the numbers of a sample under names, and their form on disk.

A name is a field of ``Sample`` ("memory_available") or of one card ("gpu0.power"). Only what is worth a curve is
kept. A number takes four bytes (IEEE 754 single): seven digits, or 2 KiB in 32 GiB.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from doctor.telemetry.sample import GpuSample, Sample


@dataclass(frozen=True, slots=True)
class Figure:
    """One number over a span of time. All three are the same for a single sample."""

    least: float
    mean: float
    most: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What is remembered of a span of time. A figure that was not read is not there: never zero."""

    at: float
    """Seconds since 1970: of the sample, or of the beginning of the span where samples were joined."""
    seconds: float
    """Length of the span: 1 (one sample), 10 or 60."""
    figures: dict[str, Figure]


_OF_HOST = (
    "cpu_percent",
    "stolen_percent",
    "memory_total",
    "memory_available",
    "swap_total",
    "swap_used",
    "swap_in",
    "swap_out",
    "process_cpu_percent",
    "process_rss",
)
_OF_PRESSURE = ("cpu_some", "memory_some", "memory_full", "io_some", "io_full")
_OF_CARD = (
    "utilization",
    "memory_activity",
    "memory_used",
    "memory_total",
    "power",
    "power_limit",
    "clock",
    "clock_max",
    "temperature",
    "pcie_received",
    "pcie_sent",
)
_OF_THROTTLING = ("power_cap", "software_thermal", "hardware_thermal", "power_brake")
_MOST_CARDS = 16
"""Cards that are remembered; a workstation has four."""


def figures_of(sample: Sample) -> dict[str, float]:
    """The numbers of a sample that are known."""
    return {name: float(value) for name, value in _pairs(sample) if value is not None}


def _pairs(sample: Sample) -> Iterator[tuple[str, float | None]]:
    for name in _OF_HOST:
        yield name, getattr(sample, name)
    if sample.pressure is not None:
        for name in _OF_PRESSURE:
            yield f"pressure.{name}", getattr(sample.pressure, name)
    if sample.disks:
        yield "disk.read", sum(disk.read for disk in sample.disks)
        yield "disk.written", sum(disk.written for disk in sample.disks)
        busy = [disk.busy_percent for disk in sample.disks if disk.busy_percent is not None]
        yield "disk.busy_percent", max(busy, default=None)
    if sample.networks:
        yield "network.received", sum(each.received for each in sample.networks)
        yield "network.sent", sum(each.sent for each in sample.networks)
    if sample.worker is not None:
        yield "worker.allocated", sample.worker.allocated
        yield "worker.reserved", sample.worker.reserved
    for card in (sample.gpus or ())[:_MOST_CARDS]:
        yield from _of_card(card)


def _of_card(card: GpuSample) -> Iterator[tuple[str, float | None]]:
    for name in _OF_CARD:
        yield f"gpu{card.index}.{name}", getattr(card, name)
    if card.throttling is not None:
        for name in _OF_THROTTLING:
            yield f"gpu{card.index}.throttled.{name}", getattr(card.throttling, name)


_ONE = struct.Struct("<Hf")
_JOINED = struct.Struct("<Hfff")


def pack_one(numbers: Mapping[int, float]) -> bytes:
    """The numbers of one sample, each under the number of its name."""
    return b"".join(_ONE.pack(key, value) for key, value in numbers.items())


def unpack_one(content: bytes) -> dict[int, float]:
    """What ``pack_one`` wrote. Raises struct.error if it is damaged."""
    return dict(_ONE.iter_unpack(content))


def pack_joined(figures: Mapping[int, Figure]) -> bytes:
    """The figures of a longer span."""
    return b"".join(_JOINED.pack(key, each.least, each.mean, each.most) for key, each in figures.items())


def unpack_joined(content: bytes) -> dict[int, Figure]:
    """What ``pack_joined`` wrote. Raises struct.error if it is damaged."""
    return {
        key: Figure(least=least, mean=mean, most=most)
        for key, least, mean, most in _JOINED.iter_unpack(content)
    }


def join(samples: Sequence[Mapping[int, float]]) -> dict[int, Figure]:
    """Least, mean and most of each number, over the samples that have it."""
    found: dict[int, list[float]] = {}
    for sample in samples:
        for key, value in sample.items():
            found.setdefault(key, []).append(value)
    return {
        key: Figure(least=min(values), mean=sum(values) / len(values), most=max(values))
        for key, values in found.items()
    }
