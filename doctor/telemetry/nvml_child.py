"""The child that asks NVML: one line in, one line of JSON out. It may hang or crash without harm to its parent.

It imports as little as it can (json, not msgspec): it counts for the memory that watching costs.
"""

from __future__ import annotations

import _thread
import json
import os
import sys
import time
from dataclasses import asdict

from doctor.telemetry.gpu import GpuSource

_LOOK_SECONDS = 2.0


def main() -> None:
    """Answer every line on standard input until it is closed."""
    if sys.platform != "win32":
        _thread.start_new_thread(_end_with_owner, (os.getppid(),))
    source = GpuSource(processes=True)
    for _ in sys.stdin.buffer:
        gpus, error = source.read()
        cards = None if gpus is None else [asdict(card) for card in gpus]
        sys.stdout.write(json.dumps({"gpus": cards, "error": error}) + "\n")
        sys.stdout.flush()
    source.close()


def _end_with_owner(owner: int) -> None:
    """Whoever hangs in the driver does not see its input close: without this it would stay for ever."""
    while os.getppid() == owner:
        time.sleep(_LOOK_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    main()
