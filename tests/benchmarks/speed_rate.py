"""The best rate of a matrix product, in a process of its own: what bounds a denoising step."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

_PROGRAM = """
import json, torch
from benchmarks.matrix_rate import rate
kinds = {"bf16": torch.bfloat16, "fp32": torch.float32}
print(json.dumps({name: max(rate(kind, side) for side in (1024, 2048, 3072)) for name, kind in kinds.items()}))
"""


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
