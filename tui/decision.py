"""Which settings a picture is made with, and why: the profile, ``--low-memory``, and what was typed."""

from __future__ import annotations

from dataclasses import dataclass

from tui.situation import Situation
from tuner.generation import Wish
from tuner.knobs import default_settings, low_memory_settings, settings_from
from tuner.settings import Settings, parse_settings
from tuner.store import match


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Options that bear on the settings; None where the user typed nothing."""

    precision: str | None
    low_memory: bool
    settings: str | None
    use_profile: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The settings to use, and what the user must know about where they come from."""

    settings: Settings
    notes: tuple[str, ...]
    profile: str | None
    """Path of the profile that was used."""


def decide(situation: Situation, asked: Asked, wish: Wish) -> Decision:
    """Profile first, then ``--low-memory``, then what was typed. Raises UsageError for settings that cannot be."""
    target, name = situation.target, situation.model.name
    notes: list[str] = []
    found = match(situation.address, situation.fingerprint) if asked.use_profile else None
    settings, path = default_settings(target), None
    if found is not None and found.profile is not None:
        side = found.profile.proven_side()
        if wish.width and wish.height:
            settings, rung = found.profile.settings_for(wish.width, wish.height)
        else:
            settings, rung = found.profile.best, "fastest"
        path = str(found.path)
        notes.append(f"Using the profile of {name} (rung '{rung}'): {settings.text()}.")
        if side is not None and wish.width and wish.height and wish.width * wish.height > side**2:
            notes.append(
                f"{wish.width}x{wish.height} lies beyond {side}x{side}, the largest size that tune proved here."
            )
    else:
        why = (
            "Profiles are not used"
            if found is None
            else f"There is {found.reason}"
            if found.reason.startswith("no ")
            else found.reason
        )
        notes.append(f"{why}; using {settings.text()}. `sdoctor tune {name}` measures what is best here.")
    if asked.low_memory:
        settings = low_memory_settings(settings, target)
        notes.append(_low_memory_note(situation))
    typed = parse_settings(asked.settings or "")
    if asked.precision is not None:
        typed["precision"] = asked.precision.lower()
    return Decision(settings=settings_from(settings, typed, target), notes=tuple(notes), profile=path)


def _low_memory_note(situation: Situation) -> str:
    if situation.target.is_cpu:
        return "Low memory: the picture is decoded in tiles, which is slower; without a GPU there is nothing to offload."
    return "Low memory: parts of the model move between host memory and the GPU in each step, several times slower."
