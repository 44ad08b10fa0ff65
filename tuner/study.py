"""Study: a series of trials towards one goal. It asks the strategies, runs what they propose, and records it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from tuner.probe import Probe, Trial
from tuner.strategy import fastest, largest
from tuner.strategy.goal import Goal
from tuner.strategy.ladder import Rung, rungs
from tuner.strategy.largest import Edge, LimitKind


class Runner(Protocol):
    """What a study needs to run its probes."""

    def run(self, probe: Probe) -> Trial:
        """Run one probe; its failure is part of the trial."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RungEdge:
    """A rung of the ladder with its largest resolution."""

    rung: Rung
    edge: Edge | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a study found: a pure function of its goal and its trials."""

    goal: Goal
    trials: tuple[Trial, ...]
    baseline: Trial | None
    best: Trial | None
    ladder: tuple[RungEdge, ...]
    complete: bool = True
    """False if time or the user ended the study before its strategies were done."""

    @property
    def largest(self) -> RungEdge | None:
        """The rung that reaches furthest; of equals the fastest."""
        reached = [item for item in self.ladder if item.edge is not None]
        return max(reached, key=lambda item: item.edge.works.width if item.edge else 0, default=None)

    @property
    def speedup(self) -> float | None:
        """How many times faster the best settings make a picture than diffusers' default; None if either is unknown."""
        if self.baseline is None or self.best is None:
            return None
        before, after = self.baseline.seconds_per_image, self.best.seconds_per_image
        return before / after if before and after else None


def next_probe(goal: Goal, trials: Sequence[Trial]) -> Probe | None:
    """What to run next: first the search for speed, then the edge of each rung, from the fastest down."""
    probe = fastest.next_probe(goal, trials)
    if probe is not None:
        return probe
    winner = fastest.best(goal, trials)
    settings = winner.settings if winner is not None else goal.first_guess
    start = min(goal.width, goal.height)
    for rung in rungs(settings, goal.target):
        probe = largest.next_probe(goal, rung.settings, trials, start)
        if probe is not None:
            return probe
        edge = largest.edge(goal, rung.settings, trials)
        if edge is None:
            continue
        if edge.limit is not LimitKind.MEMORY:
            # More frugal settings are slower and reach no further than the bound that was met.
            return None
        start = edge.works.width + goal.step
    return None


def conclude(goal: Goal, trials: Sequence[Trial]) -> Result:
    """What the trials so far say about the goal."""
    winner = fastest.best(goal, trials)
    settings = winner.settings if winner is not None else goal.first_guess
    ladder = tuple(
        RungEdge(rung=rung, edge=largest.edge(goal, rung.settings, trials))
        for rung in rungs(settings, goal.target)
        if any(trial.settings == rung.settings for trial in trials)
    )
    return Result(
        goal=goal,
        trials=tuple(trials),
        baseline=fastest.baseline(goal, trials),
        best=winner,
        ladder=ladder,
        complete=next_probe(goal, trials) is None,
    )


@dataclass(kw_only=True)
class Study:
    """Runs until its strategies are done, its time is over, or the user stops it; the trials stay."""

    goal: Goal
    runner: Runner
    time_limit: float | None = None
    on_probe: Callable[[Probe], None] = lambda _probe: None
    on_trial: Callable[[Trial], None] = lambda _trial: None
    trials: list[Trial] = field(default_factory=list)

    def run(self) -> Result:
        """Run to the end. A KeyboardInterrupt goes through; ``conclude`` then tells what was found."""
        started = time.monotonic()
        while (probe := next_probe(self.goal, self.trials)) is not None:
            if self.time_limit is not None and time.monotonic() - started > self.time_limit:
                break
            self.on_probe(probe)
            trial = self.runner.run(probe)
            self.trials.append(trial)
            self.on_trial(trial)
        return self.conclude()

    def conclude(self) -> Result:
        """What the trials so far say."""
        return conclude(self.goal, self.trials)
