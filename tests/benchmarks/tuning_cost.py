"""What `sdoctor tune` costs, in pictures at the winner's settings and in runs, against exhaustive search and bisection.

    cd tests && python -m benchmarks.tuning_cost builtin:sd15 --size 256 --steps 2 [--document FILE]

Runs the command in a home of its own, so that no program and no answer is remembered. What exhaustive search would
cost is not measured but estimated: its combinations are counted, each at the mean time of a trial of this study
(``exhaustive.py`` runs them all, for models where that ends). ``--document`` keeps the command's JSON, and reads it
instead of running the command where the file is there already. Prints Markdown.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.exhaustive import combinations
from cpu_time import sdoctor_command

from doctor.gather import gather
from tuner.target import choose_target


def tuned(arguments: list[str], document: Path | None) -> dict[str, Any]:
    """The command's JSON with the wall time of the command in "wall_seconds"."""
    if document is not None and document.exists():
        found: dict[str, Any] = json.loads(document.read_text("utf-8"))
        return found
    with tempfile.TemporaryDirectory() as home:
        began = time.monotonic()
        done = subprocess.run(
            sdoctor_command("tune", *arguments, "--json"),
            stdout=subprocess.PIPE,
            stderr=sys.stderr,
            text=True,
            env={**os.environ, "SDOCTOR_HOME": home},
        )
        seconds = time.monotonic() - began
    if not done.stdout:
        raise SystemExit(f"tune ended with {done.returncode} and no document.")
    found = json.loads(done.stdout) | {"wall_seconds": seconds}
    if document is not None:
        document.write_text(json.dumps(found, indent=1), "utf-8")
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
    wall: float = found["wall_seconds"]
    print(f"| the whole command | {len(found['trials'])} | {wall / 60:.1f} | {wall / picture:.0f} |")
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


def main() -> None:
    """Tune, count, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model")
    parser.add_argument("--size", type=int, required=True)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--max-size", type=int, default=4096)
    parser.add_argument("--document", type=Path)
    options = parser.parse_args()
    arguments = [options.model, "--size", str(options.size), "--steps", str(options.steps)]
    arguments += ["--max-size", str(options.max_size), "--device", "cpu"]
    found = tuned(arguments, options.document)
    print(f"{options.model} at {options.size}x{options.size}, {options.steps} steps:\n")
    report(found, 1)


if __name__ == "__main__":
    main()
