"""Blocks that repeat are run once: one with the same layers and inputs of the same shapes takes the same again.

The ledger writes down the same events once more, and the caller gets new tensors of the same shapes. Only blocks that
leave nothing allocated but what they return are repeated; one that keeps something else (the keys and values that a
language model caches) is run every time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._pytree import tree_flatten, tree_leaves, tree_unflatten

from tuner.dryrun.ledger import Ledger, Work
from tuner.replacing import replace_attribute

# Where a layer stands among its equals, which changes nothing.
_PLACES = ("layer_idx", "layer_index", "block_idx")
_PLAIN = (bool, int, float, str, type(None))
# What every module has: its parts and weights, looked at by themselves, and its hooks.
_EVERY_MODULES = frozenset(vars(torch.nn.Module()))


@dataclass(frozen=True, slots=True)
class _Fresh:
    """A returned tensor that the block made, or a part of one: its place in the allocation of that number."""

    shape: tuple[int, ...]
    stride: tuple[int, ...]
    offset: int
    dtype: torch.dtype
    number: int
    size: int
    """Bytes of the allocation."""


@dataclass(frozen=True, slots=True)
class _Given:
    """A returned tensor that was handed in: its place among the leaves of the input."""

    place: int


@dataclass(frozen=True, slots=True)
class _Done:
    """What a block did and what it returned: _Fresh, _Given or plain leaves, and their arrangement."""

    work: Work
    leaves: tuple[Any, ...]
    form: Any


@contextmanager
def replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Within: the object has this attribute instead of its class's, or of its own."""
    undo = replace_attribute(owner, name, value)
    try:
        yield
    finally:
        undo()


def kinds_of(model: Any) -> list[tuple[Any, int]]:
    """Members of the model's lists of modules, each with a number that equal ones share."""
    kinds: dict[Any, int] = {}
    known: dict[int, int] = {}

    def kind(module: Any) -> int:
        """Of all that decides what it does with an input: its layers, their shapes and their plain settings."""
        if id(module) not in known:
            parts = tuple((name, kind(child)) for name, child in module._modules.items() if child is not None)
            form = (type(module), tuple(_settings(module)), tuple(_tensors(module)), parts)
            known[id(module)] = kinds.setdefault(form, len(kinds))
        return known[id(module)]

    return [(block, kind(block)) for block in _members(model)]


def repeat_blocks(members: list[tuple[Any, int]], ledger: Ledger, stack: ExitStack) -> None:
    """Within the stack: members (of ``kinds_of``) that are alike are run once for each kind of input."""
    known: dict[Any, _Done | None] = {}
    for block, kind in members:
        stack.enter_context(replaced(block, "forward", _once(block.forward, kind, known, ledger)))


def repeat_calls(model: Any, ledger: Ledger, stack: ExitStack) -> None:
    """Within the stack: the model itself is run once for each kind of input (the tiles of a picture)."""
    stack.enter_context(replaced(model, "forward", _once(model.forward, 0, {}, ledger)))


def _members(model: Any) -> Iterator[Any]:
    for module in model.modules():
        if isinstance(module, torch.nn.ModuleList) and len(module) > 1:
            yield from (child for child in module if not isinstance(child, torch.nn.ModuleList))


def _settings(module: Any) -> Iterator[tuple[str, str]]:
    for name, value in sorted(vars(module).items()):
        if name not in _PLACES and name not in _EVERY_MODULES:
            # Of functions and attention processors, which one it is.
            what = value if isinstance(value, _PLAIN) else getattr(value, "__qualname__", type(value))
            yield name, repr(what)


def _tensors(module: Any) -> Iterator[tuple[str, tuple[int, ...], torch.dtype]]:
    for name, tensor in (*module._parameters.items(), *module._buffers.items()):
        if tensor is not None:
            yield name, tuple(tensor.shape), tensor.dtype


def _once(
    body: Callable[..., Any], kind: int, known: dict[Any, _Done | None], ledger: Ledger
) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        given = tree_leaves((args, kwargs))
        key = kind, tuple(kwargs), tuple(_likeness(leaf) for leaf in given)
        done = known.get(key)
        if done is not None:
            return _again(done, given, ledger)
        mark = ledger.mark()
        out = body(*args, **kwargs)
        if key not in known:
            known[key] = _learnt(out, given, ledger, ledger.since(mark))
        return out

    return call


def _likeness(leaf: Any) -> Any:
    if isinstance(leaf, torch.Tensor):
        return tuple(leaf.shape), leaf.stride(), leaf.dtype
    return repr(leaf)


def _learnt(out: Any, given: list[Any], ledger: Ledger, work: Work) -> _Done | None:
    """None if more stays allocated than what is returned, or what is returned is more than plain new tensors."""
    leaves, form = tree_flatten(out)
    left = work.left_allocated()
    places = {id(leaf): place for place, leaf in enumerate(given)}
    learnt: list[Any] = []
    for leaf in leaves:
        if isinstance(leaf, _PLAIN):
            learnt.append(leaf)
        elif not isinstance(leaf, torch.Tensor):
            return None
        elif id(leaf) in places:
            learnt.append(_Given(places[id(leaf)]))
        else:
            number = ledger.number_of(leaf)
            # A part of something else, or whole numbers whose values may be asked for.
            if number not in left or not leaf.is_floating_point():
                return None
            learnt.append(_fresh(leaf, number))
    returned = {leaf.number for leaf in learnt if isinstance(leaf, _Fresh)}
    return _Done(work, tuple(learnt), form) if left == returned else None


def _fresh(leaf: torch.Tensor, number: int) -> _Fresh:
    return _Fresh(
        shape=tuple(leaf.shape),
        stride=leaf.stride(),
        offset=int(leaf.storage_offset()),
        dtype=leaf.dtype,
        number=number,
        size=leaf.untyped_storage().nbytes(),
    )


def _again(done: _Done, given: list[Any], ledger: Ledger) -> Any:
    with ledger.silent():
        fresh = {
            leaf.number: torch.empty(leaf.size, dtype=torch.uint8)
            for leaf in done.leaves
            if isinstance(leaf, _Fresh)
        }
        leaves = [_leaf(leaf, fresh, given) for leaf in done.leaves]
    ledger.repeat(done.work, fresh)
    return tree_unflatten(leaves, done.form)


def _leaf(leaf: Any, fresh: dict[int, torch.Tensor], given: list[Any]) -> Any:
    if isinstance(leaf, _Fresh):
        return fresh[leaf.number].view(leaf.dtype).as_strided(leaf.shape, leaf.stride, leaf.offset)
    return given[leaf.place] if isinstance(leaf, _Given) else leaf
