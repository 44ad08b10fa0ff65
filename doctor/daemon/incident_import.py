"""Takes over the incidents that programs wrote into ``incidents.jsonl`` when no daemon was there (doctor.incidents)."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import UTC, datetime

from doctor.finding import Remedy, Severity
from doctor.history import Episode, History, HistoryReader
from doctor.history.episode import episode_id
from doctor.history.reader import MOST_ROWS
from doctor.history.tiers import EPISODES_KEPT
from doctor.incidents import OUT_OF_MEMORY, Incident, incidents_file, read_incidents
from doctor.sizes import MIB


def as_episode(incident: Incident) -> Episode | None:
    """The same incident as the history keeps it; None if its time cannot be read."""
    try:
        moment = datetime.fromisoformat(incident.at)
    except ValueError:
        return None
    at = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    ran_out = incident.kind == OUT_OF_MEMORY
    size = f" at {incident.width}x{incident.height}" if incident.width and incident.height else ""
    title = (
        f"Memory ran out in {incident.phase or 'a run'} of {incident.model}{size}"
        if ran_out
        else f"{incident.kind.replace('_', ' ')}: {incident.model}{size}"
    )
    about = "|".join((incident.source, incident.model, incident.settings, size))
    went_on = f" It went on with {incident.next_settings}." if incident.next_settings else ""
    return Episode(
        id=episode_id(incident.kind, at, about),
        kind=incident.kind,
        severity=Severity.WARNING if incident.next_settings else Severity.ERROR,
        title=f"{title}.{went_on}",
        began=at,
        ended=at,
        source=incident.source,
        evidence=_evidence(incident),
        advice=Remedy("Let tune find settings that fit.", (f"sdoctor tune {incident.model}",))
        if ran_out
        else None,
    )


def _evidence(incident: Incident) -> dict[str, float | int | str]:
    known: dict[str, float | int | str | None] = {
        "model": incident.model,
        "device": incident.device,
        "phase": incident.phase,
        "width": incident.width,
        "height": incident.height,
        "batch": incident.batch,
        "budget_mib": None if incident.budget_bytes is None else incident.budget_bytes // MIB,
        "settings": incident.settings or None,
        "next_settings": incident.next_settings,
        "message": incident.message[:500] or None,
        "profile": incident.profile,
    }
    return {name: value for name, value in known.items() if value is not None}


def written_episodes() -> tuple[Episode, ...]:
    """What programs wrote down, the oldest first. Raises OSError."""
    found = (as_episode(incident) for incident in read_incidents())
    return tuple(each for each in found if each is not None)


def with_written(kept: Iterable[Episode], written: Iterable[Episode]) -> tuple[Episode, ...]:
    """Both together, each incident once, the newest first."""
    both = {each.id: each for each in (*written, *kept)}
    return tuple(sorted(both.values(), key=lambda each: each.began, reverse=True))


class IncidentImport:
    """Looks whether the file has changed, and takes over what is new."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._state: tuple[int, int] | None = None
        self._known = _known(history)

    def run(self) -> int:
        """How many were new. Raises OSError if the file is there and cannot be read."""
        try:
            found = incidents_file().stat()
        except FileNotFoundError:
            return 0
        state = (found.st_size, found.st_mtime_ns)
        if state == self._state:
            return 0
        oldest = time.time() - EPISODES_KEPT
        new = [each for each in written_episodes() if each.id not in self._known and each.began >= oldest]
        for each in new:
            self._history.add_incident(each)
            self._known.add(each.id)
        self._state = state
        return len(new)


def _known(history: HistoryReader) -> set[str]:
    return {each.id for each in history.incidents(limit=MOST_ROWS)}
