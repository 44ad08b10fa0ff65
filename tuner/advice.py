"""Advice: which rung of a profile's ladder fits into what is free. Pure: what is measured comes in, what fits goes out."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from doctor.cards import named
from doctor.sizes import MIB, gib
from tuner.cuda_context import context_bytes
from tuner.probe import Trial
from tuner.profile import Profile, ProfileRung
from tuner.settings import Settings

BARE_PROCESS_BYTES = 470 * MIB
"""A Python process that has loaded torch and a pipeline's code, before any weights: 461 MiB resident with torch 2.13 and
diffusers 0.42 on a CPU (docs/advice.md). Profiles on a CPU count from there."""

HEAP_BYTES = 128 * MIB
"""A worker of sdoctor's has an allocator that leaves no holes; a program that asks for advice has the C library's:
builtin:tiny took 16 to 117 MiB more there, in four programs (tests/benchmarks/advice_fits.py). Of larger models it is
not known."""

_MARGIN = 1.05
"""On what lies between two measurements: peaks grow by steps, not along a line."""


class Basis(StrEnum):
    """What a figure rests on."""

    MEASURED = "measured"
    """A run of this very size."""
    BETWEEN = "between measurements"
    """An estimate: on the line between a smaller and a larger run."""
    LARGER = "measured at a larger size"
    """An upper bound: no smaller run is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What one rung needs for a size."""

    rung: str
    settings: Settings
    bytes: int
    """Of the whole process: on a card its CUDA context, on a CPU torch itself included."""
    basis: Basis


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """A rung that was passed over."""

    rung: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Point:
    """A run that finished. Pixels of all pictures of the batch together."""

    width: int
    height: int
    batch: int
    peak: int

    @property
    def pixels(self) -> int:
        return self.width * self.height * self.batch


def needs(
    profile: Profile, width: int, height: int, batch: int
) -> tuple[tuple[Need, ...], tuple[Skipped, ...]]:
    """What each rung needs, from the fastest to the most frugal; and the rungs that were never proven at this size."""
    found, skipped = [], []
    for rung in profile.ladder:
        points = _points(profile, rung)
        need = _need(rung, points, (width, height, batch), _base(profile))
        if need is not None:
            found.append(need)
        else:
            largest = max(points, key=lambda point: point.pixels, default=None)
            proven = (
                "nothing" if largest is None else f"{largest.width}x{largest.height}, batch {largest.batch}"
            )
            skipped.append(Skipped(rung=rung.name, why=f"proven up to {proven}"))
    return tuple(found), tuple(skipped)


def does_not_fit(need: Need, free: int) -> Skipped:
    """Said of a rung for which too little is free."""
    return Skipped(
        rung=need.rung, why=f"needs {gib(need.bytes)} ({need.basis.value}), {gib(max(0, free))} are free"
    )


def largest_that_fits(profile: Profile, free: int) -> tuple[int, str] | None:
    """Side of the largest square that was proven in no more than ``free`` bytes, and its rung; None if none was."""
    base = _base(profile)
    sides = [
        (point.width, rung.name)
        for rung in profile.ladder
        for point in _points(profile, rung)
        if point.width == point.height and point.batch == 1 and point.peak + base <= free
    ]
    return max(sides, default=None, key=lambda each: each[0])


def _base(profile: Profile) -> int:
    """What a process takes beside what a profile counts. Bytes."""
    if profile.fingerprint.device == "cpu":
        return BARE_PROCESS_BYTES + HEAP_BYTES
    return context_bytes(named(profile.fingerprint.name))


def _points(profile: Profile, rung: ProfileRung) -> tuple[_Point, ...]:
    """The runs with a rung's settings that finished, the smallest first."""
    points = {
        _Point(width=trial.width, height=trial.height, batch=trial.batch, peak=peak)
        for trial in profile.trials
        if trial.finished and trial.settings == rung.settings and (peak := _peak(trial)) is not None
    }
    if rung.peak_bytes is not None:
        # Profiles that were made by hand or cut down may have no trials.
        side = rung.largest
        points.add(
            _Point(
                width=rung.width or side, height=rung.height or side, batch=rung.batch, peak=rung.peak_bytes
            )
        )
    return tuple(sorted(points, key=lambda point: (point.pixels, point.peak)))


def _peak(trial: Trial) -> int | None:
    """What the device has to give: on a card what torch reserved, not only what was in tensors."""
    known = [peak for peak in (trial.peak_bytes, trial.peak_reserved_bytes) if peak is not None]
    return max(known, default=None)


def _need(
    rung: ProfileRung, points: tuple[_Point, ...], size: tuple[int, int, int], base: int
) -> Need | None:
    width, height, batch = size
    same = [point.peak for point in points if (point.width, point.height, point.batch) == size]
    if same:
        # Runs of one size differ a little: the next one may be like the largest.
        return Need(rung=rung.name, settings=rung.settings, bytes=max(same) + base, basis=Basis.MEASURED)
    pixels = width * height * batch
    above = [point for point in points if point.pixels >= pixels]
    if not above:
        return None
    below = [point for point in points if point.pixels < pixels]
    upper = above[0]
    if not below or below[-1].peak >= upper.peak:
        return Need(rung=rung.name, settings=rung.settings, bytes=upper.peak + base, basis=Basis.LARGER)
    lower = below[-1]
    share = (pixels - lower.pixels) / (upper.pixels - lower.pixels)
    between = lower.peak + share * (upper.peak - lower.peak)
    peak = min(upper.peak, round(_MARGIN * between))
    return Need(rung=rung.name, settings=rung.settings, bytes=peak + base, basis=Basis.BETWEEN)
