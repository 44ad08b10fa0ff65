"""The watched process: its threads, what it reads, and the limits that it stands under.

Linux is read from /proc directly (proc(5)): psutil opens every file of a thread anew for each question. Elsewhere
psutil gives what it has and the rest stays unknown.
"""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil

from doctor.telemetry.quota import QuotaReader
from doctor.telemetry.rates import Rates
from doctor.telemetry.reading import attempt, text_of
from doctor.telemetry.sample import ProcessSample, ThreadSample

BUSY = 5.0
"""Percent of the time that a thread must have run or waited to run to count as busy."""

_MOST_THREADS = 64
_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
_IDENTITY_SECONDS = 3.0
"""How often niceness, affinity, control group and the like are looked at again; they hardly ever change."""


class ProcessReader:
    """Reads one process; percentages and rates cover the time since the reading before."""

    def __init__(self) -> None:
        self._pid: int | None = None
        self._process: psutil.Process | None = None
        self._rates = Rates()
        self._quota = QuotaReader()
        self._identity: dict[str, Any] = {}
        self._identity_at = 0.0

    def read(self, pid: int | None) -> dict[str, Any]:
        """The fields of ``Sample`` that describe the process; none where it is gone or hidden."""
        if pid != self._pid or self._process is None or not attempt(self._process.is_running):
            self._begin(pid)
        if self._process is None or pid is None:
            return {}
        at = time.monotonic()
        times = attempt(self._process.cpu_times)
        memory = attempt(self._process.memory_info)
        if times is None and memory is None:
            return {}
        used = None if times is None else times.user + times.system
        rate = self._rates.per_second("cpu", at, used)
        return {
            "process_cpu_percent": None if rate is None else 100 * rate,
            "process_rss": None if memory is None else memory.rss,
            "process": self._details(pid, at),
        }

    def _begin(self, pid: int | None) -> None:
        self._pid, self._rates, self._identity_at = pid, Rates(), 0.0
        self._process = None if pid is None else attempt(lambda: psutil.Process(pid))
        self._quota.watch(None)

    def _details(self, pid: int, at: float) -> ProcessSample:
        if not self._identity_at or at - self._identity_at > _IDENTITY_SECONDS:
            self._identity_at, self._identity = at, self._who()
            self._quota.watch(pid)
        threads = self._threads(pid, at)
        quota, throttled = self._quota.read()
        status = _fields(text_of(f"/proc/{pid}/status"))
        sample = ProcessSample(pid=pid, **self._identity, quota_cores=quota, throttled_percent=throttled)
        waits = [thread.wait_percent for thread in threads or () if thread.wait_percent is not None]
        swapped = attempt(lambda: int(status["VmSwap"].split()[0]) * 1024)
        return replace(
            sample,
            threads=None if threads is None else threads[:_MOST_THREADS],
            thread_count=None if threads is None else len(threads),
            busy_threads=_busy(threads),
            wait_percent=sum(waits) if waits else None,
            swapped=swapped,
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
        counts = _fields(text_of(f"/proc/{pid}/io"))
        faults = attempt(lambda: int(_stat_fields(f"/proc/{pid}/stat")[9]))
        return {
            name: self._rates.per_second(name, at, value)
            for name, value in (
                ("read", attempt(lambda: int(counts["read_bytes"]))),
                ("written", attempt(lambda: int(counts["write_bytes"]))),
                ("major_faults", faults),
            )
        }

    def _threads(self, pid: int, at: float) -> tuple[ThreadSample, ...] | None:
        """All threads, those that did or wanted the most first."""
        folder = f"/proc/{pid}/task"
        ids = attempt(lambda: [int(name) for name in os.listdir(folder)])  # noqa: PTH208  (half the cost)
        if ids is None:
            return None
        threads = [thread for each in ids if (thread := self._thread(folder, each, at)) is not None]
        self._rates.keep(
            {"cpu", "read", "written", "major_faults"}
            | {(kind, each) for each in ids for kind in ("run", "wait")}
        )
        return tuple(sorted(threads, key=_wanted, reverse=True))

    def _thread(self, folder: str, thread: int, at: float) -> ThreadSample | None:
        stat = text_of(f"{folder}/{thread}/stat")
        if not stat:
            return None  # it ended meanwhile
        name = stat[stat.find("(") + 1 : stat.rfind(")")]
        fields = stat[stat.rfind(")") + 2 :].split()
        # Nanoseconds on a core and in the queue for one (docs.kernel.org/scheduler/sched-stats.html).
        queue = (text_of(f"{folder}/{thread}/schedstat") or "").split()
        run = int(queue[0]) / 1e9 if len(queue) == 3 else (int(fields[11]) + int(fields[12])) / _TICKS
        rate = self._rates.per_second(("run", thread), at, run)
        wait = self._rates.per_second(("wait", thread), at, int(queue[1]) / 1e9 if len(queue) == 3 else None)
        return ThreadSample(
            id=thread,
            name=name,
            cpu_percent=None if rate is None else min(100.0, 100 * rate),
            wait_percent=None if wait is None else min(100.0, 100 * wait),
            state=fields[0],
        )


def _wanted(thread: ThreadSample) -> float:
    return (thread.cpu_percent or 0.0) + (thread.wait_percent or 0.0)


def _busy(threads: tuple[ThreadSample, ...] | None) -> int | None:
    if threads is None or all(thread.cpu_percent is None for thread in threads):
        return None
    return sum(_wanted(thread) >= BUSY for thread in threads)


def _fields(text: str | None) -> dict[str, str]:
    """Lines of "name: value"."""
    pairs = (line.partition(":") for line in (text or "").splitlines())
    return {name: value.strip() for name, _, value in pairs}


def _stat_fields(path: Path | str) -> list[str]:
    """Fields of a stat file from the third on; the second may hold blanks and brackets."""
    text = text_of(path) or ""
    return text[text.rfind(")") + 2 :].split()
