"""Which processes hold the memory of the machine. One file per process; arguments are not read."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import Any

import psutil

from doctor.telemetry.reading import attempt, text_of

EVERY = 30.0
"""Seconds between two scans."""

_MOST = 32
_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


@dataclass(frozen=True, slots=True)
class ProcessMemory:
    """One process."""

    pid: int
    started: float
    """Tells two processes apart that had the same number; no unit that could be relied on."""
    name: str
    memory: int
    """Resident bytes."""


def largest_processes(most: int = _MOST) -> tuple[ProcessMemory, ...]:
    """The processes that hold the most memory, the largest first."""
    found = _linux() if sys.platform == "linux" else _elsewhere()
    return tuple(sorted(found, key=lambda each: each.memory, reverse=True)[:most])


def _linux() -> list[ProcessMemory]:
    pids = attempt(lambda: [int(name) for name in os.listdir("/proc") if name.isdecimal()]) or []  # noqa: PTH208
    return [each for pid in pids if (each := _of_stat(pid)) is not None]


def _of_stat(pid: int) -> ProcessMemory | None:
    """From /proc/PID/stat (proc(5)): starttime is field 22, rss field 24; the second may hold blanks and brackets."""
    stat = text_of(f"/proc/{pid}/stat") or ""
    fields = stat[stat.rfind(")") + 2 :].split()
    if len(fields) < 22:
        return None
    name = stat[stat.find("(") + 1 : stat.rfind(")")]
    return ProcessMemory(pid, float(fields[19]), name, int(fields[21]) * _PAGE)


def _elsewhere() -> list[ProcessMemory]:
    found = []
    for process in psutil.process_iter(["pid", "name", "memory_info", "create_time"]):
        info: dict[str, Any] = process.info
        if info["memory_info"] is not None:
            found.append(
                ProcessMemory(
                    info["pid"], info["create_time"] or 0.0, info["name"] or "", info["memory_info"].rss
                )
            )
    return found
