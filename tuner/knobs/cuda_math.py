"""tf32 and cudnn_benchmark: how a card computes fp32 products, and how cuDNN chooses its convolutions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tuner.knobs.exports import lines_by
from tuner.knobs.knob import Knob, Value
from tuner.settings import Settings
from tuner.target import Target

# Tensor cores take TF32 from compute capability 8.0 on (NVIDIA A100 architecture white paper).
_TF32_CAPABILITY = (8, 0)


def _matmul() -> Any:
    """cuDNN's convolutions use TF32 by default; matrix products do not (torch's notes on CUDA semantics)."""
    import torch

    return torch.backends.cuda.matmul


def _cudnn() -> Any:
    import torch

    return torch.backends.cudnn


def _applied(backend: Callable[[], Any], flag: str) -> Callable[[Any, Value, str], str | None]:
    def apply(_pipe: Any, value: Value, device: str) -> str | None:
        if device.startswith("cuda"):
            setattr(backend(), flag, value == "on")
        return None

    return apply


def _reader(backend: Callable[[], Any], flag: str) -> Callable[[Any], str]:
    return lambda _pipe: "on" if getattr(backend(), flag) else "off"


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


TF32 = Knob(
    name="tf32",
    about="fp32 matrix products with the 10-bit mantissa of TF32: much faster on tensor cores, a little coarser.",
    values=("off", "on"),
    in_place=True,
    candidates=lambda target, _batch: () if target.is_cpu else ("on",),
    refusal=_tf32_refusal,
    apply=_applied(_matmul, "allow_tf32"),
    script=lines_by({"on": ("torch.backends.cuda.matmul.allow_tf32 = True",)}),
    read=_reader(_matmul, "allow_tf32"),
)


def _benchmark_refusal(value: Value, _settings: Settings, target: Target) -> str | None:
    if value == "on" and target.is_cpu:
        return "cuDNN computes on NVIDIA cards, and this pipeline runs on the CPU"
    return None


CUDNN_BENCHMARK = Knob(
    name="cudnn_benchmark",
    about="cuDNN tries its convolutions on the first run of each size and keeps the fastest; it may take more memory.",
    values=("off", "on"),
    in_place=True,
    candidates=lambda target, _batch: () if target.is_cpu else ("on",),
    refusal=_benchmark_refusal,
    apply=_applied(_cudnn, "benchmark"),
    script=lines_by({"on": ("torch.backends.cudnn.benchmark = True",)}),
    read=_reader(_cudnn, "benchmark"),
)
