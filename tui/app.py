"""GenerateApp: the generate screen as a program of its own, and what ``sdoctor generate`` gets back from it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from textual.app import App, SystemCommand
from textual.screen import Screen

from doctor.telemetry.sample import Sample
from doctor.trace import Outcome
from tui.feed import SAMPLE_SECONDS, Feed, GenerateJob
from tui.graphics import prepare
from tui.orders import Order
from tui.run_messages import FeedEnded
from tui.screens.generate import GenerateScreen
from tui.state import View, fold
from tui.themes import remembered_theme
from tui.workshop import Maker

__all__ = ["GenerateApp", "GenerateJob", "GenerateResult", "run_generate"]

_CLOSING_SECONDS = 10.0
"""Longest wait for the job to put its worker away after the screen has closed."""


@dataclass(frozen=True, slots=True)
class GenerateResult:
    """How the generation ended, with everything that was seen of it."""

    view: View

    @property
    def outcome(self) -> Outcome:
        """How it ended; INTERRUPTED if the user left before the worker said."""
        return self.view.outcome or Outcome.INTERRUPTED

    @property
    def images(self) -> tuple[str, ...]:
        """Paths of the pictures."""
        return self.view.images

    @property
    def message(self) -> str:
        """For an outcome other than FINISHED: why."""
        return self.view.message


class GenerateApp(App[None]):
    """A thin host: the generate screen alone. Stays open when the job is over, unless the job says otherwise."""

    CSS_PATH = "sdoctor.tcss"
    TITLE = "sdoctor generate"

    def __init__(
        self,
        job: GenerateJob | None = None,
        read: Callable[[int | None], Sample] | None = None,
        every: float = SAMPLE_SECONDS,
        *,
        screen: GenerateScreen | None = None,
    ) -> None:
        """Either a ``job``, with ``read`` and ``every`` as the screen takes them; or the ``screen`` itself."""
        super().__init__()
        self.generate = screen or GenerateScreen(job=job, read=read, every=every)

    @property
    def view(self) -> View:
        """What the screen shows."""
        return self.generate.view

    @property
    def feed(self) -> Feed:
        """What the screen hears."""
        return self.generate.feed

    def on_mount(self) -> None:
        """Open the screen; the job begins with it."""
        theme = remembered_theme()
        if theme in self.available_themes:
            self.theme = theme
        self.push_screen(self.generate)

    async def action_quit(self) -> None:
        """Every way to quit (q, Ctrl+C, Ctrl+Q, the command palette) lets the worker stop first."""
        self.generate.leave()

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Textual's commands, and the screen's."""
        yield from super().get_system_commands(screen)
        yield from self.generate.commands()


def run_generate(workshop: Maker, order: Order, *, begin: bool, seed: int | None = None) -> None:
    """Show the screen until the user leaves it and the last job has put its worker away.

    Raises what broke the last job, and RuntimeError if the screen itself failed; Textual has then printed why.
    """
    _run(GenerateApp(screen=GenerateScreen(workshop, order, begin=begin, seed=seed)))


def run_job(job: GenerateJob) -> GenerateResult:
    """Show one ``job``, as above."""
    app = GenerateApp(job)
    _run(app)
    view = app.view if app.view.over else fold(app.view, FeedEnded(time.monotonic()))
    return GenerateResult(view)


def _run(app: GenerateApp) -> None:
    prepare()
    try:
        app.run()
    finally:
        app.feed.close()
        app.feed.join(_CLOSING_SECONDS)
    if app.feed.error is not None:
        raise app.feed.error
    if app.return_code:
        raise RuntimeError("the screen failed")
