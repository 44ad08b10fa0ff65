"""The numbers of an out-of-memory message, in the forms that torch has used since 1.4, HIP's and ComfyUI's.

Forms: "(GPU 0; 8.00 GiB total capacity; 6.1 GiB already allocated; 0 bytes free; 6.4 GiB reserved ...)" up to
torch 2.0; "GPU 0 has a total capacity of ..., of which ... is free. Process N has ... in use. Of the allocated
memory ..." since 2.1 (github.com/pytorch/pytorch c10/cuda/CUDACachingAllocator.cpp); ComfyUI's and
cudaMallocAsync's table "Currently allocated : ...", "Device limit : ...".
"""

from __future__ import annotations

import re
from itertools import islice

from doctor.facts import Message

_SIZE = r"([\d.]+) ?([KMGT]i?B|B\b|bytes)"
_UNITS = {"b": 1, "bytes": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
_SIZES = {
    "requested": rf"(?:Tried to allocate|Requested\s*:) ?{_SIZE}",
    "total": rf"(?:total capaci?ty of {_SIZE}|{_SIZE} total capacity|Device limit\s*: ?{_SIZE})",
    "free": rf"(?:of which {_SIZE} is free|{_SIZE} free(?! .acc)|Free \(according to CUDA\)\s*: ?{_SIZE})",
    "allocated": rf"(?:{_SIZE} is allocated by PyTorch|{_SIZE} already allocated|{_SIZE} allocated;"
                 rf"|Currently allocated\s*: ?{_SIZE})",
    "unallocated": rf"{_SIZE} is reserved by PyTorch but unallocated",
    "reserved": rf"{_SIZE} reserved in total by PyTorch",
    "own": rf"this process has {_SIZE} memory in use",
}  # fmt: skip
_COMPILED = {name: re.compile(pattern, re.I) for name, pattern in _SIZES.items()}
_OTHERS = re.compile(rf"Process \d+ has {_SIZE} memory in use", re.I)
_MEMORY = re.compile(
    r"(?:CUDA|HIP|XPU|GPU) out of memory|OutOfMemoryError|Allocation on device|CUDA error: out of memory"
    r"|cudaErrorMemoryAllocation|CUDA_ERROR_OUT_OF_MEMORY|hipErrorOutOfMemory|Got an OOM, unloading"
    r"|Not enough memory, use lower resolution|VRAM .{0,20}(?:exhausted|ran out)",
    re.I,
)
_MOST = 50
"""Messages that are looked at; a log repeats itself."""

_TABLE = 8
"""Lines around the message in which ComfyUI's table may stand."""


def out_of_memory_in(lines: tuple[str, ...]) -> tuple[Message, ...]:
    """The first out-of-memory message with numbers, or the first at all; () if there is none."""
    places = islice((at for at, line in enumerate(lines) if _MEMORY.search(line)), _MOST)
    found = [_message(lines, at) for at in places]
    numbered = [message for message in found if "requested" in message.values]
    return tuple((numbered or found)[:1])


def _message(lines: tuple[str, ...], at: int) -> Message:
    line = lines[at]
    # The newer form runs over one line, which pasting may break; ComfyUI's table stands on lines beside it.
    near = line if "is free" in line and "unallocated" in line else " ".join(
        (line, *lines[at + 1 : at + _TABLE], *lines[max(0, at - _TABLE) : at])
    )  # fmt: skip
    values = {
        name: size for name, form in _COMPILED.items() if (size := _bytes(form.search(near))) is not None
    }
    others = [size for match in _OTHERS.finditer(near) if (size := _bytes(match)) is not None]
    if others:
        values["others"] = str(sum(map(int, others)))
    return Message(kind="out-of-memory", text=line[:300], values=values)


def _bytes(match: re.Match[str] | None) -> str | None:
    if match is None:
        return None
    number, unit = [group for group in match.groups() if group is not None][:2]
    try:
        factor = _UNITS["bytes" if unit.lower() == "bytes" else unit.lower()[0]]
        return str(int(float(number) * factor))
    except (ValueError, OverflowError):
        return None
