"""offload: parts of the model wait in host memory and move to the GPU when it is their turn."""

from __future__ import annotations

from typing import Any

from tuner.knobs.exports import ITS_OWN_WAY, Table, flags, setting, told_by
from tuner.knobs.knob import Knob, Value
from tuner.settings import Settings
from tuner.target import Target

_NO_STREAM = "_sdoctor_group_without_stream"


def _refusal(value: Value, _settings: Settings, target: Target) -> str | None:
    if value == "none":
        return None
    if target.is_cpu:
        return "offloading moves parts of the model between host memory and a GPU, and this pipeline runs on the CPU"
    if "accelerate" not in target.packages:
        return "offloading needs the package accelerate (pip install accelerate)"
    return None


def _apply(pipe: Any, value: Value, device: str) -> str | None:
    if value == "model":
        pipe.enable_model_cpu_offload(device=device)
    elif value == "sequential":
        pipe.enable_sequential_cpu_offload(device=device)
    elif value in ("group", "group-no-stream"):
        import torch

        pipe.enable_group_offload(
            onload_device=torch.device(device),
            offload_device=torch.device("cpu"),
            offload_type="leaf_level",
            use_stream=value == "group" and device.startswith("cuda"),
        )
        setattr(pipe, _NO_STREAM, value == "group-no-stream")
    else:
        pipe.to(device)
    return None


def _read(pipe: Any) -> str:
    """Recognised by the hooks in place: diffusers' own for groups, accelerate's for the other two."""
    components = [part for part in pipe.components.values() if hasattr(part, "modules")]
    registries = (
        getattr(module, "_diffusers_hook", None) for part in components for module in part.modules()
    )
    if any("group_offloading" in registry.hooks for registry in registries if registry is not None):
        # A processor has no streams: what was asked for tells the two apart there.
        return "group-no-stream" if getattr(pipe, _NO_STREAM, False) else "group"
    kinds = {type(getattr(part, "_hf_hook", None)).__name__ for part in components}
    if "CpuOffload" in kinds:
        return "model"
    if "AlignDevicesHook" in kinds or "SequentialHook" in kinds:
        return "sequential"
    return "none"


def _script(value: Value) -> tuple[str, ...]:
    if value == "model":
        return ("pipe.enable_model_cpu_offload(device=device)",)
    if value == "sequential":
        return ("pipe.enable_sequential_cpu_offload(device=device)",)
    if value in ("group", "group-no-stream"):
        stream = 'device.startswith("cuda")' if value == "group" else "False"
        return (
            "pipe.enable_group_offload(",
            "    onload_device=torch.device(device),",
            '    offload_device=torch.device("cpu"),',
            '    offload_type="leaf_level",',
            f"    use_stream={stream},",
            ")",
        )
    return ("pipe.to(device)",)


_TOLD: Table = {
    ("comfyui", "none"): flags("--highvram"),
    ("comfyui", "model"): ITS_OWN_WAY,
    ("comfyui", "group"): flags("--lowvram"),
    ("comfyui", "group-no-stream"): flags("--lowvram"),
    ("comfyui", "sequential"): flags("--novram"),
    ("a1111", "none"): ITS_OWN_WAY,
    ("a1111", "model"): flags("--medvram"),
    ("a1111", "sequential"): flags("--lowvram"),
    ("forge", "none"): flags("--always-high-vram"),
    ("forge", "model"): flags("--always-normal-vram"),
    ("forge", "group"): flags("--always-low-vram"),
    ("forge", "group-no-stream"): flags("--always-low-vram"),
    ("forge", "sequential"): flags("--always-no-vram"),
    ("sdnext", "none"): setting("diffusers_offload_mode", "none"),
    ("sdnext", "model"): setting("diffusers_offload_mode", "model"),
    ("sdnext", "group"): setting("diffusers_offload_mode", "group"),
    ("sdnext", "group-no-stream"): setting("diffusers_offload_mode", "group"),
    ("sdnext", "sequential"): setting("diffusers_offload_mode", "sequential"),
}


KNOB = Knob(
    name="offload",
    about="Parts of the model wait in host memory: 'model' moves whole components, 'group' layer by layer while the layer "
    "before computes, which pins a second copy of the weights in host memory; 'group-no-stream' does without that copy and "
    "waits; 'sequential' moves every leaf with accelerate (least memory, slowest).",
    values=("none", "model", "group", "group-no-stream", "sequential"),
    steps_down=True,
    # Slower than a model that fits, but by how much is what a user of --low-memory wants to know.
    candidates=lambda target, _batch: (
        () if target.is_cpu else ("model", "group", "group-no-stream", "sequential")
    ),
    refusal=_refusal,
    apply=_apply,
    script=_script,
    told=told_by(_TOLD),
    read=_read,
)
