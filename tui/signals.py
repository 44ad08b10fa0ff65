"""Sends a signal to the process that the user saw, and to no other one that took over its number."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass

from doctor.telemetry.processes import ProcessRow, started


@dataclass(frozen=True, slots=True)
class Kind:
    """One signal that can be sent."""

    name: str
    key: str
    about: str

    @property
    def number(self) -> signal.Signals | None:
        """None where this operating system has no such signal."""
        return getattr(signal, self.name, None)


_ALL = (
    Kind("SIGTERM", "t", "asks it to end; it may save its work first"),
    Kind("SIGINT", "i", "what Ctrl-C sends"),
    Kind("SIGKILL", "k", "ends it at once; what it had not saved is lost"),
    Kind("SIGSTOP", "s", "halts it; it keeps its memory"),
    Kind("SIGCONT", "c", "lets a halted one go on"),
)

KINDS = tuple(kind for kind in _ALL if kind.number is not None)
"""Those that this operating system has, the mildest first."""


def send(row: ProcessRow, kind: Kind) -> str:
    """Send it; what came of it, in one sentence. Never raises."""
    number, who = kind.number, f"{row.name} ({row.pid})"
    if number is None:
        return f"This system has no {kind.name}."
    if row.pid == os.getpid():
        return "This is sdoctor itself; q ends it."
    if row.started is None:
        return f"{who} is known by the driver's number only; nothing was sent."
    try:
        _send(row, number)
    except ProcessLookupError:
        return f"{who} has ended already."
    except PermissionError:
        return f"{who} belongs to {row.user or 'another user'}: {kind.name} was refused."
    except OSError as error:
        return f"{kind.name} could not be sent to {who}: {error.strerror}."
    return f"{kind.name} was sent to {who}."


def _send(row: ProcessRow, number: signal.Signals) -> None:
    """Raises ProcessLookupError if the number belongs to a later process by now."""
    if not hasattr(os, "pidfd_open"):
        _must_be_the_same(row)
        os.kill(row.pid, number)
        return
    # The handle names one process for good: it is looked at after it was taken, so no other can come between.
    handle = os.pidfd_open(row.pid)
    try:
        _must_be_the_same(row)
        signal.pidfd_send_signal(handle, number)
    finally:
        os.close(handle)


def _must_be_the_same(row: ProcessRow) -> None:
    if started(row.pid) != row.started:
        raise ProcessLookupError
