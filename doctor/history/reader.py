"""Reading the history, from any thread and any process, while another one writes.

Every question opens a connection of its own and closes it: a reader that never ends would keep the write-ahead log
from being emptied (sqlite.org/wal.html, "Avoiding Excessively Large WAL Files").
"""

from __future__ import annotations

import sqlite3
import struct
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec

from doctor.errors import NotInOrder
from doctor.history.episode import Episode
from doctor.history.figures import Figure, Reading, unpack_joined, unpack_one
from doctor.history.tiers import SINGLE, TIERS, VERSION
from doctor.paths import data_dir

MOST_ROWS = 10_000
"""Rows that one question may bring, whatever it asks for."""

_PATIENCE = 5.0
"""Seconds to wait for a lock; the writer holds it for milliseconds."""


def history_file() -> Path:
    """Where the daemon keeps its history."""
    return data_dir() / "history.db"


class HistoryReader:
    """The history of a file that may not be there yet. Raises NotInOrder where it cannot be read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def samples(self, since: float, until: float | None = None, limit: int = 1000) -> tuple[Reading, ...]:
        """Readings from ``since`` to ``until`` (seconds since 1970), the oldest first.

        Of the finest length that reaches back to ``since`` and brings no more than ``limit`` rows, finer ones at the
        end where the last long span is not over yet; the newest ``limit`` rows if even the longest are too many.
        """
        limit = max(1, min(limit, MOST_ROWS))
        begin, end = _milliseconds(since), _milliseconds(time.time() + 86_400 if until is None else until)
        with self._asked() as connection:
            if connection is None:
                return ()
            names = dict(connection.execute("SELECT id, text FROM name").fetchall())
            chosen = _tier_for(connection, begin, end, limit)
            rows: list[tuple[int, int, bytes]] = []
            for tier in [each for each in reversed(TIERS) if each.span <= chosen]:
                rows += connection.execute(
                    "SELECT span, at, figures FROM reading WHERE span = ? AND at >= ? AND at <= ? "
                    "ORDER BY at DESC LIMIT ?",
                    (tier.span, begin, end, limit),
                ).fetchall()[::-1]
                if rows:
                    begin = rows[-1][1] + rows[-1][0] * 1000
        return tuple(_reading(row, names) for row in rows[-limit:])

    def newest(self) -> Reading | None:
        """The last single sample; None if there is none."""
        found = self.samples(0.0, limit=1)
        return found[-1] if found else None

    def incidents(self, since: float = 0.0, limit: int = 100) -> tuple[Episode, ...]:
        """Incidents that last still or ended after ``since``, the newest first."""
        with self._asked() as connection:
            if connection is None:
                return ()
            rows = connection.execute(
                "SELECT body FROM episode WHERE ended IS NULL OR ended >= ? ORDER BY began DESC LIMIT ?",
                (since, max(1, min(limit, MOST_ROWS))),
            ).fetchall()
        return tuple(found for row in rows if (found := _episode(row[0])) is not None)

    def note(self, name: str) -> str | None:
        """A word that the writer left for its next start."""
        with self._asked() as connection:
            if connection is None:
                return None
            row = connection.execute("SELECT text FROM note WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    @contextmanager
    def _asked(self) -> Iterator[sqlite3.Connection | None]:
        """A connection for one question; None if there is no history yet."""
        if not self.path.exists():
            yield None
            return
        try:
            with closing(
                sqlite3.connect(f"{self.path.absolute().as_uri()}?mode=ro", uri=True, timeout=_PATIENCE)
            ) as connection:
                version = int(connection.execute("PRAGMA user_version").fetchone()[0])
                if version > VERSION:
                    raise NotInOrder(newer(self.path))
                yield connection if version else None
        except (sqlite3.Error, struct.error) as error:
            raise NotInOrder(f"The history {self.path} cannot be read ({error}).") from error


def newer(path: Path) -> str:
    """What is said of a file of a later version."""
    return f"The history {path} was written by a newer sdoctor; update sdoctor, or move the file away."


def _tier_for(connection: sqlite3.Connection, begin: int, end: int, limit: int) -> int:
    """The length of the readings to answer with."""
    for tier in TIERS:
        oldest = connection.execute("SELECT min(at) FROM reading WHERE span = ?", (tier.span,)).fetchone()[0]
        if oldest is None:
            continue
        count = connection.execute(
            "SELECT count(*) FROM reading WHERE span = ? AND at >= ? AND at <= ?", (tier.span, begin, end)
        ).fetchone()[0]
        reaches = oldest <= begin or not _anything_before(connection, tier.span, begin, oldest)
        if reaches and count <= limit:
            return tier.span
    return TIERS[-1].span if limit > 1 else SINGLE


def _anything_before(connection: sqlite3.Connection, span: int, begin: int, oldest: int) -> bool:
    """Whether longer spans tell of a time that these do not reach."""
    return (
        connection.execute(
            "SELECT 1 FROM reading WHERE span > ? AND at >= ? AND at + span * 1000 <= ? LIMIT 1",
            (span, begin, oldest),
        ).fetchone()
        is not None
    )


def _reading(row: tuple[int, int, bytes], names: dict[int, str]) -> Reading:
    span, at, content = row
    figures = (
        {key: Figure(value, value, value) for key, value in unpack_one(content).items()}
        if span == SINGLE
        else unpack_joined(content)
    )
    return Reading(
        at=at / 1000,
        seconds=float(span),
        figures={names[key]: each for key, each in figures.items() if key in names},
    )


def _episode(body: bytes) -> Episode | None:
    """None for one of a form that this sdoctor does not know."""
    try:
        return msgspec.json.decode(body, type=Episode)
    except msgspec.DecodeError:
        return None


def _milliseconds(at: float) -> int:
    """Bounded to what SQLite can hold: somebody may ask for all time."""
    return round(max(-9e15, min(9e15, at * 1000)))
