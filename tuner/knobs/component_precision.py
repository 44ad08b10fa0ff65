"""vae_precision, text_precision: a number format of their own for the VAE and for the text encoders.

A VAE in float32 beside a denoiser in float16 is what mends the black pictures of VAEs whose values overflow in
float16 (SDXL's: huggingface/diffusers docs, api/pipelines/stable_diffusion/stable_diffusion_xl, ``force_upcast``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tuner.knobs.exports import ITS_OWN_WAY, PROGRAMS, Table, flags, told_by
from tuner.knobs.knob import Knob, Value, denoiser_of
from tuner.replacing import replace_attribute
from tuner.settings import DECODERS, Settings
from tuner.target import Target

SAME = "same"
_NAMES = {"float32": "fp32", "float16": "fp16", "bfloat16": "bf16"}
_OWN = "_sdoctor_own_precision"
"""Set on a module that has a precision of its own, so that the pipeline's precision leaves it alone."""


def has_own_precision(module: Any) -> bool:
    """Whether a component was given a precision that is not the pipeline's."""
    return bool(getattr(module, _OWN, False))


def _refusal_of(component: str) -> Callable[[Value, Settings, Target], str | None]:
    def refusal(value: Value, settings: Settings, target: Target) -> str | None:
        if value == SAME:
            return None
        if value == settings.precision:
            return f"that is the precision of the rest already; leave {component}_precision at {SAME}"
        if target.is_cpu and value == "fp16":
            return "half precision fp16 has no fast path on a CPU; use bf16 or fp32"
        return None

    return refusal


def _vae_of(pipe: Any) -> dict[str, Any]:
    """What decodes, by whatever name: Kandinsky's MoVQ, the VQGAN of Stable Cascade and Wuerstchen."""
    parts = {name: getattr(pipe, name, None) for name in DECODERS}
    return {name: part for name, part in parts.items() if part is not None}


def _main_model(pipe: Any) -> Any:
    """The model whose precision is that of the rest; of two-stage pipelines the decoder's."""
    return denoiser_of(pipe) or getattr(pipe, "decoder", None)


def _text_encoders_of(pipe: Any) -> dict[str, Any]:
    parts = getattr(pipe, "components", {})
    return {
        name: part for name, part in parts.items() if name.startswith("text_encoder") and part is not None
    }


def _cast(parts: dict[str, Any], value: Value, denoiser: Any) -> None:
    import torch

    dtypes = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
    for part in parts.values():
        wanted = denoiser.dtype if value == SAME else dtypes[str(value)]
        if part.dtype != wanted:
            part.to(wanted)
        setattr(part, _OWN, value != SAME)


def _apply_vae(pipe: Any, value: Value, _device: str) -> str | None:
    parts = _vae_of(pipe)
    if value == SAME and not any(has_own_precision(part) for part in parts.values()):
        return None
    if not parts or _main_model(pipe) is None:
        return f"vae_precision={value} changes nothing: this pipeline has no VAE of that kind"
    _cast(parts, value, _main_model(pipe))
    for vae in parts.values():
        if value != SAME and "decode" not in vars(vae):
            _decode_in_its_own_precision(vae)
    return None


def _decode_in_its_own_precision(vae: Any) -> None:
    """Pipelines hand over latents in the denoiser's precision; the picture they make is float32 in the end."""
    decode = vae.decode

    def decode_cast(latents: Any, *args: Any, **kwargs: Any) -> Any:
        return decode(latents.to(next(vae.parameters()).dtype), *args, **kwargs)

    replace_attribute(vae, "decode", decode_cast)


def _apply_text(pipe: Any, value: Value, _device: str) -> str | None:
    parts = _text_encoders_of(pipe)
    if value == SAME and not any(has_own_precision(part) for part in parts.values()):
        return None
    denoiser = denoiser_of(pipe)
    if not parts or denoiser is None or not hasattr(pipe, "encode_prompt"):
        return f"text_precision={value} changes nothing: this pipeline has no text encoders of that kind"
    _cast(parts, value, denoiser)
    if value != SAME and "encode_prompt" not in vars(pipe):
        encode = pipe.encode_prompt

        def for_the_denoiser(*args: Any, **kwargs: Any) -> Any:
            from torch.utils._pytree import tree_map

            return tree_map(lambda leaf: _like(leaf, denoiser), encode(*args, **kwargs))

        replace_attribute(pipe, "encode_prompt", for_the_denoiser)
    return None


def _like(leaf: Any, denoiser: Any) -> Any:
    """What the denoiser can compute with; masks and ids are whole numbers and stay."""
    is_number = hasattr(leaf, "is_floating_point") and leaf.is_floating_point()
    return leaf.to(denoiser.dtype) if is_number else leaf


def _read_of(parts_of: Callable[[Any], dict[str, Any]]) -> Callable[[Any], str]:
    def read(pipe: Any) -> str:
        denoiser = _main_model(pipe)
        kinds = {part.dtype for part in parts_of(pipe).values() if hasattr(part, "dtype")}
        if not kinds or denoiser is None or kinds == {denoiser.dtype}:
            return SAME
        names = (str(kind).removeprefix("torch.") for kind in kinds)
        return "+".join(sorted(_NAMES.get(name, name) for name in names))

    return read


def _vae_lines(value: Value) -> tuple[str, ...]:
    if value == SAME:
        return ()
    return (
        f"vae = next(getattr(pipe, name) for name in {DECODERS} if hasattr(pipe, name))",
        "decode = vae.decode",
        "vae.decode = lambda latents, *args, **kwargs: decode(latents.to(vae.dtype), *args, **kwargs)",
    )


def _text_lines(value: Value) -> tuple[str, ...]:
    if value == SAME:
        return ()
    return (
        "encode_prompt = pipe.encode_prompt",
        "",
        "",
        "def encoded_for_the_denoiser(*args, **kwargs):",
        "    def like(part):",
        "        is_number = isinstance(part, torch.Tensor) and part.is_floating_point()",
        "        return part.to(denoiser.dtype) if is_number else part",
        "",
        "    return torch.utils._pytree.tree_map(like, encode_prompt(*args, **kwargs))",
        "",
        "",
        "pipe.encode_prompt = encoded_for_the_denoiser",
    )


_VAE_TOLD: Table = {
    **{(program, SAME): ITS_OWN_WAY for program in PROGRAMS},
    ("comfyui", "fp32"): flags("--fp32-vae"),
    ("comfyui", "fp16"): flags("--fp16-vae"),
    ("comfyui", "bf16"): flags("--bf16-vae"),
    ("a1111", "fp32"): flags("--no-half-vae"),
    ("forge", "fp32"): flags("--vae-in-fp32"),
    ("forge", "fp16"): flags("--vae-in-fp16"),
    ("forge", "bf16"): flags("--vae-in-bf16"),
    ("sdnext", "fp32"): flags("--no-half-vae"),
}
_TEXT_TOLD: Table = {
    **{(program, SAME): ITS_OWN_WAY for program in PROGRAMS},
    ("comfyui", "fp32"): flags("--fp32-text-enc"),
    ("comfyui", "fp16"): flags("--fp16-text-enc"),
    ("forge", "fp32"): flags("--clip-in-fp32"),
    ("forge", "fp16"): flags("--clip-in-fp16"),
}

VAE = Knob(
    name="vae_precision",
    about="Number format of the VAE alone: fp32 mends the black pictures of VAEs that overflow in fp16, and takes twice "
    "their memory and time.",
    values=(SAME, "fp32", "fp16", "bf16"),
    # No gain over a precision for all: it is tried where 16 bits spoil the picture.
    candidates=lambda _target, _batch: (),
    mends=("fp32",),
    refusal=_refusal_of("vae"),
    apply=_apply_vae,
    script=_vae_lines,
    told=told_by(_VAE_TOLD),
    read=_read_of(_vae_of),
)
TEXT = Knob(
    name="text_precision",
    about="Number format of the text encoders alone: 16 bits halve a large encoder (T5) where the denoiser needs fp32, "
    "and fp32 mends an encoder that overflows in fp16.",
    values=(SAME, "fp32", "fp16", "bf16"),
    candidates=lambda _target, _batch: (),
    mends=("fp32",),
    refusal=_refusal_of("text"),
    apply=_apply_text,
    script=_text_lines,
    told=told_by(_TEXT_TOLD),
    read=_read_of(_text_encoders_of),
)
