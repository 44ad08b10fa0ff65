"""How often a screen draws: often enough to be alive, seldom enough to leave the processor to the work it shows."""

from __future__ import annotations

import os
import time

SHORTEST_SECONDS = 0.2
LONGEST_SECONDS = 5.0

FIRST_SECONDS = 0.5
"""Time from the first reading, which has no rates yet, to the first sample that is shown."""

SHARE = 0.0035
"""Of all cores: what drawing may take, and previews once more. A generation on the processor uses every core, and its
threads wait for one another, so that it loses up to as many times more as there are cores. The aim is to leave it 98 %
(docs/performance-checking.md)."""

_WEIGHT = 0.3
"""Of the newest drawing in the running mean."""


class Pace:
    """Watches what drawings cost in processor time, and says how long to wait for the next one."""

    def __init__(self, cores: int | None = None, longest: float = LONGEST_SECONDS) -> None:
        self._cores = cores or _usable_cores()
        self._longest = longest
        self._cost: float | None = None
        self._begun: float | None = None

    @property
    def seconds(self) -> float:
        """From one drawing to the next."""
        if self._cost is None:
            return SHORTEST_SECONDS
        return min(self._longest, max(SHORTEST_SECONDS, self._cost / (SHARE * self._cores)))

    def begin(self) -> None:
        """A drawing begins. All that this process has done since the one before counts as that one's cost.

        What is drawn is composed and written later, by Textual's own timers, and cannot be told from the rest.
        """
        now = time.process_time()
        if self._begun is not None:
            self.drawn(now - self._begun)
        self._begun = now

    def drawn(self, cost: float) -> None:
        """A drawing took that much processor time. Seconds."""
        self._cost = cost if self._cost is None else self._cost + _WEIGHT * (cost - self._cost)


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
