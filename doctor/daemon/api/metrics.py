"""Metrics: what Prometheus reads. Names and base units as prometheus.io/docs/practices/naming has them.

What is not known has no series: never zero. A source is a function that gives families; any package may add one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector, CollectorRegistry

from doctor.telemetry.sample import GpuSample, Sample

Source = Callable[[], Iterable[Metric]]

PREFIX = "sdoctor_"
_PERCENT = 100.0
_MEGA = 1e6


class _Collected(Collector):
    """All sources as one collector; each family without a series is left out."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._sources = sources

    def collect(self) -> Iterator[Metric]:
        for source in self._sources:
            yield from (family for family in source() if family.samples)


def exposition(sources: Sequence[Source]) -> Callable[[], bytes]:
    """What ``/metrics`` answers with."""
    # A registry of its own: the global one also tells of Python's garbage collector, which nobody asked for.
    registry = CollectorRegistry()
    registry.register(_Collected(sources))
    return lambda: bytes(generate_latest(registry))


class Series:
    """Families under construction: one call for each figure, and what is None is left out."""

    def __init__(self) -> None:
        self._families: dict[str, GaugeMetricFamily | CounterMetricFamily] = {}

    def gauge(self, figure: str, about: str, value: float | None, scale: float = 1.0, **labels: str) -> None:
        """A figure that goes up and down."""
        self._add(GaugeMetricFamily, figure, about, value, scale, labels)

    def counter(self, name: str, about: str, value: float | None, **labels: str) -> None:
        """A figure that only grows, until the daemon starts anew; ``name`` without "_total"."""
        self._add(CounterMetricFamily, name, about, value, 1.0, labels)

    def families(self) -> Iterable[Metric]:
        """All of them."""
        return self._families.values()

    def _add(
        self,
        kind: type[GaugeMetricFamily] | type[CounterMetricFamily],
        name: str,
        about: str,
        value: float | None,
        scale: float,
        labels: dict[str, str],
    ) -> None:
        if value is None:
            return
        family = self._families.get(name)
        if family is None:
            family = self._families[name] = kind(PREFIX + name, about, labels=list(labels))
        family.add_metric(list(labels.values()), value * scale)


def of_sample(newest: Callable[[], Sample | None]) -> Source:
    """The machine and its cards, as they were at the newest sample."""

    def families() -> Iterable[Metric]:
        sample = newest()
        series = Series()
        if sample is not None:
            _host(series, sample)
            for card in sample.gpus or ():
                _card(series, card)
        return series.families()

    return families


def _host(series: Series, sample: Sample) -> None:
    gauge = series.gauge
    gauge("cpu_busy_ratio", "Busy share of all logical cores.", sample.cpu_percent, 1 / _PERCENT)
    gauge(
        "cpu_stolen_ratio",
        "Share of the cores that the virtual machine's host gave to others.",
        sample.stolen_percent,
        1 / _PERCENT,
    )
    gauge("memory_total_bytes", "Memory of the machine.", sample.memory_total)
    gauge("memory_available_bytes", "Memory that can be had without swapping.", sample.memory_available)
    gauge("swap_total_bytes", "Swap space.", sample.swap_total)
    gauge("swap_used_bytes", "Swap in use.", sample.swap_used)
    gauge("swap_in_bytes_per_second", "What came back from swap.", sample.swap_in)
    gauge("swap_out_bytes_per_second", "What went to swap.", sample.swap_out)
    if sample.pressure is not None:
        for name in ("cpu_some", "memory_some", "memory_full", "io_some", "io_full"):
            resource, _, kind = name.partition("_")
            gauge(
                "pressure_ratio",
                "Share of the time in which tasks stood still (Linux PSI).",
                getattr(sample.pressure, name),
                1 / _PERCENT,
                resource=resource,
                kind=kind,
            )
    for disk in sample.disks or ():
        gauge("disk_read_bytes_per_second", "Read from a disk.", disk.read, disk=disk.name)
        gauge("disk_written_bytes_per_second", "Written to a disk.", disk.written, disk=disk.name)
        gauge(
            "disk_busy_ratio",
            "Share of the time in which a disk had something to do.",
            disk.busy_percent,
            1 / _PERCENT,
            disk=disk.name,
        )
    gauge("watched_process_resident_memory_bytes", "Memory of the study that runs.", sample.process_rss)
    gauge(
        "watched_process_cpu_ratio",
        "Cores that the study that runs is using.",
        sample.process_cpu_percent,
        1 / _PERCENT,
    )
    gauge("gpus", "Cards that the NVIDIA driver shows.", None if sample.gpus is None else len(sample.gpus))


def _card(series: Series, card: GpuSample) -> None:
    gpu, name = str(card.index), card.name or "unknown"

    def gauge(figure: str, about: str, value: float | None, scale: float = 1.0, **more: str) -> None:
        series.gauge(figure, about, value, scale, gpu=gpu, name=name, **more)

    gauge(
        "gpu_utilization_ratio",
        "Share of the driver's last period in which a kernel ran.",
        card.utilization,
        1 / _PERCENT,
    )
    gauge(
        "gpu_memory_activity_ratio",
        "Share of the driver's last period in which memory was read or written.",
        card.memory_activity,
        1 / _PERCENT,
    )
    gauge("gpu_memory_used_bytes", "Card memory in use by all processes.", card.memory_used)
    gauge("gpu_memory_total_bytes", "Memory of the card.", card.memory_total)
    gauge("gpu_power_watts", "Power that the card draws.", card.power)
    gauge("gpu_power_limit_watts", "Power that the card may draw.", card.power_limit)
    gauge("gpu_clock_hertz", "Clock of the multiprocessors.", card.clock, _MEGA)
    gauge("gpu_clock_max_hertz", "Highest clock of the multiprocessors.", card.clock_max, _MEGA)
    gauge("gpu_temperature_celsius", "Temperature of the chip.", card.temperature)
    gauge("gpu_pcie_received_bytes_per_second", "From the host to the card.", card.pcie_received)
    gauge("gpu_pcie_sent_bytes_per_second", "From the card to the host.", card.pcie_sent)
    if card.throttling is not None:
        for reason in ("power_cap", "software_thermal", "hardware_thermal", "power_brake"):
            gauge(
                "gpu_throttled_ratio",
                "Share of the time in which the clock was held down.",
                getattr(card.throttling, reason),
                1 / _PERCENT,
                reason=reason,
            )
