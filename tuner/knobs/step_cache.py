"""step_cache: a transformer's work of the steps before is used again. Lossy.

Which caches of diffusers 0.42 are offered, and why the others are not, stands in docs/tune.md.
"""

from __future__ import annotations

from typing import Any

from tuner.knobs.exports import lines_by
from tuner.knobs.knob import Knob, Value

# The default of diffusers 0.42.1, hooks/first_block_cache.py.
_THRESHOLD = 0.05
# As diffusers' own example has it (models/cache_utils.py, 0.42.1): every other attention, in the middle of the way.
_PYRAMID = "spatial_attention_block_skip_range=2, spatial_attention_timestep_skip_range=(100, 800)"
_KINDS = {
    "FirstBlockCacheConfig": "first-block",
    "TaylorSeerCacheConfig": "taylorseer",
    "PyramidAttentionBroadcastConfig": "pyramid",
}


def _apply(pipe: Any, value: Value, _device: str) -> str | None:
    denoiser: Any = getattr(pipe, "transformer", None)
    if getattr(denoiser, "is_cache_enabled", False):
        denoiser.disable_cache()
    if value == "none":
        return None
    if not hasattr(denoiser, "enable_cache"):
        return f"step_cache={value} changes nothing: diffusers caches the steps of some transformers only"
    denoiser.enable_cache(_config(pipe, str(value), denoiser))
    return None


def _config(pipe: Any, value: str, denoiser: Any) -> Any:
    import diffusers

    if value == "taylorseer":
        # Its own type for the differences is bfloat16, which is coarser than a pipeline in float32.
        return diffusers.TaylorSeerCacheConfig(taylor_factors_dtype=denoiser.dtype)
    if value == "pyramid":
        return diffusers.PyramidAttentionBroadcastConfig(
            spatial_attention_block_skip_range=2,
            spatial_attention_timestep_skip_range=(100, 800),
            current_timestep_callback=lambda: pipe.current_timestep,
        )
    return diffusers.FirstBlockCacheConfig(threshold=_THRESHOLD)


def _read(pipe: Any) -> str:
    denoiser = getattr(pipe, "transformer", None)
    if not getattr(denoiser, "is_cache_enabled", False):
        return "none"
    kind = type(getattr(denoiser, "_cache_config", None)).__name__
    return _KINDS.get(kind, kind)


_LINES: dict[Value, tuple[str, ...]] = {
    "first-block": (
        "from diffusers import FirstBlockCacheConfig",
        f"pipe.transformer.enable_cache(FirstBlockCacheConfig(threshold={_THRESHOLD}))",
    ),
    "taylorseer": (
        "from diffusers import TaylorSeerCacheConfig",
        "pipe.transformer.enable_cache(TaylorSeerCacheConfig(taylor_factors_dtype=denoiser.dtype))",
    ),
    "pyramid": (
        "from diffusers import PyramidAttentionBroadcastConfig",
        "pipe.transformer.enable_cache(",
        f"    PyramidAttentionBroadcastConfig({_PYRAMID}, current_timestep_callback=lambda: pipe.current_timestep)",
        ")",
    ),
}


KNOB = Knob(
    name="step_cache",
    about="Uses a transformer's work of earlier steps again: first-block skips the rest where the first block changed "
    "little, taylorseer extrapolates four of five steps, pyramid computes every other attention. Faster, another picture.",
    values=("none", *_KINDS.values()),
    lossless=False,
    # Only --lossy asks for it: what it does to a picture is nothing that a table of times shows.
    only_lossy=True,
    candidates=lambda _target, _batch: tuple(_KINDS.values()),
    apply=_apply,
    script=lines_by(_LINES),
    read=_read,
)
