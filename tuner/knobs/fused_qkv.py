"""fused_qkv: one matrix product for query, key and value instead of three."""

from __future__ import annotations

from typing import Any

from tuner.knobs.attention import is_fused_of_torch
from tuner.knobs.exports import lines_by
from tuner.knobs.knob import Knob, Value, denoiser_of
from tuner.settings import Settings
from tuner.target import Target


def _refusal(value: Value, settings: Settings, _target: Target) -> str | None:
    if value == "on" and not is_fused_of_torch(settings.attention):
        return f"attention={settings.attention} puts its own code in the place of the fused one; use attention=sdpa"
    return None


def _apply(pipe: Any, value: Value, _device: str) -> str | None:
    denoiser = denoiser_of(pipe)
    if value == "off":
        if denoiser is not None and _is_fused(denoiser):
            denoiser.unfuse_qkv_projections()
        return None
    if not hasattr(denoiser, "fuse_qkv_projections"):
        return "fused_qkv=on changes nothing: this model cannot fuse its projections"
    denoiser.fuse_qkv_projections()
    return None


def _is_fused(denoiser: Any) -> bool:
    return any(getattr(module, "fused_projections", False) for module in denoiser.modules())


def _read(pipe: Any) -> str:
    denoiser = denoiser_of(pipe)
    return "on" if denoiser is not None and _is_fused(denoiser) else "off"


KNOB = Knob(
    name="fused_qkv",
    about="One matrix product for query, key and value; the fused weights come on top of the others.",
    values=("off", "on"),
    candidates=lambda _target, _batch: ("on",),
    refusal=_refusal,
    apply=_apply,
    script=lines_by({"on": ("denoiser.fuse_qkv_projections()",)}),
    read=_read,
)
