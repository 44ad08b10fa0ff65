"""Does turning latents into pixels take more than its share?"""

from __future__ import annotations

from doctor.finding import Remedy, Severity
from doctor.trace import Phase
from doctor.verdicts.verdict import Rule, Verdict, confidence, figures
from doctor.verdicts.window import Window

SHARE = 35.0
"""Percent of the time to make a picture. Chosen here: decoding happens once, denoising twenty times and more, and
usually takes nine tenths."""

SHARE_SURE = 60.0
LEAST_SECONDS = 2.0
"""Shorter decoding is not worth a word, whatever its share."""

STARTED = 10.0
"""Seconds after which a decode that has not ended counts by itself."""


def _judge(window: Window) -> Verdict | None:
    ended = {record.phase: record.seconds for record in window.ended}
    decode, denoise = ended.get(Phase.DECODE), ended.get(Phase.DENOISE)
    worker = window.last.worker
    if worker is not None and worker.phase is Phase.DECODE and (worker.phase_seconds or 0) >= STARTED:
        decode = worker.phase_seconds
    if decode is None or decode < LEAST_SECONDS:
        return None
    if denoise is None:
        # The steps went by before this window: they are known by their number and the last one's time.
        denoise = _steps_before(window)
    if denoise is None:
        return None
    share = 100.0 * decode / (decode + denoise + ended.get(Phase.ENCODE, 0.0))
    if share < SHARE:
        return None
    return Verdict(
        id="vae-bound",
        severity=Severity.WARNING,
        title=f"Decoding took {decode:.1f} s, {share:.0f} % of making the picture.",
        confidence=confidence(share, SHARE, SHARE_SURE),
        evidence=figures(decode_seconds=decode, denoise_seconds=denoise, decode_percent=share),
        advice=Remedy(
            "Let tune try the settings of the VAE (tiling costs time, bf16 saves it), or decode with a tiny autoencoder "
            "(TAESD, madebyollin/taesd).",
            ("sdoctor tune MODEL", "sdoctor generate --settings vae_tiling=off ..."),
        ),
    )


def _steps_before(window: Window) -> float | None:
    known = [
        (each.worker.step, each.worker.step_seconds[-1])
        for each in window.samples
        if each.worker is not None and each.worker.step and each.worker.step_seconds
    ]
    return known[-1][0] * known[-1][1] if known else None


RULE = Rule(
    name="vae",
    causes={"vae-bound": "The VAE takes a large part of the time."},
    judge=_judge,
    sources=("huggingface.co/docs/diffusers/api/models/autoencoder_tiny",),
)
