"""Gives a pipeline its weights in memory of its own, so that what is measured is what is used."""

from __future__ import annotations

import bisect
import re
from pathlib import Path
from typing import Any

import torch

from tuner.worker.allocator import give_back_holes

_MAPS = Path("/proc/self/maps")
# A mapped weight file: address range, then the path (proc(5)).
_MAPPED_FILE = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) .*\.(?:safetensors|bin|ckpt|pt|pth)$", re.MULTILINE)


def own_weights(pipe: Any) -> None:
    """Copy weights that are still mapped from their files into ordinary memory.

    safetensors maps a file and hands out tensors over the mapping; they stay so unless the precision changes
    on the way. Such weights count as data (VmData) from the start, as resident (RssFile) only once they are
    read, which would put the reading of the disk into the first generation; and the file stays mapped as a
    whole while one tensor of it lives, which would hide what a change of memory format frees. Measured with
    SD 1.5 in bfloat16: 0.05 GiB more resident file pages after from_pretrained, for 1.99 GiB of weights.

    One component is copied at a time, so the peak while loading is the weights and the largest component
    once more. Where there is no /proc the weights are left as they are.
    """
    for model in pipe.components.values():
        if isinstance(model, torch.nn.Module):
            _own(model)
    give_back_holes()


def _own(model: torch.nn.Module) -> None:
    mapped = _Mapped()
    copies: dict[int, torch.Tensor] = {}
    for module in model.modules():
        for table in (module._parameters, module._buffers):
            for name, tensor in table.items():
                if tensor is None or not mapped.holds(tensor):
                    continue
                if id(tensor) not in copies:
                    copy = tensor.detach().clone()
                    copies[id(tensor)] = (
                        torch.nn.Parameter(copy, False) if isinstance(tensor, torch.nn.Parameter) else copy
                    )
                table[name] = copies[id(tensor)]


class _Mapped:
    """The address ranges of weight files that are mapped now."""

    def __init__(self) -> None:
        text = _MAPS.read_text() if _MAPS.exists() else ""
        self._ranges = sorted((int(low, 16), int(high, 16)) for low, high in _MAPPED_FILE.findall(text))

    def holds(self, tensor: torch.Tensor) -> bool:
        if tensor.device.type != "cpu" or not tensor.numel():
            return False
        place = bisect.bisect_right(self._ranges, (tensor.data_ptr(), 2**64)) - 1
        return place >= 0 and tensor.data_ptr() < self._ranges[place][1]
