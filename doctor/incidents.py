"""Incidents: what went wrong in use and what was done about it, one line of JSON each, only ever appended.

A line is written by one call to the operating system in append mode, so lines of several programs do not mix.
A line that was cut off (power, full disk) is skipped by the reader and does not harm the next one.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import msgspec

from doctor.paths import data_dir

SCHEMA = "sdoctor.incident/1"
OUT_OF_MEMORY = "out_of_memory"


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """One run that did not go as it should. Bytes, pixels; None where it is not known."""

    schema: str = SCHEMA
    at: str
    """ISO 8601, UTC."""
    kind: str
    """What happened: "out_of_memory"."""
    source: str
    """What was running: "generate", or "script" for a user's own program."""
    model: str
    device: str
    phase: str | None = None
    """The phase of the generation that failed."""
    width: int | None = None
    height: int | None = None
    batch: int | None = None
    budget_bytes: int | None = None
    settings: str = ""
    """The settings that failed, in words."""
    next_settings: str | None = None
    """What was tried instead; None if there was nothing left to try."""
    message: str = ""
    profile: str | None = None
    """Path of the profile that was followed."""


def incidents_file() -> Path:
    """Where incidents are kept."""
    return data_dir() / "incidents.jsonl"


def record(incident: Incident) -> None:
    """Append an incident. Raises OSError if the disk refuses."""
    path = incidents_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    line = msgspec.json.encode(incident) + b"\n"
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
    with os.fdopen(descriptor, "r+b", buffering=0) as file:
        if file.seek(0, os.SEEK_END) > 0:
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                line = b"\n" + line
        if file.write(line) != len(line):
            raise OSError(f"{path} was written only in part")
        os.fsync(file.fileno())


def read_incidents() -> tuple[Incident, ...]:
    """All incidents, the oldest first; lines that are torn or of a newer schema are left out. Raises OSError."""
    path = incidents_file()
    if not path.exists():
        return ()
    return tuple(found for line in path.read_bytes().splitlines() if (found := _read(line)) is not None)


def _read(line: bytes) -> Incident | None:
    try:
        incident: Incident = msgspec.json.decode(line, type=Incident)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return incident if incident.schema == SCHEMA else None
