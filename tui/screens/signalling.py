"""SignalScreen: choose a signal for a process, and confirm it."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from doctor.telemetry.processes import ProcessRow
from tui.process_rows import command_of
from tui.signals import KINDS, Kind
from tui.widgets.words import printable


class SignalScreen(ModalScreen[Kind | None]):
    """Gives back the signal that shall be sent, or None. Nothing is sent here."""

    DEFAULT_CSS = """
    SignalScreen { align: center middle; }
    SignalScreen > Vertical {
        width: 64; max-width: 100%; height: auto; padding: 0 1;
        border: round $warning; background: $surface;
    }
    SignalScreen #who { height: auto; max-height: 4; }
    SignalScreen OptionList { height: auto; border: none; background: $surface; margin: 1 0 0 0; }
    SignalScreen #sure { height: auto; margin: 1 0 0 0; color: $text-warning; text-style: bold; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,n,q", "back", "no"),
        Binding("y", "confirm", "yes"),
        *(Binding(kind.key, f"choose('{kind.name}')", show=False) for kind in KINDS),
        Binding("ctrl+c", "app.quit", show=False),
    ]

    def __init__(self, row: ProcessRow, kind: Kind | None = None) -> None:
        """``kind``: one that was chosen already, so that only the question is left."""
        super().__init__()
        self._row = row
        self._kind = kind

    def compose(self) -> ComposeResult:
        """The process, the signals, the question."""
        row = self._row
        with Vertical() as box:
            box.border_title = "signal"
            box.border_subtitle = "Esc: send nothing"
            yield Static(
                Content.assemble(
                    (f"{printable(row.name)} ({row.pid})", "bold"),
                    f", of {row.user or 'an unknown user'}\n{printable(command_of(row))[:180]}",
                ),
                id="who",
                markup=False,
            )
            options = [Option(f"{kind.key}  {kind.name:<8} {kind.about}", id=kind.name) for kind in KINDS]
            yield OptionList(*options, markup=False, compact=True)
            yield Static(id="sure", markup=False)

    def on_mount(self) -> None:
        """Ask at once, if it is known what."""
        if self._kind is not None:
            self._ask(self._kind)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Enter, or a click."""
        event.stop()
        if event.option.id is not None:
            self.action_choose(event.option.id)

    def action_choose(self, name: str) -> None:
        """Ask whether this one is meant."""
        if self._kind is None:
            self._ask(next(kind for kind in KINDS if kind.name == name))

    def _ask(self, kind: Kind) -> None:
        self._kind = kind
        self.query_one(OptionList).display = False
        self.query_one("#sure", Static).update(f"Send {kind.name}? It {_third(kind.about)}.\ny: yes   n: no")

    def action_confirm(self) -> None:
        """Yes; without a chosen signal there is nothing to say yes to."""
        if self._kind is not None:
            self.dismiss(self._kind)

    def action_back(self) -> None:
        """No."""
        self.dismiss(None)


def _third(about: str) -> str:
    return f"is {about}" if about.startswith("what ") else about
