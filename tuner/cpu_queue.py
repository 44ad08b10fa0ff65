"""cpu_queue: how much of the time that a process wanted the processor another one had it.

A run that waited was disturbed: what it took says little about its settings. Linux only (schedstat).
"""

from __future__ import annotations

import os
from pathlib import Path


def _ran_and_waited(pid: int) -> tuple[int, int] | None:
    """Nanoseconds on a core and in the queue for one, of all threads (docs.kernel.org/scheduler/sched-stats.html)."""
    ran = waited = 0
    folder = f"/proc/{pid}/task"
    try:
        threads = os.listdir(folder)  # noqa: PTH208  (half the cost)
    except OSError:
        return None
    for thread in threads:
        try:
            words = Path(f"{folder}/{thread}/schedstat").read_text("ascii").split()
        except OSError:
            continue  # it ended meanwhile, or the kernel keeps no such account
        if len(words) == 3:
            ran, waited = ran + int(words[0]), waited + int(words[1])
    return (ran, waited) if ran else None


class CpuQueue:
    """Watches one process from ``mark`` on."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._before: tuple[int, int] | None = None

    def mark(self) -> None:
        """A run begins."""
        self._before = _ran_and_waited(self._pid)

    def share(self) -> float | None:
        """Since then: time in the queue, as a share of the time on a core and in the queue. None if not known."""
        now = _ran_and_waited(self._pid)
        if now is None or self._before is None:
            return None
        # A thread that ended took its account with it.
        ran, waited = (max(0, after - before) for after, before in zip(now, self._before, strict=True))
        return waited / (ran + waited) if ran + waited else None
