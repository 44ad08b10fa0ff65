"""Lines of a log that differ in their numbers only."""

from __future__ import annotations

import re
from collections import Counter

MOST = 8
"""How many of a kind are kept: a table has a row for each of eight cards; a progress bar has thousands."""

MOST_OF_TROUBLE = 200
"""The same for lines that speak of trouble, where the number may be what matters: Xid 79 after many of Xid 31."""

_TROUBLE = re.compile(r"error|fail|warn|\bxid\b|exception|abort|lost", re.I)
_NUMBER = re.compile(r"\d+")


def few_of_a_kind(lines: tuple[str, ...]) -> tuple[str, ...]:
    """``lines`` without repetitions, and of those that differ in numbers only the first ones; their order stays."""
    seen: Counter[str] = Counter()
    kept = []
    for line in dict.fromkeys(lines):
        kind = _NUMBER.sub("0", line)
        seen[kind] += 1
        if seen[kind] <= MOST or (seen[kind] <= MOST_OF_TROUBLE and _TROUBLE.search(line)):
            kept.append(line)
    return tuple(kept)
