"""Panel: a frame with a few figures and their time plot below."""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from textual.geometry import Region
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
        self._plotted: tuple[tuple[int, int], tuple[str, ...]] | None = None

    def show(self, reading: Reading) -> None:
        """Draw ``reading``, if it is another than the one shown."""
        old = self._reading
        if reading == old:
            return
        before = self._rows()
        self._reading, self._plotted = reading, None
        changed = [
            number for number, (was, row) in enumerate(zip(before, self._rows(), strict=True)) if row != was
        ]
        if old is None or (old.title, old.ceiling_text) != (reading.title, reading.ceiling_text):
            # Textual draws the whole widget for these.
            self.border_title, self.border_subtitle = reading.title, reading.ceiling_text
        elif changed:
            # A plot that stands still, and the empty rows above it, need not be drawn again.
            self.refresh(*(Region(0, number, self.content_size.width, 1) for number in changed))

    def render_line(self, y: int) -> Strip:
        """Figures first, then the plot in what is left."""
        width, style = self.content_size.width, self.visual_style.rich_style
        rows = self._rows()
        if y >= len(rows) or width == 0:
            return Strip.blank(width, style)
        text, is_plot = rows[y]
        if not is_plot:
            return Strip([Segment(text, style)]).adjust_cell_length(width, style)
        dots = text.lstrip()
        blank = Segment(" " * (width - len(dots)), style)
        return Strip([blank, Segment(dots, self.get_component_rich_style("panel--plot"))], width)

    def _rows(self) -> list[tuple[str, bool]]:
        """What each row of the present size holds, and whether it is one of the plot."""
        width, height = self.content_size
        reading = self._reading
        if reading is None:
            return [("", False)] * height
        texts = reading.lines[: max(min(_MIN_TEXT_ROWS, height - 1), height - _GOOD_PLOT_ROWS)]
        rows = [(text, False) for text in texts]
        rows += [(row, True) for row in self._plot(width, height - len(texts))]
        return (rows + [("", False)] * height)[:height]

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
