"""compile: models turned into programs, by torch.compile or by OpenVINO."""

from __future__ import annotations

import sys
from typing import Any

from tuner.knobs.exports import ITS_OWN_WAY, PROGRAMS, Table, by_hand, flags, lines_by, told_by
from tuner.knobs.knob import Knob, Value, denoiser_of
from tuner.settings import Settings
from tuner.target import Target

_INDUCTORS = ("inductor", "inductor-whole")
"""Block by block first: minutes less to compile."""
RUN_BY_OPENVINO = ("unet", "transformer", "vae", "text_encoder", "text_encoder_2")
"""Components of a pipeline that it computes; of a VAE the decoder (``tuner.worker.openvino``)."""


def _refusal(value: Value, settings: Settings, target: Target) -> str | None:
    if value == "none":
        return None
    if value == "openvino":
        return _no_openvino(settings, target)
    if settings.offload == "sequential":
        return "the hooks of offload=sequential cut the program to pieces; use offload=model"
    if not target.is_cpu and "triton" not in target.packages and "triton-windows" not in target.packages:
        return "it needs triton, which is not installed (pip install triton)"
    return None


def _no_openvino(settings: Settings, target: Target) -> str | None:
    if not target.is_cpu:
        return "sdoctor lets OpenVINO compute on the CPU only; use compile=inductor"
    if "openvino" not in target.packages:
        return "OpenVINO is not installed (pip install openvino)"
    if settings.precision == "fp16":
        return "on a CPU it computes fp16 weights in fp32; use precision=bf16 or fp32"
    if settings.attention != "sdpa":
        return (
            f"it brings its own attention in the place of attention={settings.attention}; use attention=sdpa"
        )
    if settings.weights != "native":
        return f"it cannot read weights={settings.weights}; use weights=native"
    return None


def _puts_back(value: Value) -> dict[str, Value]:
    """OpenVINO has its own attention and lays weights and activations out itself; it reads plain weights."""
    if value != "openvino":
        return {}
    return {"attention": "sdpa", "memory_format": "contiguous", "fused_qkv": "off", "weights": "native"}


def _apply(pipe: Any, value: Value, _device: str) -> str | None:
    if value == "openvino":
        from tuner.worker import openvino
        from tuner.worker.openvino_cache import default_cache

        openvino.install(pipe, default_cache())
        return None
    if value not in _INDUCTORS:
        return None
    from tuner.worker.compiling import follow_dynamo

    follow_dynamo()
    denoiser = denoiser_of(pipe)
    if value == "inductor" and getattr(denoiser, "_repeated_blocks", None):
        # One program for the block that repeats instead of one for all of them: minutes less to compile.
        denoiser.compile_repeated_blocks()
    elif denoiser is not None:
        denoiser.compile()
    else:
        return f"compile={value} changes nothing: this pipeline has no single denoiser"
    return None


def _late(pipe: Any) -> tuple[str, ...]:
    openvino = sys.modules.get("tuner.worker.openvino")
    return openvino.remarks(pipe) if openvino is not None else ()


def _candidates(target: Target, _batch: int) -> tuple[Value, ...]:
    return ("openvino", *_INDUCTORS) if target.is_cpu and "openvino" in target.packages else _INDUCTORS


def _read(pipe: Any) -> str:
    # Loaded only where it was asked for.
    openvino = sys.modules.get("tuner.worker.openvino")
    if openvino is not None and any(part.name == "denoiser" for part in openvino.installed(pipe)):
        return "openvino"
    denoiser = denoiser_of(pipe)
    if getattr(denoiser, "_compiled_call_impl", None) is not None:
        return "inductor-whole"
    modules = denoiser.modules() if denoiser is not None else ()
    compiled = any(getattr(module, "_compiled_call_impl", None) is not None for module in modules)
    return "inductor" if compiled else "none"


_INDUCTOR = (
    'if getattr(denoiser, "_repeated_blocks", None):',
    "    denoiser.compile_repeated_blocks()",
    "else:",
    "    denoiser.compile()",
)
_OPENVINO = (
    "from tuner.worker import openvino  # of the package sdoctor, with openvino installed",
    "openvino.install(pipe)",
)
_TOLD: Table = {
    **{(program, "none"): ITS_OWN_WAY for program in PROGRAMS},
    ("comfyui", "inductor"): by_hand("add the node TorchCompileModel after the model"),
    ("comfyui", "inductor-whole"): by_hand("add the node TorchCompileModel after the model"),
    ("sdnext", "inductor-whole"): by_hand("choose 'inductor' under Settings -> Model Compile"),
    ("sdnext", "inductor"): by_hand("choose 'inductor' under Settings -> Model Compile"),
    ("sdnext", "openvino"): flags("--use-openvino"),
}


KNOB = Knob(
    name="compile",
    about="inductor is torch.compile of the denoiser's repeated blocks, inductor-whole of all of it; openvino lets that "
    "library compute the models on a CPU. The first picture of each size waits for the compiler, up to a minute or more; "
    "those after it are faster.",
    values=("none", *_INDUCTORS, "openvino"),
    # Compiling the denoiser takes minutes with inductor, tens of seconds with OpenVINO, which keeps the result.
    slow=_INDUCTORS,
    leads=True,
    candidates=_candidates,
    puts_back=_puts_back,
    refusal=_refusal,
    apply=_apply,
    late=_late,
    script=lines_by(
        {"inductor": _INDUCTOR, "inductor-whole": ("denoiser.compile()",), "openvino": _OPENVINO}
    ),
    told=told_by(_TOLD),
    read=_read,
)
