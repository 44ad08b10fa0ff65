"""The places of the shell, and what it asks of the screen of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from textual.screen import Screen


@runtime_checkable
class Working(Protocol):
    """A screen whose work goes on while another is shown, and which must not be lost by accident."""

    @property
    def is_working(self) -> bool:
        """Whether something runs that leaving would stop."""

    def leave(self) -> None:
        """Stop it, and end the app when it has stopped; asked again, at once."""


@dataclass(frozen=True, slots=True)
class Place:
    """One tab."""

    name: str
    """Also the name of its mode."""
    key: str
    title: str
    about: str
    """For the command palette."""
    work: str
    """What runs there, in the question whether to quit."""
    make: Callable[[], Screen[Any]]
    """Imports and builds the screen: only a place that is visited costs anything."""


def _generate() -> Screen[Any]:
    from tui.screens.generate import GenerateScreen

    return GenerateScreen()


def _monitor() -> Screen[Any]:
    from tui.screens.readings import ReadingsScreen

    return ReadingsScreen()


def _tune() -> Screen[Any]:
    from tui.screens.tune import TuneScreen

    return TuneScreen()


def _check() -> Screen[Any]:
    from tui.screens.check import CheckScreen

    return CheckScreen()


PLACES = (
    Place("generate", "f1", "Generate", "Draw, and watch it", "A picture is being drawn", _generate),
    Place("monitor", "f2", "Monitor", "What the machine does, and what limits it", "", _monitor),
    Place("tune", "f3", "Tune", "Find what is fastest and how large it goes", "A study runs", _tune),
    Place("check", "f4", "Check", "What is wrong here, and what mends it", "", _check),
)
"""In the order of the tabs. F1 to F4 reach a program over ssh and in tmux, and no text field wants them."""
