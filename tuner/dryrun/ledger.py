"""Ledger: follows the bytes of live storages, the operations and the traffic while a body runs on fake tensors."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

# PyTorch rounds every request to the caching allocator up to a multiple of this (kMinBlockSize,
# c10/core/AllocatorConfig.h).
BLOCK_BYTES = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a piece of work takes. Bytes without what was live before it."""

    peak_bytes: int
    flops: int
    """Floating-point operations of matrix products, convolutions and attention, a multiply-add counted as two."""
    moved_bytes: int
    """Inputs and outputs of every operation that is no view: as if nothing stayed in a cache."""


class Ledger(TorchDispatchMode):  # type: ignore[misc]  # torch's types are not followed
    """Entered inside a fake mode. ``live`` and ``peak`` leave the weights out."""

    def __init__(self) -> None:
        super().__init__()
        self.live = 0
        self.peak = 0
        self.flops = 0
        self.moved = 0
        self._known: set[int] = set()
        self._weights: list[Any] = []

    def ignore(self, tensors: Iterable[torch.Tensor]) -> None:
        """Never count these: weights and buffers, whose residency is accounted for elsewhere."""
        for tensor in tensors:
            storage = tensor.untyped_storage()
            # Held, so that no other storage gets its address.
            self._weights.append(storage)
            self._known.add(storage._cdata)

    def count(self, tensor: torch.Tensor) -> None:
        """Count the tensor's storage until it is freed, once however many tensors view it."""
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in self._known:
            return
        size = -(-storage.nbytes() // BLOCK_BYTES) * BLOCK_BYTES
        self._known.add(key)
        self.live += size
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self._free, key, size)

    def _free(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.live -= size

    def begin(self) -> tuple[int, int, int, int]:
        """Start to measure a piece of work; hand the result to ``end``."""
        mark = (self.live, self.peak, self.flops, self.moved)
        self.peak = self.live
        return mark

    def end(self, mark: tuple[int, int, int, int]) -> Cost:
        """The cost of the work since ``begin``."""
        live, peak, flops, moved = mark
        cost = Cost(peak_bytes=self.peak - live, flops=self.flops - flops, moved_bytes=self.moved - moved)
        self.peak = max(self.peak, peak)
        return cost

    def repeat(self, cost: Cost) -> None:
        """Count work that was done before once more, without doing it."""
        self.peak = max(self.peak, self.live + cost.peak_bytes)
        self.flops += cost.flops
        self.moved += cost.moved_bytes

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        outputs = [leaf for leaf in tree_leaves(out) if isinstance(leaf, torch.Tensor)]
        for tensor in outputs:
            self.count(tensor)
        counter = flop_registry.get(func._overloadpacket)
        if counter is not None:
            self.flops += int(counter(*args, **kwargs, out_val=out))
        if not func.is_view:
            inputs = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
            self.moved += sum(tensor.numel() * tensor.element_size() for tensor in (*inputs, *outputs))
        return out
