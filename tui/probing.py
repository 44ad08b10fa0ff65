"""Runs the live probes for ``sdoctor check``, with a line on standard error that tells what is being done."""

from __future__ import annotations

import os
import shutil
import sys
import time
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from doctor.facts import Facts


def probed(facts: Facts) -> Facts:
    """``facts`` with the live probes' results. Takes seconds."""
    from doctor.probes.run import probe_machine

    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        return probe_machine(facts)
    line = Line(sys.stderr)
    try:
        return probe_machine(facts, line.show)
    finally:
        line.clear()


class Line:
    """One line on a terminal, written over itself."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._started = time.monotonic()
        self._width = 0

    def show(self, doing: str, ended: int, count: int) -> None:
        """Say what is being done, how many probes have ended, and of how many."""
        seconds = time.monotonic() - self._started
        self._write(f"Probing this machine: {ended} of {count}, {seconds:.0f} s, {doing} ...")

    def clear(self) -> None:
        """Leave nothing behind."""
        # The terminal may have added "^C" to it.
        self._write("".ljust(self._width + len("^C")))
        self._stream.write("\r")
        self._stream.flush()

    def _write(self, text: str) -> None:
        # One column less than there are: a full line would make the terminal go to the next.
        text = text[: max(0, shutil.get_terminal_size().columns - 1)]
        self._stream.write("\r" + text.ljust(self._width))
        self._stream.flush()
        self._width = len(text)
