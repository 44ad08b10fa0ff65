"""Ledger: writes down every allocation and release, the operations and the traffic of a body that runs on fake tensors."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry, sdpa_flop_count

from tuner.dryrun.rows import CONVOLUTION, RELEASE, Convolution

_CPU_ATTENTION = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
_CONVOLUTIONS = (torch.ops.aten.convolution, torch.ops.aten._convolution)


class Ledger(TorchDispatchMode):  # type: ignore[misc]  # torch's types are not followed
    """Entered inside a fake mode. Weights are left out; see ``rows.Call`` for the form of ``events``."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[tuple[int, int]] = []
        self.convolutions: list[Convolution] = []
        self.flops = 0
        """Of matrix products, convolutions and attention, a multiply-add counted as two, as FlopCounterMode does."""
        self.moved = 0
        """Inputs and outputs of every operation that is no view, in bytes: as if nothing stayed in a cache."""
        self._numbers = 0
        self._known: dict[int, Any] = {}

    def ignore(self, tensors: Iterable[torch.Tensor]) -> None:
        """Never count these: weights and buffers, whose residency is accounted for elsewhere."""
        for tensor in tensors:
            storage = tensor.untyped_storage()
            # Held, so that no other storage gets its address.
            self._known[storage._cdata] = storage

    def count(self, tensor: torch.Tensor) -> None:
        """Count the tensor's storage until it is freed, once however many tensors view it."""
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in self._known or not storage.nbytes():
            return
        number = self._take(storage.nbytes())
        self._known[key] = None
        weakref.finalize(storage, self._free, key, number)

    def _take(self, size: int) -> int:
        self._numbers += 1
        self.events.append((size, self._numbers))
        return self._numbers

    def _free(self, key: int, number: int) -> None:
        del self._known[key]
        self.events.append((RELEASE, number))

    def mark(self) -> tuple[int, int, int]:
        """Where a piece of work begins; hand it to ``since``."""
        return len(self.events), self.flops, self.moved

    def since(self, mark: tuple[int, int, int]) -> tuple[list[tuple[int, int]], int, int]:
        """(events, operations, bytes moved) of the work since ``mark``."""
        start, flops, moved = mark
        return self.events[start:], self.flops - flops, self.moved - moved

    def repeat(self, work: tuple[list[tuple[int, int]], int, int]) -> None:
        """Write down once more what was done before; what it left allocated is released at its end."""
        events, flops, moved = work
        renamed: dict[int, int] = {}
        for size, number in events:
            if size < RELEASE:
                self.events.append((size, number))
            elif size != RELEASE:
                renamed[number] = self._take(size)
            elif number in renamed:
                self.events.append((RELEASE, renamed.pop(number)))
        self.events.extend((RELEASE, number) for number in renamed.values())
        self.flops += flops
        self.moved += moved

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        outputs = [leaf for leaf in tree_leaves(out) if isinstance(leaf, torch.Tensor)]
        for tensor in outputs:
            self.count(tensor)
        packet = func._overloadpacket
        if packet is _CPU_ATTENTION:
            # torch's counter has no entry for it; the same formula holds for every fused attention.
            self.flops += int(sdpa_flop_count(args[0].shape, args[1].shape, args[2].shape))
        elif packet in flop_registry:
            self.flops += int(flop_registry[packet](*args, **kwargs, out_val=out))
        if packet in _CONVOLUTIONS:
            self._convolution(args, out)
        if not func.is_view:
            inputs = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
            self.moved += sum(tensor.numel() * tensor.element_size() for tensor in (*inputs, *outputs))
        return out

    def _convolution(self, args: Any, out: torch.Tensor) -> None:
        source, weight, stride = args[0], args[1], args[3]
        found = Convolution(
            input_bytes=source.numel() * source.element_size(),
            output_bytes=out.numel() * out.element_size(),
            weights=weight.numel(),
            element_bytes=source.element_size(),
            three_by_three=tuple(weight.shape[2:]) == (3, 3) and set(stride) == {1},
        )
        self.events.append((CONVOLUTION, len(self.convolutions)))
        self.convolutions.append(found)
