"""What libgomp's spinning costs: seconds per picture of builtin:tiny, as it is, with few spins, with none.

    python -P tests/benchmarks/spinning.py [--busy N]

Each environment gets a process of its own, in turns; ``--busy`` starts that many busy loops beside them. Prints a table.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys

_ENVIRONMENTS: tuple[dict[str, str], ...] = (
    {},
    {"GOMP_SPINCOUNT": "1000"},
    {"GOMP_SPINCOUNT": "10000"},
    {"OMP_WAIT_POLICY": "PASSIVE"},
)
_PROGRAM = """
import time, torch
from tuner.models import resolve
from tuner.worker.build import load_pipeline
pipe = load_pipeline(resolve("builtin:tiny"), torch.bfloat16)
pipe.set_progress_bar_config(disable=True)
def run():
    began = time.perf_counter()
    with torch.inference_mode():
        pipe("a red circle", width=128, height=128, num_inference_steps=20)
    return time.perf_counter() - began
run()
print(" ".join(f"{run():.2f}" for _ in range(4)))
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--busy", type=int, default=0)
    options = parser.parse_args()
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(options.busy)]
    try:
        print(f"| environment | seconds per picture, {options.busy} busy loops beside |\n|---|---|")
        for _ in range(2):
            for extra in _ENVIRONMENTS:
                done = subprocess.run(
                    [sys.executable, "-W", "ignore", "-P", "-c", _PROGRAM],
                    capture_output=True,
                    text=True,
                    check=True,
                    env={**os.environ, **extra},
                )
                name = " ".join(f"{key}={value}" for key, value in extra.items()) or "as it is"
                print(f"| `{name}` | {done.stdout.strip()} |", flush=True)
    finally:
        for loop in loops:
            loop.kill()


if __name__ == "__main__":
    main()
