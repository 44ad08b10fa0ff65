"""The bytes of a model's weights, tensor by tensor, as they are or as a quantised copy would have them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from tuner.dryrun.rows import Component

# bitsandbytes' NF4: half a byte for a weight and one float32 scale for each block of 64 weights
# (bitsandbytes, functional.quantize_4bit, default blocksize on CUDA).
_NF4_BYTES = 0.5 + 4 / 64
_BYTES = {"int8": 1.0, "fp8": 1.0, "nf4": _NF4_BYTES}
# Text encoders smaller than this are left as they are: CLIP in 16 bits is 0.2 to 1.3 GiB and quantises badly.
_LARGE_ENCODER = 1_000_000_000


def tensors_of(model: Any) -> Iterator[torch.Tensor]:
    """Parameters and buffers, shared ones once."""
    yield from model.parameters()
    yield from model.buffers()


def component_of(name: str, model: Any, weights: str) -> Component:
    """Its weights under the setting ``weights``: "native" as they are; else linear layers take fewer bytes.

    int8 and nf4 are for the linear layers of the denoiser and of text encoders of more than 1e9 parameters; fp8 is
    diffusers' layerwise casting, for those of the denoiser only.
    """
    seen: set[int] = set()
    sizes: list[int] = []
    leaves: list[int] = []
    dequantised = 0
    small = _BYTES.get(weights) if _is_quantised(name, model, weights) else None
    for module in model.modules():
        own = 0
        for key, tensor in (*module._parameters.items(), *module._buffers.items()):
            if tensor is None or id(tensor) in seen:
                continue
            seen.add(id(tensor))
            size = tensor.numel() * tensor.element_size()
            if small is not None and key == "weight" and isinstance(module, torch.nn.Linear):
                dequantised = max(dequantised, size)
                size = int(tensor.numel() * small)
            own += size
            sizes.append(size)
        if own:
            leaves.append(own)
    return Component(
        name=name,
        tensors=tuple(sizes),
        leaves=tuple(sorted(leaves, reverse=True)),
        buffers=sum(tensor.numel() * tensor.element_size() for tensor in model.buffers()),
        dequantised=dequantised,
    )


def _is_quantised(name: str, model: Any, weights: str) -> bool:
    if weights == "native" or name.startswith(("vae", "vqgan", "image_encoder")):
        return False
    if name.startswith("text_encoder"):
        return weights != "fp8" and sum(part.numel() for part in model.parameters()) > _LARGE_ENCODER
    return True
