"""How fast is main memory copied, by one thread and by all that this process may use? Needs no torch."""

from __future__ import annotations

import ctypes
import os
from concurrent.futures import ThreadPoolExecutor

from doctor.probes.measure.clock import best_of
from doctor.probes.say import Say

BYTES = 128 * 2**20
"""More than the last-level cache of all but a few servers, so that memory is met."""

MOST_THREADS = 16
"""Some threads fill the memory channels; more add nothing."""

BUDGET = 0.15


def measure(say: Say) -> None:
    """``memmove`` through ctypes, which lets other threads of Python run meanwhile. Bytes count once read, once
    written."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = min(usable, MOST_THREADS)
    # Filled with a byte that is not zero: the kernel maps untouched pages to one page of zeros, which is in a cache.
    source, target = (ctypes.create_string_buffer(b"\1" * BYTES, BYTES) for _ in range(2))
    for name, count in (("copy_one_thread", 1), ("copy", threads)):
        say.during(f"copying with {count} threads")
        say.value(name, 2 * BYTES / _seconds(source, target, count) / 1e9, "GB/s", "cpu")
    say.value("threads", threads, "count", "cpu")


def _seconds(source: object, target: object, threads: int) -> float:
    start, goal = ctypes.addressof(source), ctypes.addressof(target)  # type: ignore[arg-type]
    part = BYTES // threads
    with ThreadPoolExecutor(threads) as pool:

        def copy() -> None:
            moves = [
                pool.submit(ctypes.memmove, goal + at * part, start + at * part, part)
                for at in range(threads)
            ]
            for move in moves:
                move.result()

        return best_of(copy, BUDGET)
