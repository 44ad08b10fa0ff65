"""NVIDIA cards read in a child process: a driver that hangs or crashes takes the child, not the caller.

A card that falls off the bus has hung and crashed monitors (aristocratos/btop#1612, XuehaiPan/nvitop#139).
"""

from __future__ import annotations

import contextlib
import queue
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass

from doctor.telemetry.nvml_library import library_present
from doctor.telemetry.sample import GpuSample

PATIENCE = 0.5
"""Seconds that one reading may hold up the sample. An answer takes 1 to 50 ms."""

START_PATIENCE = 5.0
"""Seconds for the first answer: a driver without persistence daemon starts its cards first."""

GIVE_UP = 15.0
"""Seconds without an answer after which the child is replaced."""

RESTART = 5.0
"""Seconds between two starts of a child."""


@dataclass(frozen=True, slots=True)
class _Answer:
    gpus: tuple[GpuSample, ...] | None = None
    error: str | None = None


class GpuChild:
    """Asks a child for the cards; starts another one when it dies or hangs."""

    def __init__(self, command: tuple[str, ...] | None = None, present: bool | None = None) -> None:
        """``command`` is the child's, ``present`` whether there is a driver to be asked; both for tests."""
        self._command = command or (sys.executable, "-P", "-m", "doctor.telemetry.nvml_child")
        self._present = library_present() if present is None else present
        self._child: subprocess.Popen[bytes] | None = None
        self._answers: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._started = -RESTART
        self._asked_at: float | None = None
        self._first = True
        self._why: str | None = None

    @property
    def pid(self) -> int | None:
        """Process id of the child, if one runs."""
        return None if self._child is None else self._child.pid

    def read(self) -> tuple[tuple[GpuSample, ...] | None, str | None]:
        """(cards, None); ((), None) where no driver is installed; (None, why) where it gives no answer."""
        if not self._present:
            return (), None
        if not self._ready():
            return None, self._why
        assert self._child is not None
        if self._asked_at is None and not self._ask():
            return None, self._why
        line = self._wait(START_PATIENCE if self._first else PATIENCE)
        return self._take(line)

    def close(self) -> None:
        """End the child. One that hangs inside the kernel is left to it."""
        child, self._child = self._child, None
        if child is not None:
            child.kill()

    def _ready(self) -> bool:
        """Whether a child runs; starts one unless the last one was started a moment ago."""
        if self._child is not None and self._child.poll() is None:
            return True
        if self._child is not None:
            self._why = f"asking the driver ended with code {self._child.returncode}"
            self._child = None
        if time.monotonic() - self._started < RESTART:
            return False
        self._started, self._asked_at, self._first = time.monotonic(), None, True
        self._answers = queue.SimpleQueue()
        self._child = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=tempfile.gettempdir(),
        )
        threading.Thread(target=_listen, args=(self._child, self._answers), daemon=True).start()
        return True

    def _ask(self) -> bool:
        assert self._child is not None and self._child.stdin is not None
        try:
            self._child.stdin.write(b"\n")
            self._child.stdin.flush()
        except OSError as error:
            self._why = str(error)
            return False
        self._asked_at = time.monotonic()
        return True

    def _wait(self, seconds: float) -> bytes | None:
        """The next line; None if none came in time, b"" at the child's end."""
        try:
            return self._answers.get(timeout=seconds)
        except queue.Empty:
            return None

    def _take(self, line: bytes | None) -> tuple[tuple[GpuSample, ...] | None, str | None]:
        assert self._child is not None
        if line:
            # Loaded where there is a driver only: it is not cheap.
            import msgspec

            self._asked_at, self._first = None, False
            try:
                answer = msgspec.json.decode(line, type=_Answer)
            except msgspec.DecodeError as error:
                return None, f"the driver's answer cannot be read: {error}"
            return answer.gpus, answer.error
        if line == b"":
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._child.wait(PATIENCE)
            self._why = f"asking the driver ended with code {self._child.returncode}"
            self._child = None
            return None, self._why
        silent = time.monotonic() - (self._asked_at or self._started)
        self._why = f"the driver has not answered for {silent:.1f} s"
        if silent > GIVE_UP:
            self.close()
        return None, self._why


def _listen(child: subprocess.Popen[bytes], answers: queue.SimpleQueue[bytes]) -> None:
    """Pass the child's lines on, then an empty one."""
    assert child.stdout is not None
    for line in child.stdout:
        answers.put(line)
    answers.put(b"")
