"""One study, from the options to the saved profile: what ``sdoctor tune`` and the tune screen both run."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from doctor.errors import NotInOrder, UsageError
from doctor.sizes import gib, parse_size
from doctor.trace import Outcome
from tui.progress import Show
from tui.situation import Situation, refuse_what_cannot_fit, survey
from tuner.device_model import device_of_target
from tuner.dryrun.client import Oracle
from tuner.events import Event, Failed, Loaded
from tuner.forecast import DryRunForecast
from tuner.keeping import gate_of
from tuner.knobs import default_settings, low_memory_settings
from tuner.lab import Bench, Lab
from tuner.models import ModelKind
from tuner.probe import Probe
from tuner.profile import profile_of
from tuner.question import Question, state_of_files
from tuner.resuming import Journalled, Notebook, Say, open_notebook
from tuner.settings import Settings
from tuner.store import profiles_dir, save
from tuner.strategy.axis import SHAPES, parse_shape
from tuner.strategy.goal import Goal, Objective
from tuner.study import Result, Study
from tuner.target import Target, holds_budgets


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The options of ``sdoctor tune``. Pixels; ``run_limit`` in seconds, ``time_limit`` in minutes."""

    model: str = "builtin:tiny"
    memory: str | None = None
    size: str | None = None
    steps: int = 4
    batch: int = 1
    step: int = 64
    max_size: int = 4096
    goal: str = "speed"
    aspects: tuple[str, ...] = ()
    all_aspects: bool = False
    max_batch: int | None = None
    low_memory: bool = False
    lossy: bool = False
    slow: bool = False
    device: str = "auto"
    run_limit: float = 120.0
    time_limit: float = 20.0
    allow_pickle: bool = False
    resume: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """How a study ended."""

    result: Result
    situation: Situation
    profile: Path | None
    """Where the profile was saved; None if nothing finished or the disk refused."""
    trouble: str | None
    """One sentence for a profile that could not be saved."""
    journal: Path | None
    """None if the study could not be resumed."""
    resumed_trials: int
    interrupted: bool

    def raise_if_nothing_worked(self) -> None:
        """Raises NotInOrder where the study found no settings."""
        if self.result.best is None:
            raise NotInOrder(_nothing_worked(self.result))


class Stopper:
    """Stops a study from another thread, with the effect that Ctrl-C has in the terminal.

    The study's thread finds out where it next hears of its worker or begins a run, and goes the way of an interrupt from
    there: the worker is ended, what was measured is concluded.
    """

    def __init__(self) -> None:
        self._asked = threading.Event()
        self._enders: list[Callable[[], None]] = []

    @property
    def is_asked(self) -> bool:
        """Whether the study shall stop."""
        return self._asked.is_set()

    def stop(self) -> None:
        """Ask it to stop. Any thread may; again does no harm."""
        self._asked.set()
        for end in self._enders:
            end()

    def use(self, *enders: Callable[[], None]) -> None:
        """What ends a child that the study may be waiting for."""
        self._enders += enders
        self.check()

    def check(self) -> None:
        """Raises KeyboardInterrupt if the study shall stop. Called in its thread."""
        if self._asked.is_set():
            raise KeyboardInterrupt


def run_study(asked: Asked, show: Show, say: Say, stopper: Stopper | None = None) -> Found:
    """Run to the end, to the limit of time, or until it is interrupted; then save the profile.

    Raises SdoctorError for what cannot be begun, and KeyboardInterrupt if it was stopped before the first run.
    """
    stopper = stopper or Stopper()
    wanted = _wanted(asked)
    situation = survey(asked.model, asked.device, asked.memory, allow_pickle=asked.allow_pickle)
    if asked.low_memory:
        say(_low_memory_note(situation))
    if not holds_budgets(situation.target.device):
        say(
            "On this system nothing holds a worker to a budget: it is ended when the machine's free memory runs low, so "
            "the largest sizes depend on what else runs."
        )
    notebook = open_notebook(
        _question(asked, wanted, situation),
        situation.fingerprint,
        situation.budget,
        resume=asked.resume,
        say=say,
    )
    situation = replace(situation, budget=notebook.budget)
    interrupted = False

    def hear(event: Event) -> None:
        stopper.check()
        show.event(event)

    def begin(probe: Probe) -> None:
        stopper.check()
        show.probe(probe)

    with (
        notebook,
        Oracle() as oracle,
        gate_of(notebook) as gate,
        Lab(_bench(asked, situation), hear, gate=gate) as lab,
    ):
        stopper.use(lab.abandon, oracle.abandon)
        loaded = _first_load(lab, situation, low_memory=asked.low_memory)
        study = Study(
            goal=_goal(asked, wanted, situation, loaded),
            runner=Journalled(lab, notebook),
            forecast=DryRunForecast(situation.address, device_of_target(situation.target), oracle.ask),
            time_limit=asked.time_limit * 60,
            on_probe=begin,
            on_trial=show.trial,
        )
        show.begin(study, situation)
        try:
            result = study.run()
            if result.complete:
                notebook.finish()
                gate.clear()
        except KeyboardInterrupt:
            interrupted = True
            result = study.conclude()
    return _found(result, situation, loaded, notebook, interrupted=interrupted)


def _question(asked: Asked, wanted: _Wanted, situation: Situation) -> Question:
    model = situation.model
    return Question(
        model=situation.address,
        # What belongs to sdoctor changes with sdoctor only.
        model_state="" if model.kind is ModelKind.BUILTIN else state_of_files(model.path),
        device=situation.target.device,
        memory=None if asked.memory is None else situation.budget,
        size=asked.size,
        steps=asked.steps,
        batch=asked.batch,
        step=asked.step,
        max_size=asked.max_size,
        goal=wanted.objective.value,
        shapes=wanted.shapes,
        max_batch=asked.max_batch,
        lossy=asked.lossy,
        run_limit=asked.run_limit,
        low_memory=asked.low_memory,
    )


def _bench(asked: Asked, situation: Situation) -> Bench:
    budget, ceiling = situation.limits
    return Bench(
        model=situation.address,
        device=situation.target.device,
        budget=budget,
        ceiling=ceiling,
        allow_pickle=asked.allow_pickle,
    )


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is sought, as the options name it."""

    objective: Objective
    size: tuple[int, int] | None
    """Pixels; None for the model's own."""
    shapes: tuple[tuple[int, int], ...]


def _wanted(asked: Asked) -> _Wanted:
    """Read the options, before any model is loaded. Raises UsageError."""
    try:
        objective = Objective(asked.goal.strip().lower())
    except ValueError:
        known = ", ".join(objective.value for objective in Objective)
        raise UsageError(f"There is no goal '{asked.goal}'; the goals are {known}.") from None
    size = parse_size(asked.size) if asked.size else None
    named = [parse_shape(text) for text in (*asked.aspects, *(SHAPES if asked.all_aspects else ()))]
    return _Wanted(objective, size, tuple(dict.fromkeys(named)) or ((1, 1),))


def _low_memory_note(situation: Situation) -> str:
    if situation.target.is_cpu:
        return (
            "Low memory: without a GPU there is nothing to move out of the way, so only settings that decode the "
            "picture in tiles are compared: slower, but larger pictures run."
        )
    return (
        "Low memory: only settings that keep parts of the model in host memory and decode the picture in tiles "
        "are compared: slower, but larger models run."
    )


def _first_guess(target: Target, *, low_memory: bool) -> Settings:
    usual = default_settings(target)
    return low_memory_settings(usual, target) if low_memory else usual


def _first_load(lab: Lab, situation: Situation, *, low_memory: bool) -> Loaded:
    """Load the model with the first settings that fit, to learn its sizes. Raises NotInOrder if none does."""
    target = situation.target
    guess = default_settings(target)
    frugal = low_memory_settings(guess, target)
    refuse_what_cannot_fit(situation, frugal)
    tried = [frugal] if low_memory else [Settings(), guess, frugal]
    answer = None
    for settings in dict.fromkeys(tried):
        answer = lab.load(settings)
        if not isinstance(answer, Failed):
            return answer
        if answer.outcome is not Outcome.OUT_OF_MEMORY:
            raise NotInOrder(f"{situation.model.name} could not be loaded: {answer.message}")
    raise NotInOrder(
        f"The weights of {situation.model.name} do not fit into {gib(situation.budget)}; "
        "give more --memory or take a smaller model."
    )


def _goal(asked: Asked, wanted: _Wanted, situation: Situation, loaded: Loaded) -> Goal:
    """The bounds of the study. Raises UsageError for sizes that the pipeline cannot make."""
    width, height = wanted.size or (loaded.native_size, loaded.native_size)
    factor = loaded.size_factor
    for name, value in (("--size", width), ("--size", height), ("--step", asked.step)):
        if value % factor:
            raise UsageError(
                f"{name} {value} cannot be used: {situation.model.name} needs multiples of {factor} pixels."
            )
    if max(width, height) > asked.max_size:
        raise UsageError(f"--size {width}x{height} lies above --max-size {asked.max_size}.")
    return Goal(
        target=situation.target,
        budget=situation.budget,
        width=width,
        height=height,
        steps=asked.steps,
        batch=asked.batch,
        baseline=Settings(),
        first_guess=_first_guess(situation.target, low_memory=asked.low_memory),
        low_memory=asked.low_memory,
        objective=wanted.objective,
        shapes=wanted.shapes,
        lossy=asked.lossy,
        slow=asked.slow,
        most_pictures=asked.max_batch,
        step=asked.step,
        max_size=asked.max_size,
        run_limit=asked.run_limit,
    )


def _found(
    result: Result, situation: Situation, loaded: Loaded, notebook: Notebook, *, interrupted: bool
) -> Found:
    """Save the profile, and put together what there is to report."""
    profile = profile_of(
        result,
        situation.address,
        situation.fingerprint,
        datetime.now(UTC).isoformat(timespec="seconds"),
        pipeline=loaded.pipeline,
        architecture=loaded.architecture,
    )
    path, trouble = None, None
    try:
        path = save(profile) if profile is not None else None
    except OSError as error:
        where = f"{profiles_dir()}: {error.strerror}"
        trouble = f"The profile could not be saved in {where}; set SDOCTOR_HOME to another folder."
    return Found(
        result=result,
        situation=situation,
        profile=path,
        trouble=trouble,
        journal=notebook.path,
        resumed_trials=notebook.resumed_trials,
        interrupted=interrupted,
    )


def _nothing_worked(result: Result) -> str:
    last = result.trials[-1] if result.trials else None
    reason = f" The last attempt ended with {last.outcome.value}: {last.message}" if last else ""
    size = f"{result.goal.width}x{result.goal.height}"
    return f"No settings were found that make a picture of {size} here.{reason}"
