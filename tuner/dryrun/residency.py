"""Which weights lie on the device while a component works: modelled, since offload's hooks need a real device."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

# Group offload by leaves with a stream fetches the next leaf while one computes (diffusers, hooks/group_offloading.py).
_GROUPS_RESIDENT = 2


def weights_bytes(model: Any) -> int:
    """Bytes of its parameters and buffers, shared ones once."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors_of(model))


def tensors_of(model: Any) -> Iterator[torch.Tensor]:
    """Parameters and buffers, shared ones once."""
    yield from model.parameters()
    yield from model.buffers()


def resident_bytes(pipe: Any, working: str, offload: str) -> int:
    """Bytes of weights on the device while the component ``working`` computes.

    none: all of them. model: that component's, since accelerate's hook sends the one before it away first.
    sequential: those of its largest layer. group: of its two largest layers, an upper bound for two neighbours.
    Raises ValueError for an offload mode that is none of these.
    """
    models = {name: part for name, part in pipe.components.items() if isinstance(part, torch.nn.Module)}
    if offload == "none":
        return sum(weights_bytes(model) for model in models.values())
    if offload == "model":
        return weights_bytes(models[working])
    if offload not in ("sequential", "group"):
        raise ValueError(f"there is no offload mode '{offload}'")
    layers = sorted(_layer_bytes(models[working]), reverse=True)
    return sum(layers[: 1 if offload == "sequential" else _GROUPS_RESIDENT])


def _layer_bytes(model: Any) -> Iterator[int]:
    """Bytes that each module holds itself, without those of its children."""
    for module in model.modules():
        own = (*module._parameters.values(), *module._buffers.values())
        yield sum(tensor.numel() * tensor.element_size() for tensor in own if tensor is not None)
