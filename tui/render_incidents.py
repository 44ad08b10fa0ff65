"""Incidents as a table, as a page, and as JSON."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from datetime import datetime

import msgspec

from doctor.daemon.incident_import import with_written, written_episodes
from doctor.daemon.kinds import meaning_of
from doctor.errors import NotInOrder, UsageError
from doctor.history import Episode, HistoryReader, RanProcess, history_file
from doctor.history.reader import MOST_ROWS
from doctor.sizes import gib

SCHEMA = "sdoctor.incidents/1"
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
_SPAN = re.compile(r"(\d{1,6}(?:\.\d{1,3})?)\s*([smhdw])")


def since_time(text: str) -> float:
    """Read "90m", "7d" or an ISO time (local, if it names no zone); seconds since 1970. Raises UsageError."""
    match = _SPAN.fullmatch(text.strip().lower())
    if match:
        return time.time() - float(match[1]) * _UNITS[match[2]]
    try:
        return datetime.fromisoformat(text.strip()).timestamp()
    except (ValueError, OverflowError):
        raise UsageError(
            f"'{text}' is no time; write for example 90m, 12h, 7d or 2026-11-23T18:00."
        ) from None


def known(since: float) -> tuple[Episode, ...]:
    """What the daemon remembers, and what programs wrote down that no daemon has taken over yet. Raises NotInOrder."""
    kept = HistoryReader(history_file()).incidents(since, MOST_ROWS)
    try:
        written = [each for each in written_episodes() if each.began >= since]
    except OSError as error:
        raise NotInOrder(f"The incidents that programs wrote cannot be read: {error}.") from error
    return with_written(kept, written)


def find(episodes: Sequence[Episode], beginning: str) -> Episode:
    """The one whose id begins so. Raises UsageError if there is none, or more than one."""
    matching = [each for each in episodes if each.id.startswith(beginning.strip().lower())]
    if len(matching) == 1:
        return matching[0]
    if not matching:
        raise UsageError(f"There is no incident '{beginning}'; 'sdoctor incidents --since 365d' lists all.")
    raise UsageError(f"{len(matching)} incidents begin with '{beginning}'; give more letters of the id.")


def as_document(episodes: Sequence[Episode]) -> str:
    """One JSON document."""
    document = {
        "schema": SCHEMA,
        "incidents": [
            {**msgspec.to_builtins(each), "lasted_seconds": each.lasted, "meaning": meaning_of(each.kind)}
            for each in episodes
        ],
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode()


def as_table(episodes: Sequence[Episode], limit: int) -> str:
    """One line each."""
    if not episodes:
        return "No incident is known of this time."
    lines = [f"{each.id}  {_when(each.began)}  {_span(each):>9}  {each.title}" for each in episodes[:limit]]
    more = len(episodes) - limit
    if more > 0:
        lines.append(f"... and {more} older; --limit shows more.")
    return "\n".join([*lines, "", "'sdoctor incidents ID' explains one."])


def as_page(episode: Episode) -> str:
    """Everything about one."""
    lines = [
        episode.title,
        "",
        meaning_of(episode.kind),
        "",
        f"kind      {episode.kind} ({episode.severity.value})",
        f"seen by   {'the daemon' if episode.source == 'watch' else episode.source}",
        f"began     {_when(episode.began)}",
        f"ended     {_end(episode)}",
    ]
    if episode.evidence:
        lines += ["", "Figures, at its worst:"]
        lines += [f"  {name.replace('_', ' ')}: {value}" for name, value in episode.evidence.items()]
    if episode.ran and (episode.ran.processes or episode.ran.worker):
        lines += ["", "What ran when it began:"]
        if episode.ran.worker:
            lines.append(f"  sdoctor's worker: {episode.ran.worker}")
        lines += [f"  {_process(each)}" for each in episode.ran.processes]
    if episode.advice:
        lines += ["", f"What to do: {episode.advice.text}"]
        lines += [f"  {command}" for command in episode.advice.commands]
    return "\n".join(lines)


def _process(process: RanProcess) -> str:
    parts = []
    if process.cpu_percent is not None:
        parts.append(f"{process.cpu_percent:.0f} % of a core")
    if process.memory is not None:
        parts.append(f"{gib(process.memory)} of memory")
    if process.gpu_memory is not None:
        parts.append(f"{gib(process.gpu_memory)} of a card")
    return f"{process.name} ({process.pid}): {', '.join(parts) or 'nothing known'}"


def _when(at: float) -> str:
    return datetime.fromtimestamp(at).strftime("%Y-%m-%d %H:%M:%S")


def _end(episode: Episode) -> str:
    if episode.ended is None:
        return "it lasts, as far as is known"
    if episode.cut_off:
        return f"unknown; last seen {_when(episode.ended)}"
    return _when(episode.ended)


def _span(episode: Episode) -> str:
    """How long it lasted, in a few letters."""
    seconds = episode.lasted
    if seconds is None:
        return "lasts"
    if seconds < 1:
        return "moment"
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} s"
