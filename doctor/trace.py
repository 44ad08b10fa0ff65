"""Trace: what happened during one generation, as the worker reported it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """How one generation ended. Failure of a trial is data, never an exception."""

    FINISHED = "finished"
    OUT_OF_MEMORY = "out_of_memory"
    TOO_SLOW = "too_slow"
    HUNG = "hung"
    CRASHED = "crashed"
    REFUSED = "refused"
    INTERRUPTED = "interrupted"
    REJECTED = "rejected"
    """It ran to its end, and its picture is not the one that it had to be."""


class Phase(StrEnum):
    """The parts of one generation, in order."""

    LOAD = "load"
    ENCODE = "encode"
    DENOISE = "denoise"
    DECODE = "decode"
    SAVE = "save"


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseRecord:
    """One phase that ended: its wall time, and its peak of memory."""

    phase: Phase
    seconds: float
    peak_allocated: int | None = None
    """Bytes in live tensors (CUDA), or resident beyond the bare worker (CPU)."""
    peak_reserved: int | None = None
    """Bytes held by torch's caching allocator (CUDA); None on a CPU."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """Phases, steps and ending of one generation."""

    setup: dict[str, str]
    """How the pipeline really ran, as the worker found it after applying the settings."""
    phases: tuple[PhaseRecord, ...] = ()
    step_seconds: tuple[float, ...] = ()
    outcome: Outcome = Outcome.FINISHED
    failed_in: Phase | None = None
    message: str | None = None
    """For an outcome other than FINISHED: what the worker or its death said."""
    images: tuple[str, ...] = ()

    @property
    def peak_bytes(self) -> int | None:
        """Largest ``peak_allocated`` of any phase; None if no phase reported one."""
        peaks = [phase.peak_allocated for phase in self.phases]
        known = [peak for peak in peaks if peak is not None]
        return max(known) if known else None

    def seconds_in(self, phase: Phase) -> float | None:
        """Wall time of one phase, or None if it did not end."""
        return next((record.seconds for record in self.phases if record.phase is phase), None)
