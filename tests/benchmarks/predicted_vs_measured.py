"""Predicted against measured peak memory on this machine's processor, for every setting that it has.

    python -P tests/benchmarks/predicted_vs_measured.py builtin:tiny 256,512,768

Prints a Markdown table. Every measured run is a real generation of one step in a worker of its own.
"""

from __future__ import annotations

import argparse
import statistics

from doctor.gather import gather
from doctor.sizes import MIB
from tuner.device_model import HOST_BYTES
from tuner.dryrun.client import Oracle
from tuner.dryrun.rows import Ask
from tuner.lab import Bench, Lab
from tuner.probe import Probe, Purpose
from tuner.replay import replay_on_cpu
from tuner.settings import Settings
from tuner.target import choose_target

VARIANTS: tuple[dict[str, str], ...] = (
    {},
    {"precision": "bf16"},
    {"attention": "sliced"},
    {"memory_format": "channels_last"},
    {"vae_tiling": "on"},
    {"vae_slicing": "on"},
)


def main() -> None:
    """Measure, predict, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("sizes", type=lambda text: [int(size) for size in text.split(",")])
    parser.add_argument("--batch", type=int, default=1)
    options = parser.parse_args()
    target = choose_target(gather(), "cpu")
    bench = Bench(
        model=options.model, device="cpu", budget=target.memory_free, ceiling=None, allow_pickle=False
    )
    errors = []
    print("| settings | size | batch | predicted MiB | measured MiB | error |")
    print("|---|---|---|---|---|---|")
    with Oracle(remember=False) as oracle, Lab(bench) as lab:
        for changes in VARIANTS:
            settings = Settings(**changes)
            for size in options.sizes:
                probe = Probe(
                    purpose=Purpose.BASELINE,
                    settings=settings,
                    width=size,
                    height=size,
                    steps=1,
                    batch=options.batch,
                )
                answer = oracle.ask(
                    Ask(
                        model=options.model,
                        settings=settings,
                        width=size,
                        height=size,
                        batch=options.batch,
                    )
                )
                predicted = replay_on_cpu(answer).peak_reserved + HOST_BYTES
                trial = lab.run(probe)
                name = ", ".join(f"{key}={value}" for key, value in changes.items()) or "default (fp32)"
                start = f"| {name} | {size} | {options.batch} | {predicted / MIB:.0f} |"
                if trial.peak_bytes is None:
                    print(f"{start} {trial.outcome.value}: {trial.message} | - |", flush=True)
                    continue
                error = predicted / trial.peak_bytes - 1
                errors.append(abs(error))
                print(f"{start} {trial.peak_bytes / MIB:.0f} | {error:+.1%} |", flush=True)
    if errors:
        print(
            f"\nMedian error {statistics.median(errors):.1%}, largest {max(errors):.1%}, {len(errors)} runs."
        )


if __name__ == "__main__":
    main()
