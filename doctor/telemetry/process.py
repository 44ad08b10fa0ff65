"""The watched process: its threads, what it reads, and the limits that it stands under.

Linux is read from /proc directly (proc(5)): psutil opens every file of a thread anew for each question. Elsewhere
psutil gives what it has and the rest stays unknown.
"""

from __future__ import annotations

import os
import re
import sys
import time
from dataclasses import dataclass, replace
from typing import Any

import psutil

from doctor.telemetry.quota import QuotaReader
from doctor.telemetry.rates import Rates
from doctor.telemetry.reading import attempt, text_of
from doctor.telemetry.sample import ProcessSample, ThreadSample
from doctor.telemetry.threads import ThreadReader, wanted

BUSY = 5.0
"""Percent of the time that a thread must have run or waited to run to count as busy."""

_MOST_THREADS = 64
_IDENTITY_SECONDS = 3.0
"""How often niceness, affinity, control group and the like are looked at again; they hardly ever change."""
_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
_ENDED = ("Z", "X")
_STORAGE = re.compile(r"^(read_bytes|write_bytes): (\d+)$", re.MULTILINE)
_SWAPPED = re.compile(r"^VmSwap:\s+(\d+) kB$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Counts:
    """One process at one moment."""

    started: float
    """A figure that, with its number, names it for good."""
    cpu_seconds: float | None
    resident: int | None
    major_faults: int | None = None


class ProcessReader:
    """Reads one process; percentages and rates cover the time since the reading before."""

    def __init__(self) -> None:
        self._who_it_is: tuple[int | None, float | None] = (None, None)
        """Its number, and when it began: another process may be given the same number."""
        self._process: psutil.Process | None = None
        self._rates = Rates()
        self._threads = ThreadReader()
        self._quota = QuotaReader()
        self._identity: dict[str, Any] = {}
        self._identity_at = 0.0

    def read(self, pid: int | None) -> dict[str, Any]:
        """The fields of ``Sample`` that describe the process; none where it has ended or is hidden."""
        counts = None if pid is None else _counts(pid)
        started = None if counts is None else counts.started
        if (pid, started) != self._who_it_is:
            self._begin(pid, started)
        if counts is None or pid is None:
            return {}
        at = time.monotonic()
        rate = self._rates.per_second("cpu", at, counts.cpu_seconds)
        return {
            "process_cpu_percent": None if rate is None else 100 * rate,
            "process_rss": counts.resident,
            "process": self._details(pid, counts, at),
        }

    def _begin(self, pid: int | None, started: float | None) -> None:
        self._who_it_is = (pid, started)
        self._rates, self._threads, self._identity_at = Rates(), ThreadReader(), 0.0
        self._process = None if pid is None else attempt(lambda: psutil.Process(pid))
        self._quota.watch(None)

    def _details(self, pid: int, counts: _Counts, at: float) -> ProcessSample:
        if not self._identity_at or at - self._identity_at > _IDENTITY_SECONDS:
            self._identity_at, self._identity = at, self._who()
            self._quota.watch(pid)
        threads = self._threads.read(pid, at)
        quota, throttled = self._quota.read()
        sample = ProcessSample(pid=pid, **self._identity, quota_cores=quota, throttled_percent=throttled)
        waits = [thread.wait_percent for thread in threads or () if thread.wait_percent is not None]
        return replace(
            sample,
            threads=None if threads is None else threads[:_MOST_THREADS],
            thread_count=None if threads is None else len(threads),
            busy_threads=_busy(threads),
            wait_percent=sum(waits) if waits else None,
            major_faults=self._rates.per_second("major_faults", at, counts.major_faults),
            swapped=_swapped(pid),
            **self._storage(pid, at),
        )

    def _who(self) -> dict[str, Any]:
        process = self._process
        assert process is not None
        cores = attempt(lambda: len(process.cpu_affinity()))
        return {
            "name": attempt(process.name),
            "niceness": attempt(lambda: int(process.nice())),
            "usable_cores": cores or psutil.cpu_count(),
        }

    def _storage(self, pid: int, at: float) -> dict[str, Any]:
        """Needs the same user or root: /proc/PID/io is private."""
        counts = dict(_STORAGE.findall(text_of(f"/proc/{pid}/io") or ""))
        return {
            name: self._rates.per_second(name, at, attempt(lambda kind=kind: int(counts[kind])))  # type: ignore[misc]
            for name, kind in (("read", "read_bytes"), ("written", "write_bytes"))
        }


def _counts(pid: int) -> _Counts | None:
    """None if it has ended, also if its parent has not noticed yet."""
    if not sys.platform.startswith("linux"):
        return _by_psutil(pid)
    # From the third field on; the second, its name, may hold blanks and brackets (proc(5)).
    stat = text_of(f"/proc/{pid}/stat") or ""
    fields = stat[stat.rfind(")") + 2 :].split()
    if len(fields) < 22 or fields[0] in _ENDED:
        return None
    return _Counts(
        started=float(fields[19]),
        cpu_seconds=(int(fields[11]) + int(fields[12])) / _TICKS,
        resident=int(fields[21]) * _PAGE,
        major_faults=int(fields[9]),
    )


def _by_psutil(pid: int) -> _Counts | None:
    process = attempt(lambda: psutil.Process(pid))
    started = None if process is None else attempt(process.create_time)
    if process is None or started is None:
        return None
    times, memory = attempt(process.cpu_times), attempt(process.memory_info)
    return _Counts(
        started=started,
        cpu_seconds=None if times is None else times.user + times.system,
        resident=None if memory is None else memory.rss,
    )


def _swapped(pid: int) -> int | None:
    found = _SWAPPED.search(text_of(f"/proc/{pid}/status") or "")
    return None if found is None else int(found[1]) * 1024


def _busy(threads: tuple[ThreadSample, ...] | None) -> int | None:
    if threads is None or all(thread.cpu_percent is None for thread in threads):
        return None
    return sum(wanted(thread) >= BUSY for thread in threads)
