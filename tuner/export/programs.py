"""Settings as flags and settings of ComfyUI, A1111, Forge and SD.Next, with what cannot be said there."""

from __future__ import annotations

from dataclasses import dataclass

from tuner.knobs import KNOBS
from tuner.settings import Settings

TITLES = {
    "comfyui": "ComfyUI",
    "a1111": "AUTOMATIC1111's web UI",
    "forge": "Forge",
    "sdnext": "SD.Next",
}

# On a processor: the flag that chooses it (Forge, A1111 and SD.Next also guess it where there is no card).
_ON_A_CPU = {"comfyui": ("--cpu",), "a1111": ("--use-cpu", "all"), "forge": ("--always-cpu",), "sdnext": ()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What to give to a program."""

    program: str
    flags: tuple[str, ...]
    settings: dict[str, str | bool]
    """For its configuration file."""
    by_hand: tuple[str, ...]
    """What no flag does; sentences without their full stops."""
    not_expressible: tuple[str, ...]
    """Settings, as name=value, that the program does not have."""


def export(settings: Settings, program: str, device: str) -> Exported:
    """``settings`` for ``program`` (one of TITLES) on a "cpu" or "cuda" device."""
    flags: list[str] = list(_ON_A_CPU[program]) if device == "cpu" else []
    kept: dict[str, str | bool] = {}
    hand: list[str] = []
    missing: list[str] = []
    usual = Settings()
    for knob in KNOBS:
        value = getattr(settings, knob.name)
        if knob.name == "offload" and device == "cpu":
            continue  # there is nothing to move
        told = knob.told(program, value)
        if told is None:
            # What diffusers does unasked need not be said to anybody.
            if value != getattr(usual, knob.name):
                missing.append(f"{knob.name}={value}")
            continue
        flags.extend(told.flags)
        kept.update(told.settings)
        if told.by_hand:
            hand.append(told.by_hand)
    return Exported(
        program=program,
        flags=tuple(flags),
        settings=kept,
        by_hand=tuple(hand),
        not_expressible=tuple(missing),
    )
