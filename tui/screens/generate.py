"""GenerateScreen: one generation, from the prompt to the picture, and the machine meanwhile."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Grid, Horizontal, Vertical
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Footer, Static

from doctor.trace import Outcome
from tui.state import View
from tui.widgets.log import LogPanel
from tui.widgets.panel import Panel
from tui.widgets.picture import Picture
from tui.widgets.readings import cpu_reading, gpu_reading, memory_reading, ram_reading
from tui.widgets.step_bar import PhaseStrip, StepBar
from tui.widgets.title import TitleBar
from tui.widgets.words import ENDED, duration, printable


class GenerateScreen(Screen[None]):
    """Draws a ``View`` whenever it is told to; decides nothing."""

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (120, "-wide")]  # noqa: RUF012  (Textual's own type is a plain list)
    VERTICAL_BREAKPOINTS = [(0, "-low"), (18, "-high")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+c", "app.leave", show=False)]

    def __init__(self) -> None:
        super().__init__()
        self._view = View()
        self._picture = 0

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

    def show(self, view: View) -> None:
        """Draw ``view``."""
        old, self._view = self._view, view
        self.query_one(TitleBar).show(view)
        self.query_one(StepBar).show(view)
        self.query_one(PhaseStrip).show(view)
        self.query_one(LogPanel).show(view.log)
        self._show_words(view)
        self._show_panels(view)
        if view.images and not old.images:
            self.add_class("-picture")
        self._show_picture()

    def toggle_picture(self) -> None:
        """On a narrow screen, change between picture and panels."""
        self.toggle_class("-picture")

    def next_picture(self) -> None:
        """Show the next picture of the batch."""
        self._picture += 1
        self._show_words(self._view)
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
        view = self._view
        if view.images:
            words, path = "", Path(view.images[self._picture % len(view.images)])
        else:
            path = None
            words = (
                "the picture appears here" if view.outcome is None else f"no picture: {ENDED[view.outcome]}"
            )
        self.query_one(Picture).show(path, words)
