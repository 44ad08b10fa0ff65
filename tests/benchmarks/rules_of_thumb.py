"""The usual table of cards and sizes beside what ``sdoctor plan`` predicts, and attention slicing beside SDPA.

    python -P tests/benchmarks/rules_of_thumb.py

Prints the Markdown tables of docs/rules-of-thumb.md. Nothing is measured: there need be no card.
"""

from __future__ import annotations

from doctor.sizes import MIB
from tui.planned_device import planned_device, starting_settings
from tuner.dryrun.client import Oracle
from tuner.dryrun.rows import Ask
from tuner.models import resolve
from tuner.planning import Planner
from tuner.replay import replay
from tuner.settings import Settings

CARDS = ("GTX 1650", "GTX 1060 6GB", "RTX 3060", "RTX 4090")
MODELS = ("builtin:sd15", "builtin:sdxl", "builtin:flux")


def main() -> None:
    """Print both tables."""
    with Oracle() as oracle:
        print("| card | model | fastest | tiled decode | model offload | low memory |")
        print("|---|---|---|---|---|---|")
        for card in CARDS:
            place = planned_device(card, None)
            for model in MODELS:
                fastest = starting_settings(place.target, resolve(model).pipeline_class)
                planner = Planner(model=model, ask=oracle.ask, max_side=3072)
                found = planner.ladder(fastest, place.device, place.target)
                cells = [f"{item.side or '-'}{'+' if item.at_limit else ''}" for item in found]
                print(f"| {card} | {model} ({fastest.precision}) | {' | '.join(cells)} |", flush=True)
        print("\n| model | size | step, sdpa | step, sliced |\n|---|---|---|---|")
        for model, side in (("builtin:sd15", 512), ("builtin:sd15", 1024), ("builtin:sdxl", 1024)):
            peaks = []
            for attention in ("sdpa", "sliced"):
                settings = Settings(precision="fp16", attention=attention)
                answer = oracle.ask(Ask(model=model, settings=settings, width=side, height=side))
                stages = {stage.name: stage for stage in replay(answer, "none", (8, 6)).stages}
                peaks.append(f"{stages['denoise'].peak_bytes / MIB:.0f} MiB")
            print(f"| {model} | {side} | {' | '.join(peaks)} |", flush=True)


if __name__ == "__main__":
    main()
