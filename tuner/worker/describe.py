"""What a loaded pipeline is: its size steps, native size, default steps, components and their bytes."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

# Only where a pipeline says nothing at all about the size it was made for.
_FALLBACK_SIZE = 512
# Stable Cascade and Wuerstchen: their model cards' size; the default of the combined pipelines' call is 512.
_PRIOR_SIZE = 1024
# Their latents are the size over 42.67, rounded up, times 10.67, rounded down (diffusers, pipeline_stable_cascade_prior.py
# and pipeline_stable_cascade.py), and the decoder needs an even number: at 1088 it is 277. Every 128 pixels it is 32 more.
_PRIOR_STEP = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentInfo:
    """One model of the pipeline."""

    name: str
    """Its name in the pipeline: "unet"."""
    model_class: str
    parameters: int
    weights_bytes: int
    """Bytes of its parameters and buffers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineInfo:
    """What is known about a loaded pipeline. Sizes in pixels."""

    pipeline_class: str
    size_factor: int
    """Width and height must be multiples of this."""
    native_size: int
    """Side of the square picture that the model was made for."""
    default_steps: int
    """Denoising steps that the pipeline takes if nothing is asked for."""
    weights_bytes: int
    """Bytes of all parameters and buffers, shared ones once."""
    components: tuple[ComponentInfo, ...]
    remarks: tuple[str, ...] = ()
    """What a user of the pictures must know: a sentence each."""


def describe(pipe: Any) -> PipelineInfo:
    """Read it off the pipeline and its components' configurations."""
    parts = tuple(
        ComponentInfo(
            name=name,
            model_class=type(model).__name__,
            parameters=sum(parameter.numel() for parameter in model.parameters()),
            weights_bytes=sum(_bytes(tensor) for tensor in _tensors(model)),
        )
        for name, model in pipe.components.items()
        if isinstance(model, torch.nn.Module)
    )
    return PipelineInfo(
        pipeline_class=type(pipe).__name__,
        size_factor=_size_factor(pipe),
        native_size=_native_size(pipe),
        default_steps=_default_steps(pipe),
        weights_bytes=sum(part.weights_bytes for part in parts),
        components=parts,
        remarks=tuple(_remarks(pipe)),
    )


def _bytes(tensor: torch.Tensor) -> int:
    return int(tensor.numel() * tensor.element_size())


def _tensors(model: torch.nn.Module) -> Iterator[torch.Tensor]:
    yield from model.parameters()
    yield from model.buffers()


def _denoiser(pipe: Any) -> Any:
    for name in ("unet", "transformer", "prior", "decoder"):
        model = getattr(pipe, name, None)
        if model is not None:
            return model
    return None


def _vae_factor(pipe: Any) -> int:
    return int(getattr(pipe, "vae_scale_factor", 0) or 8)


def _size_factor(pipe: Any) -> int:
    """Pixels per latent, times the latents per patch that a transformer takes together along one side."""
    if _has_prior_and_decoder(pipe):
        return _PRIOR_STEP
    return _vae_factor(pipe) * _patch_side(pipe)


def _has_prior_and_decoder(pipe: Any) -> bool:
    """Whether it is Stable Cascade or Wuerstchen."""
    return getattr(pipe, "prior_prior", None) is not None and getattr(pipe, "decoder", None) is not None


def _patch_side(pipe: Any) -> int:
    config = getattr(_denoiser(pipe), "config", {})
    side = config.get("patch_size") or max(config.get("all_patch_size") or [1])
    if isinstance(side, (list, tuple)):
        side = max(side)
    # FLUX and its relatives fold each square of latents into the channels before the transformer sees them.
    latents = getattr(getattr(pipe, "vae", None), "config", {}).get("latent_channels")
    channels = config.get("in_channels")
    if latents and channels and getattr(pipe, "transformer", None) is not None and channels % latents == 0:
        side = max(int(side), math.isqrt(channels // latents))
    return int(side)


def _native_size(pipe: Any) -> int:
    if _has_prior_and_decoder(pipe):
        return _PRIOR_SIZE
    height = _call_default(pipe, "height")
    if height:
        return height
    sample = getattr(_denoiser(pipe), "config", {}).get("sample_size") or getattr(
        pipe, "default_sample_size", None
    )
    if isinstance(sample, (list, tuple)):
        sample = max(sample)
    if sample:
        return int(sample) * _vae_factor(pipe)
    trained = getattr(getattr(pipe, "vae", None), "config", {}).get("sample_size")
    return int(trained) if isinstance(trained, int) else _FALLBACK_SIZE


def _default_steps(pipe: Any) -> int:
    return _call_default(pipe, "num_inference_steps") or 50


def _call_default(pipe: Any, name: str) -> int | None:
    parameter = inspect.signature(type(pipe).__call__).parameters.get(name)
    return parameter.default if parameter is not None and isinstance(parameter.default, int) else None


def _remarks(pipe: Any) -> Iterator[str]:
    """A tokenizer far smaller than the encoder's table is not the one it was trained with."""
    for suffix in ("", "_2", "_3"):
        tokenizer, encoder = (
            getattr(pipe, f"tokenizer{suffix}", None),
            getattr(pipe, f"text_encoder{suffix}", None),
        )
        table = getattr(getattr(encoder, "config", None), "vocab_size", None)
        if tokenizer is not None and table and len(tokenizer) < table // 2:
            yield (
                f"The tokenizer{suffix} knows {len(tokenizer)} of the {table} tokens of its encoder, so "
                "prompts are not understood: good for speed and memory, not for judging pictures."
            )
