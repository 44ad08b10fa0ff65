"""ProcessList: the processes of the machine. Draws the lines that are seen, and nothing else."""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui.process_rows import Column, Entry, Order, cell, columns_for

_DOWN, _UP = "▼", "▲"


class ProcessList(ScrollView, can_focus=True, inherit_bindings=False):
    """A heading that sorts, and a line per process; the cursor stays with its process as the order changes."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "processes--heading",
        "processes--sorted",
        "processes--cursor",
        "processes--watched",
    }
    DEFAULT_CSS = """
    ProcessList { height: 1fr; scrollbar-size-vertical: 1; overflow-x: hidden; }
    ProcessList > .processes--heading { color: $text-muted; background: $panel; }
    ProcessList > .processes--sorted { color: $text; background: $panel; text-style: bold underline; }
    ProcessList > .processes--cursor { text-style: reverse; }
    ProcessList > .processes--watched { color: $text-accent; text-style: bold; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", show=False),
        Binding("down", "move(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown", "page(1)", show=False),
        Binding("g", "move(-1000000)", show=False),
        Binding("G", "move(1000000)", show=False),
        Binding("enter", "pick", "watch", show=False),
    ]

    class Picked(Message):
        """Enter, or a second click on a line."""

        def __init__(self, entry: Entry) -> None:
            super().__init__()
            self.entry = entry

    class SortWanted(Message):
        """A click on a heading."""

        def __init__(self, column: str) -> None:
            super().__init__()
            self.column = column

    def __init__(self, id: str) -> None:
        super().__init__(id=id)
        self.entries: tuple[Entry, ...] = ()
        self._order = Order()
        self._watched: int | None = None
        self._cursor: int | None = None
        self._has_cards = True

    @property
    def chosen(self) -> Entry | None:
        """The process under the cursor."""
        return next((entry for entry in self.entries if entry.row.pid == self._cursor), None)

    @property
    def _columns(self) -> tuple[Column, ...]:
        return columns_for(self.size.width, self._has_cards)

    def show(
        self, entries: tuple[Entry, ...], order: Order, watched: int | None, has_cards: bool = True
    ) -> None:
        """Draw these."""
        self._has_cards = has_cards
        place = self._place
        self.entries, self._order, self._watched = entries, order, watched
        if entries and self.chosen is None:
            # Its process has ended or is filtered out: stay where it was.
            self._cursor = entries[min(place, len(entries) - 1)].row.pid
        self.virtual_size = Size(self.size.width, len(entries) + 1)
        self.refresh()

    @property
    def _place(self) -> int:
        return next((at for at, entry in enumerate(self.entries) if entry.row.pid == self._cursor), 0)

    # ------------------------------------------------------------------------ drawing

    def render_line(self, y: int) -> Strip:
        """The heading stays; the lines below scroll."""
        width = self.size.width
        if y == 0:
            return self._heading(width)
        index = y - 1 + round(self.scroll_offset.y)
        if index >= len(self.entries):
            return Strip.blank(width, self.visual_style.rich_style)
        entry = self.entries[index]
        style = self.visual_style.rich_style
        if entry.row.pid == self._watched:
            style = self.get_component_rich_style("processes--watched")
        if entry.row.pid == self._cursor and self.has_focus:
            style += self.get_component_rich_style("processes--cursor", partial=True)
        text = " ".join(cell(column, column.text(entry)) for column in self._columns)
        return Strip([Segment(text, style)]).adjust_cell_length(width, style)

    def _heading(self, width: int) -> Strip:
        plain = self.get_component_rich_style("processes--heading")
        segments: list[Segment] = []
        for column in self._columns:
            title, style = column.title, plain
            if column.name == self._order.column:
                title += _UP if column.rising != self._order.reverse else _DOWN
                style = self.get_component_rich_style("processes--sorted")
            segments += [*_heading_cell(column, title, plain, style), Segment(" ", plain)]
        return Strip(segments).adjust_cell_length(width, plain)

    # ------------------------------------------------------------------------- moving

    def action_move(self, lines: int) -> None:
        """Move the cursor."""
        if not self.entries:
            return
        place = max(0, min(len(self.entries) - 1, self._place + lines))
        self._cursor = self.entries[place].row.pid
        # The heading lies over the first line of what scrolls.
        self.scroll_to_region(Region(0, place, 1, 2), animate=False)
        self.refresh()

    def action_page(self, pages: int) -> None:
        """Move it by what is seen."""
        self.action_move(pages * max(1, self.size.height - 2))

    def action_pick(self) -> None:
        """Tell which one is meant."""
        if (entry := self.chosen) is not None:
            self.post_message(self.Picked(entry))

    def on_click(self, event: events.Click) -> None:
        """The heading sorts, a line takes the cursor, a double click picks."""
        place = event.get_content_offset(self)
        if place is None:
            return
        if place.y == 0:
            if (name := self._column_at(place.x)) is not None:
                self.post_message(self.SortWanted(name))
            return
        index = place.y - 1 + round(self.scroll_offset.y)
        if index < len(self.entries):
            self._cursor = self.entries[index].row.pid
            self.refresh()
            if event.chain > 1:
                self.action_pick()

    def _column_at(self, x: int) -> str | None:
        left = 0
        for column in self._columns:
            if column.width == 0 or x < left + column.width + 1:
                return column.name
            left += column.width + 1
        return None


def _heading_cell(column: Column, title: str, plain: Style, style: Style) -> list[Segment]:
    if column.width == 0:
        return [Segment(title, style)]
    title = title[-column.width :]
    gap = Segment(" " * (column.width - len(title)), plain)
    return [Segment(title, style), gap] if column.left else [gap, Segment(title, style)]
