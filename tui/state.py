"""View: what a screen shows; and ``fold``, the pure function that takes one message after another into it.

Messages come from a feed (``tui.feed``). Whatever the source, a worker or a recording, the same messages
give the same view. Units: seconds of ``time.monotonic()``, bytes, pixels.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from doctor.sizes import gib
from doctor.telemetry.sample import Sample
from doctor.trace import Outcome, Phase, PhaseRecord
from doctor.verdicts.verdict import Verdict
from tui.run_messages import FeedEnded, Judged, Message, News, Prepared, RunStarted, StopAsked
from tuner.events import (
    CompileEnded,
    CompileStarted,
    Failed,
    Finished,
    Loaded,
    PhaseEnded,
    PhaseStarted,
    Preview,
    Pulse,
    Ready,
    Stepped,
)
from tuner.settings import Request
from tuner.stepping import LadderStep

HISTORY = 600
"""Readings kept for the plots: five minutes at two a second, more than the widest terminal can draw."""
LOG_LINES = 300
_RECENT_STEPS = 10
"""Steps that the present speed is taken over."""


@dataclass(frozen=True, slots=True)
class MemoryPoint:
    """The worker's memory at one moment, as it reported it."""

    allocated: int | None
    reserved: int | None


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of the log; ``seconds`` since the start."""

    seconds: float
    text: str
    tone: str = ""
    """"", "note", "good" or "bad"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Everything that is shown. ``None`` is unknown; nothing here is guessed."""

    run: RunStarted | None = None
    settings_text: str = ""
    started: float = 0.0
    now: float = 0.0
    """Moment of the newest message."""
    ended: float | None = None
    pid: int | None = None
    loaded: Loaded | None = None
    phase: Phase | None = None
    phase_since: float = 0.0
    compiling: str = ""
    """What is being compiled meanwhile: "the denoiser"; "" if nothing is."""
    phases: tuple[PhaseRecord, ...] = ()
    step: int = 0
    total: int = 0
    step_seconds: tuple[float, ...] = ()
    stepped_at: float | None = None
    allocated: int | None = None
    reserved: int | None = None
    peak_allocated: int | None = None
    peak_reserved: int | None = None
    """Largest figure known so far. On a CPU the worker meters no peak of it: this is the largest seen."""
    memory: tuple[MemoryPoint, ...] = ()
    samples: tuple[Sample, ...] = ()
    log: tuple[LogLine, ...] = ()
    stopping: bool = False
    outcome: Outcome | None = None
    failed_in: Phase | None = None
    message: str = ""
    detail: str = ""
    seconds: float | None = None
    """Wall time of the finished generation as the worker measured it, without loading and saving."""
    images: tuple[str, ...] = ()
    preview: Preview | None = None
    """The picture as it forms; None again when it is there."""
    verdicts: tuple[Verdict, ...] = ()

    @property
    def over(self) -> bool:
        """Whether no event will follow."""
        return self.ended is not None

    @property
    def elapsed(self) -> float:
        """Seconds since the start, up to the end."""
        return (self.now if self.ended is None else self.ended) - self.started

    @property
    def in_phase(self) -> float | None:
        """Seconds since the running phase began; None between phases."""
        return None if self.phase is None else max(0.0, self.now - self.phase_since)

    @property
    def seconds_per_step(self) -> float | None:
        """Mean of the recent steps. The first is left out as soon as there is another: it warms up."""
        steps = self.step_seconds[1:] or self.step_seconds
        recent = steps[-_RECENT_STEPS:]
        return sum(recent) / len(recent) if recent else None

    @property
    def seconds_left(self) -> float | None:
        """Predicted seconds until the last step, from the present speed; decoding comes on top."""
        pace = self.seconds_per_step
        if pace is None or self.stepped_at is None or self.phase is not Phase.DENOISE:
            return None
        return max(0.0, pace * (self.total - self.step) - (self.now - self.stepped_at))

    @property
    def sample(self) -> Sample | None:
        """The newest sample."""
        return self.samples[-1] if self.samples else None

    def logged(self, text: str, tone: str = "") -> View:
        """This view with one more line in the log."""
        line = LogLine(self.now - self.started, text, tone)
        return replace(self, log=(*self.log, line)[-LOG_LINES:])


def fold(view: View, message: Message) -> View:
    """The view after ``message``."""
    if isinstance(message, RunStarted):
        return _start(view, message)
    view = replace(view, now=max(view.now, message.at))
    if isinstance(message, Sample):
        return replace(view, samples=(*view.samples, message)[-HISTORY:])
    if isinstance(message, Judged):
        return replace(view, verdicts=message.verdicts)
    if isinstance(message, StopAsked):
        return (
            view
            if view.over or view.stopping
            else replace(view, stopping=True).logged("asked to stop", "note")
        )
    if isinstance(message, FeedEnded):
        return _end(view, message)
    return _hear(view, message.what)


def _start(old: View, run: RunStarted) -> View:
    """A fresh view; the machine's plots go on from the run before."""
    view = View(
        run=run,
        settings_text=run.settings_text,
        started=run.at,
        now=run.at,
        total=run.steps or 0,
        samples=old.samples,
    )
    if not run.settings_text:
        return view.logged(f"{run.model}: looking at the machine")
    view = view.logged(f"{run.model}: {run.settings_text}")
    return view.logged(run.note, "note") if run.note else view


def _prepare(view: View, ready: Prepared) -> View:
    if view.run is None:
        return view
    run = replace(
        view.run,
        settings_text=ready.settings_text,
        note=ready.note,
        budget_bytes=ready.budget_bytes,
        device=ready.device,
    )
    view = replace(view, run=run, settings_text=ready.settings_text).logged(
        f"settings: {ready.settings_text}"
    )
    return view.logged(ready.note, "note") if ready.note else view


def _hear(view: View, event: News) -> View:
    """The view after an event; a kind that changes several things has its own function below."""
    match event:
        case Ready():
            versions = ", ".join(f"{name} {version}" for name, version in event.versions.items())
            return replace(view, pid=event.pid).logged(f"worker ready: {versions}")
        case Loaded():
            return _load(view, event)
        case PhaseStarted():
            return replace(view, phase=event.phase, phase_since=view.now)
        case PhaseEnded():
            return _end_phase(view, event)
        case Stepped():
            return replace(
                view,
                step=event.index,
                total=event.total,
                step_seconds=(*view.step_seconds, event.seconds),
                stepped_at=view.now,
            )
        case CompileStarted():
            return replace(view, compiling=event.what)
        case CompileEnded():
            return _end_compiling(view, event)
        case Preview():
            return replace(view, preview=event)
        case Pulse():
            return _pulse(view, event)
        case Finished():
            return _finish(view, event)
        case Failed():
            return _fail(view, event)
        case Prepared():
            return _prepare(view, event)
        case Request():
            return _complete(view, event)
        case LadderStep():
            return _step_down(view, event)


def _load(view: View, event: Loaded) -> View:
    weights = f", weights {gib(event.weights_bytes)}" if event.weights_bytes else ""
    # A worker that was kept from the picture before has nothing to load.
    took = f"loaded in {event.seconds:.1f} s" if event.seconds else "is loaded still"
    view = replace(view, loaded=event).logged(f"{event.pipeline or 'pipeline'} {took}{weights}")
    for remark in event.remarks:
        view = view.logged(remark, "note")
    return view


def _complete(view: View, request: Request) -> View:
    if view.run is None:
        return view
    run = replace(view.run, width=request.width, height=request.height, steps=request.steps)
    return replace(view, run=run, total=request.steps)


def _end_phase(view: View, event: PhaseEnded) -> View:
    peak = event.peak_allocated if event.peak_reserved is None else event.peak_reserved
    text = f"{event.phase.value} {event.seconds:.2f} s" + (f", peak {gib(peak)}" if peak is not None else "")
    return replace(
        view,
        phase=None,
        phases=(*view.phases, event.record()),
        peak_allocated=_largest(view.peak_allocated, event.peak_allocated),
        peak_reserved=_largest(view.peak_reserved, event.peak_reserved),
    ).logged(text)


def _end_compiling(view: View, event: CompileEnded) -> View:
    # The phase and its step go on where the compiler has ended; its time is no part of them.
    view = replace(view, compiling="", phase_since=view.phase_since + event.seconds)
    if view.stepped_at is not None:
        view = replace(view, stepped_at=view.stepped_at + event.seconds)
    if event.from_disk:
        return view
    return view.logged(f"compiled {event.what} for this size in {event.seconds:.1f} s")


def _pulse(view: View, event: Pulse) -> View:
    return replace(
        view,
        allocated=event.allocated,
        reserved=event.reserved,
        peak_allocated=_largest(view.peak_allocated, event.allocated),
        peak_reserved=_largest(view.peak_reserved, event.reserved),
        memory=(*view.memory, MemoryPoint(event.allocated, event.reserved))[-HISTORY:],
    )


def _finish(view: View, event: Finished) -> View:
    view = replace(
        view,
        phase=None,
        compiling="",
        outcome=Outcome.FINISHED,
        seconds=event.seconds,
        images=event.images,
        preview=None,
    )
    for remark in event.remarks:
        view = view.logged(remark, "note")
    return view.logged(f"finished in {event.seconds:.1f} s", "good")


def _fail(view: View, event: Failed) -> View:
    where = event.phase or view.phase
    words = event.outcome.value.replace("_", " ") + (f" in {where.value}" if where else "")
    return replace(
        view,
        phase=None,
        compiling="",
        outcome=event.outcome,
        failed_in=where,
        message=event.message,
        detail=event.detail,
    ).logged(f"{words}: {event.message}", "note" if event.outcome is Outcome.INTERRUPTED else "bad")


def _step_down(view: View, step: LadderStep) -> View:
    """A new attempt: what the last one measured is gone, the plots and the log go on."""
    run = view.run
    return replace(
        view,
        settings_text=step.settings_text,
        pid=None,
        loaded=None,
        phase=None,
        compiling="",
        phases=(),
        step=0,
        total=(run.steps or 0) if run else 0,
        step_seconds=(),
        stepped_at=None,
        allocated=None,
        reserved=None,
        peak_allocated=None,
        peak_reserved=None,
        outcome=None,
        failed_in=None,
        message="",
        detail="",
        preview=None,
    ).logged(f"{step.reason}; trying again with {step.settings_text}", "note")


def _end(view: View, end: FeedEnded) -> View:
    view = replace(view, ended=view.now, phase=None)
    if end.error is None and view.outcome is not None:
        return view
    if end.error is None and view.stopping:
        stopped = replace(
            view, outcome=Outcome.INTERRUPTED, message="Stopped before the worker said that it had ended."
        )
        return stopped.logged(stopped.message, "note")
    words = end.error or "The worker's events stopped without an ending."
    return replace(view, outcome=Outcome.CRASHED, message=words).logged(words, "bad")


def _largest(one: int | None, other: int | None) -> int | None:
    known = [count for count in (one, other) if count is not None]
    return max(known, default=None)
