"""Runs the fast tests in several pytest processes side by side: most of their time goes into starting children.

    python tests/in_parts.py [--slots 3]

A file is never divided, so that what its tests share is made once. Files that take long are parts of their own and begin
first; every other test file is found by itself and goes with its folder. What measures time or takes memory on purpose
runs at the end, with nobody beside it. Each part's report is in out/tests. Exits with 1 if any test failed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

TESTS = Path(__file__).resolve().parent
REPORTS = TESTS.parent / "out" / "tests"
LONG = (
    "tui/test_main_job.py",
    "test_faults.py",
    "tuner/test_openvino.py",
    "tuner/test_knobs_on_pipelines.py",
    "tuner/test_dryrun.py",
    "tuner/test_build.py",
)
ALONE = ("test_ratios.py", "tuner/test_runner.py", "tui/test_generate_screen.py")
"""CPU time against CPU time; memory down to a floor of the machine; how late a screen answers."""
NOTHING_COLLECTED = 5
"""pytest's exit code where every test of a part is marked slow."""


def parts() -> tuple[list[list[Path]], list[Path]]:
    """The parts to run side by side, the longest first, and the files to run afterwards."""
    alone = [TESTS / name for name in ALONE]
    long = [TESTS / name for name in LONG]
    folders: dict[Path, list[Path]] = {}
    for path in sorted(TESTS.rglob("test_*.py")):
        if path not in alone and path not in long:
            folders.setdefault(path.parent, []).append(path)
    return [*([path] for path in long), *reversed(folders.values())], alone


def run(files: list[Path]) -> bool:
    """Run one part and print how it ended, in full if it failed; whether it is in order."""
    first = files[0].relative_to(TESTS)
    name = str(first) if len(files) == 1 else f"{len(files)} files from {first}"
    report = REPORTS / f"{str(first.with_suffix('')).replace(os.sep, '-')}.txt"
    begin = time.monotonic()
    with report.open("wb") as output:
        code = subprocess.run(
            [
                sys.executable,
                "-m",
                "pytest",
                "-q",
                "--durations=20",
                "-p",
                "no:cacheprovider",
                *map(str, files),
            ],
            cwd=TESTS.parent,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        ).returncode
    good = code in (0, NOTHING_COLLECTED)
    text = report.read_text(errors="replace")
    told = text if not good else text.rstrip().rpartition("\n")[2]
    print(f"{'ok' if good else 'FAILED'}  {name}, {time.monotonic() - begin:.0f} s: {told}", flush=True)
    return good


def main() -> int:
    """Run all parts, then those that need the machine for themselves."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    parser.add_argument(
        "--slots",
        type=int,
        default=min(4, cores + 1),
        help="parts at a time (default: one more than cores, since tests wait for a third of their time)",
    )
    slots = parser.parse_args().slots
    REPORTS.mkdir(parents=True, exist_ok=True)
    begin = time.monotonic()
    beside, alone = parts()
    with ThreadPoolExecutor(slots) as pool:
        results = [future.result() for future in as_completed([pool.submit(run, part) for part in beside])]
    results.append(run(alone))
    print(f"{'all in order' if all(results) else 'FAILED'}, {time.monotonic() - begin:.0f} s", flush=True)
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
