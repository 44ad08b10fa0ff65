"""What ``sdoctor check --json`` found last, asked again when it is old. The check runs in a program of its own, so that
what it reads does not stay in the daemon's memory.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from doctor.daemon.api.route import Refused

OLD_SECONDS = 300.0
"""A driver or torch that was changed is seen after this long, or with ``?fresh=true`` at once."""

_PATIENCE = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """One examination of the machine."""

    at: float
    """Seconds since 1970."""
    facts: dict[str, Any]
    findings: list[dict[str, Any]]
    summary: dict[str, int]


def check_command() -> tuple[str, ...]:
    """The command line of this installation."""
    return (sys.executable, "-P", "-m", "tui", "check", "--json")


class CheckMemory:
    """Remembers the last examination. Any number of threads may ask; only one of them runs the check."""

    def __init__(self, command: tuple[str, ...], now: Callable[[], float] = time.time) -> None:
        self._command = command
        self._now = now
        self._lock = threading.Lock()
        self._last: Checked | None = None

    def ask(self, fresh: bool = False) -> Checked:
        """The examination. Raises Refused (503) if the check does not work."""
        began = self._now()
        with self._lock:
            last = self._last
            # Whoever waited for another's check takes that one's result.
            if last is not None and (last.at >= began or (not fresh and 0 <= began - last.at < OLD_SECONDS)):
                return last
            self._last = self._run()
            return self._last

    def _run(self) -> Checked:
        try:
            done = subprocess.run(
                self._command, capture_output=True, timeout=_PATIENCE, check=False, stdin=subprocess.DEVNULL
            )
            found = msgspec.json.decode(done.stdout, type=_Document)
        except (OSError, subprocess.TimeoutExpired, msgspec.DecodeError) as error:
            raise Refused(
                503, f"The check did not work ({error}); 'sdoctor check' may say why.", wait_seconds=30.0
            ) from error
        return Checked(at=self._now(), facts=found.facts, findings=found.findings, summary=found.summary)


class _Document(msgspec.Struct):
    """What is read of the check's document."""

    facts: dict[str, Any]
    findings: list[dict[str, Any]]
    summary: dict[str, int]
