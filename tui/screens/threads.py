"""ThreadsScreen: one process in full: its command line, its threads, how long each runs and waits."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from doctor.telemetry.processes import ProcessRow
from doctor.telemetry.sample import Sample, ThreadSample
from tui.process_rows import command_of
from tui.widgets.words import printable

REFRESH_SECONDS = 1.0


class ThreadsScreen(ModalScreen[None]):
    """Lies over the monitor and goes on with it."""

    DEFAULT_CSS = """
    ThreadsScreen { align: center middle; }
    ThreadsScreen > VerticalScroll {
        width: 90; max-width: 100%; height: 90%; padding: 0 1;
        border: round $accent; background: $surface; scrollbar-size-vertical: 1;
    }
    ThreadsScreen Static { height: auto; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,d,q", "dismiss", "close", key_display="Esc"),
        Binding("ctrl+c", "app.quit", show=False),
    ]

    def __init__(self, row: ProcessRow, sample: Callable[[], Sample | None]) -> None:
        """``sample`` gives the one that is looked at."""
        super().__init__()
        self._row = row
        self._sample = sample

    def compose(self) -> ComposeResult:
        """One text."""
        with VerticalScroll() as box:
            box.border_title = f"{printable(self._row.name)} ({self._row.pid})"
            box.border_subtitle = "Esc closes"
            yield Static(markup=False)

    def on_mount(self) -> None:
        """Draw, and again with each sample."""
        self._draw()
        self.set_interval(REFRESH_SECONDS, self._draw)

    def _draw(self) -> None:
        self.query_one(Static).update(details(self._row, self._sample()))


def details(row: ProcessRow, sample: Sample | None) -> str:
    """The text. Threads are known of the watched process only, and on Linux only."""
    lines = [printable(command_of(row)), ""]
    who = f"user {row.user or 'unknown'}, parent {row.parent or 'unknown'}, state {row.state or 'unknown'}"
    lines += [who, ""]
    process = sample.process if sample is not None else None
    if process is None or process.pid != row.pid:
        return "\n".join([*lines, "Reading its threads ..."])
    if process.threads is None:
        return "\n".join([*lines, "Its threads cannot be read here."])
    lines.append(f"{'thread':>8}  {'name':<16} {'runs':>6} {'waits':>6}  state")
    lines += [_line(thread) for thread in process.threads]
    more = (process.thread_count or 0) - len(process.threads)
    return "\n".join([*lines, *([f"and {more} more"] if more > 0 else [])])


def _line(thread: ThreadSample) -> str:
    runs, waits = (
        "?" if value is None else f"{value:.0f} %" for value in (thread.cpu_percent, thread.wait_percent)
    )
    name = printable(thread.name or "?")
    return f"{thread.id:>8}  {name:<16} {runs:>6} {waits:>6}  {thread.state or '?'}"
