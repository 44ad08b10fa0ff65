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
        self._spent = 0.0
        self._read_at: float | None = None

    @property
    def pid(self) -> int:
        """Of the command, and of its group."""
        return self._process.pid

    def owns(self, pid: int) -> bool:
        """Whether a process belongs to it."""
        if sys.platform == "win32":
            self.look()
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

    def look(self) -> None:
        """Find out anew which processes belong to it. This reads every process of the machine."""
        with contextlib.suppress(psutil.Error):
            first = self._family.get(self.pid) or psutil.Process(self.pid)
            found = (first, *first.children(recursive=True))
            self._family = {each.pid: self._family.get(each.pid, each) for each in found}

    def own(self) -> Own:
        """What the processes that it is known to have used since ``settle``."""
        if self._read_at is None:
            return Own(pids=frozenset(self._family), cpu_percent=1e9)
        span = time.monotonic() - self._read_at
        used = max(0.0, self._seconds() - self._spent)
        return Own(pids=frozenset(self._family), cpu_percent=100.0 * used / span if span > 0 else 1e9)

    def settle(self) -> None:
        """What was used until now is accounted for."""
        self._spent, self._read_at = self._seconds(), time.monotonic()

    def _seconds(self) -> float:
        """Processor time of the family since it began, with that of its children that ended."""
        spent = 0.0
        for process in self._family.values():
            with contextlib.suppress(psutil.Error):
                # A worker that ends takes nothing away: its time moves to the parent that waited for it.
                spent += sum(process.cpu_times()[:4])
        return spent

    def last_words(self) -> str:
        """The last line that it printed; "" if it printed none."""
        try:
            text = self._log.read_bytes()[-_LAST_BYTES:].decode(errors="replace")
        except OSError:
            return ""
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return lines[-1].removeprefix("sdoctor: ") if lines else ""
