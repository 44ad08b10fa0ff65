"""MonitorScreen: what the machine and each process do, now or then, and what the work waits for."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import ClassVar

from textual.app import ComposeResult, SystemCommand
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.css.query import NoMatches
from textual.screen import Screen
from textual.widgets import Input, Static

from doctor.errors import NotInOrder
from doctor.telemetry.processes import ProcessRow
from doctor.telemetry.recording import Recording
from tui.monitor_feed import LiveFeed, Player, kept_incidents
from tui.monitor_keys import HELP, KEYS
from tui.monitor_news import Failed, Listed, Marked, Postman, Sampled
from tui.monitor_panels import readings
from tui.monitor_scope import Scope
from tui.monitor_words import about_table, span_words, title_words, verdict_missing
from tui.process_rows import COLUMNS, Entry, Order, arrange, columns_for, entries, rows_of
from tui.screens.help import HelpOverlay
from tui.screens.signalling import SignalScreen
from tui.screens.threads import ThreadsScreen
from tui.signals import KINDS, Kind, send
from tui.timeline import Mark, Timeline
from tui.widgets.board import Board
from tui.widgets.key_line import KeyLine
from tui.widgets.process_list import ProcessList
from tui.widgets.said import Said
from tui.widgets.scrubber import Scrubber
from tui.widgets.verdict_line import VerdictLine

PER = (1, 2, 5, 10, 30, 60)
"""Samples to a reading of a plot."""
SPEEDS = (0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 100.0)
"""Of a recording that is played."""
TICK_SECONDS = 0.1
"""Between two looks at where a recording stands."""

_VIEWS = ("", "-only-panels", "-only-processes")


class MonitorScreen(Screen[None]):
    """Needs no particular app: its feed is its own, from mount to unmount."""

    CSS_PATH = ["../sdoctor.tcss", "monitor.tcss"]  # noqa: RUF012  (Textual's own type is a plain list)
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (120, "-wide"), (170, "-huge")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-low"), (18, "-high"), (36, "-tall")]  # noqa: RUF012
    AUTO_FOCUS = "#processes"
    BINDINGS: ClassVar[list[BindingType]] = list(KEYS)

    def __init__(
        self, feed: LiveFeed | None = None, recording: Recording | None = None, speed: float = 1.0
    ) -> None:
        """Of this machine, unless a recording is given."""
        super().__init__()
        self.recording = recording
        self.feed = None if recording is not None else (feed or LiveFeed())
        self.line = Timeline() if recording is None else Timeline(recording.samples, most=None)
        self.order = Order()
        self.marks: tuple[Mark, ...] = ()
        self._rows: tuple[ProcessRow, ...] = ()
        self._per = 0
        self._view = 0
        times = () if recording is None else tuple(sample.at for sample in recording.samples)
        self._player = Player(times, speed)
        self._ticked = 0.0

    def compose(self) -> ComposeResult:
        """The verdict, the panels, where in time, the processes."""
        yield Said(" monitor", id="title")
        yield VerdictLine()
        yield Said(id="no-verdict")
        yield Board(id="board")
        yield Scrubber(id="scrubber")
        yield Said("reading the machine ...", id="about")
        with Horizontal(id="filter-line"):
            yield Static("filter")
            yield Input(id="filter", compact=True, placeholder="id, user or command")
        yield ProcessList(id="processes")
        yield KeyLine()

    def on_mount(self) -> None:
        """Begin to read, or to play."""
        if self.feed is not None:
            self.feed.start(Postman(self))
            return
        with contextlib.suppress(OSError, NotInOrder):
            self.marks = kept_incidents()
        if not self.line.samples:
            self.query_one("#about", Said).say("The recording holds no sample.")
        self._ticked = time.monotonic()
        self.set_interval(TICK_SECONDS, self._tick)
        self.call_after_refresh(self._draw)

    def on_unmount(self) -> None:
        """Nobody looks any more; the thread ends with its next sample."""
        if self.feed is not None:
            self.feed.close()

    def on_screen_suspend(self) -> None:
        """Another place is shown: history is kept up, processes are not listed."""
        if self.feed is not None:
            self.feed.lists = False

    def on_screen_resume(self) -> None:
        """Shown again."""
        if self.feed is not None:
            self.feed.lists = True
        if self.is_mounted:
            self._draw()

    # --------------------------------------------------------------------------- news

    def on_sampled(self, event: Sampled) -> None:
        """Draw it, unless an older one is looked at."""
        self.line.add(event.sample)
        if self.line.follows:
            self._draw()
        else:
            self._show(self._draw_time)

    def on_listed(self, event: Listed) -> None:
        """Draw the table."""
        self._rows = event.rows
        if self.line.follows:
            self._show(self._draw_table)

    def on_marked(self, event: Marked) -> None:
        """Draw the marks."""
        self.marks = event.marks
        self._show(self._draw_time)

    def on_failed(self, event: Failed) -> None:
        """Say so."""
        self.notify(event.why, severity="warning", markup=False)

    def _tick(self) -> None:
        now = time.monotonic()
        passed, self._ticked = now - self._ticked, now
        runs, head = self._player.runs, self.line.head
        self.line.head = self._player.after(head, passed)
        if self.line.head != head or self._player.runs != runs:
            self._draw()

    # ------------------------------------------------------------------------- drawing

    def on_resize(self) -> None:
        """Plots show more or less."""
        self.call_after_refresh(self._draw)

    def _draw(self) -> None:
        if not self.is_current or self.line.sample is None:
            return
        self._show(self._draw_verdict, self._draw_panels, self._draw_table, self._draw_time)

    def _show(self, *drawings: Callable[[], None]) -> None:
        # News may arrive while the screen is being taken down, when some widgets are gone already.
        if self.is_mounted and self.app.is_running:
            with contextlib.suppress(NoMatches):
                for draw in drawings:
                    draw()

    def _draw_verdict(self) -> None:
        verdicts = self.line.verdicts()
        self.query_one(VerdictLine).show(verdicts)
        self.query_one("#no-verdict", Said).say("" if verdicts else verdict_missing(self.line))
        self.query_one("#no-verdict").display = not verdicts

    def _draw_panels(self) -> None:
        per = PER[self._per]
        marks = tuple(sorted({place for place, _ in self.line.places(self.marks, per)}))
        shown = readings(Scope(self.line, 2 * self.size.width, per, marks))
        self.query_one(Board).show(shown)

    def _draw_time(self) -> None:
        line = self.line
        count = len(line.samples)
        if not count:
            return
        whole = max(1, count - 1)
        at = (line.index_at(mark.clock) for mark in self.marks)
        marks = tuple(sorted({index / whole for index in at if index is not None}))
        words = span_words(line, PER[self._per])
        self.query_one(Scrubber).show(line.head / whole if count > 1 else 1.0, marks, words)
        title = title_words(line, self.recording is not None, self._player)
        self.query_one("#title", Said).say(title)

    def _draw_table(self) -> None:
        sample = self.line.sample
        if sample is None:
            return
        rows = self._rows if self.is_now else rows_of(sample)
        shown = arrange(entries(rows, sample), self.order)
        self.query_one(ProcessList).show(shown, self.order, self._watched, has_cards=sample.gpus != ())
        self.query_one("#about", Said).say(
            about_table(len(shown), len(rows), self.order, self.is_now, self._mark_here())
        )

    def _mark_here(self) -> str:
        """The newest incident that the plots show."""
        places = self.line.places(self.marks, PER[self._per])
        return places[-1][1].text if places and places[-1][0] < 2 * self.size.width else ""

    @property
    def is_now(self) -> bool:
        """Whether the present is shown: only then all processes are known, and can be told something."""
        return self.feed is not None and self.line.follows

    @property
    def _watched(self) -> int | None:
        if self.feed is not None:
            return self.feed.pid
        sample = self.line.sample
        return sample.process.pid if sample is not None and sample.process is not None else None

    # ---------------------------------------------------------------------------- time

    def action_hold(self) -> None:
        """Stand still, and go on from there (a recording) or with the present."""
        if self.feed is None:
            if self.line.at_end and not self._player.runs:
                self.line.seek(0)
            self._player.runs = not self._player.runs
        elif self.line.follows:
            self.line.follows = False
        else:
            self.action_newest()
        self._draw()

    def action_step(self, samples: int) -> None:
        """Look further back, or forth again."""
        self._seek(self.line.head + samples * PER[self._per])

    def _seek(self, index: int) -> None:
        self.line.seek(index)
        if self.feed is not None:
            self.line.follows = self.line.at_end
        self._draw()

    def action_oldest(self) -> None:
        """The beginning."""
        self._seek(0)

    def action_newest(self) -> None:
        """The present, or the end of the recording."""
        self._seek(len(self.line.samples))

    def on_scrubber_wanted(self, event: Scrubber.Wanted) -> None:
        """A click on the track."""
        self._seek(round(event.share * (len(self.line.samples) - 1)))

    def action_zoom(self, way: int) -> None:
        """More time to a plot, or less."""
        self._per = max(0, min(len(PER) - 1, self._per + way))
        self._draw()

    def action_speed(self, way: int) -> None:
        """Play faster or slower."""
        if self.feed is not None:
            return
        speed = self._player.speed or SPEEDS[-1]
        faster = [each for each in SPEEDS if each > speed] or [SPEEDS[-1]]
        slower = [each for each in SPEEDS if each < speed] or [SPEEDS[0]]
        self._player.speed = faster[0] if way > 0 else slower[-1]
        self._draw_time()

    # ----------------------------------------------------------------------- processes

    def action_sort(self, way: int) -> None:
        """By the next column, or the one before."""
        sample = self.line.sample
        has_cards = sample is not None and sample.gpus != ()
        names = [column.name for column in columns_for(self.size.width, has_cards)]
        if self.order.column not in names:
            names.insert(0, self.order.column)
        self._sort(names[(names.index(self.order.column) + way) % len(names)])

    def on_process_list_sort_wanted(self, event: ProcessList.SortWanted) -> None:
        """A click on a heading; a second one turns it round."""
        if event.column == self.order.column:
            self.action_reverse()
        else:
            self._sort(event.column)

    def _sort(self, column: str) -> None:
        self.order = replace(self.order, column=column, reverse=False)
        self._draw_table()

    def action_reverse(self) -> None:
        """The other way round."""
        self.order = replace(self.order, reverse=not self.order.reverse)
        self._draw_table()

    def action_tree(self) -> None:
        """As a tree, or as a list."""
        self.order = replace(self.order, tree=not self.order.tree)
        self._draw_table()

    def action_filter(self) -> None:
        """Type what shall be shown."""
        self.add_class("-filtering")
        self.query_one("#filter").focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Each letter."""
        self.order = replace(self.order, filter=event.value)
        self._draw_table()

    def on_input_submitted(self) -> None:
        """Keep the filter, and go back to the table."""
        self.remove_class("-filtering")
        self.query_one(ProcessList).focus()

    def action_clear(self) -> None:
        """Escape takes back the last: the filter, then a look at the past."""
        if self.order.filter or self.has_class("-filtering"):
            self.query_one("#filter", Input).value = ""
            self.remove_class("-filtering")
            self.query_one(ProcessList).focus()
        elif not self.line.follows and self.feed is not None:
            self.action_newest()

    def on_process_list_picked(self, event: ProcessList.Picked) -> None:
        """Enter on a line."""
        self._watch(event.entry)

    def _watch(self, entry: Entry) -> None:
        """Watch it, or no longer."""
        if self.feed is None or not self.is_now:
            return
        pid = entry.row.pid
        self.feed.watch(None if self.feed.pid == pid else pid)
        self._draw_table()

    def action_details(self) -> None:
        """Its threads; to know them it has to be watched."""
        entry = self.query_one(ProcessList).chosen
        if entry is None:
            return
        before = self._watched
        if self.feed is not None and self.is_now:
            self.feed.watch(entry.row.pid)
        self.app.push_screen(
            ThreadsScreen(entry.row, lambda: self.line.sample), lambda _: self._watch_again(before)
        )

    def _watch_again(self, pid: int | None) -> None:
        if self.feed is not None:
            self.feed.watch(pid)

    def action_signal(self, name: str | None = None) -> None:
        """Choose a signal for the process under the cursor, and confirm it."""
        entry = self.query_one(ProcessList).chosen
        if entry is None:
            return
        if not self.is_now:
            self.notify("This is the past; End goes to the present.", markup=False)
            return
        kind = next((kind for kind in KINDS if kind.name == name), None)
        self.app.push_screen(SignalScreen(entry.row, kind), lambda chosen: self._send(entry.row, chosen))

    def _send(self, row: ProcessRow, kind: Kind | None) -> None:
        if kind is not None:
            self.notify(send(row, kind), markup=False)

    # ---------------------------------------------------------------------------- rest

    def action_view(self) -> None:
        """Both, panels only, processes only."""
        self._view = (self._view + 1) % len(_VIEWS)
        for name in _VIEWS[1:]:
            self.set_class(name == _VIEWS[self._view], name)
        self.call_after_refresh(self._draw)

    def action_help(self) -> None:
        """Open the help."""
        self.app.push_screen(HelpOverlay(HELP))

    def commands(self) -> Iterable[SystemCommand]:
        """For the command palette."""
        yield SystemCommand("Processes as a tree", "Or as a list again", self.action_tree)
        yield SystemCommand("Panels or processes only", "And both again", self.action_view)
        for column in COLUMNS:
            yield SystemCommand(
                f"Sort by {column.title}", "The processes", lambda name=column.name: self._sort(name)
            )
