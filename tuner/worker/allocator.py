"""Where glibc puts the weights. On other C libraries and systems nothing is done."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# mallopt(3): parameter numbers, the threshold's initial value, and the value that it grows to by itself.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_INITIAL = 128 * 1024
_GROWN = 32 * 1024 * 1024


@contextmanager
def weights_in_their_own_mappings() -> Iterator[None]:
    """Inside, every large block is mapped by itself; afterwards they come from the heap as usual.

    Left alone, glibc moves its threshold up to 32 MiB with the first large block that is freed. Weights then
    land in the heap between the blocks that a model's construction frees, and those holes count against a
    budget without being of use. The value set at the end is the one that glibc would have reached, so the
    speed of the arithmetic is what it is elsewhere. Who has set MALLOC_MMAP_THRESHOLD_ (mallopt(3)) gets that
    value: at 1 MiB the holes that freed tensors leave go back to the system, for more time in page faults
    (docs/plan.md).
    """
    mallopt = _mallopt()
    if mallopt is None:
        yield
        return
    mallopt(_M_MMAP_THRESHOLD, _INITIAL)
    try:
        yield
    finally:
        threshold = _wanted_threshold()
        mallopt(_M_MMAP_THRESHOLD, threshold)
        mallopt(_M_TRIM_THRESHOLD, 2 * threshold)


def _wanted_threshold() -> int:
    """What the user set, else what glibc would have reached. Bytes."""
    wanted = os.environ.get("MALLOC_MMAP_THRESHOLD_", "")
    return int(wanted) if wanted.isdigit() else _GROWN


def _mallopt() -> Callable[[int, int], int] | None:
    if sys.platform != "linux":
        return None
    return getattr(ctypes.CDLL(None), "mallopt", None)
