"""LogPanel: what happened, line by line, wrapped and scrollable."""

from __future__ import annotations

import textwrap

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.geometry import Size
from textual.widget import Widget

from tui.state import LogLine
from tui.widgets.words import clock, printable

_TONES = {"": "", "note": "$text-warning", "good": "$text-success", "bad": "bold $text-error"}
_INDENT = 7
"""Cells of the clock and the gap after it; wrapped lines begin below the text, not below the clock."""


class LogPanel(VerticalScroll):
    """Follows the newest line unless the reader has scrolled up."""

    def __init__(self, id: str) -> None:
        super().__init__(id=id)
        self.border_title = "log"

    def compose(self) -> ComposeResult:
        """One widget for all lines: there are few, and they come seldom."""
        yield LogLines()

    def show(self, lines: tuple[LogLine, ...]) -> None:
        """Show ``lines``, if they are others than those shown."""
        text = self.query_one(LogLines)
        if lines == text.lines:
            return
        follows = self.is_vertical_scroll_end
        text.show(lines)
        if follows:
            self.scroll_end(animate=False)


class LogLines(Widget):
    """The lines, as high as they need."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: tuple[LogLine, ...] = ()

    def show(self, lines: tuple[LogLine, ...]) -> None:
        """Show ``lines``."""
        self.lines = lines
        self.refresh(layout=True)

    def render(self) -> Content:
        """Clock, gap, text."""
        parts: list[str | tuple[str, str]] = []
        for line in self.lines:
            first, *others = _wrapped(line, self.size.width)
            tone = _TONES[line.tone]
            if parts:
                parts.append("\n")
            parts += [(f"{clock(line.seconds):>{_INDENT - 2}}  ", "$foreground-muted"), (first, tone)]
            parts += [("\n" + " " * _INDENT + other, tone) for other in others]
        return Content.assemble(*parts)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:  # noqa: ARG002  (Textual's signature)
        """Rows at this width."""
        return sum(len(_wrapped(line, width)) for line in self.lines)


def _wrapped(line: LogLine, width: int) -> list[str]:
    return textwrap.wrap(printable(line.text), max(1, width - _INDENT)) or [""]
