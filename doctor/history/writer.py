"""History: the one writer. A thread owns the connection; others hand things to it and go on.

How sure it is (sqlite.org/pragma.html#pragma_synchronous, write-ahead log): what was committed survives ``kill -9``
at any setting, since the operating system has it. Against power loss a commit must be synced to the disk (FULL).
Samples are committed every second, and synced with every tenth: a power cut costs ten seconds, and a disk is not made
to sync 86,400 times a day. Incidents, notes and ``flush`` are synced at once.
"""

from __future__ import annotations

import contextlib
import logging
import math
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from doctor.errors import NotInOrder
from doctor.history.episode import Episode
from doctor.history.figures import figures_of, pack_one
from doctor.history.reader import HistoryReader, newer
from doctor.history.tiers import MOST_BYTES, SINGLE, VERSION, create, done_before, prune, roll_up
from doctor.telemetry.sample import Sample

COMMIT_SECONDS = 1.0
"""Age that a sample may reach before it is committed."""

SYNC_SECONDS = 10.0
"""Age that a committed sample may reach before it is synced to the disk."""

PRUNE_SECONDS = 300.0
_WAITING = 4096
"""What may wait for a disk that does not answer; after that samples are lost, and counted."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Sync:
    """Whoever waits for everything before it to be on the disk."""

    done: threading.Event = field(default_factory=threading.Event)
    kept: bool = False


@dataclass(frozen=True, slots=True)
class _Note:
    name: str
    text: str


class _Stop:
    pass


_Item = Sample | Episode | _Note | _Sync | _Stop


class History(HistoryReader):
    """The history, for the one process that writes it. Close it: a thread belongs to it."""

    def __init__(
        self, path: Path, most_bytes: int = MOST_BYTES, clock: Callable[[], float] = time.time
    ) -> None:
        """Opens or makes the file; one that is damaged is set aside. ``clock`` says what is old, in tests.

        Raises NotInOrder if it cannot be written, or was made by a newer sdoctor.
        """
        super().__init__(path)
        self.lost = 0
        """Samples that could not be written."""
        self.trouble = ""
        """Why, in the words of the database; "" while all is well."""
        self._most_bytes = most_bytes
        self._clock = clock
        self._items: queue.Queue[_Item] = queue.Queue(_WAITING)
        self._names: dict[str, int] = {}
        self._synced_at = self._pruned_at = -math.inf
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = self._open_or_set_aside()
        except (OSError, sqlite3.Error) as error:
            raise NotInOrder(f"The history {path} cannot be written ({error}).") from error
        self._thread = threading.Thread(target=self._work, name="history", daemon=True)
        self._thread.start()

    def add_sample(self, sample: Sample) -> None:
        """Remember a sample; it is committed within a second. Never blocks."""
        try:
            self._items.put_nowait(sample)
        except queue.Full:
            self.lost += 1

    def add_incident(self, episode: Episode) -> None:
        """Remember an incident, or a newer state of one with the same id."""
        self._put(episode)

    def leave_note(self, name: str, text: str) -> None:
        """Leave a word for the next start, in place of the one before."""
        self._put(_Note(name, text))

    def _put(self, item: Episode | _Note) -> None:
        try:
            self._items.put(item, timeout=COMMIT_SECONDS)
        except queue.Full:
            self.lost += 1

    def flush(self, seconds: float = 10.0) -> bool:
        """Wait until everything so far is on the disk; False if it is not by then."""
        sync = _Sync()
        try:
            self._items.put(sync, timeout=seconds)
        except queue.Full:
            return False
        return sync.done.wait(seconds) and sync.kept

    def close(self, seconds: float = 5.0) -> None:
        """Write what is left and end. Calling it twice is no error."""
        if self._thread.is_alive():
            with contextlib.suppress(queue.Full):
                self._items.put(_Stop(), timeout=seconds)
            self._thread.join(seconds)

    def _open_or_set_aside(self) -> sqlite3.Connection:
        try:
            return self._open()
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError as error:
            # "file is not a database", "malformed": an old history is worth less than a daemon that watches.
            aside = self.path.with_name(f"{self.path.name}.damaged-{int(time.time())}")
            self.path.rename(aside)
            for ending in ("-wal", "-shm"):
                Path(f"{self.path}{ending}").unlink(missing_ok=True)
            _log.warning("the history was damaged", extra={"error": str(error), "moved_to": str(aside)})
            return self._open()

    def _open(self) -> sqlite3.Connection:
        # The thread is the only one that uses it from its start on.
        connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=5.0)
        try:
            self.path.chmod(0o600)
            connection.execute("PRAGMA cache_size = -512")
            connection.execute("PRAGMA journal_size_limit = 4194304")
            version = int(connection.execute("PRAGMA user_version").fetchone()[0])
            if version > VERSION:
                raise NotInOrder(newer(self.path))
            if version == 0:
                create(connection)
            connection.execute("PRAGMA journal_mode = WAL")
            self._look_up(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _look_up(self, connection: sqlite3.Connection) -> None:
        """What this object remembers of the file."""
        self._names = {text: key for key, text in connection.execute("SELECT id, text FROM name")}
        self._done = done_before(connection, self._clock())

    def _take_back(self) -> None:
        """Undo a transaction that failed; after some errors the database has done so itself."""
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
        self._look_up(self._connection)

    def _work(self) -> None:
        stop = False
        while not stop:
            batch = self._collect()
            stop = any(isinstance(item, _Stop) for item in batch)
            waiting = [item for item in batch if isinstance(item, _Sync)]
            kept = self._write(batch)
            for item in waiting:
                item.kept = kept
                item.done.set()
        self._connection.close()

    def _collect(self) -> list[_Item]:
        """Wait for something, then for what comes within a second; at once if somebody waits for it."""
        batch = [self._items.get()]
        end = time.monotonic() + COMMIT_SECONDS
        while isinstance(batch[-1], Sample):
            try:
                batch.append(self._items.get(timeout=max(0.0, end - time.monotonic())))
            except queue.Empty:
                break
        return batch

    def _write(self, batch: Sequence[_Item]) -> bool:
        samples = [item for item in batch if isinstance(item, Sample)]
        now = time.monotonic()
        sync = len(samples) < len(batch) or now - self._synced_at >= SYNC_SECONDS
        connection = self._connection
        try:
            connection.execute(f"PRAGMA synchronous = {'FULL' if sync else 'NORMAL'}")
            connection.execute("BEGIN IMMEDIATE")
            try:
                self._insert(samples, batch)
                connection.execute("COMMIT")
            except BaseException:
                self._take_back()
                raise
            if sync:
                self._synced_at = now
            # Either way: a clock may be put back.
            if abs(self._clock() - self._pruned_at) >= PRUNE_SECONDS:
                self._pruned_at = self._clock()
                self._tidy()
        except sqlite3.Error as error:
            return self._failed(batch, samples, error)
        if self.trouble:
            _log.info("the history can be written again", extra={"lost": self.lost})
        self.trouble = ""
        return True

    def _failed(self, batch: Sequence[_Item], samples: Sequence[Sample], error: sqlite3.Error) -> bool:
        """Samples are lost, and counted; what happens once is tried again with the next ones."""
        if not self.trouble:
            _log.warning("the history cannot be written", extra={"error": str(error), "path": str(self.path)})
        self.trouble = str(error)
        self.lost += len(samples)
        if not any(isinstance(item, _Stop) for item in batch):
            for item in batch:
                if isinstance(item, Episode | _Note) and not self._items.full():
                    self._items.put_nowait(item)
            time.sleep(min(COMMIT_SECONDS, 0.2))
        return False

    def _insert(self, samples: Sequence[Sample], batch: Sequence[_Item]) -> None:
        connection = self._connection
        rows = [(SINGLE, _milliseconds(sample, self._clock), self._pack(sample)) for sample in samples]
        connection.executemany("INSERT OR REPLACE INTO reading VALUES (?, ?, ?)", rows)
        for item in batch:
            if isinstance(item, Episode):
                connection.execute(
                    "INSERT OR REPLACE INTO episode VALUES (?, ?, ?, ?, ?)",
                    (item.id, item.kind, item.began, item.ended, msgspec.json.encode(item)),
                )
            elif isinstance(item, _Note):
                connection.execute("INSERT OR REPLACE INTO note VALUES (?, ?)", (item.name, item.text))
        if rows:
            roll_up(connection, rows[-1][1] / 1000, self._done)

    def _pack(self, sample: Sample) -> bytes:
        return pack_one(
            {
                self._number(name): value
                for name, value in figures_of(sample).items()
                if math.isfinite(value) and abs(value) < 1e38
            }
        )

    def _number(self, name: str) -> int:
        known = self._names.get(name)
        if known is None:
            known = self._names[name] = len(self._names) + 1
            self._connection.execute("INSERT INTO name VALUES (?, ?)", (known, name))
        return known

    def _tidy(self) -> None:
        """Throw away what is too old, and give the space back a little at a time."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            prune(self._connection, self._clock(), self._most_bytes)
            self._connection.execute("COMMIT")
        except BaseException:
            self._take_back()
            raise
        self._connection.execute("PRAGMA incremental_vacuum(1024)").fetchall()


def _milliseconds(sample: Sample, clock: Callable[[], float]) -> int:
    return int((clock() if sample.clock is None else sample.clock) * 1000)
