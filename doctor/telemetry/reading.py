"""How counters are read without ever raising, and how counts become rates."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

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


def percent(part: float, whole: float) -> float | None:
    """``part`` of ``whole`` within 0 to 100; None of nothing."""
    return min(100.0, max(0.0, 100.0 * part / whole)) if whole > 0 else None


class Rates:
    """Turns cumulative counts into counts per second, each under a key of its own."""

    def __init__(self) -> None:
        self._before: dict[Any, tuple[float, float]] = {}

    def per_second(self, key: Any, at: float, count: float | None) -> float | None:
        """Since the call before with this key; None at the first one, or where a counter began anew."""
        if count is None:
            self._before.pop(key, None)
            return None
        then = self._before.get(key)
        self._before[key] = (at, count)
        if then is None or at <= then[0] or count < then[1]:
            return None
        return (count - then[1]) / (at - then[0])

    def keep(self, keys: set[Any]) -> None:
        """Forget every key that is not among these."""
        self._before = {key: value for key, value in self._before.items() if key in keys}
