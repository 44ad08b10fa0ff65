"""A dry run's allocations as a worker on a processor takes them: the heap, blocks of their own, oneDNN's copies."""

from __future__ import annotations

from tuner.dryrun.rows import CONVOLUTION, RELEASE, Call
from tuner.workspaces import convolution_bytes_on_cpu


def resident_peak(call: Call, mapped_from: int) -> int:
    """Most bytes that are resident at a time within a call, beside the weights.

    Blocks from ``mapped_from`` bytes on are mapped by themselves and go back when they are freed. Smaller ones come from
    the heap, which goes back between phases only (``tuner.worker.allocator``): what it once held stays.
    """
    sizes: dict[int, int] = {}
    mapped = heap = highest_heap = peak = 0
    for size, number in call.events:
        if size > 0:
            sizes[number] = size
            mapped, heap = _with(size, mapped_from, mapped, heap)
        elif size == RELEASE:
            mapped, heap = _with(-sizes.pop(number), mapped_from, mapped, heap)
            continue
        elif size == CONVOLUTION:
            during = mapped, heap
            for copy in convolution_bytes_on_cpu(call.convolutions[number]):
                during = _with(copy, mapped_from, *during)
            highest_heap = max(highest_heap, during[1])
            peak = max(peak, during[0] + highest_heap)
        else:
            continue
        highest_heap = max(highest_heap, heap)
        peak = max(peak, mapped + highest_heap)
    return peak


def _with(size: int, mapped_from: int, mapped: int, heap: int) -> tuple[int, int]:
    return (mapped + size, heap) if abs(size) >= mapped_from else (mapped, heap + size)
