"""How counts become rates and shares. Imports nothing, for the sake of the child that reads the cards."""

from __future__ import annotations

from typing import Any


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
