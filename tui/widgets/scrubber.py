"""Scrubber: where in the history one looks, with marks of what happened; a click goes there."""

from __future__ import annotations

from textual import events
from textual.content import Content
from textual.message import Message
from textual.widget import Widget

_TRACK, _MARK, _HEAD = "─", "!", "█"


class Scrubber(Widget):
    """One line, from the oldest sample that is kept to the newest."""

    DEFAULT_CSS = "Scrubber { height: 1; padding: 0 1; color: $text-muted; }"

    class Wanted(Message):
        """The user clicked at this part of the whole."""

        def __init__(self, share: float) -> None:
            super().__init__()
            self.share = share

    def __init__(self, id: str) -> None:
        super().__init__(id=id)
        self._head = 1.0
        self._marks: tuple[float, ...] = ()
        self._words = ""

    def show(self, head: float, marks: tuple[float, ...], words: str) -> None:
        """Draw: the head and the marks as parts of the whole (0 the oldest, 1 the newest), words behind."""
        if (head, marks, words) != (self._head, self._marks, self._words):
            self._head, self._marks, self._words = head, marks, words
            self.refresh()

    @property
    def _track(self) -> int:
        return max(2, self.size.width - len(self._words) - 2)

    def render(self) -> Content:
        """The track, and how far behind the newest one looks."""
        track = self._track
        cells = [(_TRACK, "$panel-lighten-2")] * track
        for mark in self._marks:
            cells[round(mark * (track - 1))] = (_MARK, "bold $text-error")
        cells[round(self._head * (track - 1))] = (_HEAD, "$text-accent")
        return Content.assemble(*cells, f"  {self._words}")

    def on_click(self, event: events.Click) -> None:
        """Go there."""
        place = event.get_content_offset(self)
        if place is not None and place.x < self._track:
            self.post_message(self.Wanted(place.x / max(1, self._track - 1)))
