"""The Textual application: takes messages from a feed, folds them into the view, shows the view.

The interface never waits for anything: the worker and the sampler are heard in threads of the feed, and
what they say arrives as Textual messages. Drawing is bounded in rate, and happens only after a message.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import ClassVar

from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.css.query import NoMatches
from textual.message import Message
from textual.screen import Screen

from doctor.telemetry.sample import Sample
from doctor.trace import Outcome
from tui.feed import SAMPLE_SECONDS, Feed, GenerateJob
from tui.screens.generate import GenerateScreen
from tui.screens.help import HelpOverlay
from tui.state import FeedEnded, StopAsked, View, fold
from tui.state import Message as FeedMessage

__all__ = ["GenerateApp", "GenerateJob", "GenerateResult", "run_generate"]

_REDRAW_SECONDS = 0.2
"""Shortest time between two drawings, however fast messages come."""

_CLOSING_SECONDS = 10.0
"""Longest wait for the job to put its worker away after the screen has closed."""


@dataclass(frozen=True, slots=True)
class GenerateResult:
    """How the generation ended, with everything that was seen of it."""

    view: View
    error: Exception | None = None
    """What broke the feed; the outcome is then CRASHED."""

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


class Arrived(Message):
    """A message of the feed."""

    def __init__(self, message: FeedMessage) -> None:
        super().__init__()
        self.message = message


class Sampled(Arrived):
    """A sample: if the next one already waits behind it, that one replaces it."""

    def can_replace(self, message: Message) -> bool:
        """Textual asks whether ``message``, which is next in the queue, makes this one needless."""
        return isinstance(message, Sampled)


class GenerateApp(App[None]):
    """One generation on one screen. Stays open when it is over, unless the job says otherwise."""

    CSS_PATH = "sdoctor.tcss"
    TITLE = "sdoctor generate"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "leave", "quit"),
        Binding("c,escape", "cancel", "cancel", key_display="c"),
        Binding("p", "picture", "picture/panels"),
        Binding("n", "next_picture", "next picture"),
        Binding("question_mark,f1", "help", "help", key_display="?"),
    ]

    def __init__(
        self,
        job: GenerateJob,
        read: Callable[[int | None], Sample] | None = None,
        every: float = SAMPLE_SECONDS,
    ) -> None:
        """``read`` takes the samples of the machine, one each ``every`` seconds; by default the real ones."""
        super().__init__()
        self.job = job
        self.view = View()
        self.feed = Feed(job, self._deliver, read, every)
        self._generate = GenerateScreen()
        self._leaving = False
        self._drawn_at = 0.0
        self._drawing_due = False

    def on_mount(self) -> None:
        """Open the screen, then let the feed begin."""
        self.push_screen(self._generate)
        self.feed.start()

    def on_unmount(self) -> None:
        """Nobody listens any more."""
        self.feed.close()

    # ------------------------------------------------------------------ messages

    def _deliver(self, message: FeedMessage) -> None:
        """Called in the feed's threads."""
        arrived = Sampled(message) if isinstance(message, Sample) else Arrived(message)
        # Raised when the event loop has closed meanwhile: then there is no screen left to tell.
        with contextlib.suppress(RuntimeError):
            self.post_message(arrived)

    def on_arrived(self, arrived: Arrived) -> None:
        """Fold and draw."""
        self._take(arrived.message)

    def on_sampled(self, arrived: Sampled) -> None:
        """Fold and draw."""
        self._take(arrived.message)

    def _take(self, message: FeedMessage) -> None:
        old, self.view = self.view, fold(self.view, message)
        if (self.view.over, self.view.images) != (old.over, old.images):
            self.refresh_bindings()
        if self.view.over and not old.over:
            self.feed.stop_sampling()
            if self._leaving or self.job.auto_exit:
                self.exit()
        if not self._drawing_due:
            self._drawing_due = True
            self.set_timer(max(0.001, self._drawn_at + _REDRAW_SECONDS - time.monotonic()), self._draw)

    def _draw(self) -> None:
        self._drawing_due = False
        self._drawn_at = time.monotonic()
        # A drawing may come due while the screen is being taken down, when some widgets are gone already.
        if self._generate.is_mounted and self.is_running:
            with contextlib.suppress(NoMatches):
                self._generate.show(self.view)

    # ---------------------------------------------------------------------- keys

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Which keys mean something now; the footer shows only those."""
        if action == "cancel":
            return not self.view.over
        if action == "picture":
            return self._generate.is_narrow and bool(self.view.images)
        if action == "next_picture":
            return len(self.view.images) > 1
        return super().check_action(action, parameters)

    def action_cancel(self) -> None:
        """Ask the worker to stop after the present step, and asked again, at once; the screen stays."""
        if not self.view.over:
            self.feed.interrupt()
            self._take(StopAsked(time.monotonic()))

    def action_leave(self) -> None:
        """Leave: at once if it is over or asked twice, else as soon as the worker has stopped."""
        self.action_cancel()
        if self.view.over or self._leaving:
            self.exit()
        self._leaving = True

    async def action_quit(self) -> None:
        """Textual's own way to quit (Ctrl+Q, command palette)."""
        self.action_leave()

    def action_picture(self) -> None:
        """Change between picture and panels."""
        self._generate.toggle_picture()

    def action_next_picture(self) -> None:
        """Show the next picture of the batch."""
        self._generate.next_picture()

    def action_help(self) -> None:
        """Open the help."""
        self.push_screen(HelpOverlay())

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Textual's commands, and ours while they mean something."""
        yield from super().get_system_commands(screen)
        if not self.view.over:
            yield SystemCommand("Cancel", "Stop the generation after the present step", self.action_cancel)


def run_generate(job: GenerateJob) -> GenerateResult:
    """Show ``job`` on the terminal until the user leaves and the job's iterator has ended.

    Raises RuntimeError if the screen itself failed; Textual has then printed why.
    """
    app = GenerateApp(job)
    try:
        app.run()
    finally:
        app.feed.close()
        app.feed.join(_CLOSING_SECONDS)
    if app.return_code:
        raise RuntimeError("the screen failed")
    view = app.view if app.view.over else fold(app.view, FeedEnded(time.monotonic()))
    return GenerateResult(view, app.feed.error)
