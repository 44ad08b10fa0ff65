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
    computeStride), which makes the order of a transposed picture, as attention returns it, count as plain; and group
    normalisation writes in the order of its input (aten/src/ATen/native/group_norm.cpp).
    """
    if func in _VIEWS and out.dim() == 4 and out.size(0) == 1:
        source = args[0]
        with _disable_current_modes():
            real = torch.empty_strided(source.size(), source.stride(), device="meta").view(args[1])
        return out if real.stride() == out.stride() else out.as_strided(out.size(), real.stride())
    if func is _GROUP_NORM and out[0].dim() == 4:
        like = torch.channels_last if lies_last(args[0]) else torch.contiguous_format
        with _disable_current_modes():
            real = torch.empty(out[0].size(), device="meta", memory_format=like)
        if real.stride() != out[0].stride():
            return (out[0].as_strided(real.size(), real.stride()), *out[1:])
    return out
