"""The prompts that were typed, newest last: kept between sessions, for the up and down keys of the prompt box."""

from __future__ import annotations

import json
from pathlib import Path

from doctor.paths import state_dir, write_atomically

MOST = 500
"""Prompts kept; the oldest go first."""
_LONGEST_FILE = 4 << 20
"""Bytes. A larger file is not one that this module wrote; it is not read."""


def history_file() -> Path:
    """Where the prompts are kept, readable by the user only."""
    return state_dir() / "prompts.jsonl"


class PromptHistory:
    """A list with a cursor. A file that cannot be read or written costs the history, never the picture."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path or history_file()
        self._prompts = _read(self._path)
        self._at = len(self._prompts)
        self._draft = ""

    @property
    def prompts(self) -> tuple[str, ...]:
        """All that is kept, oldest first."""
        return tuple(self._prompts)

    def add(self, prompt: str) -> None:
        """Remember ``prompt`` as the newest; one that was there before moves."""
        # Another session may have written meanwhile.
        self._prompts = [old for old in _read(self._path) or self._prompts if old != prompt][-(MOST - 1) :]
        self._prompts.append(prompt)
        self._at, self._draft = len(self._prompts), ""
        lines = "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in self._prompts)
        try:
            write_atomically(self._path, lines.encode(), private=True)
        except OSError:
            return

    def older(self, typed: str) -> str | None:
        """The prompt before the one shown; None at the oldest. ``typed`` comes back after the newest."""
        if self._at == 0:
            return None
        if self._at == len(self._prompts):
            self._draft = typed
        self._at -= 1
        return self._prompts[self._at]

    def newer(self) -> str | None:
        """The prompt after the one shown, at last what was being typed; None if that is shown already."""
        if self._at == len(self._prompts):
            return None
        self._at += 1
        return self._draft if self._at == len(self._prompts) else self._prompts[self._at]


def _read(path: Path) -> list[str]:
    try:
        if path.stat().st_size > _LONGEST_FILE:
            return []
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        try:
            prompt = json.loads(line)
        except ValueError:
            continue  # a line cut off by a full disk
        if isinstance(prompt, str) and prompt:
            found.append(prompt)
    return found[-MOST:]
