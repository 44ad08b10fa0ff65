"""fastest: measure diffusers' default, then turn one knob after the other and keep what is really better.

Better is what the goal's objective says: less time per picture, or a lower peak of memory.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from doctor.trace import Outcome
from tuner.knobs import KNOBS, is_lossless, refusals
from tuner.probe import Probe, Purpose, Trial, find
from tuner.settings import Settings
from tuner.strategy.goal import Forecast, Goal, Objective, no_forecast

NOISE = 0.03
"""Two candidates closer than this share count as equal, and the one measured earlier (the simpler) stays.

Warm repeats of one setting differ by 1-3 % on an otherwise idle two-core machine; a trial's own spread
is used where it is larger.
"""
_REPEAT_SECONDS = 3.0
"""Time for repeats of a short run: a tenth of a second says little about the next one."""
_MORE_NOISE_THAN_THIS_IS_AN_OUTLIER = 0.10
_HOPELESS = 1.15
"""A forecast this many times the budget is not run: predictions of peaks are off by a few percent (docs/plan.md)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """Settings that were not run, since their predicted peak is far above the budget. Bytes."""

    settings: Settings
    predicted_peak_bytes: int


def next_probe(goal: Goal, trials: Sequence[Trial], forecast: Forecast = no_forecast) -> Probe | None:
    """The next setting to measure at the goal's size, or None when every knob was tried and the winner confirmed."""
    probes = chain(_runnable(goal, trials, forecast), _confirmation(goal, trials, forecast))
    return next((probe for probe in probes if find(trials, probe) is None), None)


def best(goal: Goal, trials: Sequence[Trial], forecast: Forecast = no_forecast) -> Trial | None:
    """The best finished trial so far; the simpler one of equals; None if nothing finished."""
    winner: Trial | None = None
    for settings in _contenders(goal, trials, forecast):
        trial = _quickest(goal, trials, settings)
        if trial is not None and _may_win(goal, settings, winner):
            winner = _better(goal, winner, trial)
    return winner


def skipped(goal: Goal, trials: Sequence[Trial], forecast: Forecast = no_forecast) -> tuple[Skipped, ...]:
    """What the search left out because it cannot fit, by the forecast."""
    left_out = []
    for probe in _search(goal, trials):
        peak = _hopeless(goal, probe.settings, forecast)
        if find(trials, probe) is None and peak is not None:
            left_out.append(Skipped(settings=probe.settings, predicted_peak_bytes=peak))
    return tuple(dict.fromkeys(left_out))


def _hopeless(goal: Goal, settings: Settings, forecast: Forecast) -> int | None:
    """The forecast peak where it is so far above the budget that a run would tell nothing new."""
    if goal.budget is None:
        return None
    peak = forecast(settings, goal.width, goal.height, goal.batch)
    return peak if peak is not None and peak > goal.budget * _HOPELESS else None


def _runnable(goal: Goal, trials: Sequence[Trial], forecast: Forecast) -> Iterator[Probe]:
    """The search without what cannot fit; if nothing of it can, all of it: the forecast may be wrong."""
    probes = list(_search(goal, trials))
    hopeful = [probe for probe in probes if _hopeless(goal, probe.settings, forecast) is None]
    yield from hopeful or probes


def _may_win(goal: Goal, settings: Settings, over: Trial | None) -> bool:
    """Whether these settings are among those asked for, and leave the picture as it is, or need not."""
    if not goal.admits(settings):
        return False
    return goal.lossy or over is None or not over.finished or is_lossless(settings, over.settings)


def baseline(goal: Goal, trials: Sequence[Trial]) -> Trial | None:
    """The trial of diffusers' default: the quicker one of its two, else the one that failed."""
    finished = _quickest(goal, trials, goal.baseline)
    return finished or find(trials, probe_at(goal, goal.baseline, Purpose.BASELINE))


def _contenders(goal: Goal, trials: Sequence[Trial], forecast: Forecast) -> tuple[Settings, ...]:
    """The settings between which the end is decided, the simplest first."""
    winner: Trial | None = None
    for probe in _runnable(goal, trials, forecast):
        trial = find(trials, probe)
        if trial is None:
            break
        if _may_win(goal, probe.settings, winner):
            winner = _better(goal, winner, trial)
    if winner is None:
        return ()
    contenders = dict.fromkeys((goal.baseline, goal.first_guess, winner.settings))
    return tuple(settings for settings in contenders if goal.admits(settings))


def _confirmation(goal: Goal, trials: Sequence[Trial], forecast: Forecast) -> Iterator[Probe]:
    """Measure the contenders a second time: another program may have been busy during the first.

    Being disturbed can only slow a run down, so the quicker of two is nearer to the truth.
    """
    contenders = [
        settings
        for settings in _contenders(goal, trials, forecast)
        if _quickest(goal, trials, settings) is not None
    ]
    # A peak of memory is the same every time.
    if len(contenders) > 1 and goal.objective is Objective.SPEED:
        for settings in reversed(contenders):
            yield probe_at(goal, settings, Purpose.CONFIRMATION)


def _quickest(goal: Goal, trials: Sequence[Trial], settings: Settings) -> Trial | None:
    """The quickest finished trial of these settings at the goal's size, whatever it was run for."""
    purposes = (Purpose.BASELINE, Purpose.FASTEST, Purpose.CONFIRMATION)
    found = [find(trials, probe_at(goal, settings, purpose)) for purpose in purposes]
    finished = [trial for trial in found if trial is not None and trial.seconds_per_image is not None]
    return min(finished, key=lambda trial: trial.seconds_per_image or 0.0, default=None)


def probe_at(goal: Goal, settings: Settings, purpose: Purpose = Purpose.FASTEST) -> Probe:
    """A warm run at the goal's size, repeated where it is short."""
    return Probe(
        purpose=purpose,
        settings=settings,
        width=goal.width,
        height=goal.height,
        steps=goal.steps,
        batch=goal.batch,
        warm_up=True,
        repeat_within=_REPEAT_SECONDS,
        limit_seconds=goal.run_limit,
    )


def _search(goal: Goal, trials: Sequence[Trial]) -> Iterator[Probe]:
    """Every probe that this search makes, in order, as far as the trials so far decide it."""
    yield probe_at(goal, goal.baseline, Purpose.BASELINE)
    winner = find(trials, probe_at(goal, goal.baseline, Purpose.BASELINE))
    if not goal.admits(goal.baseline):
        winner = None  # it is what the others' pictures and times are compared with, and no more
    settings = goal.first_guess
    if settings != goal.baseline:
        yield probe_at(goal, settings)
        first = find(trials, probe_at(goal, settings))
        winner = _better(goal, winner, first)
        if first is not None and first.outcome is Outcome.REJECTED:
            # Before anything else is tried on it: 16 bits that spoil the picture may do so in one component only.
            for candidate in _mended(goal, settings):
                yield probe_at(goal, candidate)
                winner = _better(goal, winner, find(trials, probe_at(goal, candidate)))
    if winner is None or not winner.finished:
        yield from _frugal(goal, settings)
        return
    if goal.objective is Objective.SIZE:
        return
    seen = {goal.baseline, goal.first_guess}
    for knob in KNOBS:
        if knob.only_lossy and not goal.lossy:
            continue
        for value in knob.candidates(goal.target, goal.batch):
            if value in knob.slow and not goal.slow:
                continue
            candidate = winner.settings.but(**{knob.name: value})
            if candidate in seen or not goal.admits(candidate) or refusals(candidate, goal.target):
                continue
            seen.add(candidate)
            probe = probe_at(goal, candidate)
            yield probe
            trial = find(trials, probe)
            # A lossy knob is measured for the table; unless asked to, it may not win by changing the picture.
            if knob.lossless or goal.lossy:
                winner = _better(goal, winner, trial) or winner


def _mended(goal: Goal, settings: Settings) -> Iterator[Settings]:
    """These settings with one knob at a value that may mend their picture."""
    for knob in KNOBS:
        for value in knob.mends:
            candidate = settings.but(**{knob.name: value})
            if not refusals(candidate, goal.target):
                yield candidate


def _frugal(goal: Goal, settings: Settings) -> Iterator[Probe]:
    """Nothing fits as it is: step down until something does."""
    for changes in (
        {"vae_slicing": "on", "vae_tiling": "on"},
        {"offload": "model"},
        {"offload": "sequential"},
    ):
        settings = settings.but(**changes)
        if not refusals(settings, goal.target):
            yield probe_at(goal, settings)


def _better(goal: Goal, winner: Trial | None, other: Trial | None) -> Trial | None:
    """The better of two trials by the goal's objective; within the noise the first one."""
    if other is None or (cost := _cost(goal, other)) is None:
        return winner
    if winner is None or (best_cost := _cost(goal, winner)) is None:
        return other
    noise = NOISE
    if goal.objective is Objective.SPEED:
        noise = max(NOISE, *(_noise(trial) for trial in (winner, other)))
    return other if cost < best_cost * (1 - noise) else winner


def _cost(goal: Goal, trial: Trial) -> float | None:
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
