"""Profile: what a study found good for one model on one fingerprint, with the trials that justify it."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from doctor.errors import NotInOrder
from tuner.fingerprint import Fingerprint
from tuner.probe import Trial
from tuner.settings import Settings
from tuner.study import Result

SCHEMA = "sdoctor.profile/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileRung:
    """One rung of the ladder: settings, and the largest square picture that was proven with them."""

    name: str
    settings: Settings
    largest: int
    """Side in pixels of the largest run that finished."""
    limit: str
    """What stands above it: memory, max-size or time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Settings and limits found good, and why. Bytes, pixels, seconds."""

    schema: str = SCHEMA
    model: str
    fingerprint: Fingerprint
    made_at: str
    """ISO 8601, UTC."""
    budget_bytes: int | None
    """What the study was allowed to use: the limits hold for no less."""
    width: int
    height: int
    batch: int
    """Size at which the settings were compared."""
    best: Settings
    speedup: float | None
    ladder: tuple[ProfileRung, ...]
    trials: tuple[Trial, ...]

    def settings_for(self, width: int, height: int) -> tuple[Settings, str]:
        """The first rung that was proven at this many pixels, with its name; the last one if none was.

        A picture that is not square is compared by its area.
        """
        area = width * height
        for rung in self.ladder:
            if rung.largest**2 >= area:
                return rung.settings, rung.name
        if self.ladder:
            return self.ladder[-1].settings, self.ladder[-1].name
        return self.best, "fastest"

    def proven_side(self) -> int | None:
        """Side of the largest picture that was proven with any rung."""
        return max((rung.largest for rung in self.ladder), default=None)


def profile_of(result: Result, model: str, fingerprint: Fingerprint, made_at: str) -> Profile | None:
    """The profile of a study; None if nothing finished."""
    if result.best is None:
        return None
    return Profile(
        model=model,
        fingerprint=fingerprint,
        made_at=made_at,
        budget_bytes=result.goal.budget,
        width=result.goal.width,
        height=result.goal.height,
        batch=result.goal.batch,
        best=result.best.settings,
        speedup=result.speedup,
        ladder=tuple(
            ProfileRung(
                name=item.rung.name,
                settings=item.rung.settings,
                largest=item.edge.works.width,
                limit=item.edge.limit.value,
            )
            for item in result.ladder
            if item.edge is not None
        ),
        trials=result.trials,
    )


def decode_profile(content: bytes, where: str) -> Profile:
    """Read a profile. Raises NotInOrder with one sentence if it is corrupt or of another schema."""
    try:
        schema = msgspec.json.decode(content, type=_SchemaOnly).schema
        if schema != SCHEMA:
            raise NotInOrder(
                f"The profile {where} has the schema {schema!r}, and this sdoctor reads {SCHEMA!r}; tune again."
            )
        profile: Profile = msgspec.json.decode(content, type=Profile)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise NotInOrder(
            f"The profile {where} cannot be read ({error}); delete it and tune again."
        ) from error
    return profile


class _SchemaOnly(msgspec.Struct):
    schema: str
