"""comparing: which of two trials is better by the goal's objective, and whether another run could turn that."""

from __future__ import annotations

import math

from doctor.trace import Outcome
from tuner.probe import Trial
from tuner.settings import Settings
from tuner.strategy.goal import Goal, Objective

NOISE = 0.03
"""Two candidates closer than this share count as equal, and the one measured earlier (the simpler) stays.

Warm repeats of one setting differ by 1-3 % on an otherwise idle two-core machine; a trial's own spread
is used where it is larger.
"""
_MORE_NOISE_THAN_THIS_IS_AN_OUTLIER = 0.10
_CLOSE = 0.10
"""A candidate that wins by less is measured again, and so is what it beat: chance gives a few percent."""
DISTURBED = 0.05
"""Share of a run's wish for the processor that others took (``Trial.cpu_wait``) from which the run counts as disturbed.
Undisturbed runs on two cores have less than 0.01."""
_MOSTLY_WAITING = 0.5
"""A run that was broken off as hopelessly slow is made again if it waited this share of its time for the processor."""


def better(goal: Goal, winner: Trial | None, other: Trial | None) -> Trial | None:
    """The better of two trials by the goal's objective; within the noise the first one.

    Settings that turned out to change nothing (the pipeline stands exactly as before) are no better, whatever was measured.
    """
    if other is None or (cost := cost_of(goal, other)) is None:
        return winner
    if winner is None or (best_cost := cost_of(goal, winner)) is None:
        return other
    if is_the_same_pipeline(winner, other) or changes_nothing(winner, other):
        return winner
    noise = NOISE
    if goal.objective is Objective.SPEED:
        noise = max(NOISE, *(_noise(trial) for trial in (winner, other)))
    return other if cost < best_cost * (1 - noise) else winner


def is_the_same_pipeline(one: Trial, other: Trial) -> bool:
    """Whether two trials of other settings ran the same pipeline, as it was read back."""
    return one.settings != other.settings and bool(one.setup) and one.setup == other.setup


def changes_nothing(winner: Trial, other: Trial) -> bool:
    """Whether a knob said, at once or while it ran, that what it was turned to leaves the denoiser as it is."""
    turned = [
        f"{name}={value} changes nothing"
        for name, value in other.settings.differences(winner.settings).items()
    ]
    return any(
        remark.startswith((f"{words}:", f"{words} for the denoiser"))
        for remark in other.remarks
        for words in turned
    )


def to_measure_again(goal: Goal, winner: Trial | None, other: Trial | None) -> tuple[Settings, ...]:
    """What another run is needed of before the two are told apart; () if their order stands as it is.

    Another program can only slow a run down, so a run that waited for the processor may really take less.
    """
    if goal.objective is not Objective.SPEED or winner is None or other is None:
        return ()
    best_cost, cost = cost_of(goal, winner), cost_of(goal, other)
    if best_cost is None or is_the_same_pipeline(winner, other) or changes_nothing(winner, other):
        return ()
    if cost is None:
        hopeless = other.outcome is Outcome.TOO_SLOW and (other.cpu_wait or 0.0) > _MOSTLY_WAITING
        return (other.settings,) if hopeless else ()
    if better(goal, winner, other) is winner:
        return (other.settings,) if _at_best(other, cost) < best_cost * (1 - NOISE) else ()
    if cost > best_cost * (1 - _CLOSE) or _at_best(winner, best_cost) * (1 - NOISE) <= cost:
        return (other.settings, winner.settings)
    return ()


def _at_best(trial: Trial, cost: float) -> float:
    """What a trial would have cost had it never waited for the processor."""
    wait = trial.cpu_wait or 0.0
    return cost * (1 - wait) if wait > DISTURBED else cost


def cost_of(goal: Goal, trial: Trial) -> float | None:
    """What the objective wants little of; None if the trial did not finish."""
    if goal.objective is Objective.MEMORY:
        return None if trial.peak_bytes is None else float(trial.peak_bytes)
    return trial.seconds_per_image


def _noise(trial: Trial) -> float:
    """A trial's spread as an uncertainty of its time, bounded: one late run or step is an outlier."""
    if trial.spread is None:
        return 0.0
    count = len(trial.runs_seconds) if len(trial.runs_seconds) > 1 else len(trial.step_seconds)
    return min(trial.spread / math.sqrt(max(1, count)), _MORE_NOISE_THAN_THIS_IS_AN_OUTLIER)
