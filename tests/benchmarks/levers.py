"""What else might make a picture faster on a CPU: one lever after the other, each beside the same pipeline without it.

    cd tests && python -m benchmarks.levers builtin:sd15 --size 256 --record ../out/levers.jsonl

Plain is diffusers' pipeline in float32 with the environment that sdoctor gives its workers (huge pages, threads that
do not spin). Each lever is a process of its own beside plain's, and the two draw by turns, so that what else the machine
does hits both. Appends every pair to the record, goes on where a call was cut off, and prints Markdown.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from benchmarks.generation_speed import Tuned, machine
from benchmarks.speed_lever import LEVERS
from benchmarks.speed_runs import Contender, Run

from tuner.settings import Settings

_WORKERS = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1", "GOMP_SPINCOUNT": "1000"}
_ENVIRONMENTS = {
    "pinned threads": _WORKERS | {"OMP_PROC_BIND": "close", "OMP_PLACES": "cores"},
    "no huge pages": _WORKERS | {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=0"},
    "spinning threads": _WORKERS | {"GOMP_SPINCOUNT": "300000"},
}
_SETTINGS = {
    "sdoctor's worker, nothing changed": Settings(),
    "sdoctor's worker, openvino": Settings(compile="openvino"),
    "sdoctor's worker, channels_last": Settings(memory_format="channels_last"),
}


def main() -> None:
    """Measure the levers that the record does not hold, print all."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--steps", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=60.0, help="begin no lever after these")
    parser.add_argument("--only", default="", help="levers that contain this text")
    parser.add_argument("--record", type=Path, required=True)
    options = parser.parse_args()
    lines = options.record.read_text("utf-8").splitlines() if options.record.exists() else []
    held = {told["lever"]: told for told in map(json.loads, lines)}
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        plain = contender("nothing", options, Path(folder))
        try:
            for lever in (*list(LEVERS)[1:], *_SETTINGS):
                late = time.monotonic() - began > options.minutes * 60
                if lever in held or late or options.only not in lever:
                    continue
                held[lever] = pair(plain, lever, options, Path(folder))
                with options.record.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(held[lever]) + "\n")
        finally:
            plain.close()
    print(f"\n{options.model}, {options.size}x{options.size}; {machine()}\n")
    print("| lever | plain, s | with it, s | plain / with it |\n|---|---|---|---|")
    for told in held.values():
        print(row(told))


def contender(lever: str, options: argparse.Namespace, folder: Path) -> Contender | Tuned:
    """The process that draws with a lever."""
    if lever in _SETTINGS:
        return Tuned(options.model, _SETTINGS[lever], options.size, options.steps)
    told = [options.model, "--size", str(options.size), "--steps", str(options.steps), "--library", lever]
    log = folder / f"{lever.replace(' ', '-')}.log"
    return Contender("speed_lever", told, log, _ENVIRONMENTS.get(lever, _WORKERS))


def pair(
    plain: Contender | Tuned, lever: str, options: argparse.Namespace, folder: Path
) -> dict[str, object]:
    """Some pictures by turns."""
    other = contender(lever, options, folder)
    runs: list[tuple[Run, Run]] = []
    try:
        for _ in range(options.rounds):
            runs.append((plain.run(), other.run()))
            print(f"{lever}: {runs[-1][0].total:.2f} s plain, {runs[-1][1].total:.2f} s with it", flush=True)
    finally:
        other.close()
    return {"lever": lever, "runs": [[asdict(one), asdict(two)] for one, two in runs]}


def row(told: dict[str, object]) -> str:
    """A row of the table."""
    runs = told["runs"]
    assert isinstance(runs, list)
    plain = [one["total"] for one, _ in runs]
    other = [two["total"] for _, two in runs]
    ratios = [first / second for first, second in zip(plain, other, strict=True)]
    return (
        f"| {told['lever']} | {statistics.median(plain):.2f} | {statistics.median(other):.2f} "
        f"| {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) |"
    )


if __name__ == "__main__":
    main()
