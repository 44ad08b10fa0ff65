"""How fast this processor multiplies matrices in each precision: ``python -P tests/benchmarks/matrix_rate.py``.

Prints GFLOP/s of a square product, best of several, for fp32, bf16 and fp16 on the CPU.
"""

from __future__ import annotations

import time

import torch

_REPEATS = 5


def rate(dtype: torch.dtype, side: int) -> float:
    """Best measured rate of a ``side`` x ``side`` product in GFLOP/s."""
    left = torch.randn(side, side).to(dtype)
    right = torch.randn(side, side).to(dtype)
    left @ right
    best = float("inf")
    for _ in range(_REPEATS):
        started = time.perf_counter()
        left @ right
        best = min(best, time.perf_counter() - started)
    return 2 * side**3 / best / 1e9


if __name__ == "__main__":
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads")
    for name, dtype, side in (
        ("fp32", torch.float32, 2048),
        ("bf16", torch.bfloat16, 2048),
        ("fp16", torch.float16, 512),
    ):
        print(f"{name}: {rate(dtype, side):8.1f} GFLOP/s ({side}x{side})")
