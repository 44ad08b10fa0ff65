"""Progress of a study on standard error: a live bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from doctor.sizes import gib
from tui.terminal import is_fancy
from tuner.events import CompileEnded, CompileStarted, Event, PhaseStarted, Stepped
from tuner.probe import Probe, Trial

if TYPE_CHECKING:
    from tui.situation import Situation
    from tuner.study import Study


class Show(Protocol):
    """What a study reports to."""

    def begin(self, study: Study, situation: Situation) -> None:
        """The model was loaded; the runs begin."""

    def event(self, event: Event) -> None:
        """Something happened in the worker."""

    def probe(self, probe: Probe) -> None:
        """A run begins."""

    def trial(self, trial: Trial) -> None:
        """A run ended."""


def say(sentence: str) -> None:
    """One sentence for the user on standard error."""
    print(sentence, file=sys.stderr, flush=True)  # noqa: T201  (standard error is the talk)


class Lines:
    """One line per trial."""

    def __init__(self) -> None:
        self._count = 0

    def begin(self, study: Study, situation: Situation) -> None:
        """The runs speak for themselves."""

    def event(self, event: Event) -> None:
        """Steps are too many for lines; a compiler may take a minute, and one shall know what goes on."""
        if isinstance(event, CompileStarted) and not event.from_disk:
            print(compiling_text(event) + " ...", file=sys.stderr, flush=True)  # noqa: T201  (as above)

    def probe(self, probe: Probe) -> None:
        """The line comes when the run has ended."""

    def trial(self, trial: Trial) -> None:
        """Print the line."""
        self._count += 1
        print(_line(self._count, trial), file=sys.stderr, flush=True)  # noqa: T201  (standard error is the talk)


class Bar:
    """A bar that moves with the steps of the running trial; the trials that ended stand above it."""

    def __init__(self, bar: Any) -> None:
        self._bar = bar
        self._task = bar.add_task("loading the model", total=None, phase="")
        self._count = 0
        self._phase = ""

    def begin(self, study: Study, situation: Situation) -> None:
        """The runs speak for themselves."""

    def event(self, event: Event) -> None:
        """Move the bar."""
        if isinstance(event, Stepped):
            self._bar.update(self._task, total=event.total, completed=event.index)
        elif isinstance(event, PhaseStarted):
            self._bar.update(self._task, phase=event.phase.value)
            self._phase = event.phase.value
        elif isinstance(event, CompileStarted):
            self._bar.update(self._task, phase=compiling_text(event))
        elif isinstance(event, CompileEnded):
            self._bar.update(self._task, phase=self._phase)

    def probe(self, probe: Probe) -> None:
        """Name the run that begins."""
        what = f"trial {self._count + 1}: {probe.settings.text()} at {_size(probe)}"
        self._bar.update(self._task, description=what, total=probe.steps, completed=0)

    def trial(self, trial: Trial) -> None:
        """Leave a line."""
        self._count += 1
        self._bar.console.print(_line(self._count, trial), highlight=False, markup=False)


def compiling_text(event: CompileStarted) -> str:
    """What goes on while nothing is drawn."""
    if event.from_disk:
        return f"reading the program of {event.what}"
    return f"compiling {event.what} for this size"


def _size(run: Probe | Trial) -> str:
    return f"{run.width}x{run.height}" + (f" x{run.batch}" if run.batch > 1 else "")


def _line(number: int, trial: Trial) -> str:
    outcome = trial.outcome.value.replace("_", " ")
    text = f"trial {number}: {trial.settings.text()} at {_size(trial)}: {outcome}"
    if trial.seconds_per_image is not None:
        text += f", {trial.seconds_per_image:.2f} s per image of {trial.steps} steps"
    if trial.peak_bytes is not None:
        text += f", peak {gib(trial.peak_bytes)}"
    if trial.compile_seconds is not None:
        text += f", compiled for {trial.compile_seconds:.1f} s"
    return text


@contextmanager
def progress() -> Iterator[Show]:
    """The right kind of progress for standard error."""
    if not is_fancy(sys.stderr):
        yield Lines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        TextColumn("{task.fields[phase]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        yield Bar(bar)
