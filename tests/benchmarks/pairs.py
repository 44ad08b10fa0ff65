"""How sure a median is, for everything that is measured in pairs."""

from __future__ import annotations

import math
from collections.abc import Sequence


def interval(values: Sequence[float]) -> tuple[float, float] | None:
    """At least 95 % sure to hold the median, whatever the distribution; None for fewer than six values."""
    ordered, count = sorted(values), len(values)
    for cut in range(count // 2, 0, -1):
        outside = 2 * sum(math.comb(count, k) for k in range(cut)) / 2**count
        if outside <= 0.05:
            return ordered[cut - 1], ordered[count - cut]
    return None
