"""Gate: keeps the reference picture of a study and lets no settings pass whose picture is not what it has to be."""

from __future__ import annotations

import shutil
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from doctor.paths import write_atomically
from doctor.trace import Outcome, Phase
from tuner.knobs import is_lossless
from tuner.probe import Probe, Purpose, Trial
from tuner.quality import ROUNDING, SIXTEEN_BITS, Bound, Quality, Verdict, compare, no_picture
from tuner.settings import Settings

_NOTE = "reference.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reference:
    """What the reference pictures were made with."""

    settings: Settings
    width: int
    height: int
    steps: int
    batch: int


class Gate:
    """Judges the pictures of one study. The reference lies in a folder, so that a resumed study finds it again.

    The reference is the first finished run of diffusers' default (fp32), or where that does not run the first
    other one whose picture shows something.
    """

    def __init__(self, folder: Path) -> None:
        """``folder`` is made when it is needed."""
        self._folder = folder

    def clear(self) -> None:
        """Forget the reference: another study begins, or this one is over."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def samples(self, probe: Probe) -> tuple[str, ...]:
        """Where the worker shall leave the pictures; () for runs that are about memory only."""
        if probe.purpose not in (Purpose.BASELINE, Purpose.FASTEST, Purpose.AGAIN):
            return ()
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            return ()
        paths = self._paths("candidate", probe.batch)
        for path in paths:
            path.unlink(missing_ok=True)
        return tuple(str(path) for path in paths)

    def _paths(self, name: str, batch: int) -> list[Path]:
        return [self._folder / f"{name}-{number}.png" for number in range(batch)]

    def judge(self, trial: Trial, not_finite: Phase | None) -> Trial:
        """The trial with its quality; REJECTED, without figures to win by, if the picture is not as it has to be."""
        if not trial.finished:
            return trial
        paths = self._paths("candidate", trial.batch)
        try:
            quality = self._quality(trial, paths, not_finite)
        except OSError as error:
            why = f"the picture could not be kept or read ({error.strerror or error}), so it was not compared"
            quality = Quality(verdict=Verdict.UNKNOWN, reason=why)
        finally:
            for path in paths:
                with suppress(OSError):
                    path.unlink(missing_ok=True)
        if not quality.rejected:
            return replace(trial, quality=quality)
        # Its times stand in runs_seconds and phases; what strategies compare is only there for settings that work.
        return replace(
            trial,
            quality=quality,
            outcome=Outcome.REJECTED,
            message=quality.reason,
            seconds_per_step=None,
            seconds_per_image=None,
            spread=None,
            peak_bytes=None,
            peak_reserved_bytes=None,
        )

    def _quality(self, trial: Trial, paths: list[Path], not_finite: Phase | None) -> Quality:
        made = _Reference(
            settings=trial.settings,
            width=trial.width,
            height=trial.height,
            steps=trial.steps,
            batch=trial.batch,
        )
        reference = self._read()
        like = reference is not None and replace(reference, settings=made.settings) == made
        nothing = no_picture(paths, not_finite)
        if not like or reference is None:
            if nothing is not None and trial.settings.precision != "fp32":
                return nothing
            self._keep(made, paths)
            # What fp32 draws is what the model draws, if it is nothing at all too.
            return Quality(verdict=Verdict.REFERENCE, reason="" if nothing is None else nothing.reason)
        bound = _bound(trial.settings, reference.settings)
        others = self._paths("reference", trial.batch)
        if nothing is not None and no_picture(others, None) is None:
            return nothing
        return compare(paths, others, bound)

    def _read(self) -> _Reference | None:
        try:
            return msgspec.json.decode((self._folder / _NOTE).read_bytes(), type=_Reference)
        except (FileNotFoundError, msgspec.DecodeError):
            return None

    def _keep(self, made: _Reference, paths: list[Path]) -> None:
        for path, target in zip(paths, self._paths("reference", made.batch), strict=True):
            path.replace(target)
        # Last: without it there is no reference, so half of one is none.
        write_atomically(self._folder / _NOTE, msgspec.json.encode(made))


def _bound(settings: Settings, reference: Settings) -> Bound | None:
    """How like the reference the picture has to be; None where settings may change it."""
    if not is_lossless(settings, reference):
        return None
    formats = {"precision", "vae_precision", "text_precision"}
    return SIXTEEN_BITS if formats & set(settings.differences(reference)) else ROUNDING
