"""What the feed of the monitor tells its screen, as messages; and who carries them from thread to thread."""

from __future__ import annotations

import contextlib

from textual.message import Message
from textual.message_pump import MessagePump

from doctor.telemetry.processes import ProcessRow
from doctor.telemetry.sample import Sample
from tui.timeline import Mark


class Sampled(Message):
    """A new sample."""

    def __init__(self, sample: Sample) -> None:
        super().__init__()
        self.sample = sample


class Listed(Message):
    """A new list of processes."""

    def __init__(self, rows: tuple[ProcessRow, ...]) -> None:
        super().__init__()
        self.rows = rows


class Marked(Message):
    """All incidents that are known now."""

    def __init__(self, marks: tuple[Mark, ...]) -> None:
        super().__init__()
        self.marks = marks


class Failed(Message):
    """Something was lost; the screen goes on."""

    def __init__(self, why: str) -> None:
        super().__init__()
        self.why = why


class Postman:
    """The feed's listener: posts to a screen what it is told in the feed's own thread."""

    def __init__(self, screen: MessagePump) -> None:
        self._screen = screen

    def sampled(self, sample: Sample) -> None:
        """A new sample."""
        self._post(Sampled(sample))

    def listed(self, rows: tuple[ProcessRow, ...]) -> None:
        """A new list of processes."""
        self._post(Listed(rows))

    def marked(self, marks: tuple[Mark, ...]) -> None:
        """New incidents."""
        self._post(Marked(marks))

    def failed(self, why: str) -> None:
        """Something was lost."""
        self._post(Failed(why))

    def _post(self, message: Message) -> None:
        # Raised when the event loop has closed meanwhile: then there is no screen left to tell.
        with contextlib.suppress(RuntimeError):
            self._screen.post_message(message)
