"""Aftermath: what the daemon's last run left behind, seen from its next start.

A run that ends as it should leaves the note "ended". If it is not there, either the daemon was killed, or the whole
machine went down: the kernel's boot id tells them apart.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Final

import msgspec
import psutil

from doctor.daemon.kinds import DAEMON_KILLED, MACHINE_STOPPED
from doctor.finding import Remedy, Severity
from doctor.history import Episode, History, Ran, Reading
from doctor.history.episode import episode_id
from doctor.history.reader import MOST_ROWS
from doctor.telemetry.reading import text_of

_NOTE = "run"
_RAN = "last_ran"
_LAST_WORDS: Final = (
    "cpu_percent",
    "memory_available",
    "swap_used",
    "gpu0.memory_used",
    "gpu0.temperature",
    "gpu0.power",
    "gpu0.utilization",
)


class _Run(msgspec.Struct, frozen=True):
    boot: str
    ended: bool


def boot_id() -> str:
    """Stands for this start of the machine."""
    known = (text_of("/proc/sys/kernel/random/boot_id") or "").strip()
    # Elsewhere the time of the start; it moves by a second when the clock is set.
    return known or str(round(psutil.boot_time() / 60))


def begin(history: History) -> tuple[Episode, ...]:
    """Write down what happened to the last run, if anything did, and that this one has begun. What was written."""
    newest = history.newest()
    found = list(_cut_off(history, newest))
    left = history.note(_NOTE)
    last = None if left is None else msgspec.json.decode(left, type=_Run)
    if last is not None and not last.ended:
        found.append(_ended_badly(last, newest, _ran(history)))
    for episode in found:
        history.add_incident(episode)
    history.leave_note(_NOTE, msgspec.json.encode(_Run(boot=boot_id(), ended=False)).decode())
    # Before anybody is told that the daemon runs: one that is killed in its first second was killed all the same.
    history.flush()
    return tuple(found)


def end(history: History) -> None:
    """This run ends as it should."""
    history.leave_note(_NOTE, msgspec.json.encode(_Run(boot=boot_id(), ended=True)).decode())


def remember(history: History, ran: Ran) -> None:
    """What runs now, in case these are the last words."""
    history.leave_note(_RAN, msgspec.json.encode(ran).decode())


def _cut_off(history: History, newest: Reading | None) -> list[Episode]:
    """Incidents that lasted when the last run ended: nobody knows how long they went on."""
    return [
        replace(episode, ended=max(episode.began, newest.at if newest else episode.began), cut_off=True)
        for episode in history.incidents(since=float("inf"), limit=MOST_ROWS)
        if episode.ended is None
    ]


def _ended_badly(last: _Run, newest: Reading | None, ran: Ran | None) -> Episode:
    same_boot = last.boot == boot_id()
    kind = DAEMON_KILLED if same_boot else MACHINE_STOPPED
    now = time.time()
    at = newest.at if newest else now
    evidence: dict[str, float | int | str] = {"unwatched_minutes": round((now - at) / 60, 1)}
    for name in _LAST_WORDS:
        if newest and name in newest.figures:
            evidence[f"last {name}"] = float(f"{newest.figures[name].mean:.4g}")
    return Episode(
        id=episode_id(kind, at),
        kind=kind,
        severity=Severity.NOTE if same_boot else Severity.WARNING,
        title="The daemon ended without being asked to."
        if same_boot
        else "The machine went down without shutting down.",
        began=at,
        ended=now if same_boot else at,
        evidence=evidence,
        advice=None
        if same_boot
        else Remedy(
            "The kernel's log of the time before may say why; the last samples are kept for two hours.",
            ("journalctl -k -b -1 -e",),
        ),
        ran=ran,
    )


def _ran(history: History) -> Ran | None:
    text = history.note(_RAN)
    try:
        return None if text is None else msgspec.json.decode(text, type=Ran)
    except msgspec.DecodeError:
        return None
