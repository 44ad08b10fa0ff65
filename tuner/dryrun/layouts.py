"""The order of a tensor's numbers in memory, where fake tensors are told another than real ones get.

Which order a convolution computes in, and so what it copies, hangs on it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.utils._python_dispatch import _disable_current_modes

_VIEWS = (torch.ops.aten.view.default, torch.ops.aten._unsafe_view.default)
_GROUP_NORM = torch.ops.aten.native_group_norm.default


def lies_last(tensor: Any) -> bool:
    """Whether torch takes it for channels-last (c10/core/MemoryFormat.h, is_channels_last_strides_2d_s4)."""
    if tensor.dim() != 4:
        return False
    least = 0
    if tensor.stride(1) == 0:
        return False
    for place in (1, 3, 2, 0):
        size, stride = tensor.size(place), tensor.stride(place)
        if size == 0 or stride < least:
            return False
        # Plain order where both would do: a kernel of 1x1, or a picture of which the batch's stride says nothing.
        if place == 0 and least == tensor.stride(1):
            return False
        least = stride * (size if size > 1 else 1)
    return True


def as_on_a_processor(func: Any, args: Any, out: Any) -> Any:
    """What an operation returned on fake tensors, lying as the same operation's result lies on real ones.

    A view of a single picture gets the stride of its batch by torch's C++ code (aten/src/ATen/TensorUtils.cpp,
    computeStride), which makes the order of a transposed picture, as attention returns it, count as plain; operations
    on each number keep that stride, where fake tensors take a short cut (torch/_subclasses/fake_impls.py,
    fast_binary_impl); and group normalisation writes in the order of its input (aten/src/ATen/native/group_norm.cpp).
    """
    if func is _GROUP_NORM:
        if out[0].dim() != 4:
            return out
        like = torch.channels_last if lies_last(args[0]) else torch.contiguous_format
        with _disable_current_modes():
            real = torch.empty(out[0].size(), device="meta", memory_format=like)
        return (_lying(out[0], real), *out[1:])
    if not isinstance(out, torch.Tensor) or out.dim() != 4 or out.size(0) != 1:
        return out
    if func in _VIEWS:
        source = args[0]
        with _disable_current_modes():
            return _lying(
                out, torch.empty_strided(source.size(), source.stride(), device="meta").view(args[1])
            )
    if torch.Tag.pointwise in func.tags:
        first = next((leaf for leaf in args if isinstance(leaf, torch.Tensor)), out)
        if first.size() == out.size() and first.stride()[1:] == out.stride()[1:]:
            return _lying(out, first)
    return out


def _lying(tensor: Any, real: Any) -> Any:
    return tensor if tensor.stride() == real.stride() else tensor.as_strided(tensor.size(), real.stride())
