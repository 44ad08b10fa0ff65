"""Ledger: writes down every allocation and release, the operations and the traffic of a body that runs on fake tensors."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.flop_counter import flop_registry, sdpa_flop_count
from torch.utils.weak import WeakIdKeyDictionary

from tuner.dryrun.layouts import as_on_a_processor, lies_last
from tuner.dryrun.rows import CONVOLUTION, RELEASE, Convolution

# Tensors with more numbers than this are not computed with: masks of prompts have hundreds.
_MOST_VALUES = 1 << 16
_CPU_ATTENTION = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
_CONVOLUTIONS = (torch.ops.aten.convolution, torch.ops.aten._convolution)


@dataclass(frozen=True, slots=True)
class Work:
    """A piece of what a ledger wrote down."""

    events: tuple[tuple[int, int], ...]
    flops: int
    moved: int

    def left_allocated(self) -> set[int]:
        """Allocations of this piece that did not end in it."""
        made = {number for size, number in self.events if size > 0}
        return made - {number for size, number in self.events if size == RELEASE}


class Ledger(TorchDispatchMode):  # type: ignore[misc]  # torch's types are not followed
    """Entered inside a fake mode. Weights are left out; see ``rows.Call`` for the form of ``events``."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[tuple[int, int]] = []
        self._convolutions: dict[Convolution, int] = {}
        self.flops = 0
        """Of matrix products, convolutions and attention, a multiply-add counted as two, as FlopCounterMode does."""
        self.moved = 0
        """Inputs and outputs of every operation that is no view, in bytes: as if nothing stayed in a cache."""
        self._numbers = 0
        self._known: dict[int, Any] = {}
        self._silent = False
        self._values: WeakIdKeyDictionary = WeakIdKeyDictionary()

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
        self._hold(storage, number)

    def _hold(self, storage: Any, number: int) -> None:
        """From now on the allocation lives as long as the storage."""
        self._known[storage._cdata] = number
        weakref.finalize(storage, self._free, storage._cdata, number)

    def number_of(self, tensor: torch.Tensor) -> int | None:
        """The allocation that holds it; None if it is not counted."""
        number = self._known.get(tensor.untyped_storage()._cdata)
        return number if isinstance(number, int) else None

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Within: nothing is written down. For making the tensors of ``repeat``."""
        self._silent = True
        try:
            yield
        finally:
            self._silent = False

    def _take(self, size: int) -> int:
        self._numbers += 1
        self.events.append((size, self._numbers))
        return self._numbers

    def _free(self, key: int, number: int) -> None:
        del self._known[key]
        self.events.append((RELEASE, number))

    @property
    def convolutions(self) -> tuple[Convolution, ...]:
        """Those that differ, as the events number them."""
        return tuple(self._convolutions)

    def mark(self) -> tuple[int, int, int]:
        """Where a piece of work begins; hand it to ``since``."""
        return len(self.events), self.flops, self.moved

    def since(self, mark: tuple[int, int, int]) -> Work:
        """The work since ``mark``."""
        start, flops, moved = mark
        return Work(tuple(self.events[start:]), self.flops - flops, self.moved - moved)

    def repeat(self, work: Work, kept: Mapping[int, torch.Tensor]) -> None:
        """Write down once more what was done before.

        ``kept`` says which new tensor lives in which of its allocations; others are released at its end.
        """
        renamed: dict[int, int] = {}
        for size, number in work.events:
            if size < RELEASE:
                self.events.append((size, number))
            elif size != RELEASE:
                renamed[number] = self._take(size)
            elif number in renamed:
                self.events.append((RELEASE, renamed.pop(number)))
        for number, tensor in kept.items():
            self._hold(tensor.untyped_storage(), renamed.pop(number))
        self.events.extend((RELEASE, number) for number in renamed.values())
        self.flops += work.flops
        self.moved += work.moved

    def know(self, fake: torch.Tensor, value: torch.Tensor) -> None:
        """Remember what is in a tensor of whole numbers, such as the mask of a prompt, as far as others follow from it.

        A fake tensor has no values, but some models ask how long a prompt is (Lumina 2).
        """
        if not value.is_floating_point() and value.numel() <= _MOST_VALUES:
            self._values[fake] = value

    def _follow(self, func: Any, args: Any, kwargs: Any, outputs: list[torch.Tensor]) -> None:
        """Compute for real what follows from known values only."""
        sources = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        if not sources or not all(source in self._values for source in sources):
            return
        known, named = tree_map(
            lambda leaf: self._values.get(leaf, leaf) if _is_tensor(leaf) else leaf, (args, kwargs)
        )
        with _disable_current_modes():
            values = [leaf for leaf in tree_leaves(func(*known, **named)) if _is_tensor(leaf)]
        for fake, value in zip(outputs, values, strict=True):
            self.know(fake, value)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is torch.ops.aten._local_scalar_dense.default and args[0] in self._values:
            with _disable_current_modes():
                return self._values[args[0]].item()
        out = as_on_a_processor(func, args, func(*args, **kwargs))
        if self._silent:
            return out
        outputs = list(_tensors_in(out))
        for tensor in outputs:
            self.count(tensor)
        if self._values:
            self._follow(func, args, kwargs, outputs)
        packet = func._overloadpacket
        if packet is _CPU_ATTENTION:
            # torch's counter has no entry for it; the same formula holds for every fused attention.
            self.flops += int(sdpa_flop_count(args[0].shape, args[1].shape, args[2].shape))
        elif packet in flop_registry:
            self.flops += int(flop_registry[packet](*args, **kwargs, out_val=out))
        if packet in _CONVOLUTIONS:
            self._convolution(args, out)
        if not func.is_view:
            self.moved += sum(
                tensor.numel() * tensor.element_size()
                for tensor in (*_tensors_in(args), *_tensors_in(tuple(kwargs.values())), *outputs)
            )
        return out

    def _convolution(self, args: Any, out: torch.Tensor) -> None:
        source, weight, stride, padding = args[0], args[1], args[3], args[4]
        kernel = weight.shape[2:].numel()
        seen = kernel > 1 or set(stride) != {1} or set(padding) != {0}
        pixels = out.shape[0] * out.shape[2:].numel()
        found = Convolution(
            input_bytes=source.numel() * source.element_size(),
            output_bytes=out.numel() * out.element_size(),
            weights=weight.numel(),
            element_bytes=source.element_size(),
            three_by_three=tuple(weight.shape[2:]) == (3, 3) and set(stride) == {1},
            channels_last=lies_last(source) or lies_last(weight),
            copies_input=lies_last(weight) and not lies_last(source),
            larger_kernel=kernel > 1,
            columns_bytes=pixels * weight.shape[1] * kernel * source.element_size() if seen else 0,
        )
        number = self._convolutions.setdefault(found, len(self._convolutions))
        self.events.append((CONVOLUTION, number))


def _tensors_in(value: Any) -> Iterator[torch.Tensor]:
    """The tensors of an operation's arguments or results: single ones, tuples and lists of them."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from _tensors_in(item)


def _is_tensor(leaf: Any) -> bool:
    return isinstance(leaf, torch.Tensor)
