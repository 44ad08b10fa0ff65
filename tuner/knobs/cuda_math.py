"""tf32 and cudnn_benchmark: how a card computes fp32 products, and how cuDNN chooses its convolutions."""

from __future__ import annotations

from typing import Any

from tuner.knobs.knob import Knob, Value
from tuner.settings import Settings
from tuner.target import Target

# Tensor cores take TF32 from compute capability 8.0 on (NVIDIA A100 architecture white paper).
_TF32_CAPABILITY = (8, 0)


def _tf32_refusal(value: Value, settings: Settings, target: Target) -> str | None:
    if value == "off":
        return None
    if target.is_cpu:
        return "TF32 is a format of NVIDIA's tensor cores, and this pipeline runs on the CPU"
    if target.capability is not None and target.capability < _TF32_CAPABILITY:
        return "TF32 needs an Ampere card or a newer one (compute capability 8.0)"
    if settings.precision != "fp32":
        return f"it changes fp32 products only, and the precision is {settings.precision}"
    return None


def _apply_tf32(_pipe: Any, value: Value, device: str) -> str | None:
    if device.startswith("cuda"):
        import torch

        # cuDNN's convolutions use TF32 by default; matrix products do not (torch's notes on CUDA semantics).
        torch.backends.cuda.matmul.allow_tf32 = value == "on"
    return None


def _read_tf32(_pipe: Any) -> str:
    import torch

    return "on" if torch.backends.cuda.matmul.allow_tf32 else "off"


TF32 = Knob(
    name="tf32",
    about="fp32 matrix products with the 10-bit mantissa of TF32: much faster on tensor cores, a little coarser.",
    values=("off", "on"),
    in_place=True,
    candidates=lambda target, _batch: () if target.is_cpu else ("on",),
    refusal=_tf32_refusal,
    apply=_apply_tf32,
    read=_read_tf32,
)


def _benchmark_refusal(value: Value, _settings: Settings, target: Target) -> str | None:
    if value == "on" and target.is_cpu:
        return "cuDNN computes on NVIDIA cards, and this pipeline runs on the CPU"
    return None


def _apply_benchmark(_pipe: Any, value: Value, device: str) -> str | None:
    if device.startswith("cuda"):
        import torch

        torch.backends.cudnn.benchmark = value == "on"
    return None


def _read_benchmark(_pipe: Any) -> str:
    import torch

    return "on" if torch.backends.cudnn.benchmark else "off"


CUDNN_BENCHMARK = Knob(
    name="cudnn_benchmark",
    about="cuDNN tries its convolutions on the first run of each size and keeps the fastest; it may take more memory.",
    values=("off", "on"),
    in_place=True,
    candidates=lambda target, _batch: () if target.is_cpu else ("on",),
    refusal=_benchmark_refusal,
    apply=_apply_benchmark,
    read=_read_benchmark,
)
