"""Ledger: makes incidents with a beginning and an end of what is seen from moment to moment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from doctor.daemon.sighting import Sighting
from doctor.history import Episode, Ran
from doctor.history.episode import episode_id

GAP = 5.0
"""Seconds for which something that is not an incident yet may be out of sight without beginning anew."""

AGAIN = 60.0
"""Seconds between two writings of an incident that gets worse."""

_Key = tuple[str, str]


@dataclass(slots=True)
class _Open:
    """Something that is being seen."""

    first: float
    last: float
    worst: Sighting
    episode: Episode | None = None
    kept_at: float = 0.0


class Ledger:
    """Keeps track of what lasts. All times are seconds since 1970, given by the caller."""

    def __init__(self, keep: Callable[[Episode], None]) -> None:
        """``keep`` takes an incident when it begins, gets worse, and ends."""
        self._keep = keep
        self._open: dict[_Key, _Open] = {}

    @property
    def lasting(self) -> tuple[Episode, ...]:
        """The incidents that last now."""
        return tuple(one.episode for one in list(self._open.values()) if one.episode is not None)

    def see(self, at: float, sightings: Sequence[Sighting], ran: Callable[[], Ran]) -> None:
        """Take what is seen at this moment; ``ran`` is asked only when something begins."""
        for sighting in sightings:
            if sighting.at_once:
                self._keep(replace(_episode(sighting, sighting.since or at, ran()), ended=at))
            else:
                self._see(at, sighting, ran)
        seen = {(each.kind, each.about) for each in sightings}
        for key in [key for key in self._open if key not in seen]:
            self._miss(at, key)

    def close(self) -> None:
        """The watching ends: what lasts is written down as far as it was seen."""
        for one in self._open.values():
            if one.episode is not None:
                self._keep(replace(_with(one.episode, one.worst), ended=one.last, cut_off=True))
        self._open.clear()

    def _see(self, at: float, sighting: Sighting, ran: Callable[[], Ran]) -> None:
        key = (sighting.kind, sighting.about)
        one = self._open.get(key)
        if one is None or at < one.first:  # never seen, or the clock was put back
            one = self._open[key] = _Open(first=sighting.since or at, last=at, worst=sighting)
        one.last = at
        worse = sighting.worse > one.worst.worse
        if worse:
            one.worst = sighting
        if one.episode is None:
            if at - one.first >= sighting.after:
                one.episode = _episode(one.worst, one.first, ran())
                one.kept_at = at
                self._keep(one.episode)
        elif worse and at - one.kept_at >= AGAIN:
            one.episode = _with(one.episode, one.worst)
            one.kept_at = at
            self._keep(one.episode)

    def _miss(self, at: float, key: _Key) -> None:
        one = self._open[key]
        if one.episode is None:
            if at - one.last > GAP:
                del self._open[key]
        elif at - one.last >= one.worst.linger or at < one.last:
            self._keep(replace(_with(one.episode, one.worst), ended=one.last))
            del self._open[key]


def _episode(sighting: Sighting, began: float, ran: Ran) -> Episode:
    return Episode(
        id=episode_id(sighting.kind, began, sighting.about),
        kind=sighting.kind,
        severity=sighting.severity,
        title=sighting.title,
        began=began,
        evidence=dict(sighting.evidence),
        advice=sighting.advice,
        ran=ran,
    )


def _with(episode: Episode, worst: Sighting) -> Episode:
    """The same incident as it was at its worst."""
    return replace(
        episode,
        title=worst.title,
        severity=worst.severity,
        evidence=dict(worst.evidence),
        advice=worst.advice,
    )
