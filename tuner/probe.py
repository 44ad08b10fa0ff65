"""Probe (one planned run), Trial (the run with its outcome), and the fold from events to a trial."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from doctor.trace import Outcome, Phase, PhaseRecord, Trace
from tuner.events import CompileEnded, Event, Failed, Finished, Loaded, PhaseEnded, Stepped
from tuner.quality import Quality
from tuner.settings import Settings

MOST_RUNS = 7
"""Runs of one probe at most; odd, so that the median is one of them."""


class Purpose(StrEnum):
    """What a probe is run for."""

    BASELINE = "baseline"
    FASTEST = "fastest"
    AGAIN = "again"
    """Once more, where chance or another program may have decided."""
    CONFIRMATION = "confirmation"
    LARGEST = "largest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One planned run. Sizes in pixels."""

    purpose: Purpose
    settings: Settings
    width: int
    height: int
    steps: int
    batch: int = 1
    warm_up: bool = False
    """Whether a short run at the same size goes before the one that is measured."""
    repeat_within: float = 0.0
    """Seconds in which a short run is repeated, at most MOST_RUNS times; the median run is the measured one."""
    limit_seconds: float | None = None
    beaten_seconds: float | None = None
    """A run that has taken so long cannot win any more and is broken off."""
    predicted: dict[str, float] | None = None
    """What was expected of it, for comparison: ``peak_bytes``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What came of a probe: measured figures, or the way in which it failed. Bytes and seconds."""

    purpose: Purpose
    settings: Settings
    width: int
    height: int
    batch: int
    steps: int
    outcome: Outcome
    seconds_per_step: float | None = None
    """Median of the denoising steps of the measured run."""
    spread: float | None = None
    """(slowest - fastest) / median: of the repeated runs, else of the steps; None if there was one of each."""
    runs_seconds: tuple[float, ...] = ()
    """Wall time of every measured run; the other figures are those of the median one."""
    seconds_per_image: float | None = None
    """Wall time of the measured run, from prompt to pixels at ``steps`` steps, divided by the batch."""
    peak_bytes: int | None = None
    peak_reserved_bytes: int | None = None
    predicted: dict[str, float] | None = None
    setup: dict[str, str] = field(default_factory=dict)
    """How the pipeline really ran, as the worker reported it."""
    remarks: tuple[str, ...] = ()
    phases: tuple[PhaseRecord, ...] = ()
    step_seconds: tuple[float, ...] = ()
    failed_in: Phase | None = None
    message: str | None = None
    seconds: float | None = None
    """Wall time that the trial cost, loading, warm-up and compiling included."""
    compile_seconds: float | None = None
    """Of that, what compilers took; in no other figure. None if nothing was compiled."""
    cpu_wait: float | None = None
    """Time in which the run could have computed but other programs had the processor, as a share of the time that it
    computed or could have. Near 0 where it was alone; None if not known (not Linux)."""
    quality: Quality | None = None
    """Its picture against the reference; None if no picture was kept."""

    @property
    def finished(self) -> bool:
        """Whether the run completed."""
        return self.outcome is Outcome.FINISHED

    def answers(self, probe: Probe) -> bool:
        """Whether this is the trial of that probe (or of one just like it)."""
        return (self.purpose, self.settings, self.width, self.height, self.batch, self.steps) == (
            probe.purpose,
            probe.settings,
            probe.width,
            probe.height,
            probe.batch,
            probe.steps,
        )


def find(trials: Iterable[Trial], probe: Probe) -> Trial | None:
    """The trial that answers a probe, if it has been run."""
    return next((trial for trial in trials if trial.answers(probe)), None)


class TraceFold:
    """Folds the events of one run into a Trace."""

    def __init__(self, setup: dict[str, str] | None = None) -> None:
        self._trace = Trace(setup=setup or {})
        self.seconds: float | None = None
        """Wall time of the generation as the worker measured it; None until it finished."""
        self.not_finite: Phase | None = None
        """Where values appeared that are no numbers, if that was looked for."""
        self.remarks: tuple[str, ...] = ()
        """What turned out only while the pipeline ran."""
        self.cpu_wait: float | None = None
        """See ``Trial.cpu_wait``."""
        self.compile_seconds = 0.0
        """Time that compilers took, which is in none of the others."""
        self.compiled_anew = False
        """Whether a compiler really ran; programs that were read from the disk are none of that."""

    def add(self, event: Event) -> None:
        """Take one event."""
        trace = self._trace
        if isinstance(event, Loaded):
            trace = replace(trace, setup=event.setup)
        elif isinstance(event, PhaseEnded):
            trace = replace(trace, phases=(*trace.phases, event.record()))
        elif isinstance(event, Stepped):
            trace = replace(trace, step_seconds=(*trace.step_seconds, event.seconds))
        elif isinstance(event, CompileEnded):
            self.compile_seconds += event.seconds
            self.compiled_anew |= not event.from_disk
        elif isinstance(event, Finished):
            self.seconds = event.seconds
            self.not_finite = event.not_finite
            self.remarks = event.remarks
            trace = replace(trace, outcome=Outcome.FINISHED, images=event.images)
        elif isinstance(event, Failed):
            trace = replace(trace, outcome=event.outcome, message=event.message, failed_in=event.phase)
        self._trace = trace

    @property
    def trace(self) -> Trace:
        """What was folded so far."""
        return self._trace


def median_run(runs: Sequence[TraceFold]) -> TraceFold:
    """The run in the middle by its wall time; the last one if it did not finish."""
    if runs[-1].seconds is None:
        return runs[-1]
    return sorted(runs, key=lambda run: run.seconds or 0.0)[len(runs) // 2]


def _spread(values: Sequence[float]) -> float | None:
    return (max(values) - min(values)) / statistics.median(values) if len(values) > 1 else None


def trial_of(
    probe: Probe,
    runs: Sequence[TraceFold],
    remarks: tuple[str, ...],
    cost: float,
    *,
    compiled: float = 0.0,
    compiler_peak: int | None = None,
) -> Trial:
    """The trial of a probe from the folded events of its measured runs, of which there is at least one.

    ``cost`` and ``compiled``: seconds that all of it took, and those of them that compilers took. ``compiler_peak``: peak
    of a run before the measured ones in which something was compiled; a budget has to hold that too.
    """
    fold = median_run(runs)
    trace = fold.trace
    totals = tuple(run.seconds for run in runs if run.seconds is not None)
    finished = trace.outcome is Outcome.FINISHED
    steps = trace.step_seconds
    median = statistics.median(steps) if steps else None
    peaks = [peak for peak in (trace.peak_bytes, compiler_peak) if peak is not None]
    reserved = [phase.peak_reserved for phase in trace.phases if phase.peak_reserved is not None]
    return Trial(
        purpose=probe.purpose,
        settings=probe.settings,
        width=probe.width,
        height=probe.height,
        batch=probe.batch,
        steps=probe.steps,
        outcome=trace.outcome,
        seconds_per_step=median if finished else None,
        spread=_spread(totals if len(totals) > 1 else steps) if finished else None,
        runs_seconds=totals,
        seconds_per_image=fold.seconds / probe.batch if finished and fold.seconds is not None else None,
        # The peak of a run that broke off is not the peak that it needed.
        peak_bytes=max(peaks, default=None) if finished else None,
        peak_reserved_bytes=max(reserved) if finished and reserved else None,
        predicted=probe.predicted,
        setup=trace.setup,
        remarks=(*remarks, *fold.remarks),
        phases=trace.phases,
        step_seconds=steps,
        failed_in=trace.failed_in,
        message=trace.message,
        seconds=cost,
        compile_seconds=compiled or None,
        cpu_wait=fold.cpu_wait,
    )
