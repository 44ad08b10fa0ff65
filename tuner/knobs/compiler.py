"""compile: the denoiser's blocks turned into one program each by torch.compile."""

from __future__ import annotations

from typing import Any

from tuner.knobs.knob import Knob, Value, denoiser_of
from tuner.settings import Settings
from tuner.target import Target


def _refusal(value: Value, settings: Settings, target: Target) -> str | None:
    if value == "none":
        return None
    if value == "openvino":
        return "it is not offered by this version; use compile=none or compile=inductor"
    if settings.offload == "sequential":
        return "the hooks of offload=sequential cut the program to pieces; use offload=model"
    if not target.is_cpu and "triton" not in target.packages and "triton-windows" not in target.packages:
        return "it needs triton, which is not installed (pip install triton)"
    return None


def _apply(pipe: Any, value: Value, _device: str) -> str | None:
    if value != "inductor":
        return None
    denoiser = denoiser_of(pipe)
    if getattr(denoiser, "_repeated_blocks", None):
        # One program for the block that repeats instead of one for all of them: minutes less to compile.
        denoiser.compile_repeated_blocks()
    elif denoiser is not None:
        denoiser.compile()
    else:
        return "compile=inductor changes nothing: this pipeline has no single denoiser"
    return None


def _read(pipe: Any) -> str:
    denoiser = denoiser_of(pipe)
    modules = denoiser.modules() if denoiser is not None else ()
    compiled = any(getattr(module, "_compiled_call_impl", None) is not None for module in modules)
    return "inductor" if compiled else "none"


KNOB = Knob(
    name="compile",
    about="torch.compile of the denoiser's blocks: the first picture of each size waits for the compiler, a minute or "
    "more; those after it are faster.",
    values=("none", "inductor", "openvino"),
    slow=True,
    candidates=lambda _target, _batch: ("inductor",),
    refusal=_refusal,
    apply=_apply,
    read=_read,
)
