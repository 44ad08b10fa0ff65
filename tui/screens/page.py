"""PageScreen: the page of a finding, as ``sdoctor explain`` prints it."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Markdown


class PageScreen(ModalScreen[None]):
    """Lies over the screen that opened it. Links are shown and never followed."""

    DEFAULT_CSS = """
    PageScreen { align: center middle; }
    PageScreen > VerticalScroll {
        width: 96; max-width: 100%; height: 90%; padding: 0 1;
        border: round $accent; background: $surface;
    }
    PageScreen Markdown { background: $surface; padding: 0; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,e,q", "dismiss", "close", key_display="Esc"),
        Binding("ctrl+c", "app.quit", show=False),
    ]

    def __init__(self, cause: str, page: str) -> None:
        super().__init__()
        self._cause = cause
        self._page = page

    def compose(self) -> ComposeResult:
        """One box; what does not fit is scrolled to."""
        with VerticalScroll() as box:
            box.border_title = self._cause
            box.border_subtitle = "Esc closes"
            yield Markdown(self._page, open_links=False)
