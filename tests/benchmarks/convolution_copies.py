"""What a single convolution takes on a CPU beside its input: ``python -P tests/benchmarks/convolution_copies.py``.

Prints the peak of resident memory beyond what was there before, and the sizes of input, weights and output, in MiB.
"""

from __future__ import annotations

import gc
import itertools
from pathlib import Path

import torch

from tuner.worker.allocator import give_back_holes, map_blocks_from
from tuner.worker.meter import process_memory

_MIB = 2**20
# (pictures, channels in, channels out, side, kernel)
SHAPES = ((1, 256, 128, 128, 3), (1, 128, 256, 128, 3), (2, 1280, 640, 16, 3), (1, 256, 128, 128, 1))


def peak(source: torch.Tensor, weights: torch.Tensor) -> float:
    """MiB that the second of two equal convolutions takes, its output included."""
    padding = weights.shape[-1] // 2
    torch.nn.functional.conv2d(source, weights, padding=padding)
    gc.collect()
    give_back_holes()
    Path("/proc/self/clear_refs").write_text("5")
    before = process_memory()["VmRSS"]
    held = torch.nn.functional.conv2d(source, weights, padding=padding)
    taken = process_memory()["VmHWM"] - before
    del held
    return taken / _MIB


def main() -> None:
    """Every shape in both orders."""
    map_blocks_from(_MIB)
    print(
        "| pictures, channels, side, kernel | order | input | weights | output | peak |\n|---|---|---|---|---|---|"
    )
    orders = {"plain": torch.contiguous_format, "channels-last": torch.channels_last}
    for (count, given, made, side, kernel), (name, order) in itertools.product(SHAPES, orders.items()):
        source = torch.randn(count, given, side, side).contiguous(memory_format=order)
        weights = torch.randn(made, given, kernel, kernel).contiguous(memory_format=order)
        with torch.inference_mode():
            taken = peak(source, weights)
        output = count * made * side * side * 4 / _MIB
        sizes = f"{source.nbytes / _MIB:.1f} | {weights.nbytes / _MIB:.1f} | {output:.1f}"
        print(f"| {count}x{given} to {made}, {side}, {kernel} | {name} | {sizes} | {taken:.1f} |")


if __name__ == "__main__":
    main()
