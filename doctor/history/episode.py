"""Episode: an incident as it is remembered, with a beginning, an end, and what ran at that moment."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from doctor.finding import Remedy, Severity

SCHEMA = "sdoctor.episode/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class RanProcess:
    """A process that was there. Its name only: arguments may hold secrets. None where it was not looked at."""

    pid: int
    name: str
    cpu_percent: float | None = None
    """100 is one core."""
    memory: int | None = None
    """Resident bytes."""
    gpu_memory: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What ran at one moment."""

    processes: tuple[RanProcess, ...] = ()
    """Those that used most of the processor, of the memory and of the cards."""
    worker: str | None = None
    """What sdoctor's own worker did, in words; None if none was watched."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """Something that was wrong for a while. Times are seconds since 1970 (``time.time()``)."""

    schema: str = SCHEMA
    id: str
    kind: str
    """What happened, stable over releases: "throttled-thermal"; ``doctor.daemon.kinds`` explains each."""
    severity: Severity
    title: str
    """One sentence for a tired person."""
    began: float
    ended: float | None = None
    """None while it lasts."""
    cut_off: bool = False
    """Whether the watching stopped before it did: ``ended`` is then when it was last seen."""
    source: str = "watch"
    """Who saw it: "watch", "generate", or "script" for a user's own program."""
    evidence: dict[str, float | int | str] = field(default_factory=dict)
    """The figures that it rests on at its worst, with their units in the names."""
    advice: Remedy | None = None
    ran: Ran | None = None
    """What ran when it began; None if nobody looked."""

    @property
    def lasted(self) -> float | None:
        """Seconds from its beginning to its end; None while it lasts."""
        return None if self.ended is None else max(0.0, self.ended - self.began)


def episode_id(kind: str, began: float, about: str = "") -> str:
    """Twelve hexadecimal digits, the same for the same incident however often it is told."""
    return hashlib.sha256(f"{kind}\n{began:.3f}\n{about}".encode()).hexdigest()[:12]
