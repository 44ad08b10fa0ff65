"""One study of the daemon's: a process group that can be ended at any moment."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

from tuner.idleness import Own
from tuner.lifeline import owned

_FAMILY_SECONDS = 5.0
"""How often it is looked which children the study has: finding them means reading every process."""

_END_SECONDS = 3.0
_LAST_BYTES = 4096


class KeptStudy:
    """Starts a command in a group of its own. Start it in a thread that lives as long as the study shall."""

    def __init__(self, model: str, command: tuple[str, ...], log: Path) -> None:
        """What it prints goes to ``log``, in place of what the last one printed. Raises OSError."""
        self.model = model
        self._log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as file:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                env=owned(),
                start_new_session=True,
            )
        self._family: dict[int, psutil.Process] = {}
        self._family_at = float("-inf")
        self._spent: dict[int, float] = {}
        self._read_at: float | None = None

    @property
    def pid(self) -> int:
        """Of the command, and of its group."""
        return self._process.pid

    def owns(self, pid: int) -> bool:
        """Whether a process belongs to it."""
        if sys.platform == "win32":
            return pid in self._family
        try:
            return os.getpgid(pid) == self.pid
        except (ProcessLookupError, PermissionError):
            return False

    def poll(self) -> int | None:
        """The exit code; None while it runs."""
        return self._process.poll()

    def kill(self) -> None:
        """End the whole group at once. Its journal holds every trial that ended."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if sys.platform == "win32":
                self._process.kill()
            else:
                os.killpg(self._process.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_SECONDS)

    def own(self) -> Own:
        """What it uses since the last time that this was asked."""
        now = time.monotonic()
        if now - self._family_at >= _FAMILY_SECONDS:
            self._family_at = now
            self._find_family()
        spent: dict[int, float] = {}
        for pid, process in self._family.items():
            with contextlib.suppress(psutil.Error):
                times = process.cpu_times()
                spent[pid] = times.user + times.system
        used = sum(value - self._spent.get(pid, 0.0) for pid, value in spent.items())
        before, self._read_at, self._spent = self._read_at, now, spent
        span = now - before if before is not None else 0.0
        return Own(
            pids=frozenset(self._family), cpu_percent=100.0 * max(0.0, used) / span if span > 0 else 1e9
        )

    def last_words(self) -> str:
        """The last line that it printed; "" if it printed none."""
        try:
            text = self._log.read_bytes()[-_LAST_BYTES:].decode(errors="replace")
        except OSError:
            return ""
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return lines[-1].removeprefix("sdoctor: ") if lines else ""

    def _find_family(self) -> None:
        with contextlib.suppress(psutil.Error):
            first = self._family.get(self.pid) or psutil.Process(self.pid)
            found = (first, *first.children(recursive=True))
            self._family = {each.pid: self._family.get(each.pid, each) for each in found}
