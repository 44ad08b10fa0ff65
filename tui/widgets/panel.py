"""Panel: a frame with a few figures and their time plot below."""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from textual.strip import Strip
from textual.widget import Widget

from tui.widgets.braille import plot
from tui.widgets.readings import Reading

_GOOD_PLOT_ROWS = 2
_MIN_TEXT_ROWS = 2
_MARK = "┊"


class Panel(Widget):
    """Draws a ``Reading``. One style per row, which is what keeps a plot cheap in bytes and time."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"panel--plot"}

    def __init__(self, id: str) -> None:
        super().__init__(id=id)
        self._reading: Reading | None = None

    def show(self, reading: Reading) -> None:
        """Draw ``reading``, if it is another than the one shown."""
        if reading == self._reading:
            return
        self._reading = reading
        self.border_title, self.border_subtitle = reading.title, reading.ceiling_text
        self._plotted: tuple[tuple[int, int], tuple[str, ...]] | None = None
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """Figures first, then the plot in what is left."""
        width, height = self.content_size
        reading = self._reading
        if reading is None or width == 0:
            return Strip.blank(width, self.visual_style.rich_style)
        texts = reading.lines[: max(min(_MIN_TEXT_ROWS, height - 1), height - _GOOD_PLOT_ROWS)]
        if y < len(texts):
            return Strip([Segment(texts[y], self.visual_style.rich_style)]).adjust_cell_length(
                width, self.visual_style.rich_style
            )
        rows = self._plot(width, height - len(texts))
        row = y - len(texts)
        if row >= len(rows):
            return Strip.blank(width, self.visual_style.rich_style)
        dots = rows[row].lstrip()
        blank = Segment(" " * (width - len(dots)), self.visual_style.rich_style)
        return Strip([blank, Segment(dots, self.get_component_rich_style("panel--plot"))], width)

    def _plot(self, width: int, rows: int) -> tuple[str, ...]:
        """The rows of the plot, drawn once per reading and size."""
        reading = self._reading
        if reading is None or rows <= 0:
            return ()
        if self._plotted is None or self._plotted[0] != (width, rows):
            lines = plot(reading.fill, reading.contour, width, rows, reading.ceiling)
            self._plotted = (width, rows), marked(lines, reading.marks)
        return self._plotted[1]


def marked(lines: tuple[str, ...], marks: tuple[int, ...]) -> tuple[str, ...]:
    """A line down a plot for each mark, where the plot leaves room. A cell holds two readings."""
    width = len(lines[0]) if lines else 0
    columns = {width - 1 - mark // 2 for mark in marks if mark // 2 < width}
    return tuple(
        "".join(_MARK if cell == " " and at in columns else cell for at, cell in enumerate(line))
        for line in lines
    )
