"""largest: the largest square resolution of one setting, its edge proven from both sides.

Peak memory of a generation grows with the number of pixels: two finished runs give a straight line, the
line gives the size to try next, and real runs close in on the edge from there. A line that is wrong costs
runs, never the answer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from doctor.trace import Outcome, Phase
from tuner.probe import Probe, Purpose, Trial
from tuner.settings import Settings
from tuner.strategy.goal import Goal

_TOO_LONG = (Outcome.TOO_SLOW, Outcome.HUNG)
_TOO_LONG_RUNS = 2
"""Runs that may hit the time limit: each costs all of it, and a limit of time needs no exact edge."""
_PATIENCE_SHARE = 0.8
"""Share of a run's time limit to aim at, since times vary more than memory."""
_GROWTH = 2.0
"""Largest factor of the side from the first run to the second, before there is a line."""


class LimitKind(StrEnum):
    """What ended the search upwards."""

    MEMORY = "memory"
    MAX_SIZE = "max-size"
    TIME = "time"


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """The largest resolution of one setting: the run that worked, the run that did not, and what stands above."""

    works: Trial
    fails: Trial | None
    limit: LimitKind


def edge(goal: Goal, settings: Settings, trials: Sequence[Trial]) -> Edge | None:
    """The edge as far as the trials show it; None if nothing worked."""
    view = _Known(goal, settings, trials)
    if view.works is None:
        return None
    if view.side(view.works) + goal.step > goal.max_size:
        return Edge(works=view.works, fails=None, limit=LimitKind.MAX_SIZE)
    fails = view.fails
    if fails is None or fails.outcome in _TOO_LONG:
        return Edge(works=view.works, fails=fails, limit=LimitKind.TIME)
    closed = view.side(fails) - view.side(view.works) <= goal.step
    return Edge(works=view.works, fails=fails, limit=LimitKind.MEMORY if closed else LimitKind.TIME)


def next_probe(goal: Goal, settings: Settings, trials: Sequence[Trial], start: int) -> Probe | None:
    """The next size to try, or None when the edge is closed. ``start`` is the side to begin with."""
    view = _Known(goal, settings, trials)
    side = _next_side(goal, view, start)
    if side is None:
        return None
    predicted = view.predict_peak(side)
    return Probe(
        purpose=Purpose.LARGEST,
        settings=settings,
        width=side,
        height=side,
        steps=goal.edge_steps,
        batch=goal.batch,
        limit_seconds=goal.run_limit,
        predicted=None if predicted is None else {"peak_bytes": predicted},
    )


def _next_side(goal: Goal, view: _Known, start: int) -> int | None:
    step, top = goal.step, goal.max_size // goal.step * goal.step
    low = view.side(view.works) // step * step if view.works else 0
    high = view.side(view.fails) if view.fails else None
    if view.works is not None and view.too_long >= _TOO_LONG_RUNS:
        return None
    if not view.tried:
        return max(step, min(top, start // step * step))
    if low == 0:
        assert high is not None
        smaller = high // 2 // step * step
        return smaller if smaller >= step else None
    if high is None:
        return _upwards(view, low, top)
    if high - low <= step:
        return None
    return _between(view, low, high)


def _upwards(view: _Known, low: int, top: int) -> int | None:
    """No failure yet: jump to where the line says the edge is, and gallop on if it was too timid."""
    step = view.goal.step
    patience = view.predict_patience()
    if low >= top or (patience is not None and patience < low + step):
        return None
    predicted = view.predict_edge()
    if predicted is None:
        wanted = int(low * view.safe_growth())
    elif predicted > low:
        wanted = predicted
    else:
        wanted = low + step * 2 ** max(0, view.wins_above_prediction() - 1)
    wanted = max(low + step, wanted // step * step)
    return min(wanted, top, patience // step * step if patience is not None else top)


def _between(view: _Known, low: int, high: int) -> int:
    """The edge lies between: trust the line every other time, halve the rest."""
    step = view.goal.step
    middle = (low + high) // 2 // step * step
    predicted = view.predict_edge()
    # The line is about memory: it says nothing where time stands in the way.
    if predicted is None or view.too_long or view.failures % 2 == 0:
        return min(max(middle, low + step), high - step)
    return min(max(predicted // step * step, low + step), high - step)


class _Known:
    """What the trials of one setting say."""

    def __init__(self, goal: Goal, settings: Settings, trials: Sequence[Trial]) -> None:
        self.goal = goal
        mine = [
            trial
            for trial in trials
            if trial.settings == settings
            and trial.batch == goal.batch
            and trial.width == trial.height
            and trial.outcome not in (Outcome.INTERRUPTED, Outcome.REFUSED)
            # A run of the search for speed counts too, if its size is one that this search could have tried.
            and (trial.purpose is Purpose.LARGEST or trial.width % goal.step == 0)
        ]
        finished = sorted((trial for trial in mine if trial.finished), key=self.side)
        failed = sorted((trial for trial in mine if not trial.finished), key=self.side)
        self.finished = finished
        self.works = finished[-1] if finished else None
        above = [trial for trial in failed if self.works is None or self.side(trial) > self.side(self.works)]
        self.fails = above[0] if above else None
        self.failures = len(failed)
        self.too_long = sum(trial.outcome in _TOO_LONG for trial in failed)
        self.tried = bool(mine)

    @staticmethod
    def side(trial: Trial) -> int:
        """Side of a square run in pixels."""
        return trial.width

    def _line(self) -> tuple[float, float] | None:
        """(bytes at no pixels, bytes per pixel) through the two largest finished runs."""
        points = [(self.side(trial) ** 2, trial.peak_bytes) for trial in self.finished if trial.peak_bytes]
        points = sorted(dict(points).items())[-2:]
        if len(points) < 2:
            return None
        (area_1, peak_1), (area_2, peak_2) = points
        slope = (peak_2 - peak_1) / (area_2 - area_1)
        return (peak_2 - slope * area_2, slope) if slope > 0 else None

    def predict_peak(self, side: int) -> float | None:
        """Predicted peak in bytes of a run of that side."""
        line = self._line()
        return None if line is None else line[0] + line[1] * side**2

    def predict_edge(self) -> int | None:
        """Predicted largest side under the budget, rounded down to the step."""
        line = self._line()
        if line is None or self.goal.budget is None or self.goal.budget <= line[0]:
            return None
        return int(math.sqrt((self.goal.budget - line[0]) / line[1])) // self.goal.step * self.goal.step

    def safe_growth(self) -> float:
        """Factor of the side that must fit, as far as one run can tell: all of its peak grows with the pixels."""
        peak = self.works.peak_bytes if self.works else None
        if self.goal.budget is None or not peak:
            return _GROWTH
        return min(_GROWTH, math.sqrt(max(1.0, self.goal.budget / peak)))

    def predict_patience(self) -> int | None:
        """Predicted largest side whose run ends within the time that one run may take."""
        points = sorted({self.side(trial): self._seconds(trial) for trial in self.finished}.items())[-2:]
        if len(points) < 2 or any(seconds is None or seconds <= 0 for _, seconds in points):
            return None
        (side_1, seconds_1), (side_2, seconds_2) = points
        assert seconds_1 is not None
        assert seconds_2 is not None
        # Work grows at least with the pixels, at most (self-attention) with their square.
        power = min(4.0, max(2.0, math.log(seconds_2 / seconds_1) / math.log(side_2 / side_1)))
        return int(side_2 * (_PATIENCE_SHARE * self.goal.run_limit / seconds_2) ** (1 / power))

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
