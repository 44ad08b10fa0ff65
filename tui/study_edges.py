"""How far each rung of a study reaches: the largest that ran, the smallest that did not, and how the two close in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from doctor.trace import Outcome
from tuner.probe import Probe, Purpose, Trial
from tuner.profile import Profile
from tuner.settings import Settings
from tuner.strategy.axis import Axis, Extent, SizeAxis
from tuner.strategy.largest import LimitKind
from tuner.study import Result, RungEdge

_TOO_MUCH = (Outcome.OUT_OF_MEMORY, Outcome.TOO_SLOW, Outcome.HUNG, Outcome.CRASHED)
"""Endings that say something about the size. A rejected picture was drawn, a refusal never began."""

_STATES = {
    LimitKind.MEMORY: "proven",
    LimitKind.MAX_SIZE: "up to the bound of the search",
    LimitKind.TIME: "larger ones take too long",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeLine:
    """One rung along one axis. Positions are those of the axis: the side of the square of that area, or pictures."""

    name: str
    settings: Settings
    axis: Axis
    works: int | None = None
    """The farthest that ran; None if nothing has yet."""
    fails: int | None = None
    """The nearest beyond it that did not; None if nothing has failed."""
    trying: int | None = None
    """What is tried now."""
    state: str = ""

    def searched(self, probe: Probe) -> EdgeLine:
        """This line while ``probe`` runs."""
        mine = probe.purpose is Purpose.LARGEST and probe.settings == self.settings
        return replace(self, trying=self.axis.position(_extent(probe)) if mine else None)

    def text(self, position: int | None) -> str:
        """A position as a size: "512x768", "4 at once"; "?" if it is not known."""
        if position is None:
            return "?"
        extent = self.axis.at(position)
        return f"{extent.batch} at once" if self.axis.name == "batch" else f"{extent.width}x{extent.height}"


def edges_of_result(result: Result) -> tuple[EdgeLine, ...]:
    """The lines of a study that runs or has ended."""
    axes = {axis.name: axis for axis in result.goal.axes()}
    return tuple(_line(item, axes[item.axis], result) for item in (*result.ladder, *result.others))


def _line(item: RungEdge, axis: Axis, result: Result) -> EdgeLine:
    line = _between(item.rung.name, item.rung.settings, axis, result.trials)
    if item.edge is None:
        return replace(line, state="nothing ran yet" if not result.complete else "nothing ran")
    # Until the study is done, an edge without a bound is one that is still looked for.
    is_open = item.edge.limit is LimitKind.TIME and not result.complete
    return replace(line, state="open" if is_open else _STATES[item.edge.limit])


def edges_of_profile(profile: Profile) -> tuple[EdgeLine, ...]:
    """The lines of a finished study."""
    axis = _squares(profile.batch)
    return tuple(
        replace(
            _between(rung.name, rung.settings, axis, profile.trials),
            works=rung.largest,
            state=_STATES[LimitKind(rung.limit)],
        )
        for rung in profile.ladder
    )


def edges_of_trials(trials: Sequence[Trial]) -> tuple[EdgeLine, ...]:
    """The lines of a journal, which does not say how the search was meant to go on. Square pictures only."""
    searched = [one for one in trials if one.purpose is Purpose.LARGEST and one.width == one.height]
    return tuple(
        replace(
            _between(settings.text(), settings, _squares(batch), trials), state="as far as the journal goes"
        )
        for settings, batch in dict.fromkeys((one.settings, one.batch) for one in searched)
    )


def _squares(batch: int) -> SizeAxis:
    return SizeAxis(step=1, longest=1 << 16, batch=batch)


def _between(name: str, settings: Settings, axis: Axis, trials: Iterable[Trial]) -> EdgeLine:
    """From the trials alone: what ran and what did not."""
    mine = [one for one in trials if one.settings == settings]
    placed = [(position, one) for one in mine if (position := axis.position(_extent(one))) is not None]
    works = max((position for position, one in placed if one.finished), default=None)
    fails = min(
        (at for at, one in placed if one.outcome in _TOO_MUCH and (works is None or at > works)), default=None
    )
    return EdgeLine(name=name, settings=settings, axis=axis, works=works, fails=fails)


def _extent(run: Probe | Trial) -> Extent:
    return Extent(run.width, run.height, run.batch)
