"""Stepping: what to try after running out of memory, from a profile's ladder down to what no study has proven."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tuner.knobs import knob
from tuner.profile import Profile
from tuner.settings import Settings
from tuner.strategy.ladder import rungs
from tuner.target import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing to try."""

    name: str
    """The rung: "tiled decode"."""
    settings: Settings
    proven: bool
    """Whether a study ran it on this machine."""

    def text(self) -> str:
        """For people: the rung, its settings, and whether they were proven."""
        return (
            f"{self.settings.text()} (rung '{self.name}'{'' if self.proven else ', not proven by tune here'})"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LadderStep:
    """A run did not fit and is tried again, one rung lower."""

    settings_text: str
    reason: str


def _as_it_is(settings: Settings) -> Settings:
    return settings


def steps_below(
    settings: Settings,
    profile: Profile | None,
    target: Target,
    adjust: Callable[[Settings], Settings] = _as_it_is,
) -> tuple[Step, ...]:
    """What to try below ``settings``: the profile's rungs, then those that are possible on this device.

    ``adjust`` puts back what the user insists on; a rung that it makes equal to one before is left out.
    """
    proven = () if profile is None else profile.below(settings)
    wanted = [(rung.name, rung.settings) for rung in proven]
    last = wanted[-1][1] if wanted else settings
    wanted += [(rung.name, rung.settings) for rung in rungs(last, target)]
    on_the_ladder = {rung.settings for rung in proven}
    seen, found = {settings}, []
    for name, rung_settings in wanted:
        adjusted = adjust(rung_settings)
        if adjusted in seen or _frugality(adjusted) < _frugality(settings):
            continue
        seen.add(adjusted)
        found.append(Step(name=name, settings=adjusted, proven=adjusted in on_the_ladder))
    return tuple(found)


_OFFLOADS = knob("offload").values


def _frugality(settings: Settings) -> tuple[int, bool, bool]:
    """Orders settings that are not rungs of one ladder: the larger, the less memory is needed."""
    where = _OFFLOADS.index(settings.offload) if settings.offload in _OFFLOADS else 0
    return where, settings.vae_tiling == "on", settings.vae_slicing == "on"
