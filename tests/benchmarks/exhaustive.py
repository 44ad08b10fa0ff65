"""What `sdoctor tune` found against an exhaustive search over the same knobs.

    python -P tests/benchmarks/exhaustive.py builtin:tiny --size 128 --steps 4
    python -P tests/benchmarks/exhaustive.py builtin:sd15 --size 256 --steps 2

Both searches run on this machine, one after the other. Their winners are then measured anew, in turns, so that what the
machine does meanwhile meets both alike. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from collections.abc import Iterator

from doctor.gather import gather
from tuner.knobs import KNOBS, default_settings, is_lossless, refusals
from tuner.lab import Bench, Lab
from tuner.probe import Trial
from tuner.settings import Settings
from tuner.strategy.comparing import NOISE
from tuner.strategy.fastest import probe_at
from tuner.strategy.goal import Goal
from tuner.study import Study
from tuner.target import Target, choose_target

_DUELS = 5


def combinations(target: Target, batch: int, *, lossy: bool) -> Iterator[Settings]:
    """Every combination of the values that the tuner itself would try, the default ones included."""
    base = default_settings(target)
    choices = []
    for knob in KNOBS:
        tried = [value for value in knob.candidates(target, batch) if value not in knob.slow]
        values = {getattr(Settings(), knob.name), getattr(base, knob.name), *tried}
        choices.append([(knob.name, value) for value in sorted(values, key=str)])
    for chosen in itertools.product(*choices):
        settings = Settings().but(**dict(chosen))
        if not refusals(settings, target) and (lossy or is_lossless(settings, Settings())):
            yield settings


def exhaustive(lab: Lab, goal: Goal) -> list[Trial]:
    """Every combination, measured."""
    return [
        lab.run(probe_at(goal, settings))
        for settings in combinations(goal.target, goal.batch, lossy=goal.lossy)
    ]


def duel(lab: Lab, goal: Goal, first: Settings, second: Settings) -> tuple[float, float]:
    """Seconds per picture of both, the median of runs made in turns."""
    seconds: dict[Settings, list[float]] = {first: [], second: []}
    for _ in range(_DUELS):
        for settings in dict.fromkeys((first, second)):
            trial = lab.run(probe_at(goal, settings))
            if trial.seconds_per_image is None:
                raise SystemExit(f"{settings.text()} failed: {trial.message}")
            seconds[settings].append(trial.seconds_per_image)
    return statistics.median(seconds[first]), statistics.median(seconds[second])


def main() -> None:
    """Search both ways, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--size", type=int, required=True)
    parser.add_argument("--steps", type=int, default=4)
    options = parser.parse_args()
    target = choose_target(gather())
    goal = Goal(
        target=target,
        budget=target.memory_free,
        width=options.size,
        height=options.size,
        steps=options.steps,
        batch=1,
        baseline=Settings(),
        first_guess=default_settings(target),
        # Only the search for speed is compared.
        max_size=options.size,
        step=options.size,
    )
    bench = Bench(model=options.model, device=target.device, budget=target.memory_free)
    with Lab(bench) as lab:
        began = time.monotonic()
        result = Study(goal=goal, runner=lab).run()
        between = time.monotonic()
        everything = exhaustive(lab, goal)
        ended = time.monotonic()
        finished = [trial for trial in everything if trial.seconds_per_image is not None]
        if result.best is None or not finished:
            raise SystemExit("Nothing ran.")
        best = min(finished, key=lambda trial: trial.seconds_per_image or 0.0).settings
        tuned, exact = duel(lab, goal, result.best.settings, best)
    print(f"{options.model} at {options.size}x{options.size}, {options.steps} steps, on {target.name}:\n")
    print("| search | runs | minutes | winner | s per picture, measured in turns |")
    print("|---|---|---|---|---|")
    tuned_minutes, exact_minutes = (between - began) / 60, (ended - between) / 60
    print(
        f"| tune | {len(result.trials)} | {tuned_minutes:.1f} | {result.best.settings.text()} | {tuned:.3f} |"
    )
    print(f"| exhaustive | {len(everything)} | {exact_minutes:.1f} | {best.text()} | {exact:.3f} |")
    print(
        f"\ntune's winner takes {tuned / exact:.3f} times the exhaustive winner's time "
        f"(two candidates closer than {NOISE:.0%} count as equal)."
    )


if __name__ == "__main__":
    main()
