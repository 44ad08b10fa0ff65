"""precision: the number format of weights and arithmetic. Chosen when the model is loaded."""

from __future__ import annotations

from typing import Any

from tuner.knobs.component_precision import has_own_precision
from tuner.knobs.exports import ITS_OWN_WAY, Table, flags, setting, told_by
from tuner.knobs.knob import Knob, Value
from tuner.settings import Settings
from tuner.target import Target


def _candidates(target: Target, _batch: int) -> tuple[Value, ...]:
    if target.is_cpu:
        return ("bf16", "fp32") if target.fast_bf16 else ("fp32",)
    if target.fast_bf16:
        return ("fp16", "bf16")
    return ("fp16", "fp32")


def _refusal(value: Value, _settings: Settings, target: Target) -> str | None:
    if target.is_cpu and value == "fp16":
        # Measured on two AVX-512 cores: 2.5 GFLOP/s for an fp16 matrix product; see docs/measurements.md.
        return "half precision fp16 has no fast path on a CPU; use bf16 or fp32"
    return None


def _apply(pipe: Any, value: Value, _device: str) -> str | None:
    """Casts what was not loaded in the precision; a pipeline that was stays as it is."""
    import torch

    wanted = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}[str(value)]
    for part in pipe.components.values():
        if not isinstance(part, torch.nn.Module) or getattr(part, "dtype", wanted) == wanted:
            continue
        if getattr(part, "is_quantized", False) or has_own_precision(part):
            continue
        part.to(wanted)
        # What overflows in half precision is named by the model's class, and loading leaves it in float32 too.
        kept = getattr(part, "_keep_in_fp32_modules", None) or () if wanted is torch.float16 else ()
        for name, module in part.named_modules():
            if name.rpartition(".")[2] in kept:
                module.float()
    return None


def _read(pipe: Any) -> str:
    """The dtypes of the components: one word if all are alike, else component by component."""
    short = {"float32": "fp32", "float16": "fp16", "bfloat16": "bf16"}
    found = {}
    for name, component in pipe.components.items():
        dtype = str(getattr(component, "dtype", "")).removeprefix("torch.")
        if dtype and hasattr(component, "parameters"):
            found[name] = short.get(dtype, dtype)
    kinds = set(found.values())
    if len(kinds) == 1:
        return kinds.pop()
    return " ".join(f"{name}:{kind}" for name, kind in sorted(found.items())) or "unknown"


# The script loads the pipeline in its precision; there is nothing to do afterwards.
_TOLD: Table = {
    ("comfyui", "fp32"): flags("--force-fp32"),
    ("comfyui", "fp16"): flags("--force-fp16"),
    ("comfyui", "bf16"): flags("--bf16-unet --bf16-vae"),
    ("a1111", "fp32"): flags("--no-half --precision full"),
    ("a1111", "fp16"): ITS_OWN_WAY,
    ("forge", "fp32"): flags("--all-in-fp32"),
    ("forge", "fp16"): flags("--all-in-fp16"),
    ("forge", "bf16"): flags("--unet-in-bf16 --vae-in-bf16"),
    ("sdnext", "fp32"): setting("cuda_dtype", "FP32"),
    ("sdnext", "fp16"): setting("cuda_dtype", "FP16"),
    ("sdnext", "bf16"): setting("cuda_dtype", "BF16"),
}


KNOB = Knob(
    name="precision",
    about="Number format of weights and arithmetic: 16 bits halve the memory and are much faster where the device "
    "multiplies them in hardware.",
    values=("fp32", "fp16", "bf16"),
    lossless=True,
    candidates=_candidates,
    refusal=_refusal,
    apply=_apply,
    told=told_by(_TOLD),
    read=_read,
)
