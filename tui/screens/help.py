"""HelpOverlay: the keys and what the figures mean."""

from __future__ import annotations

from typing import ClassVar

from rich.table import Table as Grid
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

_NAMES = 17
"""Cells for the names, with the indent before them."""

Table = tuple[str, tuple[tuple[str, str], ...]]
"""A heading with rows of a name and its words."""

_KEYS = (
    ("i", "to the prompt; Enter draws it, or queues it while one is drawn"),
    ("↑ ↓ in the box", "prompts typed before; Esc gives the letter keys back"),
    ("o", "options: size, steps, guidance, seed, batch, model, negative prompt"),
    ("s", "settings: every knob, and why a value cannot be used here"),
    ("g", "gallery of what was made"),
    ("j", "to the jobs: x removes, K and J move, Enter takes one up again"),
    ("c", "cancel the generation after the present step (c c: at once)"),
    ("p", "picture or panels, where there is no room for both"),
    ("n", "next picture of the batch"),
    ("q", "quit; stops a running worker first (q q: at once)"),
    ("PgUp PgDn", "scroll the log"),
    ("Ctrl+P", "command palette: themes, unload the model, screenshot, ..."),
    ("?", "this help"),
)
_MEANINGS = (
    ("allocated", "bytes in live tensors, as torch counts them"),
    ("reserved", "bytes that torch's allocator holds"),
    ("others", "what the card holds that torch does not: other programs, CUDA contexts"),
    ("resident", "on a CPU: memory in use, beyond the worker's libraries"),
    ("mapped", "on a CPU: writable memory asked for; the limit binds it"),
    ("about ... left", "predicted from the last steps; decoding comes on top"),
    ("GPU busy", "share of the time in which a kernel ran"),
    ("unknown, ?", "could not be read; it is never shown as zero"),
)

_GENERATE = (("Keys", _KEYS), ("Figures", _MEANINGS))


class HelpOverlay(ModalScreen[None]):
    """Lies over the screen, which goes on below."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,q", "dismiss", "close", key_display="Esc")
    ]

    def __init__(self, tables: tuple[Table, ...] = _GENERATE) -> None:
        """``tables``: what the present screen explains. An app with places adds the keys that go to them."""
        super().__init__()
        self._tables = tables

    def compose(self) -> ComposeResult:
        """One box in the middle."""
        tables = (*self._tables, *getattr(self.app, "help_tables", ()))
        with VerticalScroll(id="help") as box:
            box.border_title = "help"
            box.border_subtitle = "Esc closes"
            for number, table in enumerate(tables):
                yield Static(Content.assemble("\n" if number else "", (table[0], "bold $text-accent")))
                yield Static(_grid(table[1]))


def _grid(rows: tuple[tuple[str, str], ...]) -> Grid:
    """Two columns: what is too long for a narrow screen goes on below its own words."""
    grid = Grid.grid(padding=(0, 1, 0, 0))
    grid.add_column(min_width=_NAMES, no_wrap=True, style="bold")
    grid.add_column()
    for name, words in rows:
        # Markup is left alone: keys are brackets too.
        grid.add_row(Text("  " + name), Text(words))
    return grid
