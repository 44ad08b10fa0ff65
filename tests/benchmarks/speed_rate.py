"""The best rate of a matrix product, in a process of its own: what bounds a denoising step.

By three libraries, since none is the fastest on every processor: torch (MKL and oneDNN), numpy (OpenBLAS) and OpenVINO.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

_PROGRAM = """
import json, torch
from benchmarks.matrix_rate import rate
from benchmarks.speed_rate import by_openvino, openblas, sides
kinds = {"bf16": torch.bfloat16, "fp32": torch.float32}
found = {name: max(rate(kind, side) for side in sides(name)) for name, kind in kinds.items()}
print(json.dumps(found | {"fp32 by OpenBLAS": openblas(), "fp32 by OpenVINO": by_openvino()}))
"""
_REPEATS = 5


def sides(name: str) -> tuple[int, ...]:
    """Of square matrices; small ones first, and only those where bfloat16 is not computed in hardware."""
    from doctor.gather import gather

    slow = name == "bf16" and not gather().cpu.has_fast_bf16
    return (512,) if slow else (1024, 2048, 3072)


def openblas(side: int = 3072) -> float:
    """GFLOP/s of numpy's product."""
    import numpy

    left = numpy.random.rand(side, side).astype("float32")
    right = numpy.random.rand(side, side).astype("float32")
    return _rate(lambda: left @ right, side)


def by_openvino(side: int = 2048) -> float:
    """GFLOP/s of OpenVINO's product with constant weights."""
    import numpy

    from tuner.worker.openvino_library import openvino

    library = openvino()
    given = library.opset13.parameter([side, side], library.Type.f32)
    weights = library.opset13.constant(numpy.random.rand(side, side).astype("float32"))
    product = library.opset13.matmul(given, weights, False, False)
    model = library.Model([product], [given])
    request = (
        library.Core().compile_model(model, "CPU", {"PERFORMANCE_HINT": "LATENCY"}).create_infer_request()
    )
    left = numpy.random.rand(side, side).astype("float32")
    return _rate(lambda: request.infer([left], share_inputs=True), side)


def _rate(product: Callable[[], object], side: int) -> float:
    product()
    best = float("inf")
    for _ in range(_REPEATS):
        began = time.perf_counter()
        product()
        best = min(best, time.perf_counter() - began)
    return 2 * side**3 / best / 1e9


def rates() -> dict[str, float]:
    """GFLOP/s by number format, the best of several sizes and repeats."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _PROGRAM],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[1],
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    print(json.dumps(rates()))
