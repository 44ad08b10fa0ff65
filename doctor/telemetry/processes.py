"""The processes of this machine, for a table that is looked at every few seconds.

Linux is read from /proc directly (proc(5)), one small file per process; what never changes (its command line, its
user) is read once. Elsewhere psutil gives what it has. A process of another user is listed with what is public.
"""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass

import psutil

from doctor.telemetry.rates import Rates
from doctor.telemetry.reading import attempt, text_of

EVERY = 2.0
"""Seconds for which a list is kept (nvitop keeps its own as long)."""

_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
_LONGEST_COMMAND = 4096
_KERNEL_THREADS = 2
"""Process id of kthreadd, the parent of all threads of the Linux kernel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessRow:
    """One process at one moment; None for what could not be read."""

    pid: int
    parent: int | None = None
    name: str
    command: str | None = None
    """With its arguments."""
    user: str | None = None
    state: str | None = None
    """The kernel's letter: R runs, S sleeps, D waits for a disk, T stopped, Z ended and not yet collected."""
    niceness: int | None = None
    threads: int | None = None
    cpu_percent: float | None = None
    """Since the list before; 100 is one core busy."""
    cpu_seconds: float | None = None
    """Since it began."""
    resident: int | None = None
    """Bytes."""
    started: float | None = None
    """A figure that, with the id, names one process for good: the clock tick (Linux) or second of its start."""


@dataclass(slots=True)
class _Known:
    """What hardly ever changes of a process, as it was read last."""

    started: float
    name: str
    command: str | None
    user: str | None
    settled: bool = False
    """Whether the command line was read a second time under this name."""


class ProcessTable:
    """Lists the processes; within ``every`` seconds it gives the same list again. Never raises."""

    def __init__(self, every: float = EVERY) -> None:
        self._every = every
        self._at: float | None = None
        self._rates = Rates()
        self._known: dict[int, _Known] = {}
        self._rows: tuple[ProcessRow, ...] = ()
        self._linux = sys.platform.startswith("linux")
        self._users: dict[int, str] = {}

    def read(self) -> tuple[ProcessRow, ...]:
        """All processes; threads of the Linux kernel only while they use the processor."""
        now = time.monotonic()
        if self._at is None or now - self._at >= self._every:
            self._rows = self._listed(now) if self._linux else self._by_psutil(now)
            self._at = now
        return self._rows

    def _listed(self, at: float) -> tuple[ProcessRow, ...]:
        pids = attempt(lambda: [int(name) for name in os.listdir("/proc") if name.isdecimal()]) or []  # noqa: PTH208
        rows = tuple(row for pid in pids if (row := self._one(pid, at)) is not None)
        present = set(pids)
        self._rates.keep(present)
        self._known = {pid: known for pid, known in self._known.items() if pid in present}
        return rows

    def _one(self, pid: int, at: float) -> ProcessRow | None:
        stat = text_of(f"/proc/{pid}/stat") or ""
        fields = stat[stat.rfind(")") + 2 :].split()
        if len(fields) < 22:
            return None  # it ended meanwhile
        name = stat[stat.find("(") + 1 : stat.rfind(")")]
        used = (int(fields[11]) + int(fields[12])) / _TICKS
        rate = self._rates.per_second(pid, at, used)
        parent = int(fields[1])
        if _KERNEL_THREADS in (pid, parent) and (rate or 0.0) == 0.0:
            return None
        command, user = self._identity(pid, float(fields[19]), name)
        return ProcessRow(
            pid=pid,
            parent=parent or None,
            name=name,
            command=command,
            user=user,
            state=fields[0],
            niceness=int(fields[16]),
            threads=int(fields[17]),
            cpu_percent=None if rate is None else 100 * rate,
            cpu_seconds=used,
            resident=int(fields[21]) * _PAGE,
            started=float(fields[19]),
        )

    def _identity(self, pid: int, started: float, name: str) -> tuple[str | None, str | None]:
        """Command line and user. A program that becomes another one (exec) changes its name."""
        known = self._known.get(pid)
        if known is None or (known.started, known.name) != (started, name):
            known = _Known(started, name, _command(pid), self._owner(pid))
            self._known[pid] = known
        elif not known.settled:
            # The kernel gives the name first and the command line a moment later: what was read between is the old one.
            known.command, known.settled = _command(pid), True
        return known.command, known.user

    def _owner(self, pid: int) -> str | None:
        owner = attempt(lambda: os.stat(f"/proc/{pid}").st_uid)  # noqa: PTH116  (half the cost)
        return None if owner is None else self._user(owner)

    def _user(self, number: int) -> str:
        if number not in self._users:
            import pwd

            entry = attempt(lambda: pwd.getpwuid(number).pw_name)
            self._users[number] = entry if entry is not None else str(number)
        return self._users[number]

    def _by_psutil(self, at: float) -> tuple[ProcessRow, ...]:
        pids = attempt(psutil.pids) or []
        rows = tuple(row for pid in pids if (row := self._asked(pid, at)) is not None)
        self._rates.keep(set(pids))
        return rows

    def _asked(self, pid: int, at: float) -> ProcessRow | None:
        process = attempt(lambda: psutil.Process(pid))
        if process is None:
            return None
        with process.oneshot():
            name = attempt(process.name)
            if name is None:
                return None
            times = attempt(process.cpu_times)
            used = None if times is None else times.user + times.system
            rate = self._rates.per_second(pid, at, used)
            memory = attempt(process.memory_info)
            command = attempt(process.cmdline)
            state = attempt(process.status)
            return ProcessRow(
                pid=pid,
                parent=attempt(process.ppid) or None,
                name=name,
                command=" ".join(command)[:_LONGEST_COMMAND] if command else None,
                user=attempt(process.username),
                state=state[:1].upper() if state else None,
                niceness=attempt(lambda: int(process.nice())),
                threads=attempt(process.num_threads),
                cpu_percent=None if rate is None else 100 * rate,
                cpu_seconds=used,
                resident=None if memory is None else memory.rss,
                started=attempt(process.create_time),
            )


def started(pid: int) -> float | None:
    """When a process began, in the unit of ``ProcessRow.started``; None if there is none."""
    if not sys.platform.startswith("linux"):
        return attempt(lambda: float(psutil.Process(pid).create_time()))
    stat = text_of(f"/proc/{pid}/stat") or ""
    return attempt(lambda: float(stat[stat.rfind(")") + 2 :].split()[19]))


def _command(pid: int) -> str | None:
    text = (text_of(f"/proc/{pid}/cmdline") or "")[:_LONGEST_COMMAND]
    return text.replace("\0", " ").strip() or None
