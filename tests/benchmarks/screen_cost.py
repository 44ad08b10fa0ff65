"""What the screen costs the generation: images per minute with the screen open against ``--plain``.

    python -P tests/benchmarks/screen_cost.py --model builtin:tiny --steps 300 --rounds 5
    python -P tests/benchmarks/screen_cost.py --model builtin:sd15 --size 256 --steps 8 --rounds 3

Both run as the real command in a real terminal (tmux, 200x50), by turns, each round the other way round, after one
round that is thrown away so that files and caches are warm. The time is the worker's own, from prompt to pixels
without loading and saving, as it stands in the picture. Exits with 1 if the median of the pairs is below 98 %.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

GOAL = 0.98
PATIENCE = 1800.0
TMUX = ("tmux", "-L", f"sdoctor-cost-{os.getpid()}", "-f", "/dev/null")


def draw(mode: str, options: argparse.Namespace, folder: Path, number: int) -> float:
    """Seconds of one picture, made with the screen or with lines."""
    picture = folder / f"{mode}-{number}.png"
    command = [str(Path(sys.executable).with_name("sdoctor")), "generate", "a red circle", "--seed", "1"]
    command += ["--model", options.model, "--steps", str(options.steps), "--output", str(picture)]
    command += ["--size", str(options.size)] if options.size else []
    command += ["--settings", options.settings] if options.settings else []
    command += ["--plain"] if mode == "plain" else ["--no-preview"] if options.no_preview else []
    line = f"TERM=xterm-256color SDOCTOR_HOME={shlex.quote(str(folder / 'home'))} {shlex.join(command)}"
    subprocess.run([*TMUX, "new-session", "-d", "-x", "200", "-y", "50", line], check=True, cwd=folder)
    try:
        deadline = time.monotonic() + PATIENCE
        # Looked at seldom: this program runs beside the one that is measured.
        while not picture.exists() and time.monotonic() < deadline:
            time.sleep(1.0)
        if mode == "screen":
            time.sleep(1.0)
            subprocess.run([*TMUX, "send-keys", "q"], check=False, capture_output=True)
        while _session_runs() and time.monotonic() < deadline:
            time.sleep(0.2)
    finally:
        subprocess.run([*TMUX, "kill-server"], check=False, capture_output=True)
    if not picture.exists():
        raise SystemExit(f"No picture came of: {line}")
    with Image.open(picture) as image:
        return float(json.loads(image.text["sdoctor"])["seconds"])


def _session_runs() -> bool:
    return subprocess.run([*TMUX, "has-session"], check=False, capture_output=True).returncode == 0


def main() -> int:
    """Draw by turns, print each pair and the median."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="builtin:tiny")
    parser.add_argument("--size", type=int)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--settings", default="")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--no-preview", action="store_true", help="the screen without the picture as it forms"
    )
    options = parser.parse_args()
    ratios = []
    with tempfile.TemporaryDirectory() as name:
        for number in range(options.rounds + 1):
            modes = ("plain", "screen") if number % 2 else ("screen", "plain")
            taken = {mode: draw(mode, options, Path(name), number) for mode in modes}
            ratio = taken["plain"] / taken["screen"]
            warm_up = "  (warm-up, not counted)" if number == 0 else ""
            print(
                f"plain {taken['plain']:8.3f} s   screen {taken['screen']:8.3f} s   "
                f"images per minute with the screen {ratio:7.1%} of plain{warm_up}",
                flush=True,
            )
            if number:
                ratios.append(ratio)
    median = statistics.median(ratios)
    print(f"median of {len(ratios)} pairs: {median:.1%} ({min(ratios):.1%} to {max(ratios):.1%})")
    return 0 if median >= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
