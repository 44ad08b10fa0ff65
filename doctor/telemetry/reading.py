"""How counters are read without ever raising."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import psutil

T = TypeVar("T")

UNREADABLE = (psutil.Error, OSError, RuntimeError, ValueError, AttributeError, LookupError)
"""What psutil and files of the kernel raise where a counter is missing, forbidden or in an unknown form."""


def attempt(read: Callable[[], T]) -> T | None:
    """The counter, or None if it cannot be had."""
    try:
        return read()
    except UNREADABLE:
        return None


_AT_ONCE = 1 << 16
"""Bytes of one reading: the kernel's files are smaller, most of them much."""


def text_of(path: Path | str) -> str | None:
    """A small file of the kernel, or None. By bare system calls: ``open`` takes three times as long for such a file."""
    try:
        file = os.open(path, os.O_RDONLY)
    except (OSError, ValueError):
        return None
    try:
        parts = []
        while part := os.read(file, _AT_ONCE):
            parts.append(part)
        return b"".join(parts).decode("utf-8", errors="replace")
    except OSError:
        return None
    finally:
        os.close(file)
