"""fastest: measure diffusers' default, then turn one knob after the other and keep what is really faster."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import chain

from tuner.knobs import KNOBS, is_lossless, refusals
from tuner.probe import Probe, Purpose, Trial, find
from tuner.settings import Settings
from tuner.strategy.goal import Goal

NOISE = 0.03
"""Two candidates closer than this share count as equal, and the one measured earlier (the simpler) stays.

Warm repeats of one setting differ by 1-3 % on an otherwise idle two-core machine; a trial's own spread
is used where it is larger.
"""
_REPEAT_SECONDS = 3.0
"""Time for repeats of a short run: a tenth of a second says little about the next one."""
_MORE_NOISE_THAN_THIS_IS_AN_OUTLIER = 0.10


def next_probe(goal: Goal, trials: Sequence[Trial]) -> Probe | None:
    """The next setting to measure at the goal's size, or None when every knob was tried and the winner confirmed."""
    probes = chain(_search(goal, trials), _confirmation(goal, trials))
    return next((probe for probe in probes if find(trials, probe) is None), None)


def best(goal: Goal, trials: Sequence[Trial]) -> Trial | None:
    """The fastest finished trial so far; the simpler one of equals; None if nothing finished."""
    winner: Trial | None = None
    for settings in _contenders(goal, trials):
        trial = _quickest(goal, trials, settings)
        if trial is not None and (winner is None or is_lossless(settings, winner.settings)):
            winner = _better(winner, trial)
    return winner


def baseline(goal: Goal, trials: Sequence[Trial]) -> Trial | None:
    """The trial of diffusers' default: the quicker one of its two, else the one that failed."""
    finished = _quickest(goal, trials, goal.baseline)
    return finished or find(trials, _probe(goal, goal.baseline, Purpose.BASELINE))


def _contenders(goal: Goal, trials: Sequence[Trial]) -> tuple[Settings, ...]:
    """The settings between which the end is decided, the simplest first."""
    winner: Trial | None = None
    for probe in _search(goal, trials):
        trial = find(trials, probe)
        if trial is None:
            break
        if winner is None or not winner.finished or is_lossless(probe.settings, winner.settings):
            winner = _better(winner, trial)
    if winner is None:
        return ()
    return tuple(dict.fromkeys((goal.baseline, goal.first_guess, winner.settings)))


def _confirmation(goal: Goal, trials: Sequence[Trial]) -> Iterator[Probe]:
    """Measure the contenders a second time: another program may have been busy during the first.

    Being disturbed can only slow a run down, so the quicker of two is nearer to the truth.
    """
    contenders = [settings for settings in _contenders(goal, trials) if _quickest(goal, trials, settings)]
    if len(contenders) > 1:
        for settings in reversed(contenders):
            yield _probe(goal, settings, Purpose.CONFIRMATION)


def _quickest(goal: Goal, trials: Sequence[Trial], settings: Settings) -> Trial | None:
    """The quickest finished trial of these settings at the goal's size, whatever it was run for."""
    purposes = (Purpose.BASELINE, Purpose.FASTEST, Purpose.CONFIRMATION)
    found = [find(trials, _probe(goal, settings, purpose)) for purpose in purposes]
    finished = [trial for trial in found if trial is not None and trial.seconds_per_image is not None]
    return min(finished, key=lambda trial: trial.seconds_per_image or 0.0, default=None)


def _probe(goal: Goal, settings: Settings, purpose: Purpose = Purpose.FASTEST) -> Probe:
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
    yield _probe(goal, goal.baseline, Purpose.BASELINE)
    winner = find(trials, _probe(goal, goal.baseline, Purpose.BASELINE))
    settings = goal.first_guess
    if settings != goal.baseline:
        yield _probe(goal, settings)
        winner = _better(winner, find(trials, _probe(goal, settings)))
    if winner is None or not winner.finished:
        yield from _frugal(goal, settings)
        return
    seen = {goal.baseline, goal.first_guess}
    for knob in KNOBS:
        for value in knob.candidates(goal.target, goal.batch):
            candidate = winner.settings.but(**{knob.name: value})
            if candidate in seen or refusals(candidate, goal.target):
                continue
            seen.add(candidate)
            probe = _probe(goal, candidate)
            yield probe
            # A lossy knob is measured for the table; it may not win by changing the picture.
            if knob.lossless:
                winner = _better(winner, find(trials, probe)) or winner


def _frugal(goal: Goal, settings: Settings) -> Iterator[Probe]:
    """Nothing fits as it is: step down until something does."""
    for changes in (
        {"vae_slicing": "on", "vae_tiling": "on"},
        {"offload": "model"},
        {"offload": "sequential"},
    ):
        settings = settings.but(**changes)
        if not refusals(settings, goal.target):
            yield _probe(goal, settings)


def _better(winner: Trial | None, other: Trial | None) -> Trial | None:
    """The faster of two trials; within the noise the first one."""
    if other is None or other.seconds_per_image is None:
        return winner
    if winner is None or winner.seconds_per_image is None:
        return other
    noise = max(NOISE, *(_noise(trial) for trial in (winner, other)))
    return other if other.seconds_per_image < winner.seconds_per_image * (1 - noise) else winner


def _noise(trial: Trial) -> float:
    """A trial's spread as an uncertainty of its time, bounded: one late run or step is an outlier."""
    if trial.spread is None:
        return 0.0
    count = len(trial.runs_seconds) if len(trial.runs_seconds) > 1 else len(trial.step_seconds)
    return min(trial.spread / math.sqrt(max(1, count)), _MORE_NOISE_THAN_THIS_IS_AN_OUTLIER)
