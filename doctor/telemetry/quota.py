"""The CPU quota of a process's control group, and how often it was stopped by it."""

from __future__ import annotations

from pathlib import Path

from doctor.cgroup import cpu_quotas
from doctor.telemetry.rates import percent
from doctor.telemetry.reading import text_of


class QuotaReader:
    """Follows one process. Where its group (or one above it) has a quota, counts the periods that ended early."""

    def __init__(self, root: Path = Path("/")) -> None:
        """``root`` stands before /proc and /sys, so that a test can offer its own."""
        self._root = root
        self._folder: Path | None = None
        self._cores: float | None = None
        self._before: tuple[int, int] | None = None

    def watch(self, pid: int | None) -> None:
        """Find the tightest quota above a process, which may have been moved or changed; None for no process."""
        was = self._folder
        self._folder, self._cores = self._tightest(pid)
        if self._folder != was:
            self._before = None

    def _tightest(self, pid: int | None) -> tuple[Path | None, float | None]:
        if pid is None:
            return None, None
        try:
            quotas = cpu_quotas(self._root / "proc" / str(pid), self._root)
        except (OSError, ValueError):
            return None, None
        cores, folder = min(quotas, key=lambda pair: pair[0], default=(None, None))
        return folder, cores

    def read(self) -> tuple[float | None, float | None]:
        """(cores allowed, percent of the periods since the reading before in which the group was stopped)."""
        now = None if self._folder is None else _counts(text_of(self._folder / "cpu.stat"))
        before, self._before = self._before, now
        if now is None or before is None:
            return self._cores, None
        return self._cores, percent(now[1] - before[1], now[0] - before[0])


def _counts(text: str | None) -> tuple[int, int] | None:
    """(nr_periods, nr_throttled) of ``cpu.stat``, which versions 1 and 2 of control groups name alike."""
    found = dict(line.split(" ", 1) for line in (text or "").splitlines() if " " in line)
    try:
        return int(found["nr_periods"]), int(found["nr_throttled"])
    except (KeyError, ValueError):
        return None
