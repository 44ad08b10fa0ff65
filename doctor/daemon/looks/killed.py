"""Killed: did the kernel end a program because memory ran out? (Linux; /proc/vmstat, oom_kill)"""

from __future__ import annotations

import re
from collections.abc import Sequence

from doctor.daemon.processes import ProcessMemory
from doctor.daemon.sighting import Sighting, View
from doctor.finding import Remedy, Severity
from doctor.sizes import gib
from doctor.telemetry.reading import text_of

_COUNT = re.compile(r"^oom_kill (\d+)$", re.MULTILINE)
_LARGE = 64 * 2**20


class Killed:
    """Compares the kernel's count with the one before. Who it was is only guessed: the largest that is gone."""

    every = 2.0

    def __init__(self, vmstat: str = "/proc/vmstat") -> None:
        self._vmstat = vmstat
        self._before: int | None = None
        self._were: tuple[ProcessMemory, ...] = ()

    def look(self, view: View) -> Sequence[Sighting]:
        """One sighting, at the moment, for all that were killed since the last look."""
        match = _COUNT.search(text_of(self._vmstat) or "")
        count = None if match is None else int(match[1])
        before, self._before = self._before, count
        were, self._were = self._were, view.processes
        if count is None or before is None or count <= before:
            return ()
        return (_sighting(count - before, view, were or view.processes),)


def _sighting(count: int, view: View, were: Sequence[ProcessMemory]) -> Sighting:
    gone = next((each for each in were if each.memory >= _LARGE and not _runs(each.pid)), None)
    evidence: dict[str, float | int | str] = {"killed": count}
    if view.newest.memory_available is not None:
        evidence["available_mib"] = view.newest.memory_available // 2**20
    if gone is not None:
        evidence |= {"gone": f"{gone.name} ({gone.pid})", "its_memory_mib": gone.memory // 2**20}
    who = f"; probably {gone.name}, which held {gib(gone.memory)}" if gone else ""
    return Sighting(
        kind="oom-kill",
        severity=Severity.ERROR,
        title=f"Memory ran out and the kernel killed {'a program' if count == 1 else f'{count} programs'}{who}.",
        evidence=evidence,
        advice=Remedy(
            "Give the machine swap, close what holds memory, or take settings that need less of it.",
            ("sudo dmesg | grep -i 'out of memory'", "sdoctor generate --low-memory ..."),
        ),
        at_once=True,
    )


def _runs(pid: int) -> bool:
    stat = text_of(f"/proc/{pid}/stat")
    return stat is not None and stat[stat.rfind(")") + 2 :][:1] not in ("Z", "X")
