"""Question: what a study is asked, as far as its answer depends on it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import msgspec

from tuner.fingerprint import Fingerprint


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """The model and the options that decide which runs are made. Pixels, bytes, seconds; None: left open."""

    model: str
    model_state: str
    """Stands for the model's files; "" where they are part of sdoctor or not here."""
    device: str
    memory: int | None
    """The budget that was asked for; None takes what is free."""
    size: str | None
    steps: int
    batch: int
    step: int
    max_size: int
    goal: str
    shapes: tuple[tuple[int, int], ...]
    max_batch: int | None
    lossy: bool
    run_limit: float
    low_memory: bool = False

    def key(self, fingerprint: Fingerprint) -> str:
        """Twelve hexadecimal digits that stand for this question on that machine."""
        return hashlib.sha256(msgspec.json.encode((self, fingerprint))).hexdigest()[:12]

    def differences(self, other: Question) -> list[str]:
        """What differs, in words: "steps 8 instead of 4" (other's value first)."""
        return [
            f"{name.replace('_', '-')} {getattr(other, name)} instead of {getattr(self, name)}"
            for name in self.__dataclass_fields__
            if name != "model_state" and getattr(self, name) != getattr(other, name)
        ] + (["other model files"] if self.model_state != other.model_state else [])


def state_of_files(path: Path | None) -> str:
    """Stands for the files of a model by their names, lengths and times; "" if there are none. Reads no weights."""
    if path is None or not path.exists():
        return ""
    files = [path] if path.is_file() else sorted(item for item in path.rglob("*") if item.is_file())
    digest = hashlib.sha256()
    for item in files:
        about = item.stat()
        name = item.name if path.is_file() else item.relative_to(path).as_posix()
        digest.update(f"{name}\n{about.st_size}\n{about.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:12]
