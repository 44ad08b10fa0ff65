"""Timing: the best of several runs, within a budget of time."""

from __future__ import annotations

import time
from collections.abc import Callable


def best_of(run: Callable[[], object], budget: float, least: int = 3) -> float:
    """Seconds of the fastest run. Runs once unmeasured, then ``least`` times and on until ``budget`` seconds are over.

    The fastest run tells what the machine can do; the others tell what disturbed it.
    """
    run()
    best = float("inf")
    end = time.perf_counter() + budget
    count = 0
    while count < least or time.perf_counter() < end:
        started = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - started)
        count += 1
    return best
