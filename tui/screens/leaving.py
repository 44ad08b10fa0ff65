"""LeaveQuestion: asked before work that runs is stopped."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Static


class LeaveQuestion(ModalScreen[bool]):
    """True: stop it and leave. Asking for the same again (q, Ctrl+C) says yes, so that nobody is held."""

    DEFAULT_CSS = """
    LeaveQuestion { align: center middle; }
    LeaveQuestion > Vertical {
        width: 62; max-width: 100%; height: auto; padding: 0 1;
        border: round $warning; background: $surface;
    }
    LeaveQuestion Static { height: auto; margin: 0 0 1 0; }
    LeaveQuestion Horizontal { height: 1; align-horizontal: right; }
    LeaveQuestion Button { margin: 0 0 0 2; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,n", "answer(False)", "stay"),
        Binding("q,y,ctrl+c,ctrl+q", "answer(True)", "quit"),
    ]

    def __init__(self, works: tuple[str, ...]) -> None:
        """``works``: what runs, one sentence without a full stop each."""
        super().__init__()
        self._works = works

    def compose(self) -> ComposeResult:
        """What runs, and the two answers."""
        with Vertical() as box:
            box.border_title = "quit?"
            yield Static(
                f"{'; '.join(self._works)}. Quitting stops that; what was finished is kept.", markup=False
            )
            with Horizontal():
                yield Button("Stay (Esc)", id="stay", compact=True)
                yield Button("Stop it and quit (q)", id="leave", variant="warning", compact=True)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """The mouse, or Enter."""
        self.dismiss(event.button.id == "leave")

    def action_answer(self, leave: bool) -> None:
        """A key."""
        self.dismiss(leave)
