"""SdoctorApp: what ``sdoctor`` alone opens on a terminal. Its places are screens that know nothing of it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.theme import Theme

from tui.graphics import prepare
from tui.places import PLACES, Place, Working
from tui.screens.leaving import LeaveQuestion
from tui.themes import remember_theme, remembered_theme
from tui.widgets.tab_line import PlaceTab, TabLine

_CLOSING_SECONDS = 10.0
"""Longest wait for work to be put away after the screen has closed."""

_LOOK_SECONDS = 0.5
"""Time between two looks at which places are at work, for the marks in the tab line."""


class SdoctorApp(App[None]):
    """Shows one place at a time. The work of the others goes on, and they keep what they show."""

    CSS_PATH = "sdoctor.tcss"
    TITLE = "sdoctor"
    CSS = """
    .-in-shell #title { padding: 0 0 0 46; }
    .-in-shell.-tabs-short #title { padding: 0 0 0 34; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(
                f"{place.key},alt+{place.key[1:]}",
                f"go('{place.name}')",
                place.title,
                show=False,
                priority=True,
            )
            for place in PLACES
        ),
    ]

    help_tables = (
        (
            "Places",
            (
                *(
                    (place.key.upper(), f"{place.title}: {place.about[0].lower()}{place.about[1:]}")
                    for place in PLACES
                ),
                ("Alt+1 ...", "the same, where the terminal keeps the F keys to itself"),
            ),
        ),
    )
    """Added to the help of every screen."""

    def __init__(self, places: Sequence[Place] = PLACES, first: str | None = None) -> None:
        """``first`` is the place to begin at, by default the first one."""
        super().__init__()
        self._places = {place.name: place for place in places}
        self._first = first or places[0].name
        self.visited: dict[str, Screen[Any]] = {}
        """The screens that were built so far, by place."""

    async def on_mount(self) -> None:
        """Open the first place."""
        theme = remembered_theme()
        if theme in self.available_themes:
            self.theme = theme
        self.theme_changed_signal.subscribe(self, self._theme_changed)
        for name in self._places:
            self.add_mode(name, lambda name=name: self._screen(name))  # type: ignore[misc]
        self.set_interval(_LOOK_SECONDS, self._look)
        await self.action_go(self._first)

    def _screen(self, name: str) -> Screen[Any]:
        screen = self.visited[name] = self._places[name].make()
        screen.add_class("-in-shell")
        return screen

    def _theme_changed(self, theme: Theme) -> None:
        remember_theme(theme.name)

    # -------------------------------------------------------------------- places

    @property
    def here(self) -> str:
        """The name of the place that is shown."""
        return self.current_mode

    async def action_go(self, name: str) -> None:
        """Show a place."""
        if name not in self._places or name == self.here:
            return
        await self.switch_mode(name)
        screen = self.visited[name]
        if not screen.query(TabLine):
            await screen.mount(TabLine(tuple(self._places.values()), name, self._works))
        self._look()

    async def on_place_tab_wanted(self, event: PlaceTab.Wanted) -> None:
        """A click on a tab."""
        await self.action_go(event.name)

    def _works(self, name: str) -> bool:
        screen = self.visited.get(name)
        return isinstance(screen, Working) and screen.is_working

    def _look(self) -> None:
        for line in self.screen.query(TabLine):
            line.show()
            self.screen.set_class(not line.has_keys, "-tabs-short")

    # ------------------------------------------------------------------- leaving

    async def action_quit(self) -> None:
        """Every way to quit (q, Ctrl+C, Ctrl+Q, the command palette) asks first if something would be stopped."""
        works = tuple(place.work for place in self._places.values() if self._works(place.name))
        if not works:
            self.exit()
        else:
            self.push_screen(LeaveQuestion(works), self._leave)

    def _leave(self, leave: bool | None) -> None:
        if not leave:
            return
        working = [screen for name, screen in self.visited.items() if self._works(name)]
        if not working:
            self.exit()
        for screen in working:
            assert isinstance(screen, Working)
            screen.leave()

    # ------------------------------------------------------------------- palette

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """Textual's commands, the places, and what the present screen offers."""
        yield from super().get_system_commands(screen)
        for place in self._places.values():
            if place.name != self.here:
                yield SystemCommand(
                    f"Go to {place.title}", place.about, lambda name=place.name: self._go(name)
                )
        shown = self.visited.get(self.here)
        yield from getattr(shown, "commands", tuple)()

    def _go(self, name: str) -> None:
        self.call_later(self.action_go, name)


def run_shell(first: str | None = None) -> None:
    """Show the places until the user leaves and the work has been put away. Raises RuntimeError if it failed."""
    prepare()
    app = SdoctorApp(first=first)
    try:
        app.run()
    finally:
        deadline = time.monotonic() + _CLOSING_SECONDS
        for screen in app.visited.values():
            feed = getattr(screen, "feed", None)
            if feed is not None:
                feed.close()
                feed.join(max(0.0, deadline - time.monotonic()))
    if app.return_code:
        raise RuntimeError("the screen failed")
