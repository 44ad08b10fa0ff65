"""The threads of one process (Linux), read from /proc/PID/task (proc(5)).

A thread that slept when it was last looked at, and has not been on a core since, sleeps still (or was woken this moment),
so only ``schedstat`` is read of it: half of the files, of which a process of torch has dozens.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from doctor.telemetry.reading import attempt, text_of
from doctor.telemetry.sample import ThreadSample

_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
_ASLEEP = "S"


@dataclass(slots=True)
class _Seen:
    """One thread at the reading before; times in seconds since it began."""

    name: str
    state: str
    turns: int
    """How often it was given a core."""
    ran: float
    waited: float | None


class ThreadReader:
    """Reads all threads of one process; percentages cover the time since the reading before."""

    def __init__(self) -> None:
        self._at: float | None = None
        self._seen: dict[int, _Seen] = {}

    def read(self, pid: int, at: float) -> tuple[ThreadSample, ...] | None:
        """Those that did or wanted the most first; None where they cannot be listed. ``at`` is ``time.monotonic()``."""
        folder = f"/proc/{pid}/task"
        ids = attempt(lambda: [int(name) for name in os.listdir(folder)])  # noqa: PTH208  (half the cost)
        if ids is None:
            return None
        span = None if self._at is None or at <= self._at else at - self._at
        before, self._at, self._seen = self._seen, at, {}
        threads = []
        for each in ids:
            then = before.get(each)
            now = _look(f"{folder}/{each}", then)
            if now is not None:
                self._seen[each] = now
                threads.append(_sample(each, then, now, span))
        return tuple(sorted(threads, key=wanted, reverse=True))


def wanted(thread: ThreadSample) -> float:
    """Percent of the time in which it ran or stood in the queue for a core."""
    return (thread.cpu_percent or 0.0) + (thread.wait_percent or 0.0)


def _look(folder: str, then: _Seen | None) -> _Seen | None:
    """None if it ended meanwhile."""
    # Nanoseconds on a core and in the queue for one, turns on a core (docs.kernel.org/scheduler/sched-stats.html).
    queue = (text_of(f"{folder}/schedstat") or "").split()
    if len(queue) != 3:
        return _by_ticks(folder)
    ran, waited, turns = int(queue[0]) / 1e9, int(queue[1]) / 1e9, int(queue[2])
    if then is not None and then.state == _ASLEEP and then.turns == turns and then.ran == ran:
        return _Seen(then.name, then.state, turns, ran, waited)
    name, fields = _stat(folder)
    return _Seen(name, fields[0], turns, ran, waited) if fields else None


def _by_ticks(folder: str) -> _Seen | None:
    """For a kernel that does not count the queue."""
    name, fields = _stat(folder)
    return _Seen(name, fields[0], -1, (int(fields[11]) + int(fields[12])) / _TICKS, None) if fields else None


def _stat(folder: str) -> tuple[str, list[str]]:
    """The name, and the fields from the third on; the name may hold blanks and brackets."""
    stat = text_of(f"{folder}/stat") or ""
    end = stat.rfind(")")
    return stat[stat.find("(") + 1 : end], stat[end + 2 :].split()


def _sample(thread: int, then: _Seen | None, now: _Seen, span: float | None) -> ThreadSample:
    return ThreadSample(
        id=thread,
        name=now.name,
        cpu_percent=None if then is None else _share(then.ran, now.ran, span),
        wait_percent=None if then is None else _share(then.waited, now.waited, span),
        state=now.state,
    )


def _share(then: float | None, now: float | None, span: float | None) -> float | None:
    """Percent of ``span`` seconds; None where that is not known, or the count began anew."""
    if then is None or now is None or span is None or now < then:
        return None
    return min(100.0, 100.0 * (now - then) / span)
