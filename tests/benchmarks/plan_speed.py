"""How long a plan takes after the imports, with nothing remembered: one row with tiles, and a ladder.

    python -P tests/benchmarks/plan_speed.py [MODEL ...]

Rows: 1024x1024 with VAE tiling, at most 3 s each. Ladders: the largest size of each rung on an RTX 3060, at most 30 s
each, in a child of its own. Wall time; run it on an idle machine.
"""

from __future__ import annotations

import sys
import time

from tui.planned_device import planned_device, starting_settings
from tuner.dryrun.client import Oracle
from tuner.dryrun.rows import Ask
from tuner.models import resolve
from tuner.planning import Planner
from tuner.settings import Settings

MODELS = ("builtin:sdxl", "builtin:flux")
CARD = "RTX 3060"


def main() -> None:
    """Print a line for each model."""
    print("| model | one row, tiled, 1024x1024 | ladder on an RTX 3060 |\n|---|---|---|")
    for model in sys.argv[1:] or MODELS:
        print(f"| {model} | {_row(model):.1f} s | {_ladder(model):.1f} s |", flush=True)


def _imported() -> Oracle:
    """An oracle without memory, whose child has its libraries imported."""
    oracle = Oracle(remember=False)
    oracle.ask(Ask(model="builtin:tiny", settings=Settings(), width=64, height=64))
    return oracle


def _row(model: str) -> float:
    place = planned_device(CARD, None)
    settings = starting_settings(place.target, resolve(model).pipeline_class).but(vae_tiling="on")
    with _imported() as oracle:
        start = time.perf_counter()
        Planner(model=model, ask=oracle.ask).row(settings, place.device, 1024, 1024)
        return time.perf_counter() - start


def _ladder(model: str) -> float:
    place = planned_device(CARD, None)
    fastest = starting_settings(place.target, resolve(model).pipeline_class)
    with _imported() as oracle:
        start = time.perf_counter()
        Planner(model=model, ask=oracle.ask).ladder(fastest, place.device, place.target)
        return time.perf_counter() - start


if __name__ == "__main__":
    main()
