"""Idleness: does the user need the machine? Told from samples, so that it can be tested without waiting."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from doctor.telemetry.sample import Sample

LITTLE_MEMORY_PERCENT = 10.0
"""Available memory below which a study gives its memory back to whoever needs it. Chosen here."""

BUSY_SAMPLES = 2
"""Samples in a row that must look busy: the first may have caught a moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """What a study of ours uses; it does not count."""

    pids: frozenset[int] = frozenset()
    cpu_percent: float = 0.0
    """Of one core: 100 is one core busy."""


def why_busy(
    sample: Sample,
    own: Own,
    *,
    cpu_percent: float,
    gpu_percent: float,
    on_battery: bool,
    strangers: Collection[int] = (),
) -> str | None:
    """Why the machine is not idle at this moment; None if it is. A machine that cannot be read is not idle.

    ``strangers`` are processes that held memory of a card before the study began: a desktop always does.
    """
    if on_battery:
        return "it runs on its battery"
    if sample.cpu_percent is None or not sample.core_percents:
        return "its load is unknown"
    others = sample.cpu_percent - own.cpu_percent / len(sample.core_percents)
    if others >= cpu_percent:
        return f"other programs use {others:.0f} % of its cores"
    if sample.memory_available is not None and sample.memory_total:
        free = 100.0 * sample.memory_available / sample.memory_total
        if free < LITTLE_MEMORY_PERCENT:
            return f"{free:.0f} % of its memory is left"
    return _why_cards(sample, own, gpu_percent, strangers)


def _why_cards(sample: Sample, own: Own, gpu_percent: float, strangers: Collection[int]) -> str | None:
    holders = {each.pid for card in sample.gpus or () for each in card.processes or ()}
    if own.pids:
        # In a container the driver counts processes otherwise: who is a stranger can then not be told.
        new = holders - own.pids - set(strangers)
        return f"process {min(new)} began to use a card" if new and holders & own.pids else None
    busiest = max((card.utilization or 0.0 for card in sample.gpus or ()), default=0.0)
    return f"a card is busy {busiest:.0f} % of the time" if busiest >= gpu_percent else None


class IdleClock:
    """How long the machine has been idle, in the samples' own time."""

    def __init__(self) -> None:
        self.why: str | None = "it was just begun to look"
        """Why it is not idle; None if it is."""
        self._since: float | None = None
        self._busy = 0

    def take(self, at: float, why: str | None) -> None:
        """One more sample: ``why`` it is busy, None if it is idle."""
        self.why = why
        if why is None:
            self._busy = 0
            self._since = at if self._since is None else self._since
        else:
            self._busy += 1
            if self._busy >= BUSY_SAMPLES or self._since is None:
                self._since = None

    @property
    def needed(self) -> bool:
        """Whether the user needs the machine now."""
        return self._busy >= BUSY_SAMPLES

    def idle_seconds(self, at: float) -> float:
        """How long it has been idle; 0 while it is not."""
        return 0.0 if self._since is None else at - self._since
