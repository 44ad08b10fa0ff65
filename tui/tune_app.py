"""TuneApp: the tune screen as a program of its own, for ``sdoctor tune --tui``."""

from __future__ import annotations

from collections.abc import Iterable

from textual.app import App, SystemCommand
from textual.screen import Screen

from tui.screens.tune import TuneScreen
from tui.themes import remembered_theme
from tui.tuning import Asked, Found

_CLOSING_SECONDS = 10.0
"""Longest wait for the study to put its worker away after the screen has closed."""


class TuneApp(App[None]):
    """A thin host: the tune screen alone. Stays open when the study is over."""

    CSS_PATH = "sdoctor.tcss"
    TITLE = "sdoctor tune"

    def __init__(self, screen: TuneScreen) -> None:
        super().__init__()
        self.tune = screen

    def on_mount(self) -> None:
        """Open the screen; the study begins with it."""
        theme = remembered_theme()
        if theme in self.available_themes:
            self.theme = theme
        self.push_screen(self.tune)

    async def action_quit(self) -> None:
        """Every way to quit lets the study stop first."""
        self.tune.leave()

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Textual's commands, and the screen's."""
        yield from super().get_system_commands(screen)
        yield from self.tune.commands()


def run_tune(asked: Asked) -> Found | None:
    """Show the study until the user leaves; what it found, None if it was stopped before its first run.

    Raises what broke the study, and RuntimeError if the screen itself failed; Textual has then printed why.
    """
    screen = TuneScreen(asked, begin=True)
    app = TuneApp(screen)
    try:
        app.run()
    finally:
        screen.feed.close()
        screen.feed.join(_CLOSING_SECONDS)
    if screen.feed.error is not None:
        raise screen.feed.error
    if app.return_code:
        raise RuntimeError("the screen failed")
    return screen.feed.found
