"""A dry run's allocations as a worker on a processor takes them: the heap, blocks of their own, oneDNN's copies.

And as OpenVINO takes them in PyTorch's place.
"""

from __future__ import annotations

from doctor.sizes import MIB
from tuner.dryrun.rows import CONVOLUTION, RELEASE, Answer, Call
from tuner.knobs.compiler import RUN_BY_OPENVINO
from tuner.workspaces import convolution_bytes_on_cpu

_PROGRAM_OPERATION = 112 * 1024
"""Bytes that OpenVINO's program holds for each operation beside weights and tensors: its nodes, and kernels that are made
for each shape. Measured between 0.06 and 0.13 MiB in the text encoder, U-Net and decoder of builtin:tiny and builtin:sd15
(docs/plan.md)."""
_CONVERTING = 80 * MIB
"""What a process that converts models takes beyond one that finds them on the disk: torch's tracing, and OpenVINO's reading
of it. Measured: 73 to 93 MiB, builtin:tiny at 128 to 512 pixels and builtin:sd15 (docs/plan.md)."""

_INDUCTOR_OPERATION = {"inductor": 144 * 1024, "inductor-whole": 224 * 1024}
"""Bytes that torch.compile keeps for each operation of the denoiser, block by block and in one piece: graphs, guards and
what compiled them. Measured: 0.13 and 0.14 MiB, 0.20 and 0.30 MiB in builtin:tiny and builtin:sd15 (docs/plan.md)."""


def resident_peak(call: Call, mapped_from: int, *, by_columns: bool = False) -> int:
    """Most bytes that are resident at a time within a call, beside the weights.

    Blocks from ``mapped_from`` bytes on are mapped by themselves and go back when they are freed. Smaller ones come from
    the heap, which goes back between phases only (``tuner.worker.allocator``): what it once held stays. ``by_columns``: see
    ``convolution_bytes_on_cpu``.
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
            for copy in convolution_bytes_on_cpu(call.convolutions[number], by_columns=by_columns):
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


def live_peak(call: Call) -> int:
    """Most bytes of live tensors at a time within a call, without any copies."""
    sizes: dict[int, int] = {}
    live = peak = 0
    for size, number in call.events:
        if size > 0:
            sizes[number] = size
            live += size
            peak = max(peak, live)
        elif size == RELEASE:
            live -= sizes.pop(number)
    return peak


def program_bytes(answer: Answer, widening: int) -> int:
    """What OpenVINO's programs take beside the model's weights in the process that converts them, once each has run. Bytes.

    A program has weights of its own, while PyTorch's lie in a mapped file that nobody reads: together one copy, so only
    what is wider is added. Its working memory is planned when it is compiled and stays as long as the program does: that
    of text encoders, denoiser and decoder is resident at the same time, whichever runs. ``widening``: by how much its
    numbers are wider than the model's (2 where a processor without bfloat16 arithmetic computes a bfloat16 model).
    Later processes find the models on the disk and take ``_CONVERTING`` less.
    """
    calls = [call for call in answer.calls if call.component.name in RUN_BY_OPENVINO]
    weights = {call.component.name: call.component.bytes for call in calls}
    operations = sum(size > 0 for call in calls for size, _number in call.events)
    return (
        (widening - 1) * sum(weights.values())
        + widening * sum(live_peak(call) for call in calls)
        + _PROGRAM_OPERATION * operations
        + _CONVERTING
    )


def inductor_bytes(answer: Answer, compiling: str) -> int:
    """What torch.compile takes of the host's memory in the process that compiles; 0 where something else computes. Bytes."""
    each = _INDUCTOR_OPERATION.get(compiling, 0)
    return each * sum(
        size > 0 for call in answer.calls if call.stage == "denoise" for size, _number in call.events
    )
