"""Tiers: what is kept for how long, and how it is joined and thrown away. Functions on an open connection.

Single samples are the "last words" before a crash and are worth hours; a curve of a week needs a point a minute.
Joining reads the samples from the file, so what a crash interrupted is made up for at the next start.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from doctor.history.figures import join, pack_joined, unpack_one

VERSION = 1
"""``PRAGMA user_version`` of the files that this code reads and writes."""

_SCHEMA = """
CREATE TABLE name (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
CREATE TABLE reading (span INTEGER NOT NULL, at INTEGER NOT NULL, figures BLOB NOT NULL,
                      PRIMARY KEY (span, at)) WITHOUT ROWID;
CREATE TABLE episode (id TEXT PRIMARY KEY, kind TEXT NOT NULL, began REAL NOT NULL, ended REAL, body BLOB NOT NULL)
                      WITHOUT ROWID;
CREATE INDEX episode_began ON episode (began);
CREATE TABLE note (name TEXT PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID;
"""
"""``span`` is the length in seconds (1: one sample), ``at`` milliseconds since 1970."""

SINGLE = 1
_DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Tier:
    """Readings of one length."""

    span: int
    """Seconds."""
    keep: float
    """Seconds for which they are kept."""


TIERS = (Tier(SINGLE, 2 * 3600.0), Tier(10, 2 * _DAY), Tier(60, 90 * _DAY))
"""At one card about 4, 8 and 60 MiB when full (``tests/benchmarks/daemon_day.py`` prints what a day takes)."""

EPISODES_KEPT = 365 * _DAY
MOST_EPISODES = 10_000
MOST_BYTES = 256 * 2**20
"""Size of the file from which the oldest readings go before their time."""

_AHEAD = _DAY
"""Seconds that a reading may lie in the future before it is taken for one of a wrong clock."""


def create(connection: sqlite3.Connection) -> None:
    """Make the tables in an empty file."""
    # Before the first table: an emptied page can then be given back without rewriting the whole file.
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    # One transaction: a file is never seen with half of its tables.
    connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {VERSION}; COMMIT;")


def roll_up(connection: sqlite3.Connection, upto: float, done: dict[int, int]) -> None:
    """Join the samples of every span that ended before ``upto`` and was not joined yet.

    ``done`` remembers the end of the last joined span by length, in milliseconds; ``done_before`` begins it.
    """
    for tier in TIERS[1:]:
        width = tier.span * 1000
        end = int(upto * 1000) // width * width
        begin = done[tier.span]
        if begin > end:  # the clock was put back
            begin = end - width
        if begin >= end:
            continue
        spans: dict[int, list[dict[int, float]]] = {}
        rows = connection.execute(
            "SELECT at, figures FROM reading WHERE span = ? AND at >= ? AND at < ?", (SINGLE, begin, end)
        )
        for at, content in rows:
            spans.setdefault(at // width * width, []).append(unpack_one(content))
        connection.executemany(
            "INSERT OR REPLACE INTO reading VALUES (?, ?, ?)",
            [(tier.span, at, pack_joined(join(samples))) for at, samples in spans.items()],
        )
        done[tier.span] = end


def done_before(connection: sqlite3.Connection, now: float) -> dict[int, int]:
    """The end of the last span that was joined, for each length, in milliseconds; 0 for none."""
    found = {}
    for tier in TIERS[1:]:
        newest = connection.execute(
            "SELECT max(at) FROM reading WHERE span = ? AND at < ?", (tier.span, int(now * 1000))
        ).fetchone()[0]
        found[tier.span] = 0 if newest is None else newest + tier.span * 1000
    return found


def prune(connection: sqlite3.Connection, now: float, most_bytes: int = MOST_BYTES) -> None:
    """Throw away what is too old, too much, or of a clock that ran ahead."""
    for tier in TIERS:
        connection.execute(
            "DELETE FROM reading WHERE span = ? AND (at < ? OR at > ?)",
            (tier.span, int((now - tier.keep) * 1000), int((now + _AHEAD) * 1000)),
        )
    connection.execute(
        "DELETE FROM episode WHERE ended IS NOT NULL AND (ended < ? OR id IN "
        "(SELECT id FROM episode ORDER BY began DESC LIMIT -1 OFFSET ?))",
        (now - EPISODES_KEPT, MOST_EPISODES),
    )
    while used_bytes(connection) > most_bytes and _drop_oldest_quarter(connection):
        pass


def _drop_oldest_quarter(connection: sqlite3.Connection) -> bool:
    """Of the length that takes the most rows. False if nothing is left to drop."""
    counts = connection.execute("SELECT span, count(*) FROM reading GROUP BY span").fetchall()
    if not counts:
        return False
    span, count = max(counts, key=lambda pair: pair[1])
    dropped = connection.execute(
        "DELETE FROM reading WHERE span = ? AND at <= "
        "(SELECT at FROM reading WHERE span = ? ORDER BY at LIMIT 1 OFFSET ?)",
        (span, span, count // 4),
    )
    return dropped.rowcount > 0


def used_bytes(connection: sqlite3.Connection) -> int:
    """Bytes of the file that hold something; the rest is given back later."""
    pages, free, size = (
        int(connection.execute(f"PRAGMA {name}").fetchone()[0])
        for name in ("page_count", "freelist_count", "page_size")
    )
    return (pages - free) * size
