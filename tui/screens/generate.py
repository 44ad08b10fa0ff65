"""GenerateScreen: one generation, from the prompt to the picture, and the machine meanwhile.

The screen takes messages from its feed, folds them into the view and shows the view. It never waits for
anything: the worker and the sampler are heard in threads of the feed, and what they say arrives as Textual
messages. Drawing is bounded in rate, and happens only after a message.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult, SystemCommand
from textual.binding import Binding, BindingType
from textual.containers import Grid, Horizontal, Vertical
from textual.content import Content
from textual.css.query import NoMatches
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Footer, Static

from doctor.telemetry.sample import Sample
from doctor.trace import Outcome
from tui.feed import SAMPLE_SECONDS, Feed, GenerateJob
from tui.screens.help import HelpOverlay
from tui.state import Message as FeedMessage
from tui.state import StopAsked, View, fold
from tui.widgets.log import LogPanel
from tui.widgets.panel import Panel
from tui.widgets.picture import Picture
from tui.widgets.readings import cpu_reading, gpu_reading, memory_reading, ram_reading
from tui.widgets.step_bar import PhaseStrip, StepBar
from tui.widgets.title import TitleBar
from tui.widgets.words import ENDED, duration, printable

_REDRAW_SECONDS = 0.2
"""Shortest time between two drawings, however fast messages come."""


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


class GenerateScreen(Screen[None]):
    """Runs a job and shows it. Needs no particular app: its keys, its style and its feed are its own."""

    CSS_PATH = "../sdoctor.tcss"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (120, "-wide")]  # noqa: RUF012  (Textual's own type is a plain list)
    VERTICAL_BREAKPOINTS = [(0, "-low"), (18, "-high")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "app.quit", "quit"),
        Binding("ctrl+c", "app.quit", show=False),
        Binding("c,escape", "cancel", "cancel", key_display="c"),
        Binding("p", "picture", "picture/panels"),
        Binding("n", "next_picture", "next picture"),
        Binding("question_mark,f1", "help", "help", key_display="?"),
    ]

    def __init__(
        self,
        job: GenerateJob | None = None,
        *,
        read: Callable[[int | None], Sample] | None = None,
        every: float = SAMPLE_SECONDS,
    ) -> None:
        """``read`` takes the samples of the machine, one each ``every`` seconds; by default the real ones."""
        super().__init__()
        self.view = View()
        self.feed = Feed(self._deliver, read, every)
        self._job = job
        self._shown = View()
        self._picture = 0
        self._leaving = False
        self._drawn_at = 0.0
        self._drawing_due = False

    @property
    def is_working(self) -> bool:
        """Whether a job runs: leaving now would stop it."""
        return self.view.run is not None and not self.view.over

    def compose(self) -> ComposeResult:
        """Words and panels on the left, the picture on the right or, on a narrow screen, in their place."""
        yield TitleBar(id="title")
        with Horizontal(id="body"):
            with Vertical(id="left"):
                for name in ("prompt", "facts", "note"):
                    yield Static(id=name, classes="-empty", markup=False)
                yield StepBar(id="steps")
                yield PhaseStrip(id="phases")
                yield Static(id="ending", classes="-empty", markup=False)
                with Grid(id="panels"):
                    for name in ("memory", "cpu", "ram", "gpu"):
                        yield Panel(id=name)
                yield LogPanel(id="log")
            yield Picture(id="picture")
        yield Footer()

    def on_resize(self) -> None:
        """Some keys mean something on a narrow screen only."""
        self.call_after_refresh(self.refresh_bindings)

    @property
    def is_narrow(self) -> bool:
        """Whether there is no room for picture and panels side by side."""
        return self.has_class("-narrow")

    def on_mount(self) -> None:
        """Let the feed begin."""
        self.feed.start()
        if self._job is not None:
            self.feed.run(self._job)

    def on_unmount(self) -> None:
        """Nobody listens any more."""
        self.feed.close()

    def on_screen_resume(self) -> None:
        """Another screen lay over this one or was shown in its place; meanwhile nothing was drawn."""
        self._draw_soon()

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
        if self.view.over and not old.over and (self._leaving or (self._job and self._job.auto_exit)):
            self.app.exit()
        self._draw_soon()

    def _draw_soon(self) -> None:
        if not self._drawing_due:
            self._drawing_due = True
            self.set_timer(max(0.001, self._drawn_at + _REDRAW_SECONDS - time.monotonic()), self._draw)

    def _draw(self) -> None:
        self._drawing_due = False
        self._drawn_at = time.monotonic()
        # A drawing may come due while the screen is being taken down, when some widgets are gone already.
        if self.is_mounted and self.app.is_running and self in self.app.screen_stack:
            with contextlib.suppress(NoMatches):
                self._show(self.view)

    # ---------------------------------------------------------------------- keys

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Which keys mean something now; the footer shows only those."""
        if action == "cancel":
            return self.is_working
        if action == "picture":
            return self.is_narrow and bool(self.view.images)
        if action == "next_picture":
            return len(self.view.images) > 1
        return super().check_action(action, parameters)

    def action_cancel(self) -> None:
        """Ask the worker to stop after the present step, and asked again, at once; the screen stays."""
        if self.is_working:
            self.feed.interrupt()
            self._take(StopAsked(time.monotonic()))

    def leave(self) -> None:
        """End the app: at once if nothing runs or asked twice, else as soon as the worker has stopped."""
        self.action_cancel()
        if not self.is_working or self._leaving:
            self.app.exit()
        self._leaving = True

    def action_picture(self) -> None:
        """On a narrow screen, change between picture and panels."""
        self.toggle_class("-picture")

    def action_next_picture(self) -> None:
        """Show the next picture of the batch."""
        self._picture += 1
        self._show_words(self._shown)
        self._show_picture()

    def action_help(self) -> None:
        """Open the help."""
        self.app.push_screen(HelpOverlay())

    def commands(self) -> Iterable[SystemCommand]:
        """What the command palette of the app may offer now."""
        if self.is_working:
            yield SystemCommand("Cancel", "Stop the generation after the present step", self.action_cancel)

    # ------------------------------------------------------------------- drawing

    def _show(self, view: View) -> None:
        old, self._shown = self._shown, view
        self.query_one(TitleBar).show(view)
        self.query_one(StepBar).show(view)
        self.query_one(PhaseStrip).show(view)
        self.query_one(LogPanel).show(view.log)
        self._show_words(view)
        self._show_panels(view)
        if view.images and not old.images:
            self.add_class("-picture")
        self._show_picture()

    def _show_words(self, view: View) -> None:
        if view.run is None:
            return
        run = view.run
        size = f"{run.width}x{run.height}" if run.width and run.height else "the model's own size"
        steps = f" · {run.steps} steps" if run.steps else ""
        batch = f" · batch {run.batch}" if run.batch > 1 else ""
        facts = f"{size}{steps} · seed {run.seed}{batch} · {view.settings_text}"
        self._say("prompt", f"“{printable(run.prompt)}”" if run.prompt else "(no prompt)")
        self._say("facts", printable(facts))
        self._say("note", printable(run.note))
        self._say("ending", printable(self._ending(view)))
        self.query_one("#ending").set_class(view.outcome is Outcome.FINISHED, "-good")
        self.query_one("#ending").set_class(view.outcome not in (None, Outcome.FINISHED), "-bad")

    def _say(self, name: str, words: str) -> None:
        """Update one line only if it changes: each update lays the screen out anew."""
        line = self.query_one(f"#{name}", Static)
        if line.content != words:
            line.update(Content(words))
            line.set_class(not words, "-empty")

    def _ending(self, view: View) -> str:
        """How it ended, or that it is about to."""
        if view.outcome is Outcome.FINISHED:
            count = len(view.images)
            path = f": {view.images[self._picture % count]}" if count else ""
            which = f"  ({self._picture % count + 1} of {count})" if count > 1 else ""
            took = "" if view.seconds is None else f" in {duration(view.seconds)}"
            return f"finished{took} ({duration(view.elapsed)} with start and loading){path}{which}"
        if view.outcome is not None:
            where = f" in {view.failed_in.value}" if view.failed_in else ""
            return f"{ENDED[view.outcome]}{where}: {view.message}"
        return "Stopping after the present step; the same key again stops at once." if view.stopping else ""

    def _show_panels(self, view: View) -> None:
        self.query_one("#memory", Panel).show(memory_reading(view))
        self.query_one("#cpu", Panel).show(cpu_reading(view))
        self.query_one("#ram", Panel).show(ram_reading(view))
        gpu = gpu_reading(view)
        self.query_one("#panels").set_class(gpu is None, "-no-gpu")
        if gpu is not None:
            self.query_one("#gpu", Panel).show(gpu)

    def _show_picture(self) -> None:
        view = self._shown
        if view.images:
            words, path = "", Path(view.images[self._picture % len(view.images)])
        else:
            path = None
            words = (
                "the picture appears here" if view.outcome is None else f"no picture: {ENDED[view.outcome]}"
            )
        self.query_one(Picture).show(path, words)
