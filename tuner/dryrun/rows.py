"""Row: what a dry run answers. Free of torch, so that the parent can read it."""

from __future__ import annotations

from dataclasses import dataclass

from tuner.settings import Settings

STAGES = ("encode", "denoise", "decode")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One question. Sizes in pixels."""

    model: str
    settings: Settings
    width: int
    height: int
    batch: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One stage, predicted. All bytes are on the device."""

    name: str
    """"encode", "denoise" (one step) or "decode"."""
    peak_bytes: int
    """Weights that are resident and live tensors together, at their highest: as torch's allocated bytes."""
    weights_bytes: int
    """Weights resident at that moment."""
    flops: int
    """Of the whole stage; for "denoise" of one call of the denoiser."""
    moved_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """The prediction for one question."""

    stages: tuple[Stage, ...]
    remarks: tuple[str, ...] = ()
    """Settings that change nothing on this model."""

    @property
    def peak_bytes(self) -> int:
        """The highest of all stages."""
        return max(stage.peak_bytes for stage in self.stages)
