"""Samples as JSON lines: ``sdoctor.sample/1``, and recordings of them with a header, ``sdoctor.trace/1``.

What is not known is left out of a line: a reader must not take an absent counter for zero.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from doctor.errors import UsageError
from doctor.telemetry.sample import Sample

SAMPLE_SCHEMA = "sdoctor.sample/1"
TRACE_SCHEMA = "sdoctor.trace/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The first line of a recording."""

    schema: str = TRACE_SCHEMA
    interval: float
    """Seconds between samples, as asked for."""
    pid: int | None = None
    system: str = ""
    note: str = ""
    """What was going on, for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A recording that was read back."""

    header: Header | None
    """None if the file is a stream of ``monitor --json``, which has no header."""
    samples: tuple[Sample, ...]
    torn: bool = False
    """Whether the last line was cut off, as by a full disk or a lost power supply."""


def encode_sample(sample: Sample, **more: Any) -> bytes:
    """One line without its end; ``more`` are further fields of the document."""
    document = without_none(msgspec.to_builtins(sample))
    return msgspec.json.encode({"schema": SAMPLE_SCHEMA, **document, **more})


class Recorder:
    """Writes a recording, line by line, so that a crash costs one sample at most."""

    def __init__(self, file: BinaryIO, interval: float, pid: int | None = None, note: str = "") -> None:
        self._file = file
        header = Header(interval=interval, pid=pid, system=platform.platform(), note=note)
        self._line(msgspec.json.encode(without_none(msgspec.to_builtins(header))))

    def add(self, sample: Sample) -> None:
        """Append one sample. Raises OSError if the disk is full."""
        self._line(encode_sample(sample))

    def _line(self, line: bytes) -> None:
        self._file.write(line + b"\n")
        self._file.flush()


def write_recording(path: Path, samples: Sequence[Sample], interval: float = 1.0, note: str = "") -> None:
    """A whole recording at once."""
    with path.open("wb") as file:
        recorder = Recorder(file, interval, note=note)
        for sample in samples:
            recorder.add(sample)


def read_recording(path: Path) -> Recording:
    """Read a recording, or what ``monitor --json`` printed. Raises UsageError if it is neither."""
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise UsageError(f"The recording {path} cannot be read: {error.strerror}.") from None
    header, samples, torn = _decode(path, [line for line in lines if line.strip()])
    if not samples and header is None:
        raise UsageError(f"{path} is no recording of sdoctor: it holds no line of {SAMPLE_SCHEMA}.")
    return Recording(header=header, samples=samples, torn=torn)


def _decode(path: Path, lines: Sequence[bytes]) -> tuple[Header | None, tuple[Sample, ...], bool]:
    header: Header | None = None
    samples: list[Sample] = []
    for number, line in enumerate(lines, 1):
        try:
            kind = msgspec.json.decode(line, type=_Kind).schema
            if kind == TRACE_SCHEMA and header is None:
                header = msgspec.json.decode(line, type=Header)
            elif kind == SAMPLE_SCHEMA:
                samples.append(msgspec.json.decode(line, type=Sample))
            else:
                raise UsageError(f"Line {number} of {path} is a '{kind}', which this sdoctor does not know.")
        except msgspec.DecodeError as error:
            if number == len(lines) and number > 1:
                return header, tuple(samples), True
            raise UsageError(f"Line {number} of {path} is no sample of sdoctor: {error}.") from None
    return header, tuple(samples), False


class _Kind(msgspec.Struct):
    schema: str


def without_none(value: Any) -> Any:
    """The same document without the fields that are None. Places in a list stay: they are counted."""
    if isinstance(value, dict):
        return {name: without_none(each) for name, each in value.items() if each is not None}
    if isinstance(value, list | tuple):
        return [without_none(each) for each in value]
    return value


def intervals(samples: Iterable[Sample]) -> Iterable[float]:
    """Seconds to wait before each sample when they are played again; 0 for the first."""
    before: float | None = None
    for sample in samples:
        yield 0.0 if before is None else max(0.0, sample.at - before)
        before = sample.at
