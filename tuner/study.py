"""Study: a series of trials towards one goal. It asks the strategies, runs what they propose, and records it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from tuner.probe import Probe, Trial
from tuner.settings import Settings
from tuner.strategy import fastest, largest
from tuner.strategy.axis import Axis
from tuner.strategy.fastest import Skipped
from tuner.strategy.goal import Forecast, Goal, Objective, no_forecast
from tuner.strategy.ladder import Rung, rungs
from tuner.strategy.largest import Edge, LimitKind
from tuner.strategy.memory_law import extent_of


class Runner(Protocol):
    """What a study needs to run its probes."""

    def run(self, probe: Probe) -> Trial:
        """Run one probe; its failure is part of the trial."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RungEdge:
    """A rung of the ladder with how far it reaches along one axis."""

    rung: Rung
    edge: Edge | None
    axis: str = "1:1"
    """The shape of the pictures as width:height, or "batch"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a study found: a pure function of its goal and its trials."""

    goal: Goal
    trials: tuple[Trial, ...]
    baseline: Trial | None
    best: Trial | None
    ladder: tuple[RungEdge, ...]
    """The first of the goal's axes, usually square pictures."""
    others: tuple[RungEdge, ...] = ()
    """The other axes: further shapes, pictures per run."""
    skipped: tuple[Skipped, ...] = ()
    complete: bool = True
    """False if time or the user ended the study before its strategies were done."""

    @property
    def largest(self) -> RungEdge | None:
        """The rung that reaches furthest; of equals the fastest."""
        reached = [item for item in self.ladder if item.edge is not None]
        return max(
            reached, key=lambda item: extent_of(item.edge.works).pixels if item.edge else 0, default=None
        )

    @property
    def speedup(self) -> float | None:
        """How many times faster the best settings make a picture than diffusers' default; None if either is unknown."""
        if self.baseline is None or self.best is None:
            return None
        before, after = self.baseline.seconds_per_image, self.best.seconds_per_image
        return before / after if before and after else None


def next_probe(goal: Goal, trials: Sequence[Trial], forecast: Forecast = no_forecast) -> Probe | None:
    """What to run next: first the search for the best settings, then each rung's edges, from the fastest rung down."""
    probe = fastest.next_probe(goal, trials, forecast)
    if probe is not None or goal.objective is Objective.MEMORY:
        return probe
    settings = _settings(goal, trials)
    axes = list(goal.axes())
    starts = {axis.name: _start(goal, axis) for axis in axes}
    for rung in rungs(settings, goal.target):
        for axis in tuple(axes):
            probe = largest.next_probe(goal, rung.settings, trials, starts[axis.name], axis, forecast)
            if probe is not None:
                return probe
            edge = largest.edge(goal, rung.settings, trials, axis, forecast)
            if edge is None:
                continue
            if edge.limit is not LimitKind.MEMORY:
                # More frugal settings are slower and reach no further than the bound that was met.
                axes.remove(axis)
            starts[axis.name] = (axis.position(extent_of(edge.works)) or 0) + axis.step
    return None


def _settings(goal: Goal, trials: Sequence[Trial]) -> Settings:
    winner = fastest.best(goal, trials)
    return winner.settings if winner is not None else goal.first_guess


def _start(goal: Goal, axis: Axis) -> int:
    """Where the search begins if nothing is known: at the goal's own size or batch."""
    return goal.batch if axis.name == "batch" else min(goal.width, goal.height)


def conclude(goal: Goal, trials: Sequence[Trial], forecast: Forecast = no_forecast) -> Result:
    """What the trials so far say about the goal."""
    axes = () if goal.objective is Objective.MEMORY else goal.axes()
    first, *rest = [_edges(goal, axis, trials, forecast) for axis in axes] or [()]
    return Result(
        goal=goal,
        trials=tuple(trials),
        baseline=fastest.baseline(goal, trials),
        best=fastest.best(goal, trials),
        ladder=first,
        others=tuple(item for edges in rest for item in edges),
        skipped=fastest.skipped(goal, trials, forecast),
        complete=next_probe(goal, trials, forecast) is None,
    )


def _edges(goal: Goal, axis: Axis, trials: Sequence[Trial], forecast: Forecast) -> tuple[RungEdge, ...]:
    return tuple(
        RungEdge(
            rung=rung,
            edge=largest.edge(goal, rung.settings, trials, axis, forecast),
            axis=axis.name,
        )
        for rung in rungs(_settings(goal, trials), goal.target)
        if any(
            trial.settings == rung.settings and axis.position(extent_of(trial)) is not None
            for trial in trials
        )
    )


@dataclass(kw_only=True)
class Study:
    """Runs until its strategies are done, its time is over, or the user stops it; the trials stay."""

    goal: Goal
    runner: Runner
    forecast: Forecast = no_forecast
    time_limit: float | None = None
    on_probe: Callable[[Probe], None] = lambda _probe: None
    on_trial: Callable[[Trial], None] = lambda _trial: None
    trials: list[Trial] = field(default_factory=list)

    def run(self) -> Result:
        """Run to the end. A KeyboardInterrupt goes through; ``conclude`` then tells what was found."""
        started = time.monotonic()
        while (probe := next_probe(self.goal, self.trials, self.forecast)) is not None:
            if self.time_limit is not None and time.monotonic() - started > self.time_limit:
                break
            self.on_probe(probe)
            trial = self.runner.run(probe)
            self.trials.append(trial)
            self.on_trial(trial)
        return self.conclude()

    def conclude(self) -> Result:
        """What the trials so far say."""
        return conclude(self.goal, self.trials, self.forecast)
