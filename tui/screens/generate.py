"""GenerateScreen: orders and their pictures, one after another, and the machine meanwhile.

The screen takes messages from its feed, folds them into the view and shows the view. It never waits for
anything: the worker and the sampler are heard in threads of the feed, and what they say arrives as Textual
messages. Drawing is bounded in rate, and happens only after a message.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import ClassVar

from textual.app import ComposeResult, SystemCommand
from textual.binding import Binding, BindingType
from textual.css.query import NoMatches
from textual.message import Message
from textual.screen import Screen
from textual.timer import Timer

from doctor.telemetry.sample import Sample
from doctor.trace import Outcome
from tui.feed import SAMPLE_SECONDS, Feed, GenerateJob
from tui.known_models import known_models
from tui.orders import Order, Orders, State
from tui.pacing import SHORTEST_SECONDS, Pace
from tui.prompt_history import PromptHistory
from tui.run_messages import Message as FeedMessage
from tui.run_messages import StopAsked
from tui.screens.gallery import Again, GalleryScreen
from tui.screens.help import HelpOverlay
from tui.screens.settings import SettingsEditor
from tui.state import View, fold
from tui.widgets.job_list import JobList
from tui.widgets.key_line import KeyLine
from tui.widgets.log import LogPanel
from tui.widgets.order_form import Ask, OrderForm
from tui.widgets.run_board import RunBoard
from tui.widgets.title import TitleBar
from tui.workshop import Maker, Workshop
from tuner.generation import Wish


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

    CSS_PATH = ["../sdoctor.tcss", "generate.tcss"]  # noqa: RUF012  (Textual's own type is a plain list)
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (120, "-wide")]  # noqa: RUF012  (Textual's own type is a plain list)
    VERTICAL_BREAKPOINTS = [(0, "-low"), (18, "-high"), (36, "-tall")]  # noqa: RUF012
    AUTO_FOCUS = "#log"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "app.quit", "quit"),
        Binding("ctrl+c", "app.quit", show=False),
        Binding("c", "cancel", "cancel"),
        Binding("i", "ask", "prompt"),
        Binding("o", "fields", "options"),
        Binding("s", "settings", "settings"),
        Binding("g", "gallery", "gallery"),
        Binding("j", "jobs", "jobs"),
        Binding("p", "picture", "picture/panels"),
        Binding("n", "next_picture", "next picture"),
        Binding("question_mark", "help", "help", key_display="?"),
    ]

    def __init__(
        self,
        workshop: Maker | None = None,
        order: Order | None = None,
        *,
        begin: bool = False,
        seed: int | None = None,
        job: GenerateJob | None = None,
        read: Callable[[int | None], Sample] | None = None,
        every: float = SAMPLE_SECONDS,
        history: PromptHistory | None = None,
    ) -> None:
        """``workshop`` draws the orders; by default one on this machine, which the screen ends with itself.

        ``order``: what the form begins with, and the first order if ``begin``. ``seed``: kept in the form.
        ``job``: shows this one job instead, without a form. ``read`` takes the samples of the machine, one
        each ``every`` seconds; by default the real ones.
        """
        super().__init__()
        self.view = View()
        self.feed = Feed(self._deliver, read, every)
        self.orders = Orders()
        self._workshop = workshop or (None if job is not None else Workshop())
        self._template = order or Order(model="builtin:tiny", wish=Wish(prompt=""))
        self._begin = begin
        self._seed = seed
        self._job = job
        self._history = history or PromptHistory()
        self._leaving = False
        self._drawn_at = 0.0
        self._next_drawing: Timer | None = None
        self._pace = Pace()
        self._shown_images: tuple[str, ...] = ()
        self.set_class(self._workshop is None, "-single")

    def compose(self) -> ComposeResult:
        """The form on top, the board below."""
        yield TitleBar(id="title")
        if self._workshop is not None:
            yield OrderForm(self._template, known_models(), self._history, self._seed)
        yield RunBoard()
        yield KeyLine()

    @property
    def is_working(self) -> bool:
        """Whether a job runs: leaving now would stop it."""
        if self._workshop is not None:
            # What the feed says about a job that was just begun is still on its way.
            return self.orders.running is not None
        return self.view.run is not None and not self.view.over

    @property
    def is_narrow(self) -> bool:
        """Whether there is no room for picture and panels side by side."""
        return self.has_class("-narrow")

    def on_resize(self) -> None:
        """Some keys mean something on a narrow screen only."""
        self.call_after_refresh(self.refresh_bindings)

    def on_mount(self) -> None:
        """Let the feed begin."""
        self.feed.start()
        if self._job is not None:
            self.feed.run(self._job)
        elif self._begin:
            self._history.add(self._template.wish.prompt)
            self.query_one(OrderForm).fill(
                replace(self._template, wish=replace(self._template.wish, prompt=""))
            )
            self.add(self._template)
        else:
            self.action_ask()
        self._draw_soon()

    async def on_unmount(self) -> None:
        """Nobody listens any more, and no worker waits any more."""
        self.feed.close()
        if self._workshop is not None:
            await asyncio.to_thread(self._workshop.close)

    def on_screen_resume(self) -> None:
        """Another screen lay over this one or was shown in its place; meanwhile nothing was drawn."""
        self._draw_soon()

    # -------------------------------------------------------------------- orders

    def add(self, order: Order) -> None:
        """Draw ``order`` when those before it are done."""
        self.orders = self.orders.add(order)
        self._next()

    def _next(self) -> None:
        """Begin the next order, unless one runs, none waits, or the user leaves."""
        if self._workshop is not None and self.orders.running is None and not self._leaving:
            self.orders = self.orders.begin()
            running = self.orders.running
            if running is not None:
                self.feed.run(self._workshop.job(running.order, self.feed.verdicts))
        self._draw_soon()

    def _ended(self) -> None:
        """The job is over: note how, begin the next."""
        view = self.view
        state = {Outcome.FINISHED: State.FINISHED, Outcome.INTERRUPTED: State.STOPPED}
        self.orders = self.orders.end(
            state.get(view.outcome or Outcome.CRASHED, State.FAILED), view.images, view.seconds, view.message
        )
        if self._leaving or (self._job is not None and self._job.auto_exit):
            self.app.exit()
        else:
            self._next()

    def on_order_form_ordered(self, event: OrderForm.Ordered) -> None:
        """Enter in the form."""
        self.add(event.order)

    def on_job_list_wanted(self, event: JobList.Wanted) -> None:
        """A key in the list of jobs."""
        placed = self.orders.get(event.number)
        if event.what == "remove":
            self.orders = self.orders.remove(event.number)
        elif event.what in ("earlier", "later"):
            self.orders = self.orders.move(event.number, -1 if event.what == "earlier" else 1)
        elif placed is not None:
            self.reuse(placed.order, seed=placed.order.wish.seed)
        self._draw_soon()

    def reuse(self, order: Order, *, seed: int | None) -> None:
        """Put ``order`` into the form; ``seed`` None leaves it to chance."""
        self.query_one(OrderForm).fill(order, seed=seed)
        self.action_ask()

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
            self._ended()
        self._draw_soon(
            news=(self.view.over, self.view.images, self.view.phase) != (old.over, old.images, old.phase)
        )

    def _draw_soon(self, *, news: bool = False) -> None:
        """What is news is shown at once; only the figures in between wait for their turn."""
        if self._next_drawing is not None and not news:
            return
        if self._next_drawing is not None:
            self._next_drawing.stop()
        wait = self._drawn_at + (SHORTEST_SECONDS if news else self._pace.seconds) - time.monotonic()
        self._next_drawing = self.set_timer(max(0.001, wait), self._draw)

    def _draw(self) -> None:
        self._next_drawing = None
        self._drawn_at = time.monotonic()
        self._pace.begin()
        # A drawing may come due while the screen is being taken down, when some widgets are gone already.
        if self.is_mounted and self.app.is_running and self in self.app.screen_stack:
            with contextlib.suppress(NoMatches):
                self._show(self.view)

    def _show(self, view: View) -> None:
        self.query_one(TitleBar).show(view)
        self.query_one(JobList).show(self.orders)
        self.set_class(len(self.orders.placed) > 1, "-jobs")
        self.query_one(RunBoard).show(view)
        if view.images != self._shown_images:
            self._shown_images = view.images
            self.set_class(bool(view.images), "-picture")

    # ---------------------------------------------------------------------- keys

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Which keys mean something now; the footer shows only those."""
        if action == "cancel":
            return self.is_working
        if action == "picture":
            return self.is_narrow and (bool(self.view.images) or self.view.preview is not None)
        if action == "next_picture":
            return len(self.view.images) > 1
        if action in ("ask", "fields", "settings", "gallery", "keys"):
            return self._workshop is not None
        if action == "jobs":
            return len(self.orders.placed) > 1
        return super().check_action(action, parameters)

    def action_cancel(self) -> None:
        """Ask the worker to stop after the present step, and asked again, at once; the next order follows."""
        if self.is_working:
            self.feed.interrupt()
            self._take(StopAsked(time.monotonic()))

    def leave(self) -> None:
        """End the app: at once if nothing runs or asked twice, else as soon as the worker has stopped."""
        again, self._leaving = self._leaving, True
        working = self.is_working
        self.action_cancel()
        if again or not working:
            self.app.exit()

    def action_keys(self) -> None:
        """Leave the form, so that letters are keys."""
        self.set_focus(self.query_one(LogPanel))

    def action_ask(self) -> None:
        """Go to the prompt."""
        self.set_focus(self.query_one(Ask))

    def action_fields(self) -> None:
        """Show or hide the fields of the form."""
        self.toggle_class("-fields")

    def action_jobs(self) -> None:
        """Go to the list of jobs."""
        self.set_focus(self.query_one(JobList))

    def action_settings(self) -> None:
        """Open the editor of the settings; they hold for what is ordered from now on."""
        if self._workshop is None:
            return
        form = self.query_one(OrderForm)

        def use(typed: str | None) -> None:
            if typed is not None:
                form.use_settings(typed)

        self.app.push_screen(SettingsEditor(form.template(), form.settings, self._workshop.look), use)

    def action_gallery(self) -> None:
        """Open the gallery; what is taken from it goes into the form."""

        def take(again: Again | None) -> None:
            if again is not None:
                self.reuse(again.order, seed=again.seed)

        self.app.push_screen(GalleryScreen(), take)

    def action_picture(self) -> None:
        """On a narrow screen, change between picture and panels."""
        self.toggle_class("-picture")

    def action_next_picture(self) -> None:
        """Show the next picture of the batch."""
        self.query_one(RunBoard).next_picture()

    def action_help(self) -> None:
        """Open the help."""
        self.app.push_screen(HelpOverlay())

    def commands(self) -> Iterable[SystemCommand]:
        """What the command palette of the app may offer now."""
        if self.is_working:
            yield SystemCommand("Cancel", "Stop the generation after the present step", self.action_cancel)
        elif self._workshop is not None:
            yield SystemCommand("Unload", "End the worker, which gives the model's memory back", self._unload)

    def _unload(self) -> None:
        if self._workshop is not None:
            self.run_worker(self._workshop.release, thread=True, exit_on_error=False)
