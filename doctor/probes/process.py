"""One probe's child process: started, told when its turn has come, ended at its deadline, read to the last line."""

from __future__ import annotations

import contextlib
import json
import math
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from typing import IO, Any

from doctor.facts import ProbeOutcome, ProbeResult, ProbeValue
from doctor.gather.redact import Redactor
from doctor.probes.catalogue import Probe

LONGEST_ERROR = 2000
"""Characters of an error that are kept: the ends of long ones say nothing new."""

_COMMAND = (sys.executable, "-P", "-m", "doctor.probes.child")


@dataclass(slots=True)
class Heard:
    """What the child has said so far."""

    ready: bool = False
    done: bool = False
    values: list[ProbeValue] = field(default_factory=list)
    notes: dict[str, str] = field(default_factory=dict)
    during: str | None = None
    inapplicable: str | None = None
    error: str | None = None

    def take(self, text: bytes) -> None:
        """One line of the child. What is no line of ours is passed over."""
        try:
            line = json.loads(text)
        except (ValueError, RecursionError):
            return
        if not isinstance(line, dict):
            return
        self.ready |= line.get("ready") is True
        self.done |= line.get("done") is True
        self.during = _text(line.get("during")) or self.during
        self.inapplicable = _text(line.get("inapplicable")) or self.inapplicable
        self.error = _text(line.get("error")) or self.error
        value, note = line.get("value"), line.get("note")
        if isinstance(value, dict):
            self._take_value(value)
        if isinstance(note, dict) and isinstance(note.get("name"), str) and isinstance(note.get("text"), str):
            self.notes[note["name"]] = note["text"]

    def _take_value(self, value: dict[str, Any]) -> None:
        name, number, unit, device = (value.get(key) for key in ("name", "value", "unit", "device"))
        # A figure that is not finite is no measurement, and JSON could not hold it.
        if (
            isinstance(name, str)
            and isinstance(unit, str)
            and isinstance(number, int | float)
            and math.isfinite(number)
        ):
            self.values.append(ProbeValue(name=name, value=float(number), unit=unit, device=_text(device)))


class Child:
    """The process of one probe. Its lines arrive in ``news`` as (child, line); None is the end."""

    def __init__(self, probe: Probe, news: queue.Queue[tuple[Child, bytes | None]]) -> None:
        self.probe = probe
        self.heard = Heard()
        self.measuring = False
        self.timed_out = False
        self._news = news
        # A file, not a pipe: nobody has to read it while the child runs.
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  (closed by close)
        self._worked = 0.0
        self._since: float | None = time.monotonic()
        self._process = subprocess.Popen(
            (*_COMMAND, probe.module), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors,
            cwd=tempfile.gettempdir(), start_new_session=True,
        )  # fmt: skip
        threading.Thread(target=self._read, daemon=True).start()

    @property
    def waiting(self) -> bool:
        """Whether it is prepared and waits for its turn."""
        return self.heard.ready and not self.measuring

    @property
    def seconds(self) -> float:
        """Wall time that it worked, without the wait for its turn."""
        return self._worked + (time.monotonic() - self._since if self._since is not None else 0.0)

    @property
    def overdue(self) -> bool:
        """Whether its deadline has passed."""
        return self.seconds > self.probe.deadline

    def hear(self, line: bytes) -> None:
        """Take a line; a child that is ready stops its clock."""
        self.heard.take(line)
        if self.waiting:
            self._stop_clock()

    def go(self) -> None:
        """Its turn has come."""
        self.measuring = True
        self._since = time.monotonic()
        with contextlib.suppress(OSError):  # it may have died while it waited
            assert self._process.stdin is not None
            self._process.stdin.write(b"go\n")
            self._process.stdin.flush()

    def end(self) -> None:
        """Kill it and whatever it started. A process that hangs inside the kernel stays until the kernel lets go."""
        self._stop_clock()
        with contextlib.suppress(OSError):
            if sys.platform == "win32":
                self._process.kill()
            else:
                os.killpg(self._process.pid, signal.SIGKILL)

    def result(self, redactor: Redactor) -> ProbeResult:
        """What came of it, once it has ended or was given up."""
        self._stop_clock()
        code = None
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = self._process.wait(1.0)
        outcome, error = self._ending(code)
        self.close()
        heard = self.heard
        return ProbeResult(
            name=self.probe.name,
            outcome=outcome,
            values=tuple(heard.values),
            notes={name: redactor.text(text)[:LONGEST_ERROR] for name, text in heard.notes.items()},
            during=None if outcome in (ProbeOutcome.OK, ProbeOutcome.NOT_APPLICABLE) else self._during(),
            error=redactor.text(error)[:LONGEST_ERROR] if error else None,
            seconds=round(self._worked, 3),
        )

    def close(self) -> None:
        """Give back what the parent holds of it."""
        with contextlib.suppress(OSError):
            assert self._process.stdin is not None
            self._process.stdin.close()
        self._errors.close()

    def _during(self) -> str:
        return "preparing" if not self.heard.ready else self.heard.during or "measuring"

    def _ending(self, code: int | None) -> tuple[ProbeOutcome, str | None]:
        heard = self.heard
        if self.timed_out:
            return ProbeOutcome.TIMED_OUT, self._last_words()
        if heard.error is not None:
            return ProbeOutcome.FAILED, heard.error
        if heard.inapplicable is not None:
            return ProbeOutcome.NOT_APPLICABLE, heard.inapplicable
        if heard.done:
            return ProbeOutcome.OK, None
        if code is not None and (code < 0 or code > 0x7FFFFFFF):
            # Windows gives exceptions of the system as large exit codes.
            return ProbeOutcome.CRASHED, "\n".join(filter(None, (_ended_by(code), self._last_words())))
        ended = f"ended with exit code {code} and without an answer"
        return ProbeOutcome.FAILED, "\n".join(filter(None, (ended, self._last_words())))

    def _last_words(self) -> str | None:
        """The last lines of its standard error."""
        size = self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, size - 4000))
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return "\n".join(lines[-6:]) or None

    def _stop_clock(self) -> None:
        if self._since is not None:
            self._worked += time.monotonic() - self._since
            self._since = None

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._news.put((self, line))
        self._news.put((self, None))


_TELLING = ("SIGILL", "SIGKILL")
"""Signals whose shell words ("Illegal instruction", "Killed") name a cause: the processor, the memory. A
segmentation fault may be anything."""


def _ended_by(code: int) -> str:
    if code > 0:
        return f"ended by exception {code:#x}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        return f"ended by signal {-code}"
    return f"ended by {name}" + (f"\n{signal.strsignal(-code)}" if name in _TELLING else "")


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
