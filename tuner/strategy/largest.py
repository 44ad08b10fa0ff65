"""largest: how far one setting reaches along an axis (picture size, pictures per run), proven from both sides.

Peak memory grows with the number of pixels. A forecast, or a straight line through finished runs, says where to try;
real runs close in on the edge from there. A forecast that is wrong costs runs, never the answer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from doctor.trace import Outcome, Phase
from tuner.probe import Probe, Purpose, Trial
from tuner.settings import Settings
from tuner.strategy.axis import Axis
from tuner.strategy.goal import Forecast, Goal, no_forecast
from tuner.strategy.memory_law import MemoryLaw, extent_of

_TOO_LONG = (Outcome.TOO_SLOW, Outcome.HUNG)
_TOO_LONG_RUNS = 2
"""Runs that may hit the time limit: each costs all of it, and a limit of time needs no exact edge."""
_PATIENCE_SHARE = 0.8
"""Share of a run's time limit to aim at, since times vary more than memory."""
_GROWTH = 4.0
"""Largest factor of the pixels from the first run to the second, before there is a line."""


class LimitKind(StrEnum):
    """What ended the search upwards."""

    MEMORY = "memory"
    MAX_SIZE = "max-size"
    TIME = "time"


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """The farthest that one setting goes: the run that worked, the run that did not, and what stands above."""

    works: Trial
    fails: Trial | None
    limit: LimitKind
    runs: int = 0
    """Runs made to find it."""
    bisection_runs: int = 0
    """Runs that plain bisection of the whole axis would have made."""


def edge(
    goal: Goal,
    settings: Settings,
    trials: Sequence[Trial],
    axis: Axis | None = None,
    forecast: Forecast = no_forecast,
) -> Edge | None:
    """The edge as far as the trials show it; None if nothing worked."""
    view = _Known(goal, settings, axis or goal.square(), trials, forecast)
    if view.works is None:
        return None
    fails = view.fails
    if view.low + view.axis.step > view.axis.top:
        limit, fails = LimitKind.MAX_SIZE, None
    elif fails is None or fails.outcome in _TOO_LONG:
        limit = LimitKind.TIME
    else:
        closed = (view.high or 0) - view.low <= view.axis.step
        limit = LimitKind.MEMORY if closed else LimitKind.TIME
    return Edge(
        works=view.works,
        fails=fails,
        limit=limit,
        runs=view.runs,
        bisection_runs=bisection_runs(view.axis, view.low // view.axis.step),
    )


def bisection_runs(axis: Axis, last: int) -> int:
    """Runs that plain bisection between nothing and the end of the axis makes if the ``last``-th position works."""
    low, high, runs = 0, axis.top // axis.step + 1, 0
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if middle <= last else (low, middle)
        runs += 1
    return runs


def next_probe(
    goal: Goal,
    settings: Settings,
    trials: Sequence[Trial],
    start: int,
    axis: Axis | None = None,
    forecast: Forecast = no_forecast,
) -> Probe | None:
    """The next position to try, or None when the edge is closed. ``start`` is where to begin without a forecast."""
    view = _Known(goal, settings, axis or goal.square(), trials, forecast)
    position = _next_position(view, start)
    if position is None:
        return None
    predicted = view.law.peak(position)
    extent = view.axis.at(position)
    return Probe(
        purpose=Purpose.LARGEST,
        settings=settings,
        width=extent.width,
        height=extent.height,
        batch=extent.batch,
        steps=goal.edge_steps,
        limit_seconds=goal.run_limit,
        predicted=None if predicted is None else {"peak_bytes": predicted},
    )


def _next_position(view: _Known, start: int) -> int | None:
    step, top = view.axis.step, view.axis.top // view.axis.step * view.axis.step
    low, high = view.low, view.high
    if view.works is not None and view.too_long >= _TOO_LONG_RUNS:
        return None
    if not view.tried:
        guess = view.law.edge()
        patience = view.predict_patience()
        if guess and patience is not None:
            guess = min(guess, patience // step * step)
        return max(step, min(top, guess or start // step * step))
    if low == 0:
        return _downwards(view)
    if high is None:
        return _upwards(view, low, top)
    if high - low <= step:
        return None
    return _between(view, low, high)


def _downwards(view: _Known) -> int | None:
    """Nothing worked yet: where the forecast says, then down in steps that double; half of it without a forecast."""
    step = view.axis.step
    assert view.high is not None
    half = view.high // 2 // step * step
    guess = view.law.edge()
    if guess is None or view.too_long:
        wanted = half
    elif guess < view.high and view.failures == 1:
        wanted = guess
    else:
        wanted = max(half, view.high - (step << (view.failures - 1)))
    return wanted if wanted >= step else None


def _upwards(view: _Known, low: int, top: int) -> int | None:
    """No failure yet: jump to where the law says the edge is, and gallop on if it was too timid."""
    step = view.axis.step
    patience = view.predict_patience()
    if low >= top or (patience is not None and patience < low + step):
        return None
    predicted = view.law.edge()
    if predicted is None:
        wanted = view.grown(low)
    elif predicted > low:
        wanted = predicted
    else:
        wanted = low + step * 2 ** max(0, view.wins_above_prediction() - 1)
    wanted = max(low + step, wanted // step * step)
    return min(wanted, top, patience // step * step if patience is not None else top)


def _between(view: _Known, low: int, high: int) -> int:
    """The edge lies between: trust the law every other time, halve the rest."""
    step = view.axis.step
    middle = (low // step + high // step) // 2 * step
    predicted = view.law.edge()
    # The law is about memory: it says nothing where time stands in the way.
    if predicted is not None and not view.too_long and predicted >= high:
        # The law is too bold, usually by little: go down from the failure in steps that double.
        return max(middle, high - (step << (view.failures - 1)), low + step)
    if predicted is None or view.too_long or view.failures % 2 == 0:
        return min(max(middle, low + step), high - step)
    return min(max(predicted // step * step, low + step), high - step)


class _Known:
    """What the trials of one setting say along one axis."""

    def __init__(
        self, goal: Goal, settings: Settings, axis: Axis, trials: Sequence[Trial], forecast: Forecast
    ) -> None:
        self.goal, self.axis = goal, axis
        mine = [
            (position, trial)
            for trial in trials
            if trial.settings == settings
            and trial.outcome not in (Outcome.INTERRUPTED, Outcome.REFUSED, Outcome.REJECTED)
            # A run of the search for speed counts too, if its size is one that this search could have tried.
            and (position := axis.position(extent_of(trial))) is not None
        ]
        mine.sort(key=lambda item: item[0])
        finished = [item for item in mine if item[1].finished]
        worked = {position for position, _ in finished}
        # A run that was disturbed and broken off says nothing where another one finished.
        failed = [item for item in mine if not item[1].finished and item[0] not in worked]
        self.finished = [trial for _, trial in finished]
        self.low = finished[-1][0] if finished else 0
        self.works = self.finished[-1] if finished else None
        above = next((item for item in failed if item[0] > self.low), None)
        self.high = above[0] if above else None
        self.fails = above[1] if above else None
        self.failures = len(failed)
        self.too_long = sum(trial.outcome in _TOO_LONG for _, trial in failed)
        self.tried = bool(mine)
        self.runs = sum(trial.purpose is Purpose.LARGEST for _, trial in mine)
        self.law = MemoryLaw(goal, settings, axis, self.finished, trials, forecast)

    def grown(self, low: int) -> int:
        """The position with as many more pixels as must fit, as far as one run can tell: all of its peak grows so."""
        peak = self.works.peak_bytes if self.works else None
        factor = _GROWTH
        if self.goal.budget is not None and peak:
            factor = min(_GROWTH, max(1.0, self.goal.budget / peak))
        return self._with_pixels(self.axis.at(low).pixels * factor)

    def _with_pixels(self, pixels: float) -> int:
        """The last position with at most that many pixels."""
        step = self.axis.step
        low, high = 0, self.axis.top // step + 1
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self.axis.at(middle * step).pixels <= pixels else (low, middle)
        return low * step

    def predict_patience(self) -> int | None:
        """Predicted last position whose run ends within the time that one run may take."""
        points = sorted({extent_of(trial).pixels: self._seconds(trial) for trial in self.finished}.items())[
            -2:
        ]
        if len(points) < 2 or any(seconds is None or seconds <= 0 for _, seconds in points):
            return None
        (pixels_1, seconds_1), (pixels_2, seconds_2) = points
        assert seconds_1 is not None
        assert seconds_2 is not None
        # Work grows at least with the pixels, at most (self-attention) with their square.
        power = min(2.0, max(1.0, math.log(seconds_2 / seconds_1) / math.log(pixels_2 / pixels_1)))
        return self._with_pixels(
            pixels_2 * (_PATIENCE_SHARE * self.goal.run_limit / seconds_2) ** (1 / power)
        )

    def _seconds(self, trial: Trial) -> float | None:
        """Duration of the run, had it had the steps of a run at the edge."""
        if trial.seconds_per_image is None or trial.seconds_per_step is None:
            return None
        other = sum(record.seconds for record in trial.phases if record.phase in (Phase.ENCODE, Phase.DECODE))
        return other + trial.seconds_per_step * self.goal.edge_steps

    def wins_above_prediction(self) -> int:
        """How many finished runs went beyond what had been predicted to fit."""
        budget = self.goal.budget
        if budget is None:
            return 0
        return sum(
            bool(trial.predicted and trial.predicted["peak_bytes"] > budget) for trial in self.finished
        )
