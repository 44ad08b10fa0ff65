"""The child that asks NVML: one line in, one line of JSON out. It may hang or crash without harm to its parent.

It imports as little as it can (json, not msgspec): it counts for the memory that watching costs.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

from doctor.telemetry.gpu import GpuSource


def main() -> None:
    """Answer every line on standard input until it is closed."""
    source = GpuSource(processes=True)
    for _ in sys.stdin.buffer:
        gpus, error = source.read()
        cards = None if gpus is None else [asdict(card) for card in gpus]
        sys.stdout.write(json.dumps({"gpus": cards, "error": error}) + "\n")
        sys.stdout.flush()
    source.close()


if __name__ == "__main__":
    main()
