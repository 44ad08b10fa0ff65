"""weights: fewer bits for the weights than for the arithmetic. Lossy.

fp8 is diffusers' layerwise casting of the denoiser. int8 (LLM.int8()) and nf4 are bitsandbytes' linear layers in the
denoiser and in large text encoders, the layers that ``tuner.dryrun.weights`` counts too.
"""

from __future__ import annotations

from typing import Any

from tuner.knobs.exports import ITS_OWN_WAY, PROGRAMS, Table, by_hand, flags, lines_by, told_by
from tuner.knobs.knob import Knob, Value, denoiser_of
from tuner.settings import Settings
from tuner.target import Target

LARGE_ENCODER = 1_000_000_000
"""Parameters from which a text encoder is quantised: CLIP in 16 bits is 0.2 to 1.3 GiB and quantises badly."""
_BITSANDBYTES = ("int8", "nf4")
_INT8_THRESHOLD = 6.0
"""Inputs beyond it are multiplied in 16 bits (bitsandbytes' documented default of LLM.int8())."""


def _refusal(value: Value, settings: Settings, target: Target) -> str | None:
    if value == "native":
        return None
    if value not in _BITSANDBYTES:
        return None
    if "bitsandbytes" not in target.packages:
        return "the package bitsandbytes is not installed (pip install bitsandbytes)"
    if value == "int8" and (settings.offload == "sequential" or settings.offload.startswith("group")):
        # bitsandbytes 0.50.2, Linear8bitLt.forward: state.CB holds them, and no hook knows of it.
        return (
            "int8 layers hold on to their weights once they have computed, so moving them layer by layer saves "
            "nothing; weights=int8 goes with offload=none or model"
        )
    if value == "nf4" and settings.offload == "sequential":
        # Tried with accelerate 1.15: "Cannot copy out of meta tensor".
        return "4-bit layers cannot be brought back one by one; weights=nf4 goes with offload=none, model or group"
    if settings.compile.startswith("inductor"):
        return "bitsandbytes' layers cut the compiler's program to pieces; use compile=none"
    return None


def _candidates(target: Target, _batch: int) -> tuple[Value, ...]:
    return ("fp8", *(_BITSANDBYTES if "bitsandbytes" in target.packages else ()))


def _apply(pipe: Any, value: Value, device: str) -> str | None:
    denoiser = denoiser_of(pipe)
    if value == "native":
        return None
    if denoiser is None:
        return f"weights={value} changes nothing: this pipeline has no single denoiser"
    if value == "fp8":
        import torch

        if not hasattr(denoiser, "enable_layerwise_casting"):
            return "weights=fp8 changes nothing: this model's class has no layerwise casting"
        denoiser.enable_layerwise_casting(
            storage_dtype=torch.float8_e4m3fn, compute_dtype=_computing_type(denoiser)
        )
        return None
    quantise(pipe, str(value), device)
    return None


def _computing_type(model: Any) -> Any:
    """The type most of its weights have: a model may keep a few layers in float32."""
    from collections import Counter

    counts: Counter[Any] = Counter()
    for parameter in model.parameters():
        counts[parameter.dtype] += parameter.numel()
    return counts.most_common(1)[0][0]


def quantise(pipe: Any, kind: str, device: str) -> None:
    """Put bitsandbytes' layers ("int8" or "nf4") in the place of linear ones, one by one, quantised on ``device``."""
    parts = [denoiser_of(pipe)]
    for name, part in pipe.components.items():
        if name.startswith("text_encoder") and _count(part) > LARGE_ENCODER:
            parts.append(part)
    for part in parts:
        kept = set(getattr(part, "_keep_in_fp32_modules", None) or ())
        for path, parent, name, linear in _linears(part):
            if not kept & set(path.split(".")) and _has_a_kernel(linear, kind, device):
                setattr(parent, name, _quantised(linear, kind).to(device))


def _count(part: Any) -> int:
    return sum(parameter.numel() for parameter in part.parameters()) if hasattr(part, "parameters") else 0


def _has_a_kernel(linear: Any, kind: str, device: str) -> bool:
    """On a CPU bitsandbytes packs nf4 in blocks of 64 inputs and 32 outputs (0.50.2, functional.py,
    _convert_weight_packed_for_cpu); layers of other shapes stay as they are there."""
    return (
        kind != "nf4" or device != "cpu" or (linear.in_features % 64 == 0 and linear.out_features % 32 == 0)
    )


def _linears(model: Any) -> list[tuple[str, Any, str, Any]]:
    """(path, parent, name there, layer) of every linear layer."""
    import torch

    return [
        (f"{path}.{name}" if path else name, parent, name, child)
        for path, parent in model.named_modules()
        for name, child in parent.named_children()
        if type(child) is torch.nn.Linear
    ]


def _quantised(linear: Any, kind: str) -> Any:
    import bitsandbytes

    sizes = (linear.in_features, linear.out_features)
    bias = linear.bias is not None
    if kind == "nf4":
        layer = bitsandbytes.nn.Linear4bit(
            *sizes, bias=bias, compute_dtype=linear.weight.dtype, quant_type="nf4", device="meta"
        )
        layer.weight = bitsandbytes.nn.Params4bit(linear.weight.data, requires_grad=False, quant_type="nf4")
        layer.weight.module = layer
    else:
        layer = bitsandbytes.nn.Linear8bitLt(
            *sizes, bias=bias, has_fp16_weights=False, threshold=_INT8_THRESHOLD, device="meta"
        )
        layer.weight = bitsandbytes.nn.Int8Params(
            linear.weight.data, requires_grad=False, has_fp16_weights=False
        )
    layer.bias = linear.bias
    return layer.eval()


def _read(pipe: Any) -> str:
    denoiser = denoiser_of(pipe)
    if denoiser is None:
        return "native"
    names = {type(module).__name__ for module in denoiser.modules()}
    if "Linear4bit" in names:
        return "nf4"
    if "Linear8bitLt" in names:
        return "int8"
    kinds = {str(parameter.dtype) for parameter in denoiser.parameters()}
    return "fp8" if any("float8" in kind for kind in kinds) else "native"


_FP8 = ("denoiser.enable_layerwise_casting(storage_dtype=torch.float8_e4m3fn, compute_dtype=denoiser.dtype)",)


def _bitsandbytes_lines(kind: str) -> tuple[str, ...]:
    return (
        "from tuner.knobs.weights import quantise  # of the package sdoctor, with bitsandbytes installed",
        f'quantise(pipe, "{kind}", device)',
    )


_TOLD: Table = {
    **{(program, "native"): ITS_OWN_WAY for program in PROGRAMS},
    ("comfyui", "fp8"): flags("--fp8_e4m3fn-unet"),
    ("forge", "fp8"): flags("--unet-in-fp8-e4m3fn"),
    ("a1111", "fp8"): by_hand("choose Settings -> Optimizations -> FP8 weight -> Enable"),
    ("sdnext", "fp8"): by_hand("choose Settings -> Quantization -> Layerwise casting for the model"),
}

KNOB = Knob(
    name="weights",
    about="Fewer bits for the weights than for the arithmetic: less memory, mostly slower, another picture. fp8 needs "
    "nothing, int8 and nf4 the package bitsandbytes.",
    values=("native", "fp8", "int8", "nf4"),
    lossless=False,
    only_lossy=True,
    candidates=_candidates,
    refusal=_refusal,
    apply=_apply,
    script=lines_by({"fp8": _FP8, "int8": _bitsandbytes_lines("int8"), "nf4": _bitsandbytes_lines("nf4")}),
    told=told_by(_TOLD),
    read=_read,
)
