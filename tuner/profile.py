"""Profile: what a study found good for one model on one fingerprint, with the trials that justify it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from doctor.errors import NotInOrder
from tuner.fingerprint import Fingerprint
from tuner.probe import Trial
from tuner.settings import Settings
from tuner.study import Result

if TYPE_CHECKING:
    from tuner.scripting import Tuned

SCHEMA = "sdoctor.profile/2"
"""What is written. Schema 1 lacks pipeline, architecture and the figures of the rungs."""
READABLE = ("sdoctor.profile/1", SCHEMA)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileRung:
    """One rung of the ladder: settings, and the largest picture that was proven with them."""

    name: str
    settings: Settings
    largest: int
    """Side in pixels of the largest run that finished; of one that is not square, of the square with as many pixels."""
    limit: str
    """What stands above it: memory, max-size or time."""
    peak_bytes: int | None = None
    """Peak of memory of that run, measured."""
    seconds_per_image: float | None = None
    """Time that that run took, measured."""
    width: int | None = None
    height: int | None = None
    """Of that run; None for a square, and in profiles that were made before this was written down."""
    batch: int = 1
    """Pictures that that run made."""

    @property
    def extent(self) -> str:
        """What was proven, for people: "1536x896", "512x512, batch 4"."""
        size = f"{self.width or self.largest}x{self.height or self.largest}"
        return size if self.batch == 1 else f"{size}, batch {self.batch}"

    def proves(self, width: int, height: int, batch: int = 1) -> bool:
        """Whether so many pictures of this size are no more than what ran, by their pixels, each and together."""
        area = (self.width or self.largest) * (self.height or self.largest)
        return width * height <= area and width * height * batch <= area * self.batch


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
    pipeline: str | None = None
    """diffusers' class name of the pipeline."""
    architecture: dict[str, str] = field(default_factory=dict)
    """The models of the pipeline, see ``tuner.architecture``; empty in profiles of schema 1."""
    low_memory: bool = False
    """Whether only settings that need little memory were asked about (``sdoctor tune --low-memory``)."""

    def settings_for(self, width: int, height: int, batch: int = 1) -> tuple[Settings, str]:
        """The first rung that was proven at this many pixels, with its name; the last one if none was."""
        for rung in self.ladder:
            if rung.proves(width, height, batch):
                return rung.settings, rung.name
        if self.ladder:
            return self.ladder[-1].settings, self.ladder[-1].name
        return self.best, "fastest"

    def below(self, settings: Settings) -> tuple[ProfileRung, ...]:
        """The rungs that are more frugal than these settings, the fastest of them first."""
        settings_of = [rung.settings for rung in self.ladder]
        first = settings_of.index(settings) + 1 if settings in settings_of else 0
        return self.ladder[first:]

    def apply(
        self,
        pipe: Any,
        *,
        width: int | None = None,
        height: int | None = None,
        budget: int | str | None = None,
        device: str | None = None,
        force: bool = False,
    ) -> Tuned:
        """Set up a freshly loaded diffusers pipeline as tuned; call what comes back as the pipeline itself.

        ``width`` and ``height`` choose the rung of the ladder (without them the fastest), ``budget`` (bytes or
        "4GiB") is what the pipeline may use, its weights included. Raises NotInOrder if the pipeline is of
        another architecture and ``force`` is not set. See ``tuner.scripting.Tuned``.
        """
        from tuner.scripting import tune_pipeline

        return tune_pipeline(self, pipe, size=(width, height), budget=budget, device=device, force=force)

    def proven_side(self) -> int | None:
        """Side of the largest picture that was proven with any rung, as ``ProfileRung.largest`` counts it."""
        return max((rung.largest for rung in self.ladder), default=None)

    def furthest(self) -> ProfileRung | None:
        """The rung with the largest picture; of equals the fastest."""
        return max(self.ladder, key=lambda rung: rung.largest, default=None)


def profile_of(
    result: Result,
    model: str,
    fingerprint: Fingerprint,
    made_at: str,
    *,
    pipeline: str | None = None,
    architecture: Mapping[str, str] | None = None,
) -> Profile | None:
    """The profile of a study; None if nothing finished. The last two are what the loaded model said of itself."""
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
                largest=math.isqrt(item.edge.works.width * item.edge.works.height),
                width=item.edge.works.width,
                height=item.edge.works.height,
                batch=item.edge.works.batch,
                limit=item.edge.limit.value,
                peak_bytes=item.edge.works.peak_bytes,
                seconds_per_image=item.edge.works.seconds_per_image,
            )
            for item in result.ladder
            if item.edge is not None
        ),
        trials=result.trials,
        pipeline=pipeline or None,
        architecture=dict(architecture or {}),
        low_memory=result.goal.low_memory,
    )


def decode_profile(content: bytes, where: str) -> Profile:
    """Read a profile. Raises NotInOrder with one sentence if it is corrupt or of a schema that is not known."""
    try:
        schema = msgspec.json.decode(content, type=_SchemaOnly).schema
        if schema not in READABLE:
            raise NotInOrder(_foreign(schema, where))
        profile: Profile = msgspec.json.decode(content, type=Profile)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise NotInOrder(
            f"The profile {where} cannot be read ({error}); delete it and tune again."
        ) from error
    return profile


def _foreign(schema: str, where: str) -> str:
    family, _, version = schema.rpartition("/")
    if family == SCHEMA.rpartition("/")[0] and version.isdigit():
        return (
            f"The profile {where} was written by a newer sdoctor ({schema!r}; this one reads up to {SCHEMA!r}); "
            "update sdoctor or tune again."
        )
    return f"{where} is not a profile of sdoctor (its schema is {schema!r}); name another file."


class _SchemaOnly(msgspec.Struct):
    schema: str
