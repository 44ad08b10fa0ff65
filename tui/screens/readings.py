"""ReadingsScreen: what ``sdoctor monitor`` prints, as it changes: the machine's figures and the verdict on them."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Footer, Static

from doctor.telemetry.sample import Sample
from doctor.verdicts import judge, recent
from tui.render_monitor import table_of
from tui.screens.help import HelpOverlay

SAMPLE_SECONDS = 1.0
_FIRST_SECONDS = 0.5
"""The first reading has no rates; the second comes soon."""

HELP = (
    (
        "Keys",
        (
            ("space", "hold the figures still, and let them go on"),
            ("↑ ↓ PgUp PgDn", "scroll"),
            ("q", "quit"),
            ("Ctrl+P", "command palette: themes, screenshot, ..."),
            ("?", "this help"),
        ),
    ),
)


def _samples() -> Iterator[Sample]:
    from tui.monitoring import live

    return live(None, lambda taken: _FIRST_SECONDS if taken == 1 else SAMPLE_SECONDS)


class ReadingsScreen(Screen[None]):
    """Needs no particular app: its feed is its own, from mount to unmount."""

    CSS_PATH = ["../sdoctor.tcss"]  # noqa: RUF012  (Textual's own type is a plain list)
    DEFAULT_CSS = "ReadingsScreen #readings { padding: 0 1; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "app.quit", "quit"),
        Binding("ctrl+c", "app.quit", show=False),
        Binding("space", "hold", "hold/go on"),
        Binding("question_mark", "help", "help", key_display="?"),
    ]

    class Arrived(Message):
        """A sample, with the text that shows it."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def __init__(self, samples: Callable[[], Iterator[Sample]] = _samples) -> None:
        """``samples`` are read in a thread, at their own pace."""
        super().__init__()
        self._samples = samples
        self._over = threading.Event()
        self._held = False

    def compose(self) -> ComposeResult:
        """One scrolling page."""
        yield Static(" monitor", id="title", markup=False)
        with VerticalScroll(id="readings"):
            yield Static("reading the machine ...", id="figures", markup=False)
        yield Footer()

    def on_mount(self) -> None:
        """Begin to read."""
        self.query_one("#readings").focus()
        threading.Thread(target=self._read, name="readings", daemon=True).start()

    def on_unmount(self) -> None:
        """Nobody looks any more; the thread ends with its next sample."""
        self._over.set()

    def _read(self) -> None:
        kept: tuple[Sample, ...] = ()
        samples = self._samples()
        for sample in samples:
            if self._over.is_set():
                break
            kept = recent((*kept, sample))
            if sample.interval is None and len(kept) == 1:
                continue
            # Raised when the event loop has closed meanwhile: then there is no screen left to tell.
            with contextlib.suppress(RuntimeError):
                self.post_message(self.Arrived(table_of(sample, judge(kept))))
        close = getattr(samples, "close", None)
        if close is not None:
            close()

    def on_readings_screen_arrived(self, event: Arrived) -> None:
        """Draw it, unless the user reads an older one or another place is shown."""
        if not self._held and self.is_current:
            self.query_one("#figures", Static).update(Content(event.text))

    def action_hold(self) -> None:
        """Stop and go on."""
        self._held = not self._held
        self.query_one("#title", Static).update(
            " monitor (held; space goes on)" if self._held else " monitor"
        )

    def action_help(self) -> None:
        """Open the help."""
        self.app.push_screen(HelpOverlay(HELP))
