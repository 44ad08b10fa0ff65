"""OpenVINO, imported so that it tells nobody: its converter reports its use to its makers unless each user opts out."""

from __future__ import annotations

import functools
import sys
from typing import Any


def openvino() -> Any:
    """The library. Its converter takes a stub where the package that reports cannot be imported.

    openvino/tools/ovc/telemetry_utils.py, convert_impl.py (2026.4).
    """
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    import openvino

    return openvino


@functools.cache
def core() -> Any:
    """The library's one entry of this process; it keeps the plugin for the CPU loaded."""
    return openvino().Core()


def start_engine() -> None:
    """Load the plugin and start its threads, as torch's are, so that a budget counts only what the models take.

    Under a budget that leaves no room for them the library would fail in unclear ways, or hang.
    """
    import numpy

    library = openvino()
    value = library.opset13.parameter([1, 64], numpy.float32)
    product = library.opset13.matmul(value, value, transpose_a=False, transpose_b=True)
    model = library.Model([product], [value])
    compiled = core().compile_model(model, "CPU", {"PERFORMANCE_HINT": "LATENCY"})
    compiled.create_infer_request().infer([numpy.zeros((1, 64), numpy.float32)])
