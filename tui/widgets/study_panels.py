"""What is drawn of a study: the run that goes on, the edges that close in, the chart of time against memory."""

from __future__ import annotations

from textual.content import Content
from textual.widget import Widget

from doctor.sizes import gib
from tui.render_tune import seconds_text
from tui.study_edges import EdgeLine
from tui.study_state import StudyView
from tui.widgets.scatter import Point, scatter
from tui.widgets.words import DOING, printable
from tuner.probe import Probe, Purpose

_LONGEST_NAME = 14
_SHORTEST_BAR = 8
BEST, DEFAULT, SPEED, SIZE = "◆", "○", "•", "+"
"""The marks of the chart."""


class OfStudy(Widget):
    """Keeps the study it was shown last."""

    def __init__(self, id: str) -> None:
        super().__init__(id=id)
        self.view = StudyView()

    def show(self, view: StudyView) -> None:
        """Draw ``view``."""
        self.view = view
        self.refresh(layout=True)


class NowLine(OfStudy):
    """The run that goes on: what is tried, what it does, how far it is."""

    def render(self) -> Content:
        """One line."""
        view = self.view
        probe = view.probe
        if view.is_stopping and view.is_running:
            return Content.assemble(("stopping: the worker is ended ...", "bold $text-warning"))
        if probe is None:
            if not view.is_running:
                return Content("")
            return Content("choosing the next run ..." if view.goal_text else "loading the model ...")
        text = f"trial {len(view.trials) + 1}: {probe.settings.text()} at {_size(probe)}"
        doing = DOING[view.phase] if view.phase is not None else "getting ready"
        if view.compiling:
            doing = f"compiling {view.compiling} for this size"
        bar = _bar(view.step, view.steps, 12) if view.steps else ""
        return Content.assemble((text, "bold"), f"  {doing}  ", (bar, "$text-accent"))


def _bar(step: int, steps: int, width: int) -> str:
    full = round(width * min(1.0, step / steps))
    return "━" * full + "─" * (width - full) + f" {step}/{steps}"


def _size(probe: Probe) -> str:
    return f"{probe.width}x{probe.height}" + (f" x{probe.batch}" if probe.batch > 1 else "")


class EdgePanel(OfStudy):
    """One line per rung: up to where it ran, from where on it did not, and what is tried between the two."""

    def render(self) -> Content:
        """As many lines as there are rungs."""
        lines = self.view.edges
        if not lines:
            return Content.assemble(("No size was tried yet.", "$foreground-muted"))
        top = max((at for line in lines for at in (line.works, line.fails, line.trying) if at), default=1)
        width = min(_LONGEST_NAME, max(len(line.name) for line in lines))
        # One length for all tracks, so that they can be compared.
        room = self.size.width - width - 4 - max(len(_words(line)) + len(_state(line)) for line in lines)
        return Content("\n").join(_edge(line, top, width, room) for line in lines)


def _words(line: EdgeLine) -> str:
    ran = f"{line.text(line.works)} ran" if line.works else "nothing ran"
    return f" {ran}" + (f", {line.text(line.fails)} did not" if line.fails else "")


def _state(line: EdgeLine) -> str:
    return f"trying {line.text(line.trying)}" if line.trying else line.state


def _edge(line: EdgeLine, top: int, width: int, room: int) -> Content:
    name = line.name if len(line.name) <= width else line.name[: width - 1] + "…"
    tone = "$foreground-muted"
    if line.trying or line.state == "proven":
        tone = "$text-accent" if line.trying else "$text-success"
    bar = _track(line, top, room) if room >= _SHORTEST_BAR else ()
    return Content.assemble((f"{name:<{width}} ", "bold"), *bar, _words(line), ("  " + _state(line), tone))


def _track(line: EdgeLine, top: int, width: int) -> tuple[tuple[str, str], ...]:
    """A track from nothing to the largest size of any rung: what ran, what is open, what did not."""
    works = round((line.works or 0) / top * width)
    fails = width if line.fails is None else max(works, round(line.fails / top * width) - 1)
    cells = ["━"] * works + ["┄"] * (fails - works) + ["✗"] * (width - fails)
    if line.trying:
        cells[min(width - 1, max(0, round(line.trying / top * width) - 1))] = "?"
    text = "".join(cells)
    return (text[:works], "$text-success"), (text[works:fails], "$text-accent"), (text[fails:], "$text-error")


class ChartPanel(OfStudy):
    """Seconds per image to the right, peak memory upwards, one mark per trial that finished."""

    def render(self) -> Content:
        """The marks, and below them what the axes and marks mean."""
        width, height = self.size
        view = self.view
        points = tuple(_points(view))
        plotted = scatter(points, width, max(2, height - 2), view.budget)
        if plotted is None:
            return Content.assemble(("Nothing finished yet.", "$foreground-muted"))
        ends = f"{seconds_text(plotted.fastest)} s"
        scale = "seconds per image" + (", logarithmic" if plotted.is_logarithmic else "")
        last = f"{seconds_text(plotted.slowest)} s"
        axis = f"{ends}{scale:^{max(0, width - len(ends) - len(last))}}{last}"
        legend = f"top: {gib(round(plotted.ceiling))}   {BEST} best  {DEFAULT} default  {SPEED} tried  {SIZE} sizes"
        rows = [Content.assemble((row, "$text-primary")) for row in plotted.rows]
        return Content("\n").join(
            [
                *rows,
                Content.assemble((axis, "$foreground-muted")),
                Content.assemble((legend, "$foreground-muted")),
            ]
        )


def _points(view: StudyView) -> list[Point]:
    found = []
    for trial in view.trials:
        if trial.seconds_per_image is None or trial.peak_bytes is None:
            continue
        mark, rank = (SIZE, 0) if trial.purpose is Purpose.LARGEST else (SPEED, 1)
        if trial == view.baseline:
            mark, rank = DEFAULT, 2
        if trial == view.best:
            mark, rank = BEST, 3
        found.append(Point(trial.seconds_per_image, trial.peak_bytes, mark, rank))
    return found


def said_of(view: StudyView) -> str:
    """The verdict, or what is known instead, in lines."""
    if view.words:
        return printable(view.words)
    if view.verdict and view.is_running:
        # What it says of the sizes is true of a study that has ended; the tracks show how far the search is.
        return printable(f"So far: {view.verdict[0]}")
    if view.verdict:
        return "\n".join(printable(line) for line in view.verdict)
    return printable(view.said[-1]) if view.said else ""
