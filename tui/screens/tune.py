"""TuneScreen: a study as it runs: the trials, the edge closing in, time against memory, the winner."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterable
from dataclasses import replace
from typing import ClassVar

from textual.app import ComposeResult, SystemCommand
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.css.query import NoMatches
from textual.message import Message
from textual.screen import Screen
from textual.widgets import DataTable

from doctor.sizes import gib
from tui.known_models import known_models
from tui.pacing import Pace
from tui.render_tune import OUTCOMES, as_table, seconds_text
from tui.screens.help import HelpOverlay
from tui.screens.past import PastScreen, TextScreen
from tui.study_feed import Run, StudyFeed
from tui.study_state import Message as StudyMessage
from tui.study_state import Opened, Stepping, StudyView, fold
from tui.tuning import Asked, run_study
from tui.widgets.key_line import KeyLine
from tui.widgets.said import Said
from tui.widgets.study_form import StudyField, StudyForm
from tui.widgets.study_panels import ChartPanel, EdgePanel, NowLine, said_of
from tui.widgets.words import clock, printable
from tuner.probe import Trial

HELP = (
    (
        "Keys",
        (
            ("i", "to the fields: model, goal, size, memory, minutes, largest side"),
            ("Enter there", "begin the study; Esc gives the letter keys back"),
            ("r", "go on with a study of the same fields that was cut off"),
            ("c", "cancel: the worker is ended, what was measured is kept"),
            ("v", "trials or chart, where there is no room for both"),
            ("t", "the table that sdoctor tune ends with"),
            ("o", "open a study of the past"),
            ("q", "quit; a running study is stopped first"),
            ("Ctrl+P", "command palette: themes, screenshot, ..."),
            ("?", "this help"),
        ),
    ),
    (
        "Figures",
        (
            ("all of them", "measured on the real pipeline, in a process of its own"),
            ("━ ┄ ✗ ?", "sizes that ran, that are open, that did not run, tried now"),
            ("proven", "the next size up was tried and ran out of memory"),
        ),
    ),
)

_STOP_SECONDS = 10.0
"""Longest wait for a study to put its worker away when the screen is taken down."""
_COLUMNS = ("#", "size", "s/step", "s/image", "peak", "outcome", "settings")
"""What is longest stands last: where room is scarce it is cut off, and the line below the table says it whole."""


class TuneScreen(Screen[None]):
    """Runs studies, one at a time, as ``sdoctor tune`` does. Needs no particular app."""

    CSS_PATH = ["../sdoctor.tcss", "tune.tcss"]  # noqa: RUF012  (Textual's own type is a plain list)
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (120, "-wide")]  # noqa: RUF012
    AUTO_FOCUS = "#study-model"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "app.quit", "quit"),
        Binding("ctrl+c", "app.quit", show=False),
        Binding("question_mark", "help", "help", key_display="?"),
        Binding("c", "cancel", "cancel"),
        Binding("i", "fields", "fields"),
        Binding("r", "resume", "resume"),
        Binding("v", "view", "trials/chart"),
        Binding("t", "table", "table"),
        Binding("o", "past", "open"),
    ]

    class Arrived(Message):
        """A message of the study."""

        def __init__(self, message: StudyMessage) -> None:
            super().__init__()
            self.message = message

    def __init__(self, asked: Asked | None = None, *, begin: bool = False, run: Run = run_study) -> None:
        """``asked``: what the fields begin with, and the first study if ``begin``. ``run`` runs a study."""
        super().__init__()
        self.view = StudyView()
        self.feed = StudyFeed(self._deliver, run)
        self._asked = asked or Asked()
        self._begin = begin
        self._leaving = False
        self._drawn_at = 0.0
        self._drawing_due = False
        self._pace = Pace()
        self._rows: tuple[Trial, ...] = ()
        self._marked: tuple[Trial | None, Trial | None] = (None, None)

    def compose(self) -> ComposeResult:
        """The form, the verdict, what goes on, the edges; the trials with the chart beside them."""
        yield Said(" tune", id="title")
        yield StudyForm(self._asked, known_models())
        yield Said(id="study-facts", classes="-empty")
        yield Said(id="study-verdict", classes="-empty")
        yield NowLine(id="study-now")
        with Horizontal(id="study"):
            with Vertical(id="study-left"):
                yield EdgePanel(id="edges")
                yield DataTable(id="trials", cursor_type="row", zebra_stripes=True)
                yield Said(id="trial-note")
            yield ChartPanel(id="chart")
        yield KeyLine()

    @property
    def is_working(self) -> bool:
        """Whether a study runs: leaving now would stop it."""
        return self.feed.is_running

    def on_mount(self) -> None:
        """Wait for the user, or begin what was asked for."""
        for widget, title in (("#edges", "how large"), ("#trials", "trials"), ("#chart", "time and memory")):
            self.query_one(widget).border_title = title
        self.query_one(DataTable).add_columns(*_COLUMNS)
        self.set_interval(1.0, self._tick)
        if self._begin:
            self.begin(self._asked)

    async def on_unmount(self) -> None:
        """Leave no worker behind."""
        self.feed.stop()
        await asyncio.to_thread(self.feed.join, _STOP_SECONDS)

    # ---------------------------------------------------------------------- study

    def begin(self, asked: Asked) -> None:
        """Begin a study, unless one runs."""
        if self.feed.run(asked):
            self.set_focus(self.query_one(DataTable))
            self._take(Opened(time.monotonic(), asked))

    def on_study_form_wanted(self, event: StudyForm.Wanted) -> None:
        """Enter in the form."""
        if self.feed.is_running:
            self.notify("A study runs already; c cancels it.", severity="warning")
        else:
            self.begin(event.asked)

    def _deliver(self, message: StudyMessage) -> None:
        """Called in the study's thread."""
        # Raised when the event loop has closed meanwhile: then there is no screen left to tell.
        with contextlib.suppress(RuntimeError):
            self.post_message(self.Arrived(message))

    def on_tune_screen_arrived(self, event: Arrived) -> None:
        """Fold and draw."""
        self._take(event.message)

    def _take(self, message: StudyMessage) -> None:
        old, self.view = self.view, fold(self.view, message)
        if not isinstance(message, Stepping):
            self.call_after_refresh(self.refresh_bindings)
        self._draw_soon()
        if old.is_running and not self.view.is_running and self._leaving:
            self.app.exit()

    # -------------------------------------------------------------------- drawing

    def on_screen_resume(self) -> None:
        """Another place was shown; meanwhile nothing was drawn."""
        self._draw_soon()

    def _tick(self) -> None:
        """The clock goes on between two messages."""
        if self.view.is_running:
            self._draw_soon()

    def _draw_soon(self) -> None:
        if not self._drawing_due:
            self._drawing_due = True
            self.set_timer(max(0.001, self._drawn_at + self._pace.seconds - time.monotonic()), self._draw)

    def _draw(self) -> None:
        self._drawing_due = False
        self._drawn_at = time.monotonic()
        self._pace.begin()
        # A drawing may come due while the screen is being taken down, when some widgets are gone already.
        if self.is_mounted and self.app.is_running and self in self.app.screen_stack:
            with contextlib.suppress(NoMatches):
                self._show(self.view)

    def _show(self, view: StudyView) -> None:
        self.query_one("#title", Said).say(_title(view))
        self.set_class(view.is_running, "-running")
        self._words(
            "#study-facts", f"{view.model}: {view.goal_text}" if view.goal_text else _invitation(view)
        )
        verdict = self._words("#study-verdict", said_of(view))
        verdict.set_class(bool(view.words), "-bad")
        self.query_one(NowLine).show(view)
        self.query_one(EdgePanel).show(view)
        self.query_one(ChartPanel).show(view)
        self._show_trials(view)

    def _words(self, name: str, text: str) -> Said:
        widget = self.query_one(name, Said)
        widget.say(text)
        widget.set_class(not text, "-empty")
        return widget

    def _show_trials(self, view: StudyView) -> None:
        """Add the new ones; build anew only where another study, or another winner, is shown."""
        table = self.query_one(DataTable)
        marked = view.best, view.baseline
        if view.trials == self._rows and marked == self._marked:
            return
        known = len(self._rows) if self._rows == view.trials[: len(self._rows)] else 0
        if marked != self._marked:
            known = 0
        at_end = table.cursor_row >= table.row_count - 1
        last = table.cursor_row
        if known == 0:
            table.clear()
        for number, trial in enumerate(view.trials[known:], known + 1):
            table.add_row(*_row(number, trial, view))
        self._rows, self._marked = view.trials, marked
        # Follow the newest trial unless the user reads an older one.
        table.move_cursor(row=table.row_count - 1 if at_end else last, animate=False)

    def on_data_table_row_highlighted(self, event: DataTable.RowHighlighted) -> None:
        """Say more about the trial under the cursor."""
        event.stop()
        at = event.cursor_row
        self.query_one("#trial-note", Said).say(
            # A table that was just emptied has no row under its cursor.
            _note(self._rows[at]) if 0 <= at < len(self._rows) else ""
        )

    # ----------------------------------------------------------------------- keys

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Which keys mean something now; the footer shows only those."""
        if action == "cancel":
            return self.is_working
        if action in ("resume", "past"):
            return not self.is_working
        if action == "table":
            return self.view.found is not None
        if action == "view":
            return self.has_class("-narrow")
        return super().check_action(action, parameters)

    def on_resize(self) -> None:
        """Some keys mean something on a narrow screen only."""
        self.call_after_refresh(self.refresh_bindings)

    def action_keys(self) -> None:
        """Leave the form, so that letters are keys."""
        self.set_focus(self.query_one(DataTable))

    def action_fields(self) -> None:
        """Go to the form."""
        self.set_focus(self.query_one("#study-model", StudyField))

    def action_cancel(self) -> None:
        """Stop the study; what was measured is kept."""
        if self.is_working:
            self.feed.stop()
            self.view = replace(self.view, is_stopping=True)
            self._draw_soon()

    def leave(self) -> None:
        """End the app: at once if nothing runs or asked twice, else as soon as the study has stopped."""
        again, self._leaving = self._leaving, True
        working = self.is_working
        self.action_cancel()
        if again or not working:
            self.app.exit()

    def action_resume(self) -> None:
        """Begin with the trials of a study of the same fields that was cut off."""
        self.query_one(StudyForm).submit(resume=True)

    def action_view(self) -> None:
        """On a narrow screen, change between the trials and the chart."""
        self.toggle_class("-chart")

    def action_table(self) -> None:
        """Show the final table."""
        found = self.view.found
        if found is not None:
            target = found.situation.target
            self.app.push_screen(
                TextScreen(
                    "sdoctor tune",
                    as_table(found.result, found.situation.model.name, target, found.profile),
                )
            )

    def action_past(self) -> None:
        """Choose a study of the past, and show it."""

        def show(view: StudyView | None) -> None:
            if view is not None and not self.is_working:
                self.view = view
                self._draw_soon()
                self.refresh_bindings()

        self.app.push_screen(PastScreen(), show)

    def action_help(self) -> None:
        """Open the help."""
        self.app.push_screen(HelpOverlay(HELP))

    def commands(self) -> Iterable[SystemCommand]:
        """What the command palette of the app may offer now."""
        if self.is_working:
            yield SystemCommand("Cancel the study", "What was measured is kept", self.action_cancel)
        else:
            yield SystemCommand("Open a study of the past", "Profiles and journals", self.action_past)


def _invitation(view: StudyView) -> str:
    """What to do where no study was begun."""
    if view.is_running or view.trials or view.words:
        return ""
    return "Enter in a field begins a study with what the fields say; Esc, then o opens one of the past."


def _title(view: StudyView) -> Content:
    count = f"  {len(view.trials)} trials" if view.trials else ""
    took = ""
    if view.started is not None:
        took = f"  {clock((view.ended or time.monotonic()) - view.started)}"
    state = "" if view.started is None else "  running" if view.is_running else _ending(view)
    # What matters least stands last: a narrow screen cuts it off.
    return Content.assemble((" tune", "bold"), f"{state}{took}{count}  {printable(view.device)}")


def _ending(view: StudyView) -> str:
    if view.found is None:
        return "  ended"
    if view.found.interrupted:
        return "  stopped"
    return "  finished" if view.found.result.complete else "  out of time"


def _row(number: int, trial: Trial, view: StudyView) -> tuple[str, ...]:
    mark = "◆" if trial == view.best else "○" if trial == view.baseline else " "
    size = f"{trial.width}x{trial.height}" + (f" x{trial.batch}" if trial.batch > 1 else "")
    peak = "-" if trial.peak_bytes is None else gib(trial.peak_bytes)
    return (
        f"{number}{mark}",
        size,
        seconds_text(trial.seconds_per_step),
        seconds_text(trial.seconds_per_image),
        peak,
        OUTCOMES[trial.outcome],
        trial.settings.text(),
    )


def _note(trial: Trial) -> str:
    where = f" in {trial.failed_in.value}" if trial.failed_in else ""
    said = f": {trial.message}" if trial.message else ""
    cost = "" if trial.seconds is None else f", the trial took {trial.seconds:.1f} s with loading"
    predicted = (trial.predicted or {}).get("peak_bytes")
    foretold = "" if predicted is None else f", peak predicted {gib(round(predicted))}"
    remarks = "".join(f"; {remark}" for remark in trial.remarks)
    return printable(
        f"{trial.purpose.value}: {trial.settings.text()}: {OUTCOMES[trial.outcome]}{where}{said}{cost}{foretold}{remarks}"
    )
