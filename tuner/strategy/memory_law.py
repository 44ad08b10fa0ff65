"""memory_law: from finished runs (and a forecast, where there is one) to the peak of a run that was not made yet."""

from __future__ import annotations

from collections.abc import Sequence

from doctor.trace import Outcome
from tuner.probe import Trial
from tuner.settings import Settings
from tuner.strategy.axis import Axis, Extent
from tuner.strategy.goal import Forecast, Goal


def extent_of(trial: Trial) -> Extent:
    """What a trial made, or was to make."""
    return Extent(trial.width, trial.height, trial.batch)


class MemoryLaw:
    """A straight line over the forecast of the dry run; over the pixels where it has none.

    Two finished runs of the same settings set its level and slope; one sets the level, if there is a forecast; without
    any, the excess of the latest run with other settings is taken over.
    """

    def __init__(
        self,
        goal: Goal,
        settings: Settings,
        axis: Axis,
        finished: Sequence[Trial],
        trials: Sequence[Trial],
        forecast: Forecast,
    ) -> None:
        self._goal, self._settings, self._axis, self._forecast = goal, settings, axis, forecast
        self._line = self._fitted(finished) or self._borrowed(trials)
        self._limit = self._learnt_limit(trials)

    def _size_of(self, extent: Extent, settings: Settings | None = None) -> float | None:
        """What the peak is taken to be a straight line over: forecast bytes, else pixels."""
        said = self._forecast(settings or self._settings, extent.width, extent.height, extent.batch)
        return None if said is None else float(said)

    def _fitted(self, finished: Sequence[Trial]) -> tuple[float, float, bool] | None:
        """(bytes at nothing, bytes per unit, whether the unit is a forecast byte)."""
        peaks = {extent_of(trial): trial.peak_bytes for trial in finished if trial.peak_bytes}
        points = sorted(peaks.items(), key=lambda item: item[0].pixels)[-2:]
        sizes = [self._size_of(extent) for extent, _ in points]
        forecast = bool(points) and all(size is not None for size in sizes)
        known = [
            (size if forecast and size is not None else float(extent.pixels), float(peak))
            for size, (extent, peak) in zip(sizes, points, strict=True)
        ]
        if len(known) == 2 and known[0][0] < known[1][0] and known[0][1] < known[1][1]:
            (size_1, peak_1), (size_2, peak_2) = known
            slope = (peak_2 - peak_1) / (size_2 - size_1)
            return peak_2 - slope * size_2, slope, forecast
        if known and forecast:
            return known[-1][1] - known[-1][0], 1.0, True
        return None

    def _borrowed(self, trials: Sequence[Trial]) -> tuple[float, float, bool] | None:
        """The level of the largest finished run with whatever settings, for a forecast that stands alone."""
        best: Trial | None = None
        for trial in trials:
            if (
                trial.finished
                and trial.peak_bytes
                and (best is None or trial.peak_bytes > (best.peak_bytes or 0))
            ):
                best = trial
        if best is None:
            return None
        said = self._size_of(extent_of(best), best.settings)
        return None if said is None else ((best.peak_bytes or 0) - said, 1.0, True)

    def _learnt_limit(self, trials: Sequence[Trial]) -> float | None:
        """The budget, or less if a run failed below it: on a CPU holes in the heap take a part of it."""
        if self._goal.budget is None:
            return None
        failed = [
            trial.predicted["peak_bytes"]
            for trial in trials
            if trial.outcome is Outcome.OUT_OF_MEMORY
            and trial.predicted
            and trial.settings != self._settings
            and trial.predicted["peak_bytes"]
            > max((t.peak_bytes or 0 for t in trials if t.finished), default=0)
        ]
        return min([float(self._goal.budget), *failed])

    def peak(self, position: int) -> float | None:
        """Predicted peak in bytes at a position; None if nothing can be said."""
        if self._line is None:
            return None
        level, slope, over_forecast = self._line
        extent = self._axis.at(position)
        size = self._size_of(extent) if over_forecast else float(extent.pixels)
        return None if size is None else level + slope * size

    def edge(self) -> int | None:
        """Predicted largest position within the budget; 0 if not even the first is; None if nothing can be said."""
        if self._limit is None or self._line is None:
            return None
        step = self._axis.step
        low, high = 0, self._axis.top // step + 1
        while high - low > 1:
            middle = (low + high) // 2
            peak = self.peak(middle * step)
            if peak is None:
                return None
            low, high = (middle, high) if peak <= self._limit else (low, middle)
        return low * step
