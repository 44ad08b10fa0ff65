"""Where glibc puts the weights. On other C libraries and systems nothing is done."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cache

# mallopt(3): parameter numbers, the threshold's initial value, and the value that it grows to by itself.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_INITIAL = 128 * 1024
# From here on a block is a mapping of its own, whose memory goes back when it is freed. glibc by itself would come to 32
# MiB; with huge pages a lower bound costs no time and leaves fewer holes in the heap (docs/performance.md,
# `python -P tests/benchmarks/heap_holes.py`). The tensors of a small model are all below that, so that it would be
# holes for the most part: its blocks are mapped from 1 MiB on, which leaves none, for a third more time.
_MAPPED_FROM = 16 * 1024 * 1024
_MAPPED_FROM_OF_SMALL = 1024 * 1024
_SMALL_WEIGHTS = 256 * 1024 * 1024


@dataclass(slots=True)
class _Chosen:
    threshold: int | None = None
    """Bytes from which on blocks are mapped now; None where glibc decides."""


_chosen = _Chosen()


def weights_in_their_own_mappings() -> AbstractContextManager[None]:
    """Inside, every large block is mapped by itself; afterwards they come from the heap as usual.

    Left alone, glibc moves its threshold up to 32 MiB with the first large block that is freed. Weights then
    land in the heap between the blocks that a model's construction frees, and those holes count against a
    budget without being of use. Who has set MALLOC_MMAP_THRESHOLD_ (mallopt(3)) gets that value afterwards: at
    1 MiB no holes are left at all, for more time in page faults (docs/performance.md).
    """
    return _every_block_mapped(_wanted_threshold(None))


def every_block_mapped() -> AbstractContextManager[None]:
    """Within: blocks from 128 KiB on are mapped by themselves, then from where they were before.

    Tracing a model puts small nodes that stay between tensors that go: in the heap SD 1.5's U-Net at 512x512 left 2.2 GiB
    of holes. Nothing is done where nobody chose a threshold, as in a plain program: its own way of growing would end.
    """
    return _every_block_mapped(_chosen.threshold)


@contextmanager
def _every_block_mapped(afterwards: int | None) -> Iterator[None]:
    mallopt = _mallopt()
    if mallopt is None or afterwards is None:
        yield
        return
    mallopt(_M_MMAP_THRESHOLD, _INITIAL)
    try:
        yield
    finally:
        map_blocks_from(afterwards)


def map_blocks_for(weights_bytes: int) -> None:
    """Choose from which size on blocks are mapped, now that it is known how large the model is."""
    map_blocks_from(_wanted_threshold(weights_bytes))


def map_blocks_from(threshold: int) -> None:
    """Bytes. Nothing is done where the C library cannot."""
    mallopt = _mallopt()
    if mallopt is not None:
        _chosen.threshold = threshold
        mallopt(_M_MMAP_THRESHOLD, threshold)
        mallopt(_M_TRIM_THRESHOLD, 2 * threshold)


def give_back_holes() -> None:
    """Hand what is free in the heap back to the system, so that what one phase leaves does not add to the next one's peak.

    Takes milliseconds. Where there is no malloc_trim(3) nothing is done.
    """
    trim = _trim()
    if trim is not None:
        trim(0)


@cache
def _trim() -> Callable[[int], int] | None:
    if sys.platform != "linux":
        return None
    return getattr(ctypes.CDLL(None), "malloc_trim", None)


def mapped_from(weights_bytes: int) -> int:
    """From how many bytes on blocks are mapped by themselves beside a model with that many bytes of weights."""
    return _MAPPED_FROM_OF_SMALL if weights_bytes < _SMALL_WEIGHTS else _MAPPED_FROM


def _wanted_threshold(weights_bytes: int | None) -> int:
    """What the user set, else what was found best for a model of that size. Bytes."""
    wanted = os.environ.get("MALLOC_MMAP_THRESHOLD_", "")
    if wanted.isdigit():
        return int(wanted)
    return _MAPPED_FROM if weights_bytes is None else mapped_from(weights_bytes)


def _mallopt() -> Callable[[int, int], int] | None:
    if sys.platform != "linux":
        return None
    return getattr(ctypes.CDLL(None), "mallopt", None)
