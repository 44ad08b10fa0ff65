"""What `sdoctor tune` costs, in pictures at the winner's settings and in runs, against exhaustive search and bisection.

    cd tests && python -m benchmarks.tuning_cost builtin:tiny --size 128 --memory 300MiB
    cd tests && python -m benchmarks.tuning_cost builtin:sd15 --size 256 --steps 1 --max-size 512 --home DIR --minutes 12

Runs the command in a home of its own, so that no program and no answer is remembered. With ``--home`` and ``--minutes`` it
is interrupted in time (exit code 3), and the same call goes on with ``--resume``. What exhaustive search would cost is not
measured but estimated: its combinations are counted, each at the mean time of a trial of this study (``exhaustive.py`` runs
them all, for models where that ends). The time of tune is that of its trials, loading and compiling included. Prints
Markdown.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.exhaustive import combinations
from cpu_time import sdoctor_command

from doctor.gather import gather
from tuner.target import choose_target


def tuned(arguments: list[str], home: Path, minutes: float | None) -> dict[str, Any] | None:
    """The command's JSON; None if it was interrupted because its time was over."""
    study = subprocess.Popen(
        sdoctor_command("tune", *arguments, "--json", "--resume"),
        stdout=subprocess.PIPE,
        stderr=sys.stderr,
        text=True,
        env={**os.environ, "SDOCTOR_HOME": str(home)},
    )
    try:
        output, _ = study.communicate(timeout=None if minutes is None else minutes * 60)
    except subprocess.TimeoutExpired:
        study.send_signal(signal.SIGINT)
        study.communicate(timeout=60)
        return None
    if not output:
        raise SystemExit(f"tune ended with {study.returncode} and no document.")
    found: dict[str, Any] = json.loads(output)
    return found


def part(name: str, trials: list[dict[str, Any]], picture: float) -> str:
    """A row: runs, minutes, pictures' worth."""
    seconds = sum(trial["seconds"] or 0.0 for trial in trials)
    return f"| {name} | {len(trials)} | {seconds / 60:.1f} | {seconds / picture:.0f} |"


def report(found: dict[str, Any], batch: int) -> None:
    """Print the table and the sentences."""
    if found["best"] is None:
        raise SystemExit("Nothing ran, so there is no winner to count in.")
    picture: float = found["best"]["trial"]["seconds_per_image"]
    sizes = [trial for trial in found["trials"] if trial["purpose"] == "largest"]
    speed = [trial for trial in found["trials"] if trial["purpose"] != "largest"]
    changed = {
        name: value
        for name, value in found["best"]["settings"].items()
        if value not in ("none", "off", "same")
    }
    print(
        f"winner: {changed}; {picture:.2f} s a picture; speedup {found['speedup']}; complete: {found['complete']}\n"
    )
    print("| part | runs | minutes | pictures at the winner's settings |\n|---|---|---|---|")
    print(part("settings compared", speed, picture))
    print(part("sizes proven", sizes, picture))
    wall = sum(trial["seconds"] or 0.0 for trial in found["trials"])
    print(f"| the whole study | {len(found['trials'])} | {wall / 60:.1f} | {wall / picture:.0f} |")
    every = sum(1 for _ in combinations(choose_target(gather(), "cpu"), batch, lossy=False))
    mean = statistics.mean(trial["seconds"] or 0.0 for trial in speed)
    estimate = every * mean
    print(
        "| exhaustive search of settings (counted; time estimated) "
        f"| {every} | {estimate / 60:.0f} | {estimate / picture:.0f} |"
    )
    for rung in found["ladder"]:
        edge = rung["edge"]
        print(
            f"\n{rung['rung']}: {rung['width']}x{rung['height']} ({edge['limit']}), {edge['runs']} runs; "
            f"plain bisection: {edge['bisection_runs']}."
        )


def main() -> int:
    """Tune, count, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model")
    parser.add_argument("--size", type=int, required=True)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--max-size", type=int, default=4096)
    parser.add_argument("--memory", help="as tune has it")
    parser.add_argument(
        "--home", type=Path, help="where the study is kept, to go on from; else a folder for once"
    )
    parser.add_argument("--minutes", type=float, help="interrupt the study after so long; needs --home")
    options = parser.parse_args()
    if options.minutes is not None and options.home is None:
        parser.error("--minutes needs --home, or what was measured would be lost.")
    arguments = [options.model, "--size", str(options.size), "--steps", str(options.steps)]
    arguments += ["--max-size", str(options.max_size), "--device", "cpu"]
    arguments += ["--time-limit", "600"] + ([] if options.memory is None else ["--memory", options.memory])
    with tempfile.TemporaryDirectory() as scratch:
        found = tuned(arguments, options.home or Path(scratch), options.minutes)
    if found is None:
        print(f"Broken off; the same command goes on from {options.home}.")
        return 3
    print(f"{options.model} at {options.size}x{options.size}, {options.steps} steps:\n")
    report(found, 1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
