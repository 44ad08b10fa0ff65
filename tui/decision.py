"""Which settings a picture is made with, and why: the profile, ``--low-memory``, and what was typed."""

from __future__ import annotations

from dataclasses import dataclass

from doctor.errors import UsageError
from tui.situation import Situation
from tuner.generation import Wish
from tuner.knobs import default_settings, low_memory_settings, settings_from
from tuner.profile import Profile
from tuner.settings import Settings, parse_settings
from tuner.stepping import Step, steps_below
from tuner.store import Match, match, newest_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Options that bear on the settings; None where the user typed nothing."""

    precision: str | None
    low_memory: bool
    settings: str | None
    use_profile: bool
    force: bool = False
    """Follow a profile of this model that was made on another machine or with other versions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The settings to use, and what the user must know about where they come from."""

    settings: Settings
    notes: tuple[str, ...]
    profile: str | None
    """Path of the profile that was used."""
    ladder: tuple[Step, ...] = ()
    """What to try, in this order, if memory runs out."""
    architecture: dict[str, str] | None = None
    """What the profile was made for."""


def decide(situation: Situation, asked: Asked, wish: Wish) -> Decision:
    """Profile first, then ``--low-memory``, then what was typed. Raises UsageError for settings that cannot be."""
    target = situation.target
    found, reason = _profile(situation, asked)
    profile = found.profile if found is not None else None
    settings, notes = _start(situation, profile, reason, wish)
    if asked.low_memory:
        if profile is None or not profile.low_memory:
            settings = low_memory_settings(settings, target)
        notes.append(_low_memory_note(situation))
    typed = parse_settings(asked.settings or "")
    if asked.precision is not None:
        typed["precision"] = asked.precision.lower()
    chosen = settings_from(settings, typed, target)

    def adjust(rung: Settings) -> Settings:
        """What was typed holds on every rung; a rung that cannot be so is as good as the one that failed."""
        try:
            return settings_from(rung, typed, target)
        except UsageError:
            return chosen

    return Decision(
        settings=chosen,
        notes=tuple(notes),
        profile=None if found is None else str(found.path),
        ladder=steps_below(chosen, profile, target, adjust),
        architecture=profile.architecture if profile is not None else None,
    )


def _profile(situation: Situation, asked: Asked) -> tuple[Match | None, str]:
    """The profile to follow, with what speaks against it; or None, with the reason."""
    if not asked.use_profile:
        return None, "Profiles are not used"
    found = match(situation.address, situation.fingerprint, low_memory=asked.low_memory)
    if found.profile is None and asked.force:
        newest = newest_of(situation.address)
        if newest is not None:
            return newest, f"By --force: {found.reason}."
    if found.profile is None:
        return None, f"There is {found.reason}" if found.reason.startswith("no ") else found.reason
    known = (found.profile.pipeline, situation.model.pipeline_class)
    if None not in known and known[0] != known[1]:
        return (
            None,
            f"the profile of {situation.model.name} was made for a {known[0]}, and this is a {known[1]}",
        )
    return found, ""


def _start(
    situation: Situation, profile: Profile | None, reason: str, wish: Wish
) -> tuple[Settings, list[str]]:
    """The settings to begin with, and where they come from."""
    name = situation.model.name
    if profile is None:
        settings = default_settings(situation.target)
        advice = f"`sdoctor tune {name}` measures what is best here."
        return settings, [f"{reason[:1].upper()}{reason[1:]}; using {settings.text()}. {advice}"]
    notes = [reason] if reason else []
    settings, rung = profile.best, "fastest"
    if wish.width and wish.height:
        settings, rung = profile.settings_for(wish.width, wish.height, wish.batch)
    notes.append(f"Using the profile of {name} (rung '{rung}'): {settings.text()}.")
    furthest = profile.furthest()
    if (
        furthest is not None
        and wish.width
        and wish.height
        and not any(one.proves(wish.width, wish.height, wish.batch) for one in profile.ladder)
    ):
        asked = f"{wish.width}x{wish.height}" + ("" if wish.batch == 1 else f", batch {wish.batch},")
        notes.append(f"{asked} lies beyond {furthest.extent}, the largest size that tune proved here.")
    return settings, notes


def _low_memory_note(situation: Situation) -> str:
    if situation.target.is_cpu:
        return (
            "Low memory: without a GPU there is nothing to move out of the way, so the most frugal settings are "
            "used: the picture is decoded in tiles, which is slower."
        )
    return (
        "Low memory: the model stays in host memory and its parts move to the GPU when it is their turn "
        "(sequential offload), several times slower; larger models run so."
    )
