"""ladder: the rungs of settings from the fastest to the most frugal, each with its largest resolution."""

from __future__ import annotations

from dataclasses import dataclass

from tuner.knobs import knob, refusals
from tuner.settings import Settings
from tuner.target import Target

_OFFLOADS = knob("offload").values
"""The least frugal first."""


@dataclass(frozen=True, slots=True)
class Rung:
    """One step of the ladder."""

    name: str
    settings: Settings


def rungs(fastest: Settings, target: Target) -> tuple[Rung, ...]:
    """The rungs that are possible on this device and differ from the one before, the fastest first."""
    steps: tuple[tuple[str, dict[str, str]], ...] = (
        ("fastest", {}),
        ("tiled decode", {"vae_tiling": "on", "vae_slicing": "on"}),
        ("model offload", {"offload": "model"}),
        ("low memory", {"offload": "sequential"}),
    )
    found: list[Rung] = []
    settings = fastest
    for name, changes in steps:
        candidate = settings.but(**changes)
        if refusals(candidate, target) or (found and candidate == settings):
            continue
        if _frugality(candidate) < _frugality(settings):
            continue  # "model offload" lies above the fastest settings where those offload by groups
        settings = candidate
        found.append(Rung(name, settings))
    return tuple(found)


def _frugality(settings: Settings) -> int:
    return _OFFLOADS.index(settings.offload) if settings.offload in _OFFLOADS else 0
