"""TabLine: the places on the left of the top line; the screen's own title keeps the rest of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from tui.places import Place

_WITH_KEYS = 60
"""Columns from which the keys stand beside the names."""


class TabLine(Horizontal):
    """Laid over a screen by the shell; a click goes to a place."""

    DEFAULT_CSS = """
    TabLine { dock: top; width: auto; height: 1; background: $panel; }
    TabLine > PlaceTab { width: auto; height: 1; color: $text-muted; padding: 0 1; }
    TabLine > PlaceTab:hover { color: $text; }
    TabLine > PlaceTab.-here { color: $text; background: $surface-lighten-2; text-style: bold; }
    """

    def __init__(self, places: Sequence[Place], here: str, works: Callable[[str], bool]) -> None:
        """``here`` is the place whose screen this lies on; ``works`` tells whether work runs at a place."""
        super().__init__(id="tab-line")
        self._places = places
        self._here = here
        self._works = works

    def compose(self) -> ComposeResult:
        """One tab each."""
        for place in self._places:
            yield PlaceTab(place, is_here=place.name == self._here)

    @property
    def has_keys(self) -> bool:
        """Whether there is room for the keys."""
        return self.app.size.width >= _WITH_KEYS

    def on_mount(self) -> None:
        """Show what works now."""
        self.show()

    def show(self) -> None:
        """Mark the places where something runs."""
        for tab in self.query(PlaceTab):
            tab.show(with_key=self.has_keys, works=self._works(tab.place.name))


class PlaceTab(Static):
    """The name of one place, its key, and a mark while something runs there."""

    class Wanted(Message):
        """The user clicked it."""

        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

    def __init__(self, place: Place, *, is_here: bool) -> None:
        super().__init__(classes="-here" if is_here else "", markup=False)
        self.place = place
        self._words: Content | None = None

    def show(self, *, with_key: bool, works: bool) -> None:
        """Draw it, if it looks different now."""
        key = f"{self.place.key.upper()} " if with_key else ""
        words = Content.assemble(
            (key, "$text-accent"), self.place.title, ("*", "$text-success") if works else ""
        )
        if words != self._words:
            self._words = words
            self.update(words)

    def on_click(self) -> None:
        """Go there."""
        self.post_message(self.Wanted(self.place.name))
