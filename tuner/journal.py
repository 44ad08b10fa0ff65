"""Journal: every trial of a study on disk as soon as it ended, so that a study that was cut off can go on.

One append-only file per question and fingerprint, one line per record. Each line carries a checksum and is synced
before the study goes on: whatever ends sdoctor or the machine, at most the line being written is lost.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from doctor.paths import data_dir
from tuner.fingerprint import Fingerprint
from tuner.probe import Trial
from tuner.question import Question

SCHEMA = "sdoctor.journal/1"


class Begun(msgspec.Struct, tag="begun", frozen=True, kw_only=True):
    """A study began, or went on."""

    question: Question
    fingerprint: Fingerprint
    budget: int | None
    """Bytes that its workers could use."""
    at: str
    """ISO 8601, UTC."""
    schema: str = SCHEMA


class Ran(msgspec.Struct, tag="ran", frozen=True, kw_only=True):
    """A trial ended."""

    trial: Trial
    budget: int | None


class Ended(msgspec.Struct, tag="ended", frozen=True, kw_only=True):
    """The study answered its question."""


Record = Begun | Ran | Ended


class _Line(msgspec.Struct, frozen=True, kw_only=True):
    crc: int
    """CRC-32 of the record's bytes: a flipped bit in a figure would be valid JSON."""
    record: msgspec.Raw


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What a journal holds."""

    ran: tuple[Ran, ...] = ()
    begun: Begun | None = None
    """The newest beginning; None if it is lost."""
    budget: int | None = None
    """The budget that the study had last."""
    complete: bool = False
    damaged: int = 0
    """Lines that could not be read; a torn last one is not counted, since that is how a cut-off study ends."""
    good_bytes: int = 0
    """Length of the file up to its last whole line."""

    @property
    def trials(self) -> tuple[Trial, ...]:
        """The trials in the order in which they ended."""
        return tuple(record.trial for record in self.ran)


def journals_dir() -> Path:
    """Where journals are kept."""
    return data_dir() / "journals"


def journal_path(question: Question, fingerprint: Fingerprint) -> Path:
    """The file of one question on one fingerprint."""
    return journals_dir() / f"{question.key(fingerprint)}.jsonl"


def read(path: Path) -> Kept:
    """Everything that can be read of a journal; nothing if there is none. Raises OSError."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return Kept()
    good = content.rfind(b"\n") + 1
    records: list[Record] = []
    damaged = 0
    for line in content[:good].splitlines():
        record = _decode(line)
        if record is None:
            damaged += 1
        else:
            records.append(record)
    ran = [record for record in records if isinstance(record, Ran)]
    begun = [record for record in records if isinstance(record, Begun)]
    budgets = [record.budget for record in records if not isinstance(record, Ended)]
    return Kept(
        ran=tuple(ran),
        begun=begun[-1] if begun else None,
        budget=budgets[-1] if budgets else None,
        complete=bool(records) and isinstance(records[-1], Ended) and not damaged,
        damaged=damaged,
        good_bytes=good,
    )


def _decode(line: bytes) -> Record | None:
    try:
        outer = msgspec.json.decode(line, type=_Line)
        if zlib.crc32(outer.record) != outer.crc:
            return None
        record: Record = msgspec.json.decode(outer.record, type=Record)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    if isinstance(record, Begun) and record.schema != SCHEMA:
        return None
    return record


def _encode(record: Record) -> bytes:
    raw = msgspec.json.encode(record)
    return msgspec.json.encode(_Line(crc=zlib.crc32(raw), record=msgspec.Raw(raw))) + b"\n"


def others_of(model: str, but: Path) -> Iterator[tuple[Path, Kept]]:
    """Unfinished journals of the same model that are for another question or machine, the newest first."""
    found = [path for path in journals_dir().glob("*.jsonl") if path != but]
    for path in sorted(found, key=_age):
        try:
            kept = read(path)
        except OSError:
            continue
        if kept.begun is not None and kept.begun.question.model == model and not kept.complete:
            yield path, kept


def _age(path: Path) -> float:
    try:
        return -path.stat().st_mtime
    except OSError:
        return 0.0


class Journal:
    """Appends records to one file. A disk that refuses never stops a study: what is missing is written later.

    Only one process may write a journal; ``open`` raises BlockingIOError for the second.
    """

    def __init__(self, path: Path, length: int) -> None:
        """Open for appending after the first ``length`` bytes; the rest is cut off. Raises OSError."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            _lock(self._descriptor)
            os.ftruncate(self._descriptor, length)
            _sync_folder(path.parent)
        except BaseException:
            os.close(self._descriptor)
            raise
        self._length = length
        self._waiting = b""

    def append(self, record: Record) -> None:
        """Write one record, after those that could not be written before, and wait for the disk. Raises OSError."""
        self._waiting += _encode(record)
        try:
            # A write that was refused halfway has left a torn line: begin at the end of the last whole one.
            os.ftruncate(self._descriptor, self._length)
            os.lseek(self._descriptor, self._length, os.SEEK_SET)
            rest = self._waiting
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
            os.fsync(self._descriptor)
        except OSError:
            self._try_to_cut()
            raise
        self._length += len(self._waiting)
        self._waiting = b""

    def _try_to_cut(self) -> None:
        """Take a torn line away again, so that the file stays whole; if even that fails, reading drops it."""
        try:
            os.ftruncate(self._descriptor, self._length)
        except OSError:
            return

    def close(self) -> None:
        """Let the file go. May be called again."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _lock(descriptor: int) -> None:
    """Take the file for this process; the kernel lets it go when the process ends in whatever way."""
    try:
        import fcntl
    except ImportError:  # Windows has no such lock; two studies of one question at a time are rare
        return
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _sync_folder(folder: Path) -> None:
    """Have the file's name on the disk too. Windows cannot open folders."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
