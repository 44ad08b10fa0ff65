"""RunBoard: one generation with the machine meanwhile: words, steps, panels, log, and the picture."""

from __future__ import annotations

from pathlib import Path

from textual.app import ComposeResult
from textual.containers import Grid, Horizontal, Vertical

from doctor.trace import Outcome
from tui.state import View
from tui.widgets.frame import PictureFrame
from tui.widgets.job_list import JobList
from tui.widgets.log import LogPanel
from tui.widgets.panel import Panel
from tui.widgets.readings import (
    cpu_reading,
    gpu_reading,
    heat_reading,
    memory_reading,
    ram_reading,
)
from tui.widgets.said import Said
from tui.widgets.step_bar import PhaseStrip, StepBar
from tui.widgets.verdict_line import VerdictLine
from tui.widgets.words import ENDED, duration, printable, what_to_do


class RunBoard(Horizontal):
    """Draws a ``View`` whenever it is told to; decides nothing."""

    def __init__(self) -> None:
        super().__init__(id="body")
        self._view = View()
        self._number = 0
        self._last: Path | None = None

    def compose(self) -> ComposeResult:
        """Words and panels on the left, the picture on the right or, on a narrow screen, in their place."""
        with Vertical(id="left"):
            for name in ("prompt", "facts", "note"):
                yield Said(id=name, classes="-empty")
            yield StepBar(id="steps")
            yield PhaseStrip(id="phases")
            yield VerdictLine()
            yield Said(id="ending", classes="-empty")
            with Grid(id="panels"):
                for name in ("memory", "cpu", "ram", "gpu", "heat"):
                    yield Panel(id=name)
            yield JobList()
            yield LogPanel(id="log")
        yield PictureFrame(id="picture")

    def show(self, view: View) -> None:
        """Draw ``view``."""
        if self._view.run is not view.run and view.run is not None and self._view.images:
            # The next picture has nothing to show yet: the last one stays until it has.
            self._last, self._number = Path(self._view.images[-1]), 0
        self._view = view
        self.query_one(StepBar).show(view)
        self.query_one(PhaseStrip).show(view)
        self.query_one(LogPanel).show(view.log)
        self.query_one(VerdictLine).show(view.verdicts)
        self._show_words(view)
        self._show_panels(view)
        self._show_picture()

    @property
    def path(self) -> Path | None:
        """The file of the picture that is shown; None if it is none of this run."""
        images = self._view.images
        return Path(images[self._number % len(images)]) if images else None

    def next_picture(self) -> None:
        """Show the next picture of the batch."""
        self._number += 1
        self._show_words(self._view)
        self._show_picture()

    def _show_words(self, view: View) -> None:
        if view.run is None:
            return
        run = view.run
        size = f"{run.width}x{run.height}" if run.width and run.height else "the model's own size"
        steps = f" · {run.steps} steps" if run.steps else ""
        batch = f" · batch {run.batch}" if run.batch > 1 else ""
        settings = f" · {view.settings_text}" if view.settings_text else ""
        self._say("prompt", f"“{printable(run.prompt)}”" if run.prompt else "(no prompt)")
        self._say("facts", printable(f"{size}{steps} · seed {run.seed}{batch}{settings}"))
        self._say("note", printable(run.note))
        self._say("ending", printable(self._ending(view)))
        self.query_one("#ending").set_class(view.outcome is Outcome.FINISHED, "-good")
        self.query_one("#ending").set_class(view.outcome not in (None, Outcome.FINISHED), "-bad")

    def _say(self, name: str, words: str) -> None:
        line = self.query_one(f"#{name}", Said)
        line.say(words)
        line.set_class(not words, "-empty")

    def _ending(self, view: View) -> str:
        """How it ended, or that it is about to."""
        if view.outcome is Outcome.FINISHED:
            count = len(view.images)
            path = f": {self.path}" if count else ""
            which = f"  ({self._number % count + 1} of {count})" if count > 1 else ""
            took = "" if view.seconds is None else f" in {duration(view.seconds)}"
            return f"finished{took} ({duration(view.elapsed)} with start and loading){path}{which}"
        if view.outcome is not None:
            where = f" in {view.failed_in.value}" if view.failed_in else ""
            said, advice = f"{ENDED[view.outcome]}{where}: {view.message}", what_to_do(view)
            return f"{said.rstrip('.')}. {advice}" if advice else said
        return "Stopping after the present step; the same key again stops at once." if view.stopping else ""

    def _show_panels(self, view: View) -> None:
        self.query_one("#memory", Panel).show(memory_reading(view))
        self.query_one("#cpu", Panel).show(cpu_reading(view))
        self.query_one("#ram", Panel).show(ram_reading(view))
        gpu = gpu_reading(view)
        self.query_one("#panels").set_class(gpu is None, "-no-gpu")
        if gpu is not None:
            self.query_one("#gpu", Panel).show(gpu)
        heat = heat_reading(view)
        self.query_one("#panels").set_class(heat is not None, "-heat")
        if heat is not None:
            self.query_one("#heat", Panel).show(heat)

    def _show_picture(self) -> None:
        view, picture = self._view, self.query_one(PictureFrame)
        if self.path is not None:
            picture.show(self.path)
        elif view.preview is not None:
            picture.show(view.preview)
        elif view.run is None:
            picture.show(None, "the picture appears here")
        elif view.outcome not in (None, Outcome.FINISHED):
            picture.show(None, f"no picture: {ENDED[view.outcome]}")
        else:
            picture.show(self._last, "the picture appears here")
