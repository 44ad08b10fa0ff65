"""What a check costs beside the reports that other programs print about an installation, by turns.

    cd tests && python -m benchmarks.checking_cost [--rounds 5] [--no-live]

Prints a Markdown table: CPU time (user and system, children included) and wall time of whole processes, medians, and the
ratio of both to the static check. A program that is not installed here is left out and named. The reports only list
versions; the static check also judges them, and the live check measures.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from cpu_time import cpu_seconds, sdoctor_command

STATIC, LIVE = "sdoctor check --no-live", "sdoctor check --live"


def _script(*words: str) -> list[str]:
    """A program installed beside this Python."""
    return [str(Path(sys.executable).with_name(words[0])), *words[1:]]


PEERS = {
    "python -m torch.utils.collect_env": ("torch", [sys.executable, "-P", "-m", "torch.utils.collect_env"]),
    "diffusers-cli env": ("diffusers", _script("diffusers-cli", "env")),
    "accelerate env": ("accelerate", _script("accelerate", "env")),
    "transformers env": ("transformers", _script("transformers", "env")),
    "python -m bitsandbytes": ("bitsandbytes", [sys.executable, "-P", "-m", "bitsandbytes"]),
    "python -m xformers.info": ("xformers", [sys.executable, "-P", "-m", "xformers.info"]),
}
"""As typed -> the package that brings it, and the command."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-live", action="store_true", help="leave the live check out")
    options = parser.parse_args()
    commands = {STATIC: sdoctor_command("check", "--no-live")}
    if not options.no_live:
        commands[LIVE] = sdoctor_command("check", "--live")
    missing = []
    for name, (package, command) in PEERS.items():
        if importlib.util.find_spec(package) is None:
            missing.append(name)
        else:
            commands[name] = command
    with tempfile.TemporaryDirectory() as home:
        taken = _by_turns(commands, options.rounds, home)
    _print(taken, options.rounds)
    if missing:
        print(f"\nNot installed here: {', '.join(missing)}.")


def _by_turns(commands: dict[str, list[str]], rounds: int, home: str) -> dict[str, list[tuple[float, float]]]:
    """(CPU seconds, wall seconds) of every command in each round, after a round that warms the caches."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for turn in range(rounds + 1):
        for name, command in commands.items():
            begun = time.perf_counter()
            cpu = cpu_seconds(command, SDOCTOR_HOME=home, HF_HUB_OFFLINE="1")
            if turn:
                taken[name].append((cpu, time.perf_counter() - begun))
        print(f"round {turn} of {rounds} done", file=sys.stderr)
    return taken


def _print(taken: dict[str, list[tuple[float, float]]], rounds: int) -> None:
    middle = {
        name: tuple(statistics.median(column) for column in zip(*runs, strict=True))
        for name, runs in taken.items()
    }
    base = middle[STATIC]
    print(f"{os.cpu_count()} cores, median of {rounds} rounds\n")
    print("| command | CPU seconds | ratio | wall seconds | ratio |\n|---|---|---|---|---|")
    for name, (cpu, wall) in middle.items():
        print(f"| `{name}` | {cpu:.2f} | {cpu / base[0]:.1f} | {wall:.2f} | {wall / base[1]:.1f} |")


if __name__ == "__main__":
    main()
