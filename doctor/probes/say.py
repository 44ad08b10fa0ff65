"""What a measurement in a child process has to say, as lines of JSON that its parent reads.

Each line is written as soon as it is known: what was measured before a crash is kept.

    {"ready": true}                                     everything is imported; waiting for a line on standard input
    {"during": "flash"}                                 what is being done now
    {"value": {"name", "value", "unit", "device"}}
    {"note": {"name", "text"}}
    {"inapplicable": "..."}                             there is nothing to measure, and why
    {"error": "..."}                                    a Python exception, with those that led to it
    {"done": true}
"""

from __future__ import annotations

import json
from typing import TextIO


class NotApplicable(Exception):
    """There is nothing to measure here; the text says why."""


class Say:
    """Writes the lines."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def line(self, **content: object) -> None:
        """One line of any kind."""
        self._stream.write(json.dumps(content) + "\n")
        self._stream.flush()

    def during(self, what: str) -> None:
        """What is about to be done, in case it never ends."""
        self.line(during=what)

    def value(self, name: str, value: float, unit: str, device: str | None = None) -> None:
        """A figure."""
        self.line(value={"name": name, "value": value, "unit": unit, "device": device})

    def note(self, name: str, text: str) -> None:
        """Words."""
        self.line(note={"name": name, "text": text})
