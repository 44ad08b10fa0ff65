"""fastest: measure diffusers' default, then turn one knob after the other and keep what is really better.

Better is what the goal's objective says: less time per picture, or a lower peak of memory.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from doctor.trace import Outcome
from tuner.knobs import KNOBS, is_lossless, refusals, turned
from tuner.knobs.knob import Knob, Value
from tuner.probe import Probe, Purpose, Trial, find
from tuner.settings import Settings
from tuner.strategy.comparing import better, to_measure_again
from tuner.strategy.goal import Forecast, Goal, Objective, no_forecast

_REPEAT_SECONDS = 3.0
"""Time for repeats of a short run: a tenth of a second says little about the next one."""
_BEATEN = 3.0
"""A candidate's run is broken off when it has taken this many times what the best so far takes: it cannot win any more.
bf16 on a processor without it is 150 times as slow as fp32; half an hour would tell no more than half a minute."""
_LEAST_PATIENCE = 15.0
"""Seconds that a candidate's run gets in any case: a first run touches its memory for the first time."""
_HOPELESS = 1.15
"""A forecast this many times the budget is not run: predictions of peaks are off by a few percent (docs/plan.md)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """Settings that were not run, since their predicted peak is far above the budget. Bytes."""

    settings: Settings
    predicted_peak_bytes: int


def next_probe(goal: Goal, trials: Sequence[Trial], forecast: Forecast = no_forecast) -> Probe | None:
    """The next setting to measure at the goal's size, or None when every knob was tried and the winner confirmed."""
    probes = chain(_runnable(goal, trials, forecast), _confirmation(goal, trials))
    return next((probe for probe in probes if find(trials, probe) is None), None)


def best(goal: Goal, trials: Sequence[Trial]) -> Trial | None:
    """The best finished trial so far; the simpler one of equals; None if nothing finished."""
    winner: Trial | None = None
    for settings in _contenders(goal, trials):
        trial = _quickest(goal, trials, settings)
        if trial is not None and _may_win(goal, settings, winner):
            winner = better(goal, winner, trial)
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


def _contenders(goal: Goal, trials: Sequence[Trial]) -> tuple[Settings, ...]:
    """The settings between which the end is decided, the simplest first."""
    search = _search(goal, trials)
    while True:
        try:
            next(search)
        except StopIteration as end:
            winner: Trial | None = end.value
            break
    if winner is None or not winner.finished or not _may_win(goal, winner.settings, None):
        return ()
    contenders = dict.fromkeys((goal.baseline, goal.first_guess, winner.settings))
    return tuple(settings for settings in contenders if goal.admits(settings))


def _confirmation(goal: Goal, trials: Sequence[Trial]) -> Iterator[Probe]:
    """Measure the contenders a second time: another program may have been busy during the first.

    Being disturbed can only slow a run down, so the quicker of two is nearer to the truth.
    """
    contenders = [
        settings for settings in _contenders(goal, trials) if _quickest(goal, trials, settings) is not None
    ]
    # A peak of memory is the same every time.
    if len(contenders) > 1 and goal.objective is Objective.SPEED:
        for settings in reversed(contenders):
            yield probe_at(goal, settings, Purpose.CONFIRMATION)


_OF_THE_SEARCH = (Purpose.BASELINE, Purpose.FASTEST, Purpose.AGAIN)


def _quickest(
    goal: Goal,
    trials: Sequence[Trial],
    settings: Settings,
    purposes: Sequence[Purpose] = (*_OF_THE_SEARCH, Purpose.CONFIRMATION),
) -> Trial | None:
    """The quickest finished trial of these settings at the goal's size, whatever it was run for."""
    found = [find(trials, probe_at(goal, settings, purpose)) for purpose in purposes]
    finished = [trial for trial in found if trial is not None and trial.seconds_per_image is not None]
    return min(finished, key=lambda trial: trial.seconds_per_image or 0.0, default=None)


def probe_at(
    goal: Goal, settings: Settings, purpose: Purpose = Purpose.FASTEST, beat: Trial | None = None
) -> Probe:
    """A warm run at the goal's size, repeated where it is short; ``beat``: what it has to be faster than."""
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
        beaten_seconds=_beaten_after(goal, settings, beat),
    )


def _beaten_after(goal: Goal, settings: Settings, beat: Trial | None) -> float | None:
    if beat is None or beat.seconds_per_image is None or goal.objective is not Objective.SPEED:
        return None
    if settings.offload != beat.settings.offload:
        return None  # by how much slower it is belongs to the answer
    return max(_LEAST_PATIENCE, _BEATEN * beat.seconds_per_image * goal.batch)


_Search = Generator[Probe, None, Trial | None]
"""Yields probes in order, as far as the trials so far decide it; returns the winner among the trials there are."""


def _search(goal: Goal, trials: Sequence[Trial]) -> _Search:
    """Every probe that this search makes."""
    yield probe_at(goal, goal.baseline, Purpose.BASELINE)
    winner = find(trials, probe_at(goal, goal.baseline, Purpose.BASELINE))
    if not goal.admits(goal.baseline):
        winner = None  # it is what the others' pictures and times are compared with, and no more
    settings = goal.first_guess
    if settings != goal.baseline:
        winner = yield from _against(goal, trials, winner, settings)
        first = find(trials, probe_at(goal, settings))
        if first is not None and first.outcome is Outcome.REJECTED:
            # Before anything else is tried on it: 16 bits that spoil the picture may do so in one component only.
            for candidate in _mended(goal, settings):
                winner = yield from _against(goal, trials, winner, candidate)
    if winner is None or not winner.finished:
        return (yield from _frugal(goal, trials, settings))
    if goal.objective is Objective.SIZE:
        return winner
    seen = {goal.baseline, goal.first_guess}
    for knob, value in _turns(goal):
        candidate = turned(winner.settings, knob.name, value)
        if candidate in seen or not goal.admits(candidate) or refusals(candidate, goal.target):
            continue
        seen.add(candidate)
        # A lossy knob is measured for the table; unless asked to, it may not win by changing the picture.
        if knob.lossless or goal.lossy:
            winner = (yield from _against(goal, trials, winner, candidate)) or winner
        else:
            yield probe_at(goal, candidate, beat=winner)
    return winner


def _turns(goal: Goal) -> Iterator[tuple[Knob, Value]]:
    """What to turn, in order. A knob that leads comes again in its place, where other settings may have won since."""
    for knob in KNOBS:
        if knob.leads:
            fast = (value for value in knob.candidates(goal.target, goal.batch) if value not in knob.slow)
            yield from ((knob, value) for value in fast)
    for knob in KNOBS:
        if knob.only_lossy and not goal.lossy:
            continue
        for value in knob.candidates(goal.target, goal.batch):
            if goal.slow or value not in knob.slow:
                yield knob, value


def _against(goal: Goal, trials: Sequence[Trial], winner: Trial | None, candidate: Settings) -> _Search:
    """The candidate's run, and where chance or another program may have decided, both once more."""
    yield probe_at(goal, candidate, beat=winner)
    trial = find(trials, probe_at(goal, candidate))
    unsettled = to_measure_again(goal, winner, trial)
    for settings in unsettled:
        yield probe_at(goal, settings, Purpose.AGAIN, beat=winner)
    if unsettled and winner is not None:
        trial = _quickest(goal, trials, candidate, _OF_THE_SEARCH) or trial
        winner = _quickest(goal, trials, winner.settings, _OF_THE_SEARCH) or winner
    return better(goal, winner, trial)


def _mended(goal: Goal, settings: Settings) -> Iterator[Settings]:
    """These settings with one knob at a value that may mend their picture."""
    for knob in KNOBS:
        for value in knob.mends:
            candidate = settings.but(**{knob.name: value})
            if not refusals(candidate, goal.target):
                yield candidate


def _frugal(goal: Goal, trials: Sequence[Trial], settings: Settings) -> _Search:
    """Nothing fits as it is: step down until something does."""
    winner: Trial | None = None
    for changes in (
        {"vae_slicing": "on", "vae_tiling": "on"},
        {"offload": "model"},
        {"offload": "sequential"},
    ):
        settings = settings.but(**changes)
        if not refusals(settings, goal.target):
            yield probe_at(goal, settings)
            winner = better(goal, winner, find(trials, probe_at(goal, settings)))
    return winner
