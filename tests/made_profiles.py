"""A profile with a ladder of two rungs, made without a study, and what a machine of its own looks like."""

from __future__ import annotations

from machines import CPU_ONLY

from tuner.fingerprint import fingerprint_of
from tuner.profile import Profile, ProfileRung
from tuner.settings import Settings
from tuner.target import choose_target

FAST = Settings(precision="bf16")
TILED = FAST.but(vae_tiling="on")
HERE = fingerprint_of(CPU_ONLY, choose_target(CPU_ONLY, "cpu"))


def profile(**changes) -> Profile:
    """Of builtin:tiny on the machine CPU_ONLY."""
    values = {
        "model": "builtin:tiny",
        "fingerprint": HERE,
        "made_at": "2026-11-23T00:00:00+00:00",
        "budget_bytes": 2**30,
        "width": 128,
        "height": 128,
        "batch": 1,
        "best": FAST,
        "speedup": 1.5,
        "ladder": (
            ProfileRung(name="fastest", settings=FAST, largest=1024, limit="memory"),
            ProfileRung(name="tiled decode", settings=TILED, largest=2048, limit="memory"),
        ),
        "trials": (),
        "pipeline": "StableDiffusionPipeline",
    }
    return Profile(**(values | changes))
