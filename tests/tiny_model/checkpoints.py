"""Checkpoints that a stopped training goes on from, written so that a crash leaves the last good one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch


class Checkpoint:
    """The state of some modules and optimizers, with the number of steps done."""

    def __init__(self, path: Path, parts: dict[str, Any]) -> None:
        self._path = path
        self._parts = parts

    def load(self) -> int:
        """Restore every part; returns the steps done, 0 if there is no checkpoint."""
        if not self._path.exists():
            return 0
        stored = torch.load(self._path, weights_only=True)
        for name, part in self._parts.items():
            part.load_state_dict(stored[name])
        return int(stored["step"])

    def save(self, step: int) -> None:
        """Write every part, then put the file in place in one move."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._path.with_suffix(".new")
        torch.save({"step": step, **{name: part.state_dict() for name, part in self._parts.items()}}, fresh)
        fresh.replace(self._path)
