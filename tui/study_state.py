"""What the tune screen knows of a study: messages, and the pure fold from them to a view. Needs no Textual."""

from __future__ import annotations

from dataclasses import dataclass, replace

from doctor.sizes import gib
from doctor.trace import Phase
from tui.render_tune import verdict_of
from tui.situation import Situation
from tui.study_edges import EdgeLine, edges_of_profile, edges_of_result, edges_of_trials
from tui.tuning import Asked, Found
from tuner.events import CompileEnded, CompileStarted, PhaseStarted, Stepped
from tuner.journal import Kept
from tuner.probe import Probe, Purpose, Trial
from tuner.profile import Profile
from tuner.settings import Settings
from tuner.strategy.goal import Goal
from tuner.study import Result


@dataclass(frozen=True, slots=True)
class Opened:
    """A study was asked for. Every ``at`` is a reading of the monotonic clock, in seconds."""

    at: float
    asked: Asked


@dataclass(frozen=True, slots=True)
class Said:
    """One sentence for the user."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Begun:
    """The model was loaded; the runs begin."""

    at: float
    goal: Goal
    situation: Situation


@dataclass(frozen=True, slots=True)
class Probing:
    """A run begins."""

    at: float
    probe: Probe


@dataclass(frozen=True, slots=True)
class Stepping:
    """The run moved on."""

    at: float
    event: Stepped | PhaseStarted | CompileStarted | CompileEnded


@dataclass(frozen=True, slots=True)
class Tried:
    """A run ended; ``result`` is what the trials so far say."""

    at: float
    trial: Trial
    result: Result


@dataclass(frozen=True, slots=True)
class Over:
    """The study ended; ``words`` say why, where nothing was found."""

    at: float
    found: Found | None
    words: str | None = None


Message = Opened | Said | Begun | Probing | Stepping | Tried | Over


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyView:
    """All that the screen shows of a study, live or finished long ago."""

    model: str = ""
    device: str = ""
    goal_text: str = ""
    trials: tuple[Trial, ...] = ()
    best: Trial | None = None
    baseline: Trial | None = None
    edges: tuple[EdgeLine, ...] = ()
    verdict: tuple[str, ...] = ()
    budget: int | None = None
    probe: Probe | None = None
    """The run that goes on."""
    phase: Phase | None = None
    compiling: str = ""
    """What is being compiled: "the denoiser"; "" if nothing is."""
    step: int = 0
    steps: int = 0
    started: float | None = None
    ended: float | None = None
    is_stopping: bool = False
    said: tuple[str, ...] = ()
    words: str = ""
    """Why the study broke off; "" if it did not."""
    found: Found | None = None

    @property
    def is_running(self) -> bool:
        """Whether the study goes on."""
        return self.started is not None and self.ended is None


def fold(view: StudyView, message: Message) -> StudyView:
    """The view after ``message``."""
    if isinstance(message, Opened):
        return StudyView(model=message.asked.model, started=message.at)
    if isinstance(message, Said):
        return replace(view, said=(*view.said, message.text))
    if isinstance(message, Begun):
        target = message.situation.target
        return replace(
            view,
            model=message.situation.model.name,
            device=target.name or target.device,
            goal_text=goal_text(message.goal),
            budget=message.goal.budget,
        )
    if isinstance(message, Probing):
        edges = tuple(line.searched(message.probe) for line in view.edges)
        fresh = replace(view, probe=message.probe, phase=None, compiling="", edges=edges)
        return replace(fresh, step=0, steps=message.probe.steps)
    if isinstance(message, Stepping):
        event = message.event
        if isinstance(event, PhaseStarted):
            return replace(view, phase=event.phase)
        if isinstance(event, CompileStarted):
            return replace(view, compiling=event.what)
        if isinstance(event, CompileEnded):
            return replace(view, compiling="")
        return replace(view, step=event.index, steps=event.total)
    if isinstance(message, Tried):
        return _judged(replace(view, probe=None, phase=None, compiling="", step=0), message.result)
    found = message.found
    view = replace(view, ended=message.at, probe=None, phase=None, compiling="", found=found)
    view = replace(view, words=message.words or "")
    return view if found is None else _judged(view, found.result)


def _judged(view: StudyView, result: Result) -> StudyView:
    return replace(
        view,
        trials=result.trials,
        best=result.best,
        baseline=result.baseline,
        edges=edges_of_result(result),
        verdict=tuple(verdict_of(result)),
    )


def goal_text(goal: Goal) -> str:
    """The goal in a few words."""
    return (
        f"{goal.objective.value} at {goal.width}x{goal.height}, {goal.steps} steps, {gib(goal.budget)} to use"
    )


def view_of_profile(profile: Profile) -> StudyView:
    """A finished study, as its profile kept it."""
    ratio = "" if profile.speedup is None else f" - {profile.speedup:.2f} times diffusers' default"
    return StudyView(
        model=profile.model,
        device=f"as tuned {profile.made_at[:10]}",
        goal_text=f"{profile.width}x{profile.height}, batch {profile.batch}, {gib(profile.budget_bytes)} to use",
        trials=profile.trials,
        best=_fastest(profile.trials, profile.best),
        baseline=next((one for one in profile.trials if one.purpose is Purpose.BASELINE), None),
        edges=edges_of_profile(profile),
        verdict=(f"Fastest: {profile.best.text()}{ratio}",),
        budget=profile.budget_bytes,
    )


def _fastest(trials: tuple[Trial, ...], settings: Settings) -> Trial | None:
    """The last run of these settings that was timed, which is the one that confirmed them."""
    timed = [one for one in trials if one.settings == settings and one.purpose is not Purpose.LARGEST]
    return timed[-1] if timed else None


def view_of_journal(kept: Kept) -> StudyView:
    """A study as far as its journal goes."""
    begun = kept.begun
    question = begun.question if begun else None
    ending = "finished" if kept.complete else "cut off; the same study goes on from here if it is resumed"
    return StudyView(
        model=question.model if question else "a study whose beginning is lost",
        device=f"begun {begun.at[:10]}" if begun else "",
        goal_text=f"{question.goal} at {question.size or 'its own size'}, {question.steps} steps"
        if question
        else "",
        trials=kept.trials,
        edges=edges_of_trials(kept.trials),
        verdict=(f"{len(kept.trials)} trials, {ending}.",),
        budget=kept.budget,
    )
