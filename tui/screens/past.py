"""PastScreen: choose a study of the past; and TextScreen, which shows a text as wide as it is."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import ScrollableContainer, Vertical
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from tui.past_studies import Past, past_studies
from tui.study_state import StudyView


class PastScreen(ModalScreen[StudyView | None]):
    """Gives back what shall be shown, or None."""

    DEFAULT_CSS = """
    PastScreen { align: center middle; }
    PastScreen > Vertical {
        width: 90; max-width: 100%; height: auto; max-height: 100%; padding: 0 1;
        border: round $accent; background: $surface;
    }
    PastScreen OptionList { height: auto; max-height: 16; border: none; background: $surface; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,o,q", "dismiss", "close", key_display="Esc"),
        Binding("ctrl+c", "app.quit", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._past: tuple[Past, ...] = past_studies()

    def compose(self) -> ComposeResult:
        """The list, or that there is none."""
        with Vertical() as box:
            box.border_title = "studies of the past"
            box.border_subtitle = "Enter shows it, Esc closes"
            if self._past:
                options = [Option(past.label) for past in self._past]
                yield OptionList(*options, markup=False, compact=True)
            else:
                yield Static("No study was made on this machine yet.", markup=False)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Enter."""
        event.stop()
        self.dismiss(self._past[event.option_index].view)


class TextScreen(ModalScreen[None]):
    """Lines that may be longer than the screen is wide; the arrow keys scroll."""

    DEFAULT_CSS = """
    TextScreen { align: center middle; }
    TextScreen > ScrollableContainer {
        width: 95%; height: 90%; padding: 0 1; border: round $accent; background: $surface;
    }
    TextScreen Static { width: auto; height: auto; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,t,q", "dismiss", "close", key_display="Esc"),
        Binding("ctrl+c", "app.quit", show=False),
    ]

    def __init__(self, title: str, text: str) -> None:
        super().__init__()
        self._title = title
        self._text = text

    def compose(self) -> ComposeResult:
        """One box that scrolls both ways."""
        with ScrollableContainer() as box:
            box.border_title = self._title
            box.border_subtitle = "Esc closes"
            yield Static(self._text, markup=False)
