"""Profiles put together by hand."""

from __future__ import annotations

from typing import Any

from tuner.fingerprint import Fingerprint
from tuner.profile import Profile, ProfileRung
from tuner.settings import Settings

SOMEWHERE = Fingerprint(device="cpu", name="somewhere else")


def profile_with(*rungs: Settings, largest: int = 512, **changes: Any) -> Profile:
    """A profile of builtin:tiny whose ladder has these settings, each proven to twice the side of the one before."""
    values: dict[str, Any] = {
        "model": "builtin:tiny",
        "fingerprint": SOMEWHERE,
        "made_at": "2026-11-23T00:00:00+00:00",
        "budget_bytes": None,
        "width": 128,
        "height": 128,
        "batch": 1,
        "best": rungs[0],
        "speedup": None,
        "ladder": tuple(
            ProfileRung(name=f"rung {number}", settings=one, largest=largest * 2**number, limit="memory")
            for number, one in enumerate(rungs)
        ),
        "trials": (),
    }
    return Profile(**(values | changes))
