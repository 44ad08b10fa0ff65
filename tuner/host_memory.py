"""Host memory: what is available now, and a guard that ends a worker before the machine would have to swap.

The budget of a study already leaves a floor (tuner.target). The guard is the second line: for what a budget does
not bound (pinned memory of a GPU study, loading, other programs that grow meanwhile, systems without limits).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import psutil

from tuner.target import floor_of_free_memory

_LOOK_SECONDS = 0.05
"""A thread that touches fresh memory takes 2-5 GB/s, so 0.1-0.25 GB go by between two looks."""
_GROUPS = (
    # Control groups as a container sees its own: version 2, then version 1 (Linux, cgroup-v2.rst, memory.rst).
    (Path("/sys/fs/cgroup"), "memory.max", "memory.current"),
    (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes", "memory.usage_in_bytes"),
)


def available_bytes() -> int:
    """Bytes that programs can take without anything being swapped out; a container's own limit counts."""
    available = int(psutil.virtual_memory().available)
    group = _left_in_group()
    return available if group is None else min(available, group)


def _left_in_group() -> int | None:
    for folder, limit_name, used_name in _GROUPS:
        limit, used = _number(folder / limit_name), _number(folder / used_name)
        if limit is None or used is None:
            continue
        return max(0, limit - used + _inactive_files(folder / "memory.stat"))
    return None


def _number(path: Path) -> int | None:
    """A file of one number; None for "max" and where there is no such file."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _inactive_files(path: Path) -> int:
    """File pages that the kernel drops first: counted as used by the group, yet there for the asking."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return 0
    values = dict(line.split(maxsplit=1) for line in lines if " " in line)
    return int(values.get("inactive_file") or 0)


def last_floor() -> int:
    """Bytes below which a worker is ended: half of what budgets leave, since a bare worker lives in that too."""
    return floor_of_free_memory(int(psutil.virtual_memory().total)) // 2


class FloorGuard:
    """Watches the host's memory in a thread of its own and calls ``end`` once, when it falls below the floor."""

    def __init__(
        self,
        end: Callable[[], None],
        floor: int | None = None,
        available: Callable[[], int] = available_bytes,
    ) -> None:
        """Bytes; ``floor`` None takes ``last_floor()``."""
        self._end = end
        self.floor = last_floor() if floor is None else floor
        self._available = available
        self._over = threading.Event()
        self.left: int | None = None
        """What was left when the worker was ended; None if it was not."""
        threading.Thread(target=self._watch, name="memory-floor", daemon=True).start()

    def _watch(self) -> None:
        while not self._over.wait(_LOOK_SECONDS):
            left = self._available()
            if left < self.floor:
                self.left = left
                self._end()
                return

    def stop(self) -> None:
        """The worker is gone."""
        self._over.set()
