"""attention: which implementation computes attention in the denoiser."""

from __future__ import annotations

from typing import Any

from tuner.knobs.backends import BACKENDS, HALF_ONLY, ON_A_CPU, PACKAGES
from tuner.knobs.exports import ITS_OWN_WAY, Table, flags, setting, told_by
from tuner.knobs.knob import Knob, Value, denoiser_of
from tuner.settings import Settings
from tuner.target import Target

# Backends of transformers that need nothing but torch, then those whose package may be there; none that computes in
# fewer bits than the model.
_WORTH_TRYING = ("_native_cudnn", "flash")
# Attention that writes the whole matrix of scores: of transformers a backend, of U-Nets a processor of their own.
_WRITTEN_OUT = "_native_math"


_KERNELS = {
    "sdpa-cudnn": "CUDNN_ATTENTION",
    "sdpa-flash": "FLASH_ATTENTION",
    "sdpa-efficient": "EFFICIENT_ATTENTION",
    "sdpa-math": "MATH",
}
"""PyTorch's fused attention with one of its kernels before the others (torch.nn.attention.SDPBackend); where that one cannot
compute something (flash a head of 512 numbers, as a VAE has) the next does. This works on U-Nets too, whose attention has no
choice of diffusers' backends."""
_PREFERENCE = "_sdoctor_sdpa_preference"


def is_fused_of_torch(value: Value) -> bool:
    """Whether PyTorch's own fused attention computes, with whichever kernel."""
    return value == "sdpa" or value in _KERNELS


def _candidates(target: Target, _batch: int) -> tuple[Value, ...]:
    if target.is_cpu:
        return ("sliced",)
    packaged = [name for name in _WORTH_TRYING if PACKAGES.get(name, "torch") in (*target.packages, "torch")]
    return ("sliced", "sdpa-cudnn", *(("xformers",) if "xformers" in target.packages else ()), *packaged)


def _refusal(value: Value, settings: Settings, target: Target) -> str | None:
    if value == "xformers":
        return _no_xformers(target)
    if value in _KERNELS and target.is_cpu:
        return "on a CPU PyTorch chooses its kernel of attention by itself; use attention=sdpa"
    if value not in BACKENDS:
        return None
    name = str(value)
    if target.is_cpu and name not in ON_A_CPU:
        return f"the backend {name} is a kernel for a GPU, and this pipeline runs on the CPU"
    if name in PACKAGES and PACKAGES[name] not in target.packages:
        return f"the package {PACKAGES[name]} is not installed (pip install {PACKAGES[name]})"
    if settings.precision == "fp32" and name.startswith(HALF_ONLY):
        return "this kernel computes in 16 bits only; use precision=bf16 or attention=sdpa"
    return None


def _no_xformers(target: Target) -> str | None:
    if target.is_cpu:
        return "xFormers has no attention for a CPU; PyTorch's own (attention=sdpa) is used instead"
    if "xformers" not in target.packages:
        return "xFormers is not installed (pip install xformers); PyTorch's own attention=sdpa is usually as fast"
    return None


def _apply(pipe: Any, value: Value, _device: str) -> str | None:
    denoiser = denoiser_of(pipe)
    _prefer(pipe, str(value))
    if value == "sliced":
        # Transformers accept the call and ignore it, so it is asked of U-Nets only.
        if not hasattr(getattr(pipe, "unet", None), "set_attention_slice"):
            return "attention=sliced changes nothing: this model's transformer cannot slice its attention"
        pipe.unet.set_attention_slice("auto")
    elif value == "xformers":
        denoiser.enable_xformers_memory_efficient_attention()
    elif value in BACKENDS:
        # Other models accept the call, ignore it, and change a default of the whole process.
        if value == _WRITTEN_OUT and _has_exchangeable_processors(denoiser):
            denoiser.set_default_attn_processor()
        elif not _has_backends(denoiser):
            return f"attention={value} changes nothing: this model's attention has no choice of backends"
        else:
            denoiser.set_attention_backend(value)
    # A fresh pipeline computes with the fused attention by itself. diffusers' set_default_attn_processor()
    # would not restore that: it installs the older processor that writes the whole score matrix.
    return None


def _prefer(pipe: Any, value: str) -> None:
    """Let one kernel come first, or again as PyTorch has it. The order is the process's, not the pipeline's."""
    before = getattr(pipe, _PREFERENCE, None)
    if before is not None:
        before[1].__exit__(None, None, None)
        setattr(pipe, _PREFERENCE, None)
    if value not in _KERNELS:
        return
    from torch.nn.attention import SDPBackend, sdpa_kernel

    names = [_KERNELS[value], *(name for name in _KERNELS.values() if name != _KERNELS[value])]
    context = sdpa_kernel([getattr(SDPBackend, name) for name in names], set_priority=True)
    context.__enter__()
    setattr(pipe, _PREFERENCE, (value, context))


def _has_exchangeable_processors(denoiser: Any) -> bool:
    """Whether all its attention is the one of U-Nets, which can be told to write its scores."""
    names = {type(processor).__name__ for processor in _processors(denoiser)}
    return names == {"AttnProcessor2_0"} and hasattr(denoiser, "set_default_attn_processor")


def _processors(denoiser: Any) -> list[Any]:
    return list((getattr(denoiser, "attn_processors", None) or {}).values())


def _has_backends(denoiser: Any) -> bool:
    return any(hasattr(processor, "_attention_backend") for processor in _processors(denoiser))


def _read(pipe: Any) -> str:
    """The class names of the attention processors really in place, with the backend where one was chosen."""
    denoiser = denoiser_of(pipe)
    found = set()
    for processor in _processors(denoiser):
        backend = getattr(processor, "_attention_backend", None)
        # An enumeration of diffusers, or the plain name.
        name = getattr(backend, "value", backend)
        found.add(type(processor).__name__ + (f"({name})" if name else ""))
    preferred = getattr(pipe, _PREFERENCE, None)
    kernel = f", {preferred[0].removeprefix('sdpa-')} first" if preferred is not None else ""
    return ("+".join(sorted(found)) or "unknown") + kernel


def _script(value: Value) -> tuple[str, ...]:
    if value == "sliced":
        return ('pipe.unet.set_attention_slice("auto")',)
    if value == "xformers":
        return ("denoiser.enable_xformers_memory_efficient_attention()",)
    if value in _KERNELS:
        names = [_KERNELS[str(value)], *(name for name in _KERNELS.values() if name != _KERNELS[str(value)])]
        return (
            "from torch.nn.attention import SDPBackend, sdpa_kernel",
            f"kernels = [{', '.join(f'SDPBackend.{name}' for name in names)}]",
            "kernels_in_order = sdpa_kernel(kernels, set_priority=True)  # for as long as this name holds it",
            "kernels_in_order.__enter__()",
        )
    if value == _WRITTEN_OUT:
        return (
            'if {type(one).__name__ for one in denoiser.attn_processors.values()} == {"AttnProcessor2_0"}:',
            "    denoiser.set_default_attn_processor()",
            "else:",
            f'    denoiser.set_attention_backend("{value}")',
        )
    return (f'denoiser.set_attention_backend("{value}")',) if value in BACKENDS else ()


_TOLD: Table = {
    ("comfyui", "sdpa"): flags("--use-pytorch-cross-attention"),
    ("comfyui", "xformers"): ITS_OWN_WAY,
    ("comfyui", "sliced"): flags("--use-split-cross-attention"),
    ("comfyui", "flash"): flags("--use-flash-attention"),
    ("comfyui", "sage"): flags("--use-sage-attention"),
    ("a1111", "sdpa"): flags("--opt-sdp-attention"),
    ("a1111", "xformers"): flags("--xformers"),
    ("a1111", "sliced"): flags("--opt-split-attention"),
    ("forge", "sdpa"): flags("--attention-pytorch"),
    ("forge", "xformers"): ITS_OWN_WAY,
    ("forge", "sliced"): flags("--attention-split"),
    ("sdnext", "sdpa"): setting("cross_attention_optimization", "Scaled-Dot-Product"),
    ("sdnext", "xformers"): flags("--use-xformers"),
    ("sdnext", "sliced"): setting("attention_slicing", "Enabled"),
}


KNOB = Knob(
    name="attention",
    about="sdpa is PyTorch's fused attention, sdpa-cudnn and its like the same with that kernel before the others; sliced "
    "computes it in parts (an older way that replaces the fused one); xformers uses that package's kernels; the other names "
    "are backends of diffusers for transformers.",
    values=("sdpa", *_KERNELS, "sliced", "xformers", *BACKENDS),
    candidates=_candidates,
    refusal=_refusal,
    apply=_apply,
    script=_script,
    told=told_by(_TOLD),
    read=_read,
)
