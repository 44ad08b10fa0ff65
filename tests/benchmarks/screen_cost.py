"""What the screen costs the generation: images per minute with the screen open against ``--plain``.

    python -P tests/benchmarks/screen_cost.py --model builtin:sd15 --size 256 --steps 4 --blocks 4 --record FILE
    python -P tests/benchmarks/screen_cost.py --model builtin:tiny --steps 600 --blocks 8

Both run as the real command in a real terminal (tmux, 200x50). A block is plain, screen, screen, plain, or the other way
round, so that what drifts (clock, temperature, neighbours) falls on both alike; each block gives two pairs of neighbours.
The time is the worker's own, from prompt to pixels without loading and saving, as it stands in the picture. Beside it: the
processor time of the program that shows it (Linux), which bounds what drawing can take whatever the machine does meanwhile.

With ``--record FILE`` every picture is written there, and a later call with the same file goes on: the figures are over all
of them. Prints the median of the pairs with its confidence interval (95 %, by order statistics), and the share that the
processor times tell. Exits with 1 if that share (or where it is unknown, the median) is below 98 %.
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
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.pairs import interval

GOAL = 0.98
PATIENCE = 1800.0
TMUX = ("tmux", "-L", f"sdoctor-cost-{os.getpid()}", "-f", "/dev/null")
ORDERS = (("plain", "screen", "screen", "plain"), ("screen", "plain", "plain", "screen"))


@dataclass(frozen=True)
class Drawn:
    """One picture."""

    mode: str
    seconds: float
    """The worker's own time."""
    shown: float | None
    """Percent of one core that the program beside the worker used while the worker ran; None where that is unknown."""


def draw(mode: str, options: argparse.Namespace, folder: Path, number: int) -> Drawn:
    """One picture, made with the screen or with lines."""
    picture = folder / f"{mode}-{number}.png"
    command = [str(Path(sys.executable).with_name("sdoctor")), "generate", "a red circle", "--seed", "1"]
    command += ["--model", options.model, "--steps", str(options.steps), "--output", str(picture)]
    command += ["--size", str(options.size)] if options.size else []
    command += ["--settings", options.settings] if options.settings else []
    command += ["--plain"] if mode == "plain" else ["--no-preview"] if options.no_preview else []
    line = (
        f"exec env TERM=xterm-256color SDOCTOR_HOME={shlex.quote(str(folder / 'home'))} {shlex.join(command)}"
    )
    size = ("-x", "200", "-y", "50")
    tell = ("-P", "-F", "#{pane_pid}")
    started = subprocess.run(
        [*TMUX, "new-session", "-d", *size, *tell, line],
        check=True,
        cwd=folder,
        capture_output=True,
        text=True,
    )
    marks = []
    try:
        deadline = time.monotonic() + PATIENCE
        # Looked at seldom: this program runs beside the one that is measured.
        while not picture.exists() and time.monotonic() < deadline:
            time.sleep(1.0)
            marks.append((time.monotonic(), processor_seconds(int(started.stdout))))
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
        seconds = float(json.loads(image.text["sdoctor"])["seconds"])
    picture.unlink()
    return Drawn(mode, seconds, share(marks, seconds))


def share(marks: Sequence[tuple[float, float | None]], seconds: float) -> float | None:
    """Percent of one core within the last ``seconds``, while the worker ran."""
    known = [(at, used) for at, used in marks if used is not None]
    within = [(at, used) for at, used in known if known[-1][0] - at <= seconds]
    if len(within) < 2:
        return None
    (first, before), (last, after) = within[0], within[-1]
    return 100 * (after - before) / (last - first)


def processor_seconds(pid: int) -> float | None:
    """What one process used, without its children; None if it is gone or this is not Linux."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat[stat.rfind(")") + 2 :].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _session_runs() -> bool:
    return subprocess.run([*TMUX, "has-session"], check=False, capture_output=True).returncode == 0


def by_processor_time(drawn: Sequence[Drawn]) -> tuple[float, float] | None:
    """What the screen's program leaves to the worker, and that over what plain's leaves; None where times are unknown.

    A second of another program's processor time delays the drawing by a second at most, however its threads wait for one
    another. The first figure is the least; the second counts the same for both programs.
    """
    medians = []
    for mode in ("plain", "screen"):
        shown = [each.shown for each in drawn if each.mode == mode and each.shown is not None]
        if not shown:
            return None
        medians.append(statistics.median(shown))
    plain, screen = (1 - median / 100 for median in medians)
    return screen, screen / plain


def pairs_of(drawn: Sequence[Drawn]) -> list[float]:
    """Images per minute with the screen as a share of those without, for each two neighbours of a whole block."""
    ratios = []
    for first, second in zip(drawn[0::2], drawn[1::2], strict=False):
        taken = {first.mode: first.seconds, second.mode: second.seconds}
        ratios.append(taken["plain"] / taken["screen"])
    return ratios


def parsed() -> argparse.Namespace:
    """As typed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="builtin:tiny")
    parser.add_argument("--size", type=int)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--settings", default="")
    parser.add_argument("--blocks", type=int, default=4, help="of four pictures each")
    parser.add_argument("--record", type=Path, help="a file that keeps every picture's time")
    parser.add_argument(
        "--no-preview", action="store_true", help="the screen without the picture as it forms"
    )
    return parser.parse_args()


def main() -> int:
    """Draw by turns, print each picture, the pairs and the median."""
    options = parsed()
    record: Path | None = options.record
    kept = record.read_text().splitlines() if record is not None and record.exists() else []
    drawn = [Drawn(**json.loads(line)) for line in kept]
    drawn = drawn[: len(drawn) // 4 * 4]  # a block that was cut off begins anew
    if record is not None:
        record.write_text("".join(json.dumps(asdict(each)) + "\n" for each in drawn))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if len(drawn) < 4 * options.blocks:
            print(f"warm-up, not counted: {draw('screen', options, folder, 0)}", flush=True)
        while len(drawn) < 4 * options.blocks:
            for mode in ORDERS[len(drawn) // 4 % 2]:
                drawn.append(draw(mode, options, folder, len(drawn) + 1))
                print(drawn[-1], flush=True)
                if record is not None:
                    with record.open("a") as file:
                        file.write(json.dumps(asdict(drawn[-1])) + "\n")
    return report(drawn)


def report(drawn: Sequence[Drawn]) -> int:
    """Print what came of it; 0 if the goal is met."""
    for mode in ("plain", "screen"):
        times = [each.seconds for each in drawn if each.mode == mode]
        shown = [each.shown for each in drawn if each.mode == mode and each.shown is not None]
        beside = f"{statistics.median(shown):.1f} % of a core" if shown else "unknown"
        print(
            f"{mode:<7}{len(times)} pictures, median {statistics.median(times):.3f} s "
            f"({min(times):.3f} to {max(times):.3f}); the program beside the worker: {beside}"
        )
    told = by_processor_time(drawn)
    if told is not None:
        least, share_of_plain = told
        print(
            f"by processor time the screen leaves at least {least:.1%} of the whole speed, "
            f"and {share_of_plain:.1%} of what --plain leaves"
        )
    ratios = pairs_of(drawn)
    print("pairs: " + " ".join(f"{ratio:.1%}" for ratio in ratios))
    median, bounds = statistics.median(ratios), interval(ratios)
    sure = "too few for an interval" if bounds is None else f"95 %: {bounds[0]:.1%} to {bounds[1]:.1%}"
    print(
        f"images per minute with the screen, of those without: median of {len(ratios)} pairs {median:.1%} ({sure})"
    )
    # Processor times tell it whatever the machine did meanwhile; where they are unknown the pairs decide.
    return 0 if (median if told is None else told[1]) >= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
