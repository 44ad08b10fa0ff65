"""Sighting: something is wrong at this moment. The ledger makes incidents of sightings that last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from doctor.daemon.processes import ProcessMemory
from doctor.finding import Remedy, Severity
from doctor.telemetry.sample import Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """What one look saw."""

    kind: str
    about: str = ""
    """What it is about, where there may be several at once: "gpu0", "pid 4711", a folder."""
    severity: Severity
    title: str
    evidence: dict[str, float | int | str] = field(default_factory=dict)
    advice: Remedy | None = None
    worse: float = 0.0
    """How bad, on any scale: of one incident the worst sighting is remembered."""
    after: float = 0.0
    """Seconds that it must last to be an incident."""
    linger: float = 30.0
    """Seconds without it after which the incident is over."""
    since: float | None = None
    """When it began (seconds since 1970), where the look knows more than the moment."""
    at_once: bool = False
    """Whether it is over in the moment in which it is seen: a program was killed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What there is to look at."""

    at: float
    """Seconds since 1970."""
    samples: tuple[Sample, ...]
    """Of the last ten seconds, the newest last; never empty."""
    processes: tuple[ProcessMemory, ...] = ()
    """Those with the most memory, looked at every half minute."""

    @property
    def newest(self) -> Sample:
        """The last sample."""
        return self.samples[-1]


class Look(Protocol):
    """One thing that is looked for. It may remember what it saw before."""

    @property
    def every(self) -> float:
        """Seconds between two looks; what was seen is held to be so in between."""

    def look(self, view: View, /) -> Sequence[Sighting]:
        """What is wrong now. Raises OSError where it cannot be seen."""
