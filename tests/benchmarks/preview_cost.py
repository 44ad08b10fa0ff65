"""What the picture as it forms costs the generation: runs with and without previews by turns, on one warm worker.

    python -P tests/benchmarks/preview_cost.py --model builtin:tiny --steps 100 --rounds 5

Prints, as ratios to the runs without, the time with a preview at most every half second (what the screen asks for)
and after every step; and the largest difference of the peaks of memory.
"""

from __future__ import annotations

import argparse
import statistics

from tui.workshop import PREVIEW_SECONDS
from tuner.events import Event, Finished, Generate, Load, PhaseEnded, Preview
from tuner.runner import Limits, Worker
from tuner.settings import Request, Settings

PATIENT = Limits(stall=600.0)
WAYS = {"none": None, "the screen's": PREVIEW_SECONDS, "every step": 0.0}


def measure(events: list[Event]) -> tuple[float, int, int]:
    """Seconds, peak in bytes, previews."""
    last = events[-1]
    if not isinstance(last, Finished):
        raise SystemExit(f"The run did not finish: {last}")
    peaks = [event.peak_allocated or 0 for event in events if isinstance(event, PhaseEnded)]
    return last.seconds, max(peaks), sum(isinstance(event, Preview) for event in events)


def main() -> None:
    """One discarded run of each way, then rounds of all three."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="builtin:tiny")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    request = Request(prompt="a red circle", width=options.size, height=options.size, steps=options.steps)
    taken: dict[str, list[tuple[float, int, int]]] = {name: [] for name in WAYS}
    worker = Worker()
    try:
        settings = Settings(precision=options.precision)
        list(worker.run(Load(model=options.model, settings=settings, device="cpu"), PATIENT))
        for number in range(options.rounds + 1):
            for name, seconds in WAYS.items():
                command = Generate(request=request, preview_seconds=seconds)
                run = measure(list(worker.run(command, PATIENT)))
                if number:
                    taken[name].append(run)
    finally:
        worker.close()
    plain = taken["none"]
    for name, runs in taken.items():
        ratios = [run[0] / without[0] for run, without in zip(runs, plain, strict=True)]
        more = max(run[1] - without[1] for run, without in zip(runs, plain, strict=True))
        print(
            f"{name:<13} time x{statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f}), "
            f"{runs[0][2]} previews of {options.steps} steps, peak at most {more / 2**20:+.1f} MiB"
        )


if __name__ == "__main__":
    main()
