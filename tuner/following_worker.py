"""The worker's events, folded into what a sample says about it."""

from __future__ import annotations

import threading
import time

from doctor.telemetry.sample import WorkerSample
from doctor.trace import Phase, PhaseRecord
from tuner.events import Event, Failed, Finished, PhaseEnded, PhaseStarted, Pulse, Stepped


class WorkerFold:
    """Takes events in one thread and gives samples to another."""

    def __init__(self, device: str | None = None) -> None:
        """``device``: what the worker computes on, "cpu" or "cuda:0"."""
        self._device = device
        self._lock = threading.Lock()
        self._phase: Phase | None = None
        self._since = 0.0
        self._step: tuple[int, int] | None = None
        self._memory: tuple[int | None, int | None] = (None, None)
        self._peak: int | None = None
        self._steps: list[float] = []
        self._ended: list[PhaseRecord] = []

    def add(self, event: Event) -> None:
        """Take one event, at the moment that it arrives."""
        with self._lock:
            self._take(event)

    def _take(self, event: Event) -> None:
        if isinstance(event, PhaseStarted):
            self._phase, self._since = event.phase, time.monotonic()
        elif isinstance(event, PhaseEnded):
            self._phase = None
            self._ended.append(event.record())
            peaks = [peak for peak in (self._peak, event.peak_allocated) if peak is not None]
            self._peak = max(peaks, default=None)
        elif isinstance(event, Stepped):
            self._step = (event.index, event.total)
            self._steps.append(event.seconds)
        elif isinstance(event, Pulse):
            self._memory = (event.allocated, event.reserved)
        elif isinstance(event, Finished | Failed):
            self._phase = None

    def sample(self) -> WorkerSample:
        """How things stand. Steps and phases that ended are said once."""
        with self._lock:
            steps, self._steps = tuple(self._steps), []
            ended, self._ended = tuple(self._ended), []
            return WorkerSample(
                device=self._device,
                phase=self._phase,
                phase_seconds=None if self._phase is None else time.monotonic() - self._since,
                step=self._step[0] if self._step else None,
                steps=self._step[1] if self._step else None,
                step_seconds=steps,
                ended=ended,
                allocated=self._memory[0],
                reserved=self._memory[1],
                peak_allocated=self._peak,
            )
