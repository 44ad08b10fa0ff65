"""Samples taken beside a generation, for the verdict at its end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType

from doctor.telemetry.gpu_child import GpuChild
from doctor.telemetry.sample import Sample
from doctor.telemetry.sampler import Sampler
from doctor.verdicts import judge
from doctor.verdicts.verdict import Verdict
from tuner.events import Event
from tuner.following_worker import WorkerFold

EVERY = 0.5
"""Seconds between samples; one costs about a millisecond of one core."""

_MOST = 7200
"""An hour of samples; of a longer run the last hour counts."""


class Watch:
    """Samples in a thread of its own from ``with`` to its end."""

    def __init__(self, pid: Callable[[], int | None], device: str | None) -> None:
        """``pid`` gives the worker's process id, None while there is no worker."""
        self._pid = pid
        self._worker = WorkerFold(device)
        self._enough = threading.Event()
        self._samples: list[Sample] = []
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._enough.set()
        self._thread.join(EVERY)

    def event(self, event: Event) -> None:
        """Something happened in the worker."""
        self._worker.add(event)

    @property
    def samples(self) -> tuple[Sample, ...]:
        """What was seen so far."""
        return tuple(self._samples)

    def verdicts(self) -> tuple[Verdict, ...]:
        """What the work waited for, over the whole run."""
        return judge(self.samples)

    def _run(self) -> None:
        sampler = Sampler(GpuChild())
        try:
            while True:
                sample = sampler.read(self._pid())
                self._samples.append(replace(sample, worker=self._worker.sample()))
                del self._samples[:-_MOST]
                if self._enough.wait(EVERY):
                    return
        finally:
            sampler.close()
