"""Samples and verdicts as text: one line per second, or one table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from doctor.sizes import MIB, gib
from doctor.telemetry.sample import GpuSample, Sample
from doctor.verdicts.verdict import Verdict

_THREADS_SHOWN = 5


def line_of(sample: Sample, verdicts: Sequence[Verdict]) -> str:
    """One sample on one line. What is not known is left out."""
    parts = [_clock(sample), _cpu(sample), _memory(sample), _process(sample)]
    parts += [_card(card) for card in sample.gpus or ()]
    parts += [f"GPU unreadable ({sample.gpu_error})" if sample.gpus is None and sample.gpu_error else ""]
    parts += [_io(sample), _step(sample), verdicts[0].title if verdicts else ""]
    return "  ".join(part for part in parts if part)


def table_of(sample: Sample, verdicts: Sequence[Verdict]) -> str:
    """One sample as a table of names and figures, then the verdicts."""
    rows = [row for row in _rows(sample) if row[1]]
    width = max((len(name) for name, _ in rows), default=0)
    lines = [f"{name:<{width}}  {value}" for name, value in rows]
    return "\n".join([*lines, "", *verdict_lines(verdicts)])


def verdict_lines(verdicts: Sequence[Verdict]) -> list[str]:
    """What is the matter, why one thinks so, and what to do about it."""
    if not verdicts:
        return ["Nothing stands out."]
    lines = []
    for verdict in verdicts:
        lines.append(
            f"{verdict.severity.value}: {verdict.title} [{verdict.id}, {verdict.confidence:.0%} sure]"
        )
        shown = ", ".join(
            f"{name.replace('_', ' ')} {_figure(value)}" for name, value in verdict.evidence.items()
        )
        lines += [f"  seen: {shown}"] if shown else []
        if verdict.advice is not None:
            lines.append(f"  {verdict.advice.text}")
            lines += [f"    {command}" for command in verdict.advice.commands]
    return lines


def _rows(sample: Sample) -> list[tuple[str, str]]:
    cores = " ".join("?" if each is None else f"{each:.0f}" for each in sample.core_percents or ())
    rows = [
        ("CPU", "" if sample.cpu_percent is None else f"{sample.cpu_percent:.0f} % (cores {cores})"),
        ("RAM", f"{gib(sample.memory_used)} of {gib(sample.memory_total)}" if sample.memory_total else ""),
        ("swap", f"{gib(sample.swap_used)} of {gib(sample.swap_total)}" if sample.swap_total else ""),
        ("pressure", _pressure(sample)),
        *(
            (f"disk {disk.name}", f"read {_rate(disk.read)}, written {_rate(disk.written)}")
            for disk in sample.disks or ()
        ),
        *(
            (f"network {each.name}", f"received {_rate(each.received)}, sent {_rate(each.sent)}")
            for each in sample.networks or ()
        ),
        *_process_rows(sample),
        (
            "others",
            ", ".join(
                f"{each.name} ({each.pid}) {each.cpu_percent:.0f} %" for each in sample.neighbours or ()
            ),
        ),
        *((f"GPU {card.index}", _card_in_full(card)) for card in sample.gpus or ()),
    ]
    if sample.gpus is None:
        rows.append(("GPU", f"cannot be read: {sample.gpu_error or 'unknown reason'}"))
    elif not sample.gpus:
        rows.append(("GPU", "no NVIDIA driver is installed"))
    return rows


def _process_rows(sample: Sample) -> list[tuple[str, str]]:
    process = sample.process
    if process is None:
        return []
    known = [
        _process(sample),
        "" if process.niceness is None else f"niceness {process.niceness}",
        "" if process.usable_cores is None else f"may use {process.usable_cores} cores",
        "" if process.quota_cores is None else f"quota {process.quota_cores:g} cores",
        "" if process.throttled_percent is None else f"stopped by it {process.throttled_percent:.0f} %",
        "" if process.read is None else f"read {_rate(process.read)}",
    ]
    threads = [
        f"{thread.name or thread.id} {thread.cpu_percent:.0f} %"
        + (f" (waits {thread.wait_percent:.0f} %)" if thread.wait_percent else "")
        for thread in (process.threads or ())[:_THREADS_SHOWN]
        if thread.cpu_percent is not None
    ]
    more = (process.thread_count or 0) - _THREADS_SHOWN
    tail = f", and {more} more" if more > 0 else ""
    return [
        (f"process {process.pid}", ", ".join(filter(None, (process.name or "", *known)))),
        ("threads", ", ".join(threads) + tail if threads else ""),
    ]


def _clock(sample: Sample) -> str:
    return "" if sample.clock is None else datetime.fromtimestamp(sample.clock).strftime("%H:%M:%S")


def _cpu(sample: Sample) -> str:
    return "" if sample.cpu_percent is None else f"CPU {sample.cpu_percent:.0f} %"


def _memory(sample: Sample) -> str:
    return "" if sample.memory_used is None else f"RAM {gib(sample.memory_used)}"


def _process(sample: Sample) -> str:
    known = [
        "" if sample.process_cpu_percent is None else f"{sample.process_cpu_percent / 100:.2f} cores",
        "" if sample.process_rss is None else gib(sample.process_rss),
    ]
    text = " ".join(filter(None, known))
    return f"process {text}" if text else ""


def _card(card: GpuSample) -> str:
    known = [
        "" if card.utilization is None else f"{card.utilization:.0f} %",
        "" if card.memory_used is None else gib(card.memory_used),
        "" if card.power is None else f"{card.power:.0f} W",
        "" if card.temperature is None else f"{card.temperature:.0f} °C",
        *(card.throttle_reasons or ()),
    ]
    return f"GPU {card.index} {' '.join(filter(None, known)) or 'does not answer'}"


def _card_in_full(card: GpuSample) -> str:
    known = [
        card.name or "does not answer",
        "" if card.utilization is None else f"busy {card.utilization:.0f} %",
        "" if card.memory_activity is None else f"memory busy {card.memory_activity:.0f} %",
        "" if card.memory_used is None else f"{gib(card.memory_used)} of {gib(card.memory_total)}",
        "" if card.power is None else f"{card.power:.0f} W" + _of(card.power_limit, "W"),
        "" if card.clock is None else f"{card.clock:.0f} MHz" + _of(card.clock_max, "MHz"),
        "" if card.temperature is None else f"{card.temperature:.0f} °C",
        "" if card.pcie_received is None else f"PCIe in {_rate(card.pcie_received)}",
        "" if card.pcie_sent is None else f"PCIe out {_rate(card.pcie_sent)}",
        f"held down by {', '.join(card.throttle_reasons)}" if card.throttle_reasons else "",
        *(f"{each.name or each.pid} {gib(each.memory_used)}" for each in card.processes or ()),
    ]
    return ", ".join(filter(None, known))


def _pressure(sample: Sample) -> str:
    stalled = sample.pressure
    if stalled is None:
        return ""
    known = (("CPU", stalled.cpu_some), ("memory", stalled.memory_some), ("disk", stalled.io_some))
    return ", ".join(f"{name} {share:.0f} %" for name, share in known if share is not None)


def _io(sample: Sample) -> str:
    read = sum(disk.read for disk in sample.disks or ())
    return f"disk {_rate(read)}" if read >= MIB else ""


def _step(sample: Sample) -> str:
    worker = sample.worker
    if worker is None or worker.phase is None:
        return ""
    step = f" {worker.step}/{worker.steps}" if worker.step else ""
    return f"{worker.phase.value}{step}"


def _of(limit: float | None, unit: str) -> str:
    return "" if limit is None else f" of {limit:.0f} {unit}"


def _rate(bytes_per_second: float) -> str:
    return f"{bytes_per_second / MIB:.1f} MiB/s"


def _figure(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
