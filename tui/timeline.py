"""Timeline: the samples so far and the one that is looked at, live or played."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from doctor.history.episode import Episode
from doctor.telemetry.sample import Sample
from doctor.verdicts import WINDOW_SECONDS, judge, recent
from doctor.verdicts.verdict import Verdict

MOST = 3600
"""Samples that are kept of a live machine: an hour at one per second."""

_SPARE = 60
"""Samples thrown away at once, so that a full timeline is not moved for each one."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened at a time."""

    clock: float
    """``time.time()``."""
    text: str


def marks_of(episodes: Sequence[Episode]) -> tuple[Mark, ...]:
    """Incidents as marks at their beginning, the oldest first."""
    return tuple(Mark(each.began, each.title) for each in sorted(episodes, key=lambda each: each.began))


class Timeline:
    """Samples in the order of time. ``head`` is the one that is looked at; it follows the newest unless moved."""

    def __init__(self, samples: Sequence[Sample] = (), most: int | None = MOST) -> None:
        """``most``: how many are kept; None for all, as of a recording, which is looked at from its beginning."""
        self.samples: list[Sample] = list(samples)
        self.head = 0
        self.follows = most is not None
        self._most = most

    def add(self, sample: Sample) -> None:
        """Append the newest."""
        self.samples.append(sample)
        if self._most is not None and len(self.samples) > self._most + _SPARE:
            del self.samples[:_SPARE]
            self.head = max(0, self.head - _SPARE)
        if self.follows:
            self.head = len(self.samples) - 1

    @property
    def sample(self) -> Sample | None:
        """The one that is looked at; None before the first."""
        return self.samples[self.head] if self.samples else None

    @property
    def at_end(self) -> bool:
        """Whether nothing newer is there."""
        return self.head >= len(self.samples) - 1

    def seek(self, index: int) -> None:
        """Look at one; beyond either end, the last there."""
        self.head = max(0, min(len(self.samples) - 1, index))

    def behind(self) -> float:
        """Seconds from the one that is looked at to the newest."""
        return self.samples[-1].at - self.samples[self.head].at if self.samples else 0.0

    def verdicts(self) -> tuple[Verdict, ...]:
        """The judgement on the seconds before the one that is looked at, as the live view gave it."""
        if not self.samples:
            return ()
        end, first = self.samples[self.head].at, self.head
        while first > 0 and (end - self.samples[first - 1].at < WINDOW_SECONDS or self.head - first < 3):
            first -= 1
        return judge(recent(self.samples[first : self.head + 1]))

    def series(
        self, figure: Callable[[Sample], float | None], count: int, per: int = 1
    ) -> tuple[float | None, ...]:
        """The last ``count`` points up to the one looked at, each the mean of the known of ``per`` samples.

        Groups begin at fixed places, so that a plot moves on without its points changing.
        """
        end = self.head + 1
        first = max(0, (end - 1) // per - count + 1) * per
        window = self.samples[first:end]
        if per == 1:
            return tuple(figure(sample) for sample in window)
        return tuple(_mean(figure, window[at : at + per]) for at in range(0, len(window), per))

    def places(self, marks: Sequence[Mark], per: int = 1) -> tuple[tuple[int, Mark], ...]:
        """Each mark with how many points of a plot it lies before the newest point shown."""
        found = []
        for mark in marks:
            index = self.index_at(mark.clock)
            if index is not None and index <= self.head:
                found.append((self.head // per - index // per, mark))
        return tuple(found)

    def index_at(self, clock: float) -> int | None:
        """The first sample taken at that time or after; None if it lies outside of what is known."""
        import bisect

        if not self.samples or self.samples[0].clock is None or clock < self.samples[0].clock:
            return None
        index = bisect.bisect_left(self.samples, clock, key=lambda sample: sample.clock or 0.0)
        return index if index < len(self.samples) else None


def _mean(figure: Callable[[Sample], float | None], samples: Sequence[Sample]) -> float | None:
    known = [value for sample in samples if (value := figure(sample)) is not None]
    return sum(known) / len(known) if known else None
