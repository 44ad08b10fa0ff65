"""Feeds of the monitor screen: this machine, read in a thread; or a recording, which only time plays."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol

from doctor.errors import NotInOrder
from doctor.telemetry.processes import ProcessRow, ProcessTable
from doctor.telemetry.recording import Recorder
from doctor.telemetry.sample import Sample
from doctor.telemetry.sampler import Gpus, Sampler
from tui.pacing import FIRST_SECONDS
from tui.render_incidents import known
from tui.timeline import Mark, marks_of

INCIDENT_SECONDS = 10.0
"""How often the file of incidents is looked at."""


INCIDENT_DAYS = 30.0
"""How far back incidents are marked; a recording may be older."""


class Listener(Protocol):
    """What a feed tells its news to, in the feed's thread."""

    def sampled(self, sample: Sample) -> None:
        """A new sample."""

    def listed(self, rows: tuple[ProcessRow, ...]) -> None:
        """A new list of processes."""

    def marked(self, marks: tuple[Mark, ...]) -> None:
        """All incidents that are known now."""

    def failed(self, why: str) -> None:
        """The feed goes on, but something is lost: one sentence."""


def kept_incidents() -> tuple[Mark, ...]:
    """What the daemon saw and what programs wrote down of runs that went wrong. Raises OSError and NotInOrder."""
    return marks_of(known(time.time() - INCIDENT_DAYS * 86_400))


class LiveFeed:
    """Reads this machine at an interval until it is closed."""

    def __init__(
        self,
        pid: int | None = None,
        interval: float = 1.0,
        recorder: Recorder | None = None,
        gpus: Callable[[], Gpus] | None = None,
        incidents: Callable[[], tuple[Mark, ...]] = kept_incidents,
    ) -> None:
        """``incidents`` is asked every few seconds for everything that shall be marked."""
        self.pid = pid
        self.interval = interval
        self.lists = True
        """Whether processes are listed too: False while nobody looks."""
        self._recorder = recorder
        self._gpus = gpus
        self._incidents = incidents
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def watch(self, pid: int | None) -> None:
        """Watch another process from the next sample on, or none."""
        self.pid = pid

    def start(self, listener: Listener) -> None:
        """Begin to read."""
        self._thread = threading.Thread(target=self._run, args=(listener,), name="monitor", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop after the present reading."""
        self._over.set()

    def join(self, seconds: float) -> None:
        """Wait until it has stopped, at most so long."""
        if self._thread is not None:
            self._thread.join(seconds)

    def _run(self, listener: Listener) -> None:
        from doctor.telemetry.gpu_child import GpuChild

        sampler = Sampler(self._gpus() if self._gpus is not None else GpuChild())
        table, looked = ProcessTable(), -INCIDENT_SECONDS
        due, taken, before = time.monotonic(), 0, None
        rows: tuple[ProcessRow, ...] = ()
        try:
            while not self._over.is_set():
                sample = sampler.read(self.pid)
                taken += 1
                self._record(sample, listener)
                # The first sample has no rates, and shows nothing that the second does not.
                if sample.interval is not None:
                    listener.sampled(sample)
                if self.lists and (listed := table.read()) is not rows:
                    rows = listed
                    listener.listed(rows)
                if sample.at - looked >= INCIDENT_SECONDS:
                    looked, before = sample.at, self._mark(listener, before)
                pause = min(self.interval, FIRST_SECONDS) if taken == 1 else self.interval
                due = max(due + pause, time.monotonic())
                self._over.wait(max(0.0, due - time.monotonic()))
        finally:
            sampler.close()

    def _mark(self, listener: Listener, before: tuple[Mark, ...] | None) -> tuple[Mark, ...] | None:
        try:
            marks = self._incidents()
        except (OSError, NotInOrder):
            return before
        if marks != before:
            listener.marked(marks)
        return marks

    def _record(self, sample: Sample, listener: Listener) -> None:
        """A disk that refuses costs the recording, never the screen."""
        if self._recorder is None:
            return
        try:
            self._recorder.add(sample)
        except OSError as error:
            self._recorder = None
            listener.failed(f"The recording broke off: {error.strerror}.")


class Player:
    """Where a recording stands, as time goes by."""

    def __init__(self, times: tuple[float, ...], speed: float = 1.0) -> None:
        """``times`` of the samples, rising."""
        self._times = times
        self.speed = speed
        """How much faster than it happened; 0 is at its end at once."""
        self.runs = True
        self._left = 0.0
        """Seconds of the recording that passed beyond the sample that is shown."""

    def after(self, index: int, seconds: float) -> int:
        """The sample that is reached ``seconds`` after ``index`` was."""
        last = len(self._times) - 1
        if not self.runs or last < 0:
            return index
        if self.speed == 0:
            return last
        self._left += seconds * self.speed
        while index < last and self._times[index] + self._left >= self._times[index + 1]:
            self._left -= self._times[index + 1] - self._times[index]
            index += 1
        if index == last:
            self.runs, self._left = False, 0.0
        return index
