"""step_cache: work of the steps before is used again, of a transformer or of a U-Net's depths. Lossy.

Which caches of diffusers 0.42 are offered, and why the others are not, stands in docs/tune.md.
"""

from __future__ import annotations

from typing import Any

from tuner.knobs.exports import Table, by_hand, lines_by, told_by
from tuner.knobs.knob import Knob, Value
from tuner.settings import Settings
from tuner.target import Target

# The default of diffusers 0.42.1, hooks/first_block_cache.py.
_THRESHOLD = 0.05
# As diffusers' own example has it (models/cache_utils.py, 0.42.1): every other attention, in the middle of the way.
_PYRAMID = "spatial_attention_block_skip_range=2, spatial_attention_timestep_skip_range=(100, 800)"
_DEEP = {"deep-3": 3, "deep-2": 2}
"""Every how many steps a U-Net is computed whole. The paper goes up to 5 with 50 steps of SD 1.5 (2.3 times as fast, CLIP
score 0.05 lower: arXiv:2312.00858, abstract); at the 20 to 30 steps of today two such steps lie further apart."""
_KINDS = {
    "FirstBlockCacheConfig": "first-block",
    "TaylorSeerCacheConfig": "taylorseer",
    "PyramidAttentionBroadcastConfig": "pyramid",
}


def _apply(pipe: Any, value: Value, _device: str) -> str | None:
    denoiser: Any = getattr(pipe, "transformer", None)
    if getattr(denoiser, "is_cache_enabled", False):
        denoiser.disable_cache()
    if getattr(pipe, "unet", None) is not None:
        return _apply_to_unet(pipe, value)
    if value == "none":
        return None
    if value in _DEEP:
        return f"step_cache={value} changes nothing: a transformer has no depths that could be left out"
    if not hasattr(denoiser, "enable_cache"):
        return f"step_cache={value} changes nothing: diffusers caches the steps of some transformers only"
    denoiser.enable_cache(_config(pipe, str(value), denoiser))
    return None


def _apply_to_unet(pipe: Any, value: Value) -> str | None:
    from tuner.knobs import deep_cache

    deep_cache.always_deep(pipe)
    if value == "none":
        return None
    if value not in _DEEP:
        return f"step_cache={value} changes nothing: it is for transformers; a U-Net has deep-3 and deep-2"
    if not deep_cache.go_deep_at_every(pipe, _DEEP[str(value)]):
        return f"step_cache={value} changes nothing: it knows the layers of SD 1.x, SD 2.x and SDXL only"
    return None


def _refusal(value: Value, settings: Settings, _target: Target) -> str | None:
    if value not in _DEEP:
        return None
    if settings.compile == "inductor-whole":
        return "the whole U-Net compiled at once cannot leave its depths out; use compile=inductor"
    if settings.offload == "group":
        return "groups are fetched in the order of the first step, and not every step keeps it; use offload=group-no-stream"
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
    unet = getattr(pipe, "unet", None)
    if unet is not None:
        from tuner.knobs.deep_cache import deep_cache_of

        cache = deep_cache_of(unet)
        return f"deep-{cache.every}" if cache is not None else "none"
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
    **{
        value: (
            "from tuner.knobs.deep_cache import go_deep_at_every  # of the package sdoctor",
            f"go_deep_at_every(pipe, {every})",
        )
        for value, every in _DEEP.items()
    },
}
_TOLD: Table = {
    ("sdnext", value): by_hand(
        f"choose 'deep-cache' under Settings -> Model Compile, with an interval of {every}"
    )
    for value, every in _DEEP.items()
}


KNOB = Knob(
    name="step_cache",
    about="Uses work of earlier steps again. U-Nets: deep-3 and deep-2 go through all layers at every third or second step "
    "only. Transformers: first-block skips the rest where the first block changed little, taylorseer extrapolates four of "
    "five steps, pyramid computes every other attention. Faster, another picture.",
    values=("none", *_DEEP, *_KINDS.values()),
    lossless=False,
    # Only --lossy asks for it: what it does to a picture is nothing that a table of times shows.
    only_lossy=True,
    candidates=lambda _target, _batch: (*_DEEP, *_KINDS.values()),
    refusal=_refusal,
    apply=_apply,
    script=lines_by(_LINES),
    told=told_by(_TOLD),
    read=_read,
)
