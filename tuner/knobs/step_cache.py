"""step_cache: a transformer's work of the step before is used again where it changed little. Lossy."""

from __future__ import annotations

from typing import Any

from tuner.knobs.exports import lines_by
from tuner.knobs.knob import Knob, Value

# The default of diffusers 0.42.1, hooks/first_block_cache.py.
_THRESHOLD = 0.05


def _apply(pipe: Any, value: Value, _device: str) -> str | None:
    denoiser: Any = getattr(pipe, "transformer", None)
    if value == "none":
        if getattr(denoiser, "is_cache_enabled", False):
            denoiser.disable_cache()
        return None
    if not hasattr(denoiser, "enable_cache"):
        return f"step_cache={value} changes nothing: diffusers caches the steps of some transformers only"
    from diffusers import FirstBlockCacheConfig

    denoiser.enable_cache(FirstBlockCacheConfig(threshold=_THRESHOLD))
    return None


def _read(pipe: Any) -> str:
    return "first-block" if getattr(getattr(pipe, "transformer", None), "is_cache_enabled", False) else "none"


_LINES = (
    "from diffusers import FirstBlockCacheConfig",
    f"pipe.transformer.enable_cache(FirstBlockCacheConfig(threshold={_THRESHOLD}))",
)


KNOB = Knob(
    name="step_cache",
    about="Skips the rest of a transformer in steps in which its first block changed little: faster, another picture.",
    values=("none", "first-block"),
    lossless=False,
    # Only --lossy asks for it: what it does to a picture is nothing that a table of times shows.
    only_lossy=True,
    candidates=lambda _target, _batch: ("first-block",),
    apply=_apply,
    script=lines_by({"first-block": _LINES}),
    read=_read,
)
