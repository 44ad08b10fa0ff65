"""Host memory: what is available now, and a guard that ends a worker before the machine would have to swap.

The budget of a study already leaves a floor (tuner.target). The guard is the second line: for what a budget does
not bound (pinned memory of a GPU study, loading, other programs that grow meanwhile, systems without limits).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from functools import cache

import psutil

from doctor.cgroup import MemoryGroup, memory_groups
from tuner.target import floor_of_free_memory

SHORTEST_SECONDS, LONGEST_SECONDS = 0.05, 0.5
TAKEN_PER_SECOND = 5_000_000_000
"""Bytes that one thread takes at most by touching fresh memory: 2 to 5 GB/s."""


def available_bytes() -> int:
    """Bytes that programs can take without anything being swapped out; a container's own limit counts."""
    available = int(psutil.virtual_memory().available)
    group = _left_in_group()
    return available if group is None else min(available, group)


def _left_in_group() -> int | None:
    """Bytes up to the tightest limit; None without one, and where it cannot be read."""
    try:
        read = [group.read() for group in _groups()]
    except (OSError, ValueError):
        return None
    return min((max(0, limit - used) for limit, used in filter(None, read)), default=None)


@cache
def _groups() -> tuple[MemoryGroup, ...]:
    """Found once: the guard looks up to twenty times a second."""
    try:
        return tuple(memory_groups())
    except (OSError, ValueError):
        return ()


def last_floor() -> int:
    """Bytes below which a worker is ended: half of what budgets leave, since a bare worker lives in that too."""
    return floor_of_free_memory(int(psutil.virtual_memory().total)) // 2


def seconds_to_the_next_look(above: int, cores: int) -> float:
    """How long memory may be left alone of which ``above`` bytes are left beyond the floor.

    Half of what all cores need to take it. Looking twenty times a second whatever was left took 0.8 % of a core.
    """
    return min(LONGEST_SECONDS, max(SHORTEST_SECONDS, above / (2 * TAKEN_PER_SECOND * cores)))


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
        cores, wait = os.cpu_count() or 1, SHORTEST_SECONDS
        while not self._over.wait(wait):
            left = self._available()
            if left < self.floor:
                self.left = left
                self._end()
                return
            wait = seconds_to_the_next_look(left - self.floor, cores)

    def stop(self) -> None:
        """The worker is gone."""
        self._over.set()
