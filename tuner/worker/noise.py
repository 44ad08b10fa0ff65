"""Random weights for architectures without a checkpoint: repeatable, and harmless to compute with."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from typing import Any

import torch

# Long enough that rows of a matrix do not repeat in view, short enough to stay in the cache; a prime, so that
# no row length divides it and rows differ.
_BLOCK = 1_048_583
# No value lies nearer to zero than this share of the standard deviation: products stay out of the denormal
# numbers of float16, which processors compute slowly.
_FLOOR = 0.02


def fill(model: Any, name: str, dtype: torch.dtype) -> None:
    """Give every parameter of ``model`` (on the meta device) memory in ``dtype`` and repeatable values.

    Matrices and kernels are normal noise of variance 1/fan-in, so that signals keep their scale; norm weights
    are 1, biases 0. Values depend on ``name`` and the parameter's own name only. Parameters that are shared
    stay shared. Modules that the library always keeps in float32 are float32 here too.
    """
    block = _noise_block(name, dtype)
    kept = kept_in_float32(model, dtype)
    made: dict[int, torch.nn.Parameter] = {}
    for path, module, key, parameter in list(named_places(model)):
        if id(parameter) not in made:
            kind = torch.float32 if any(part in kept for part in path.split(".")) else dtype
            made[id(parameter)] = _materialise(parameter, path, type(module).__name__, kind, block)
        module._parameters[key] = made[id(parameter)]


def named_places(model: Any) -> Iterator[tuple[str, Any, str, torch.nn.Parameter]]:
    """Every parameter with its full name, its module and its name there; shared ones once per place."""
    for prefix, module in model.named_modules():
        for key, parameter in module._parameters.items():
            if parameter is not None:
                yield f"{prefix}.{key}" if prefix else key, module, key, parameter


def kept_in_float32(model: Any, dtype: torch.dtype) -> frozenset[str]:
    """Names of submodules that from_pretrained keeps in float32 at this precision.

    transformers does so for ``_keep_in_fp32_modules`` in float16 only (T5's "wo") and for the strict list in
    bfloat16 too (its modeling_utils); diffusers for ``_keep_in_fp32_modules`` in both.
    """
    if dtype == torch.float32:
        return frozenset()
    names = set(getattr(model, "_keep_in_fp32_modules_strict", None) or ())
    if dtype == torch.float16 or type(model).__module__.startswith("diffusers"):
        names |= set(getattr(model, "_keep_in_fp32_modules", None) or ())
    return frozenset(names)


def _noise_block(name: str, dtype: torch.dtype) -> torch.Tensor:
    generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    block = torch.randn(_BLOCK, generator=generator)
    block += torch.sign(block) * _FLOOR
    return block.to(dtype)


def _materialise(
    parameter: torch.nn.Parameter, path: str, owner: str, dtype: torch.dtype, block: torch.Tensor
) -> torch.nn.Parameter:
    tensor = torch.empty(parameter.shape, dtype=dtype)
    if path.endswith("bias"):
        tensor.zero_()
    elif tensor.dim() < 2 or "Norm" in owner:
        tensor.fill_(1.0)
    else:
        _tile(
            tensor.view(-1),
            block,
            start=zlib.crc32(path.encode()) % _BLOCK,
            scale=1 / math.sqrt(tensor[0].numel()),
        )
    return torch.nn.Parameter(tensor, requires_grad=False)


def _tile(flat: torch.Tensor, block: torch.Tensor, start: int, scale: float) -> None:
    """Write ``block`` times ``scale`` over ``flat`` again and again, beginning in the middle of the block."""
    done = 0
    while done < len(flat):
        count = min(len(flat) - done, _BLOCK - start)
        # One pass with all threads: touching fresh memory is what takes the time here.
        torch.mul(block[start : start + count], scale, out=flat[done : done + count])
        done += count
        start = 0
