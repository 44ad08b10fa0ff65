"""Growth: does a process hold more and more memory, of the host or of a card, whatever it gives back in between?

Work goes up and down: what tells a leak from work is the least that a process holds, which a leak raises for good.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from doctor.daemon.sighting import Sighting, View
from doctor.finding import Remedy, Severity
from doctor.sizes import MIB, gib


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A time over which growth is looked at, in so many steps of which the least is kept. Seconds."""

    seconds: float
    step: float


SPANS = (Span(seconds=20 * 60.0, step=30.0), Span(seconds=4 * 3600.0, step=600.0))
"""A quick leak is seen before the memory is full, a slow one before the night is over. Loading a model takes minutes at
most, and a picture less than a quarter of the span that it would hide a leak from."""

LEAST = 512 * MIB
"""Growth that counts, in bytes, from the first quarter to the last; and it must be a fifth of what the process held."""

PARTS = 4
PART_SHARE = 0.1
"""Each quarter must bring at least this share of the growth: a step or a plateau is no leak."""

CEILING_SHARE = 0.5
"""With the least the most must rise, by this share of it: else work only became more even."""

_LOOK = 30.0
_SMALL = 256 * MIB

_Key = tuple[str, int, float]
_Points = Sequence[tuple[float, int, int]]
"""Time, least and most of each step."""


@dataclass(slots=True)
class _Track:
    """The memory of one process over one span."""

    span: Span
    points: deque[tuple[float, int, int]] = field(init=False)

    def __post_init__(self) -> None:
        self.points = deque(maxlen=round(self.span.seconds / self.span.step) + 2)

    def add(self, at: float, memory: int) -> None:
        if self.points and at - self.points[-1][0] < self.span.step:
            begun, least, most = self.points[-1]
            self.points[-1] = (begun, min(least, memory), max(most, memory))
        else:
            self.points.append((at, memory, memory))


@dataclass(slots=True)
class _Line:
    """The memory of one process."""

    name: str
    tracks: tuple[_Track, ...]
    at: float | None = None
    memory: int = 0

    def add(self, at: float, memory: int) -> None:
        if self.at is not None and not 0 < at - self.at < 4 * _LOOK:
            for track in self.tracks:
                track.points.clear()  # the machine slept, or its clock was set
        self.at, self.memory = at, memory
        for track in self.tracks:
            track.add(at, memory)


class Growth:
    """Follows the largest processes, and those that hold memory of a card."""

    every = _LOOK

    def __init__(self, spans: Sequence[Span] = SPANS) -> None:
        """Other ``spans`` are for tests with real processes."""
        self._spans = tuple(spans)
        self._lines: dict[_Key, _Line] = {}

    def look(self, view: View) -> Sequence[Sighting]:
        """One sighting per process that grows."""
        seen = dict(_holders(view))
        self._lines = {
            key: self._lines.get(key) or _Line(name, tuple(_Track(span) for span in self._spans))
            for key, (name, _) in seen.items()
        }
        for key, (_, memory) in seen.items():
            self._lines[key].add(view.at, memory)
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


def grows(points: _Points, seconds: float) -> float | None:
    """Bytes per second, if the least that is held rose in every quarter of the time; None if it did not."""
    if not points or points[-1][0] - points[0][0] < seconds:
        return None
    parts = _parts(points)
    if not all(parts):
        return None
    floors = [min(least for _, least, _ in part) for part in parts]
    ceilings = [max(most for _, _, most in part) for part in parts]
    growth = floors[-1] - floors[0]
    if growth < max(LEAST, floors[0] // 5):
        return None
    if any(later - earlier < PART_SHARE * growth for earlier, later in pairwise(floors)):
        return None
    if ceilings[-1] - ceilings[0] < CEILING_SHARE * growth:
        return None
    # From one part's middle to the other's.
    return growth / ((points[-1][0] - points[0][0]) * (PARTS - 1) / PARTS)


def _parts(points: _Points) -> list[list[tuple[float, int, int]]]:
    begin, length = points[0][0], (points[-1][0] - points[0][0]) / PARTS
    parts: list[list[tuple[float, int, int]]] = [[] for _ in range(PARTS)]
    for point in points:
        parts[min(PARTS - 1, int((point[0] - begin) / length))].append(point)
    return parts


def _judge(key: _Key, line: _Line, available: int | None) -> Sighting | None:
    for track in line.tracks:
        rate = grows(track.points, track.span.seconds)
        if rate is not None:
            return _sighting(key, line, rate, track.points[0][0], available)
    return None


def _sighting(key: _Key, line: _Line, rate: float, since: float, available: int | None) -> Sighting:
    where, pid, _ = key
    of_host = where == "host"
    evidence: dict[str, float | int | str] = {
        "process": line.name,
        "pid": pid,
        "memory": "host" if of_host else where,
        "grew_mib_per_hour": round(rate * 3600 / MIB),
        "now_mib": line.memory // MIB,
    }
    if of_host and available is not None:
        evidence["hours_until_full"] = round(available / rate / 3600, 1)
    return Sighting(
        kind="memory-growth",
        about=f"{where} {pid}",
        severity=Severity.WARNING,
        title=f"{line.name} grows by {gib(rate * 3600)} an hour, whatever it gives back in between"
        f"{'' if of_host else ' (memory of ' + where + ')'}; it holds {gib(line.memory)}.",
        evidence=evidence,
        advice=Remedy("It probably leaks: restart it before the memory is full, and tell its makers."),
        worse=float(line.memory),
        since=since,
        # A span without growth is seen as such only when its quarters have passed.
        linger=120.0,
    )
