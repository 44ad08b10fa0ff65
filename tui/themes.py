"""The theme that the user chose in the command palette, kept for the next time."""

from __future__ import annotations

import json
from pathlib import Path

from doctor.paths import state_dir, write_atomically

_LONGEST_FILE = 4096
"""Bytes. A longer file is not one that this module wrote; it is not read."""


def looks_file() -> Path:
    """Where it is kept."""
    return state_dir() / "looks.json"


def remembered_theme() -> str | None:
    """The name that was kept; None if there is none that can be read. The theme may not exist any more."""
    path = looks_file()
    try:
        if path.stat().st_size > _LONGEST_FILE:
            return None
        looks = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    name = looks.get("theme") if isinstance(looks, dict) else None
    return name if isinstance(name, str) else None


def remember_theme(name: str) -> None:
    """Keep the name. A disk that refuses costs the memory, never the session."""
    try:
        write_atomically(looks_file(), json.dumps({"theme": name}).encode())
    except OSError:
        return
