"""What each panel of the monitor shows, as pure functions of the timeline."""

from __future__ import annotations

from doctor.sizes import gib
from doctor.telemetry.sample import ProcessSample, Sample
from tui.monitor_cards import card_readings
from tui.monitor_scope import Scope, part, rate, reading_of, share
from tui.widgets.braille import CONTOUR, FILL, bars
from tui.widgets.readings import Reading
from tui.widgets.words import printable

_CORES_SHOWN = 64


def readings(scope: Scope) -> tuple[tuple[str, Reading], ...]:
    """All panels by name, the most important first. Cards that vanished keep their place."""
    sample = scope.line.sample
    if sample is None:
        return ()
    cards = card_readings(sample, scope)
    # The first card and the watched process are what most people look for, and 24 lines hold few panels.
    found = cards[:1]
    if sample.process is not None:
        found.append(("process", _process(sample, sample.process, scope)))
    found += [("cpu", _cpu(sample, scope)), ("ram", _ram(sample, scope)), *cards[1:]]
    found += [
        ("pressure", _pressure(sample, scope)),
        ("disk", _disk(sample, scope)),
        ("network", _network(sample, scope)),
    ]
    return tuple(found)


def _cpu(sample: Sample, scope: Scope) -> Reading:
    count = len(sample.core_percents or ())
    stolen = sample.stolen_percent
    cores = f"  cores {bars(sample.core_percents, _CORES_SHOWN)}" if sample.core_percents else ""
    own = sample.process_cpu_percent
    return reading_of(
        f"CPU, {count} cores" if count else "CPU",
        (
            f"{FILL} busy {share(sample.cpu_percent)}" + (f", stolen {stolen:.0f} %" if stolen else ""),
            "" if own is None else f"{CONTOUR} watched {own / 100:.2f} cores",
            cores or "  cores unknown",
        ),
        scope,
        (lambda each: each.cpu_percent, _watched_share),
    )


def _ram(sample: Sample, scope: Scope) -> Reading:
    total = sample.memory_total
    return reading_of(
        "RAM",
        (
            f"{FILL} used {gib(sample.memory_used)} of {gib(total)}",
            f"{CONTOUR} {_swap(sample)}",
            _swapping(sample),
        ),
        scope,
        (
            lambda each: part(each.memory_used, each.memory_total),
            lambda each: part(each.swap_used, each.swap_total),
        ),
    )


def _swap(sample: Sample) -> str:
    if sample.swap_total is None:
        return "swap unknown"
    if sample.swap_total == 0:
        return "no swap"
    return f"swap {gib(sample.swap_used)} of {gib(sample.swap_total)}"


def _swapping(sample: Sample) -> str:
    if sample.swap_in is None or sample.swap_out is None or not sample.swap_total:
        return ""
    return f"  from swap {rate(sample.swap_in)}, to it {rate(sample.swap_out)}"


def _pressure(sample: Sample, scope: Scope) -> Reading:
    now = sample.pressure
    return reading_of(
        "waiting (pressure)",
        (
            f"{FILL} for memory {share(now.memory_some if now else None)}",
            f"{CONTOUR} for disk {share(now.io_some if now else None)}",
            f"  for CPU {share(now.cpu_some if now else None)}",
        ),
        scope,
        (
            lambda each: each.pressure.memory_some if each.pressure else None,
            lambda each: each.pressure.io_some if each.pressure else None,
        ),
    )


def _disk(sample: Sample, scope: Scope) -> Reading:
    busiest = max(
        (disk for disk in sample.disks or () if disk.busy_percent is not None),
        key=lambda disk: disk.busy_percent or 0.0,
        default=None,
    )
    return reading_of(
        "disks",
        (
            f"{FILL} read {rate(_read(sample))}",
            f"{CONTOUR} written {rate(_written(sample))}",
            f"  {printable(busiest.name)} busy {share(busiest.busy_percent)}" if busiest else "",
        ),
        scope,
        (_read, _written),
        ceiling=None,
    )


def _network(sample: Sample, scope: Scope) -> Reading:
    names = ", ".join(printable(each.name) for each in sample.networks or ())
    return reading_of(
        "network",
        (
            f"{FILL} received {rate(_received(sample))}",
            f"{CONTOUR} sent {rate(_sent(sample))}",
            f"  {names}" if names else "",
        ),
        scope,
        (_received, _sent),
        ceiling=None,
    )


def _process(sample: Sample, process: ProcessSample, scope: Scope) -> Reading:
    cores = sample.process_cpu_percent
    of = f" of {process.usable_cores}" if process.usable_cores else ""
    limits = [
        "" if process.quota_cores is None else f"quota {process.quota_cores:g} cores",
        "" if process.throttled_percent is None else f"stopped by it {process.throttled_percent:.0f} %",
        "" if not process.niceness else f"niceness {process.niceness}",
    ]
    threads = f"  {process.busy_threads} of {process.thread_count} threads busy"
    return reading_of(
        f"{printable(process.name or 'process')} ({process.pid})",
        (
            f"{FILL} {'unknown' if cores is None else f'{cores / 100:.2f}{of} cores'}",
            f"{CONTOUR} memory {gib(sample.process_rss)}",
            threads if process.busy_threads is not None and process.thread_count else "",
            "" if process.wait_percent is None else f"  waited for a core {process.wait_percent:.0f} %",
            f"  read {rate(process.read)}, wrote {rate(process.written)}",
            f"  {', '.join(filter(None, limits))}" if any(limits) else "",
        ),
        scope,
        (_watched_share, lambda each: part(each.process_rss, each.memory_total)),
    )


def _watched_share(sample: Sample) -> float | None:
    if sample.process_cpu_percent is None or not sample.core_percents:
        return None
    return sample.process_cpu_percent / len(sample.core_percents)


def _read(sample: Sample) -> float | None:
    return None if not sample.disks else sum(disk.read for disk in sample.disks)


def _written(sample: Sample) -> float | None:
    return None if not sample.disks else sum(disk.written for disk in sample.disks)


def _received(sample: Sample) -> float | None:
    return None if not sample.networks else sum(each.received for each in sample.networks)


def _sent(sample: Sample) -> float | None:
    return None if not sample.networks else sum(each.sent for each in sample.networks)
