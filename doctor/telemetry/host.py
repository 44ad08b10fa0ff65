"""The host as a whole: cores, memory, swap, pressure, disks, network."""

from __future__ import annotations

import time
from typing import Any

import psutil

from doctor.telemetry.memory import read_memory
from doctor.telemetry.rates import Rates, percent
from doctor.telemetry.reading import attempt, text_of
from doctor.telemetry.sample import DiskSample, NetworkSample, Pressure

_NO_DISKS = ("loop", "ram", "zram", "dm-", "md", "sr", "fd")
"""Block devices that are no disk of their own, or stand upon others that are counted already."""


class HostReader:
    """Reads the host; rates cover the time since the reading before."""

    def __init__(self) -> None:
        self._cores: tuple[tuple[float, float, float], ...] | None = None
        self._rates = Rates()

    def read(self) -> dict[str, Any]:
        """The fields of ``Sample`` that describe the host."""
        at = time.monotonic()
        memory = read_memory()
        return {
            **self._cpu(),
            "memory_total": memory.total,
            "memory_available": memory.available,
            "memory_used": None
            if memory.total is None or memory.available is None
            else memory.total - memory.available,
            "swap_total": memory.swap_total,
            "swap_used": memory.swap_used,
            "swap_in": self._rates.per_second("sin", at, memory.swapped_in),
            "swap_out": self._rates.per_second("sout", at, memory.swapped_out),
            "pressure": self._pressure(at),
            "disks": self._disks(at),
            "networks": self._networks(at),
        }

    def _cpu(self) -> dict[str, Any]:
        """Nothing at the first reading, or if cores came or went."""
        times = attempt(lambda: psutil.cpu_times(percpu=True))
        before = self._cores
        self._cores = None if times is None else tuple(_busy_stolen_total(core) for core in times)
        if before is None or self._cores is None or len(before) != len(self._cores):
            return {}
        spent = [
            tuple(later - earlier for later, earlier in zip(now, then, strict=True))
            for now, then in zip(self._cores, before, strict=True)
        ]
        total = sum(core[2] for core in spent)
        return {
            "cpu_percent": percent(sum(core[0] for core in spent), total),
            "core_percents": tuple(percent(core[0], core[2]) for core in spent),
            "stolen_percent": percent(sum(core[1] for core in spent), total),
        }

    def _pressure(self, at: float) -> Pressure | None:
        shares: dict[str, float | None] = {}
        for what in ("cpu", "memory", "io"):
            for line in (text_of(f"/proc/pressure/{what}") or "").splitlines():
                kind, _, rest = line.partition(" ")
                stalled = attempt(lambda rest=rest: int(rest.rpartition("total=")[2]))  # type: ignore[misc]
                # Microseconds of standing still per second of time.
                rate = self._rates.per_second(("pressure", what, kind), at, stalled)
                if (what, kind) != ("cpu", "full"):  # not defined for the whole system
                    shares[f"{what}_{kind}"] = None if rate is None else min(100.0, rate / 1e4)
        return Pressure(**shares) if shares else None

    def _disks(self, at: float) -> tuple[DiskSample, ...] | None:
        counts = attempt(lambda: psutil.disk_io_counters(perdisk=True))
        if counts is None:
            return None
        found = []
        for name, count in sorted(counts.items()):
            if name.startswith(_NO_DISKS) or _is_partition(name, counts):
                continue
            read = self._rates.per_second(("read", name), at, count.read_bytes)
            written = self._rates.per_second(("written", name), at, count.write_bytes)
            busy = self._rates.per_second(("busy", name), at, getattr(count, "busy_time", None))
            if read is not None and written is not None:
                share = None if busy is None else min(100.0, busy / 10)
                found.append(DiskSample(name=name, read=read, written=written, busy_percent=share))
        return tuple(found)

    def _networks(self, at: float) -> tuple[NetworkSample, ...] | None:
        counts = attempt(lambda: psutil.net_io_counters(pernic=True))
        if counts is None:
            return None
        found = []
        for name, count in sorted(counts.items()):
            received = self._rates.per_second(("received", name), at, count.bytes_recv)
            sent = self._rates.per_second(("sent", name), at, count.bytes_sent)
            # An interface that has never carried anything is left out, and so is the machine's talk with itself.
            if (
                name != "lo"
                and received is not None
                and sent is not None
                and count.bytes_recv + count.bytes_sent
            ):
                found.append(NetworkSample(name=name, received=received, sent=sent))
        return tuple(found)


def _is_partition(name: str, names: dict[str, Any]) -> bool:
    """Whether ``name`` is a part of another one: sda1 of sda, nvme0n1p2 of nvme0n1."""
    whole = name.rstrip("0123456789")
    return whole != name and (whole in names or (whole.endswith("p") and whole[:-1] in names))


def _busy_stolen_total(core: Any) -> tuple[float, float, float]:
    """Seconds of one core. Linux counts guest time within user time too: it is taken off once."""
    total = sum(core) - getattr(core, "guest", 0.0) - getattr(core, "guest_nice", 0.0)
    stolen = getattr(core, "steal", 0.0)
    return total - core.idle - getattr(core, "iowait", 0.0) - stolen, stolen, total
