"""What a single convolution takes on a CPU beside its input: ``python -P tests/benchmarks/convolution_copies.py``.

Prints the peak of resident memory beyond what was there before, and the sizes of input, weights and output, in MiB; how long
it took, in seconds. In 16 bits, too: a processor without such arithmetic convolves by columns, and takes half a minute.
"""

from __future__ import annotations

import gc
import itertools
import time
from pathlib import Path

import torch

from tuner.worker.allocator import give_back_holes, map_blocks_from
from tuner.worker.meter import process_memory

_MIB = 2**20
# (pictures, channels in, channels out, side, kernel)
SHAPES = ((1, 256, 128, 128, 3), (1, 128, 256, 128, 3), (2, 1280, 640, 16, 3), (1, 256, 128, 128, 1))
NARROW_SHAPES = ((1, 64, 64, 128, 3), (1, 256, 128, 128, 1))


def peak(source: torch.Tensor, weights: torch.Tensor) -> tuple[float, float]:
    """MiB that the second of two equal convolutions takes, its output included; and its seconds."""
    padding = weights.shape[-1] // 2
    torch.nn.functional.conv2d(source, weights, padding=padding)
    gc.collect()
    give_back_holes()
    Path("/proc/self/clear_refs").write_text("5")
    before = process_memory()["VmRSS"]
    began = time.perf_counter()
    held = torch.nn.functional.conv2d(source, weights, padding=padding)
    seconds = time.perf_counter() - began
    taken = process_memory()["VmHWM"] - before
    del held
    return taken / _MIB, seconds


def main() -> None:
    """Every shape in both orders."""
    map_blocks_from(_MIB)
    print(
        "| type | pictures, channels, side, kernel | order | input | weights | output | peak | seconds |\n"
        "|---|---|---|---|---|---|---|---|"
    )
    orders = {"plain": torch.contiguous_format, "channels-last": torch.channels_last}
    shapes = [(torch.float32, shape) for shape in SHAPES] + [
        (torch.bfloat16, shape) for shape in NARROW_SHAPES
    ]
    for (dtype, (count, given, made, side, kernel)), (name, order) in itertools.product(
        shapes, orders.items()
    ):
        source = torch.randn(count, given, side, side).to(dtype).contiguous(memory_format=order)
        weights = torch.randn(made, given, kernel, kernel).to(dtype).contiguous(memory_format=order)
        with torch.inference_mode():
            taken, seconds = peak(source, weights)
        output = count * made * side * side * dtype.itemsize / _MIB
        sizes = f"{source.nbytes / _MIB:.1f} | {weights.nbytes / _MIB:.1f} | {output:.1f}"
        shape = f"{count}x{given} to {made}, {side}, {kernel}"
        print(
            f"| {str(dtype).rpartition('.')[2]} | {shape} | {name} | {sizes} | {taken:.1f} | {seconds:.2f} |"
        )


if __name__ == "__main__":
    main()
