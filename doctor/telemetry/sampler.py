"""Sampler: everything that is read of the machine, as one ``Sample``."""

from __future__ import annotations

import os
import time
from typing import Protocol

from doctor.telemetry.gpu import GpuSource
from doctor.telemetry.host import HostReader
from doctor.telemetry.neighbours import NeighbourReader
from doctor.telemetry.process import ProcessReader
from doctor.telemetry.sample import GpuSample, Sample


class Gpus(Protocol):
    """Where the cards are read: in this process (GpuSource) or in a child (GpuChild)."""

    def read(self) -> tuple[tuple[GpuSample, ...] | None, str | None]:
        """(cards, None), or (None, why not)."""

    def close(self) -> None:
        """Give back what was taken."""


class Sampler:
    """Reads the host, one process and the cards. Percentages and rates cover the time since the reading before.

    A counter that fails is left out of the sample and nothing is ever raised.
    """

    def __init__(self, gpus: Gpus | None = None) -> None:
        self._gpus: Gpus = gpus if gpus is not None else GpuSource()
        self._host = HostReader()
        self._process = ProcessReader()
        self._neighbours = NeighbourReader()
        self._before: float | None = None

    def read(self, pid: int | None = None) -> Sample:
        """One sample; ``pid`` is the process to watch, None for no process."""
        at = time.monotonic()
        before, self._before = self._before, at
        gpus, gpu_error = self._gpus.read()
        ours = (os.getpid(),) if pid is None else (os.getpid(), pid)
        return Sample(
            at=at,
            clock=time.time(),
            interval=None if before is None else at - before,
            **self._host.read(),
            **self._process.read(pid),
            neighbours=self._neighbours.read(ours),
            gpus=gpus,
            gpu_error=gpu_error,
        )

    def close(self) -> None:
        """Give the driver's library back."""
        self._gpus.close()


def read_sample(pid: int | None = None, over: float = 0.2, gpus: Gpus | None = None) -> Sample:
    """One sample by itself. Blocks for ``over`` seconds, the time that its percentages cover."""
    sampler = Sampler(gpus)
    try:
        sampler.read(pid)
        time.sleep(over)
        return sampler.read(pid)
    finally:
        sampler.close()
