"""Growth: does a process take more and more memory, of the host or of a card, and never give any back?"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from doctor.daemon.sighting import Sighting, View
from doctor.finding import Remedy, Severity
from doctor.sizes import MIB, gib

MINUTES = 20.0
"""Length of the growth that counts. Loading a model takes minutes at most, and then it is over."""

LEAST = 512 * MIB
"""Growth that counts, in bytes; and it must be a fifth of what the process held."""

PARTS = 4
PART_SHARE = 0.1
"""Each quarter of the time must bring at least this share of the growth: a step or a plateau is no leak."""

GIVEN_BACK = 0.1
"""Share of the growth that may be given back on the way: a program that makes pictures gives back more."""

_LOOK = 30.0
_POINTS = int(MINUTES * 60 / _LOOK) + 2
_SMALL = 256 * MIB

_Key = tuple[str, int, float]


@dataclass(slots=True)
class _Line:
    """The memory of one process over time."""

    name: str
    points: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=_POINTS))


class Growth:
    """Follows the largest processes, and those that hold memory of a card."""

    every = _LOOK

    def __init__(self) -> None:
        self._lines: dict[_Key, _Line] = {}

    def look(self, view: View) -> Sequence[Sighting]:
        """One sighting per process that grows."""
        seen = dict(_holders(view))
        self._lines = {key: self._lines.get(key) or _Line(name) for key, (name, _) in seen.items()}
        for key, (_, memory) in seen.items():
            points = self._lines[key].points
            if points and not 0 < view.at - points[-1][0] < 4 * _LOOK:
                points.clear()  # the machine slept, or its clock was set
            points.append((view.at, memory))
        left = view.newest.memory_available
        return [found for key, line in self._lines.items() if (found := _judge(key, line, left)) is not None]


def _holders(view: View) -> Iterator[tuple[_Key, tuple[str, int]]]:
    for each in view.processes:
        if each.memory >= _SMALL:
            yield ("host", each.pid, each.started), (each.name, each.memory)
    for card in view.newest.gpus or ():
        for process in card.processes or ():
            if process.memory_used is not None and process.memory_used >= _SMALL:
                name = process.name or f"process {process.pid}"
                yield (f"gpu{card.index}", process.pid, 0.0), (name, process.memory_used)


def grows(points: Sequence[tuple[float, int]]) -> float | None:
    """Bytes per second, if the memory grew steadily over the whole time; None if it did not."""
    if len(points) < 2 * PARTS or points[-1][0] - points[0][0] < MINUTES * 60:
        return None
    growth = points[-1][1] - points[0][1]
    if growth < max(LEAST, points[0][1] // 5):
        return None
    highest = 0
    for _, memory in points:
        highest = max(highest, memory)
        if highest - memory > GIVEN_BACK * growth:
            return None
    marks = [points[round(part * (len(points) - 1) / PARTS)][1] for part in range(PARTS + 1)]
    if any(later - earlier < PART_SHARE * growth for earlier, later in pairwise(marks)):
        return None
    return growth / (points[-1][0] - points[0][0])


def _judge(key: _Key, line: _Line, available: int | None) -> Sighting | None:
    rate = grows(line.points)
    if rate is None:
        return None
    where, pid, _ = key
    memory = line.points[-1][1]
    of_host = where == "host"
    evidence: dict[str, float | int | str] = {
        "process": line.name,
        "pid": pid,
        "memory": "host" if of_host else where,
        "grew_mib_per_hour": round(rate * 3600 / MIB),
        "now_mib": memory // MIB,
    }
    if of_host and available is not None:
        evidence["hours_until_full"] = round(available / rate / 3600, 1)
    return Sighting(
        kind="memory-growth",
        about=f"{where} {pid}",
        severity=Severity.WARNING,
        title=f"{line.name} grows by {gib(rate * 3600)} an hour and gives nothing back"
        f"{'' if of_host else ' (memory of ' + where + ')'}; it holds {gib(memory)}.",
        evidence=evidence,
        advice=Remedy("It probably leaks: restart it before the memory is full, and tell its makers."),
        worse=float(memory),
        since=line.points[0][0],
        linger=120.0,
    )
