"""Memory and swap of the host. Linux is read from /proc directly: psutil takes every line of two long files apart."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

import psutil

from doctor.telemetry.reading import attempt, text_of

_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
"""Bytes; what /proc/vmstat counts in."""

_SIZE = re.compile(r"^(MemTotal|MemAvailable|SwapTotal|SwapFree): +(\d+) kB$", re.MULTILINE)
_MOVED = re.compile(r"^(pswpin|pswpout) (\d+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Bytes; None for what could not be read."""

    total: int | None = None
    available: int | None = None
    """What can be had without swapping."""
    swap_total: int | None = None
    swap_used: int | None = None
    swapped_in: int | None = None
    """Since the machine was started."""
    swapped_out: int | None = None


def read_memory() -> Memory:
    """What there is now."""
    sizes = {name: int(count) * 1024 for name, count in _SIZE.findall(text_of("/proc/meminfo") or "")}
    if len(sizes) < 4:
        return _by_psutil()
    moved = {name: int(count) * _PAGE for name, count in _MOVED.findall(text_of("/proc/vmstat") or "")}
    return Memory(
        total=sizes["MemTotal"],
        # In some containers more is available than there is: psutil's virtual_memory corrects the same.
        available=min(sizes["MemAvailable"], sizes["MemTotal"]),
        swap_total=sizes["SwapTotal"],
        swap_used=max(0, sizes["SwapTotal"] - sizes["SwapFree"]),
        swapped_in=moved.get("pswpin"),
        swapped_out=moved.get("pswpout"),
    )


def _by_psutil() -> Memory:
    memory, swap = attempt(psutil.virtual_memory), attempt(psutil.swap_memory)
    return Memory(
        total=None if memory is None else memory.total,
        available=None if memory is None else memory.available,
        swap_total=None if swap is None else swap.total,
        swap_used=None if swap is None else swap.used,
        swapped_in=None if swap is None else swap.sin,
        swapped_out=None if swap is None else swap.sout,
    )
