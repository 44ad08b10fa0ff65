"""Quality: a candidate's picture against the reference's, by PSNR and SSIM, and what is no picture at all.

Same seed, same size, same steps: settings that promise to leave the picture as it is can be held to that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from doctor.trace import Phase

if TYPE_CHECKING:
    import numpy

_FLAT = 2.0
"""Standard deviation of all values (0 to 255) below which a picture shows nothing: a NaN that was cast to a byte
gives 0.0 (diffusers' VaeImageProcessor), a decoder that overflowed one value everywhere; dark photographs have 10."""
_BLACK = 8.0
"""Mean value (0 to 255) below which a flat picture is called black."""


class Verdict(StrEnum):
    """What the comparison says."""

    REFERENCE = "reference"
    SAME = "same"
    """Within the bound of what was changed."""
    CHANGED = "changed"
    """Beyond the bound of settings that promise to leave the picture as it is."""
    LOSSY = "lossy"
    """Settings that may change the picture: told, not judged."""
    BLACK = "black"
    FLAT = "flat"
    NOT_FINITE = "not-finite"
    """Values that are no numbers (NaN, infinity) on the way to the picture."""
    UNKNOWN = "unknown"
    """There was nothing to compare with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """The least likeness that counts as the same picture."""

    psnr_db: float
    ssim: float


ROUNDING = Bound(psnr_db=40.0, ssim=0.98)
"""For settings in the reference's own number format: sums in another order, nothing more.

Measured (tests/benchmarks/quality.py, docs/tune.md): 87 dB and more. Far below that, for cards whose attention and
convolutions round more roughly than a processor, and far above a wrong picture.
"""
SIXTEEN_BITS = Bound(psnr_db=20.0, ssim=0.70)
"""For another number format: the way from noise to picture is another one from the first rounding on.

Measured: 43 to 52 dB on two models, 2 to 20 steps. Loose, since larger models with more steps may drift further (not
measured here); it is there for pictures that are wrong.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """How like the reference a picture is; of a batch the least like."""

    verdict: Verdict
    psnr_db: float | None = None
    """Peak signal-to-noise ratio; None if nothing was compared, or without any difference (``identical``)."""
    ssim: float | None = None
    """Structural similarity, at most 1; None if nothing was compared."""
    identical: bool = False
    reason: str = ""
    """One sentence, if the picture is not as it has to be."""

    @property
    def rejected(self) -> bool:
        """Whether the settings must not be used."""
        return self.verdict in (Verdict.CHANGED, Verdict.BLACK, Verdict.FLAT, Verdict.NOT_FINITE)


def no_picture(pictures: Sequence[Path], not_finite: Phase | None) -> Quality | None:
    """The verdict on pictures that show nothing, whatever the reference is; None if they show something.

    Raises OSError if a picture cannot be read.
    """
    if not_finite is not None:
        return Quality(
            verdict=Verdict.NOT_FINITE,
            reason=f"the {not_finite.value} stage gave values that are no numbers (NaN or infinity)",
        )
    for path in pictures:
        values = _values(path)
        if float(values.std()) >= _FLAT:
            continue
        mean = float(values.mean())
        if mean < _BLACK:
            return Quality(verdict=Verdict.BLACK, reason="the picture is black")
        return Quality(
            verdict=Verdict.FLAT, reason=f"the picture is one flat colour (mean value {mean:.0f} of 255)"
        )
    return None


def compare(pictures: Sequence[Path], references: Sequence[Path], bound: Bound | None) -> Quality:
    """Every picture against its reference; ``bound`` None for settings that may change it. Raises OSError."""
    pairs = [(_values(mine), _values(other)) for mine, other in zip(pictures, references, strict=True)]
    if any(mine.shape != other.shape for mine, other in pairs):
        return Quality(
            verdict=Verdict.UNKNOWN, reason="the reference has another size, so nothing was compared"
        )
    found = [_likeness(mine, other) for mine, other in pairs]
    ratios = [ratio for ratio, _ in found if ratio is not None]
    psnr, ssim = min(ratios, default=None), min(likeness for _, likeness in found)
    verdict, reason = _judge(psnr, ssim, bound)
    return Quality(verdict=verdict, psnr_db=psnr, ssim=ssim, identical=psnr is None, reason=reason)


def _judge(psnr: float | None, ssim: float, bound: Bound | None) -> tuple[Verdict, str]:
    if bound is None:
        return Verdict.LOSSY, ""
    if psnr is None or (psnr >= bound.psnr_db and ssim >= bound.ssim):
        return Verdict.SAME, ""
    return Verdict.CHANGED, (
        f"it changes the picture more than settings of its kind do: PSNR {psnr:.1f} dB and SSIM {ssim:.3f} against "
        f"the reference, where {bound.psnr_db:.0f} dB and {bound.ssim:.2f} are the least"
    )


def _likeness(mine: numpy.ndarray[Any, Any], other: numpy.ndarray[Any, Any]) -> tuple[float | None, float]:
    """(PSNR in dB or None for identical pictures, SSIM) of two 8-bit RGB pictures."""
    if bool((mine == other).all()):
        return None, 1.0
    # Half a second of imports that no command but a study needs.
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity

    psnr = float(peak_signal_noise_ratio(other, mine, data_range=255))
    return psnr, float(structural_similarity(other, mine, channel_axis=2, data_range=255))


def _values(path: Path) -> numpy.ndarray[Any, Any]:
    import numpy
    from PIL import Image

    with Image.open(path) as image:
        return numpy.asarray(image.convert("RGB"))
