"""What it costs to have a worker with a model loaded, and to end it again.

    cd tests && python -m benchmarks.worker_start [--model builtin:tiny] [--runs 5]

Prints, for each run, seconds of wall time until the worker is ready, until the pipeline is loaded, and for its end, and
the worker's CPU time up to the loaded pipeline; then the medians.
"""

from __future__ import annotations

import argparse
import statistics
import time

import psutil

from tuner.events import Failed, Load, Ready
from tuner.runner import Limits, Worker
from tuner.settings import Settings


def measure(model: str) -> tuple[float, float, float, float]:
    """Seconds: ready, loaded, ended, and CPU time. Raises RuntimeError if the model cannot be loaded."""
    began = time.perf_counter()
    worker = Worker()
    try:
        ready = 0.0
        for event in worker.run(Load(model=model, settings=Settings(), device="cpu"), Limits()):
            if isinstance(event, Ready):
                ready = time.perf_counter() - began
            elif isinstance(event, Failed):
                raise RuntimeError(event.message)
        loaded = time.perf_counter() - began
        used = psutil.Process(worker.pid).cpu_times()
    finally:
        ending = time.perf_counter()
        worker.close()
    return ready, loaded, time.perf_counter() - ending, used.user + used.system


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="builtin:tiny")
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    print("| run | ready s | loaded s | ended s | CPU s |\n|---|---|---|---|---|")
    found = []
    for number in range(1, options.runs + 1):
        found.append(measure(options.model))
        print(f"| {number} | " + " | ".join(f"{value:.2f}" for value in found[-1]) + " |", flush=True)
    medians = (statistics.median(column) for column in zip(*found, strict=True))
    print("| median | " + " | ".join(f"{value:.2f}" for value in medians) + " |")


if __name__ == "__main__":
    main()
