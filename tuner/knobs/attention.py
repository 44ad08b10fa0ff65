"""attention: which implementation computes attention in the denoiser."""

from __future__ import annotations

from typing import Any

from tuner.knobs.knob import Knob, Value
from tuner.settings import Settings
from tuner.target import Target


def _candidates(target: Target, _batch: int) -> tuple[Value, ...]:
    return ("sliced", "xformers") if not target.is_cpu and "xformers" in target.packages else ("sliced",)


def _refusal(value: Value, _settings: Settings, target: Target) -> str | None:
    if value != "xformers":
        return None
    if target.is_cpu:
        return "xFormers has no attention for a CPU; PyTorch's own (attention=sdpa) is used instead"
    if "xformers" not in target.packages:
        return "xFormers is not installed (pip install xformers); PyTorch's own attention=sdpa is usually as fast"
    return None


def _apply(pipe: Any, value: Value, _device: str) -> str | None:
    if value == "sliced":
        # Transformers accept the call and ignore it, so it is asked of U-Nets only.
        if not hasattr(getattr(pipe, "unet", None), "set_attention_slice"):
            return "attention=sliced changes nothing: this model's transformer cannot slice its attention"
        pipe.unet.set_attention_slice("auto")
    elif value == "xformers":
        denoiser: Any = getattr(pipe, "unet", None) or pipe.transformer
        denoiser.enable_xformers_memory_efficient_attention()
    # A fresh pipeline computes with the fused attention by itself. diffusers' set_default_attn_processor()
    # would not restore that: it installs the older processor that writes the whole score matrix.
    return None


def _read(pipe: Any) -> str:
    """The class names of the attention processors really in place, without repetition."""
    denoiser = getattr(pipe, "unet", None) or getattr(pipe, "transformer", None)
    processors = getattr(denoiser, "attn_processors", None) or {}
    return "+".join(sorted({type(processor).__name__ for processor in processors.values()})) or "unknown"


KNOB = Knob(
    name="attention",
    about="sdpa is PyTorch's fused attention; sliced computes it in parts (an older way that replaces the fused one); "
    "xformers uses that package's kernels.",
    values=("sdpa", "sliced", "xformers"),
    candidates=_candidates,
    refusal=_refusal,
    apply=_apply,
    read=_read,
)
