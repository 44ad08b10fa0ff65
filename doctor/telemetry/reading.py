"""How counters are read without ever raising."""

from __future__ import annotations

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


def text_of(path: Path | str) -> str | None:
    """A small file of the kernel, or None."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123  (half the cost of Path.read_text)
            return file.read()
    except (OSError, ValueError):
        return None
