"""MonitorApp: the monitor screen as a program of its own, for ``sdoctor monitor`` on a terminal."""

from __future__ import annotations

from collections.abc import Iterable

from textual.app import App, SystemCommand
from textual.screen import Screen
from textual.theme import Theme

from tui.screens.monitor import MonitorScreen
from tui.themes import remember_theme, remembered_theme

_CLOSING_SECONDS = 2.0
"""Longest wait for the present reading to end after the screen has closed."""


class MonitorApp(App[None]):
    """A thin host: the monitor screen alone."""

    CSS_PATH = "sdoctor.tcss"
    TITLE = "sdoctor monitor"

    def __init__(self, screen: MonitorScreen) -> None:
        super().__init__()
        self.monitor = screen

    def on_mount(self) -> None:
        """Open the screen; its feed begins with it."""
        theme = remembered_theme()
        if theme in self.available_themes:
            self.theme = theme
        self.theme_changed_signal.subscribe(self, self._theme_changed)
        self.push_screen(self.monitor)

    def _theme_changed(self, theme: Theme) -> None:
        remember_theme(theme.name)

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Textual's commands, and the screen's."""
        yield from super().get_system_commands(screen)
        yield from self.monitor.commands()


def run_screen(screen: MonitorScreen) -> None:
    """Show it until the user leaves. Raises RuntimeError if the screen failed; Textual has then printed why."""
    app = MonitorApp(screen)
    try:
        app.run()
    finally:
        if screen.feed is not None:
            screen.feed.close()
            screen.feed.join(_CLOSING_SECONDS)
    if app.return_code:
        raise RuntimeError("the screen failed")
