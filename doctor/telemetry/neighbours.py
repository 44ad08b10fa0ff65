"""Which other processes use the processor. Linux only: elsewhere a scan of all processes costs too much."""

from __future__ import annotations

import os
import time
from collections.abc import Collection

from doctor.telemetry.rates import Rates
from doctor.telemetry.reading import attempt, text_of
from doctor.telemetry.sample import Neighbour

EVERY = 4.0
"""Seconds between scans: one costs about 10 microseconds per process of the machine."""

_MOST = 5
_LEAST_PERCENT = 1.0
_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


class NeighbourReader:
    """Scans all processes from time to time, and says the same in between."""

    def __init__(self, every: float = EVERY) -> None:
        self._every = every
        self._at: float | None = None
        self._rates = Rates()
        self._found: tuple[Neighbour, ...] | None = None
        self._scans = 0

    def read(self, without: Collection[int]) -> tuple[Neighbour, ...] | None:
        """The busiest ones but for these; None until two scans can be compared."""
        now = time.monotonic()
        # The second scan comes soon, so that the first figures do.
        if self._at is None or now - self._at >= (self._every if self._scans > 1 else 0.0):
            self._at = now
            self._found = self._scan(now, without)
            self._scans += 1
        return self._found

    def _scan(self, at: float, without: Collection[int]) -> tuple[Neighbour, ...] | None:
        pids = attempt(lambda: [int(name) for name in os.listdir("/proc") if name.isdecimal()])  # noqa: PTH208
        if not pids:
            return None
        found = [each for pid in pids if pid not in without and (each := self._one(pid, at)) is not None]
        self._rates.keep(set(pids))
        if self._scans == 0:
            return None
        return tuple(sorted(found, key=lambda each: each.cpu_percent, reverse=True)[:_MOST])

    def _one(self, pid: int, at: float) -> Neighbour | None:
        stat = text_of(f"/proc/{pid}/stat") or ""
        fields = stat[stat.rfind(")") + 2 :].split()
        if len(fields) < 17:
            return None
        rate = self._rates.per_second(pid, at, (int(fields[11]) + int(fields[12])) / _TICKS)
        if rate is None or 100 * rate < _LEAST_PERCENT:
            return None
        name = stat[stat.find("(") + 1 : stat.rfind(")")]
        return Neighbour(pid=pid, name=name, cpu_percent=100 * rate, niceness=int(fields[16]))
