"""An examination of this machine in a thread: the facts, then the findings; measured too, if that is asked for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from doctor.facts import Facts
from doctor.finding import Report


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far the live probes are."""

    doing: str
    ended: int
    count: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """An examination that came to its end."""

    facts: Facts
    report: Report
    live: bool
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """One that did not."""

    message: str


News = Progress | Examined | Broken
Measure = Callable[[Facts, Callable[[str, int, int], None]], Facts]


class _Stopped(Exception):
    """Nobody waits for this examination any more."""


def _gather() -> Facts:
    from doctor.gather import gather

    return gather()


def _measure(facts: Facts, show: Callable[[str, int, int], None]) -> Facts:
    from doctor.probes.run import probe_machine

    return probe_machine(facts, show)


class Examiner:
    """One examination at a time; the newest one counts. Every answer comes in the thread that worked on it."""

    def __init__(
        self, tell: Callable[[News], None], gather: Callable[[], Facts] = _gather, measure: Measure = _measure
    ) -> None:
        self._tell = tell
        self._gather = gather
        self._measure = measure
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def is_busy(self) -> bool:
        """Whether an examination runs."""
        return self._thread is not None and self._thread.is_alive()

    def begin(self, *, live: bool) -> bool:
        """Examine; False if that is being done already."""
        if self.is_busy:
            return False
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=self._run, args=(live, self._stop), name="examination", daemon=True
        )
        self._thread.start()
        return True

    def stop(self) -> None:
        """End a measurement: its children are ended before the next one begins."""
        self._stop.set()

    def join(self, seconds: float) -> None:
        """Wait, at most so long, until it has ended."""
        if self._thread is not None:
            self._thread.join(seconds)

    def _run(self, live: bool, stop: threading.Event) -> None:
        from doctor.check import examine
        from doctor.checks import CHECKS

        started = time.monotonic()

        def show(doing: str, ended: int, count: int) -> None:
            if stop.is_set():
                raise _Stopped
            self._tell(Progress(doing=doing, ended=ended, count=count, seconds=time.monotonic() - started))

        news: News
        try:
            facts = self._gather()
            if live:
                facts = self._measure(facts, show)
            report = examine(facts, CHECKS)
            news = Examined(facts=facts, report=report, live=live, seconds=time.monotonic() - started)
        except _Stopped:
            news = Broken(message="The measurement was stopped.")
        except Exception as error:  # noqa: BLE001  (a thread has no caller: what broke it must reach the screen)
            news = Broken(message=f"The examination broke off: {type(error).__name__}: {error}")
        self._tell(news)
