"""What the screen costs each step: the same picture, with the program that shows it running and stopped by turns.

    python -P tests/benchmarks/screen_cost_by_steps.py --model builtin:sd15 --size 128 --steps 300 --rounds 2

Two pictures that are drawn one after the other differ by more than a screen costs where the machine's own speed varies
(on a virtual one by 15 %). So here the pairs lie within one picture: every few seconds the program beside the worker gets
SIGSTOP or SIGCONT, and the worker's own step times, which wait for nobody, fall into one kind or the other. Steps that lie
across a change are left out. The same is done for ``--plain``, whose lines cost something too; the screen's images per
minute are then

    (stopped / running) with the screen  over  (stopped / running) of plain

Each is the median over neighbouring spans, with the confidence interval of the median (95 %, by order statistics). Runs the
real command in a real terminal (tmux, 200x50). Linux and macOS. Exits with 1 if the share is below 98 %.
"""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.pairs import interval
from benchmarks.screen_cost import GOAL, PATIENCE, TMUX

SPAN_SECONDS = 6.0
"""Between two changes, of which whole steps are kept. The screen draws every three seconds at most: two whole turns."""


@dataclass(frozen=True)
class Step:
    """One step of the worker; times of the monotonic clock."""

    begin: float
    end: float


def launch(record: Path, words: list[str]) -> None:
    """The command itself, with a line in ``record`` for every step that it hears of."""
    from tui.cli import main as command
    from tuner.events import Stepped
    from tuner.following_worker import WorkerFold

    add, file = WorkerFold.add, record.open("a", buffering=1)

    def listen(self: WorkerFold, event: object) -> None:
        if isinstance(event, Stepped):
            file.write(f"{time.monotonic()} {event.seconds}\n")
        add(self, event)

    WorkerFold.add = listen
    sys.argv = ["sdoctor", *words]
    command()


def steps_of(record: Path, stopped: list[tuple[float, float]]) -> list[Step]:
    """When each step was, on the worker's own clock.

    Steps follow one another, so that their lengths give all times but for one offset: that of the step that was heard of
    soonest, while nothing was stopped.
    """
    lines = [[float(word) for word in line.split()] for line in record.read_text().splitlines()]
    ends, end = [], 0.0
    for _, seconds in lines:
        end += seconds
        ends.append(end)
    heard = [at for at, _ in lines]
    prompt = [
        at - end
        for at, end in zip(heard, ends, strict=True)
        if not any(begin <= at < over + 1.0 for begin, over in stopped)
    ]
    offset = min(prompt)
    return [Step(offset + end - seconds, offset + end) for (_, seconds), end in zip(lines, ends, strict=True)]


def ratios(mode: str, options: argparse.Namespace, folder: Path) -> list[float]:
    """Mean seconds of a step while stopped over those while running, of each pair of neighbouring spans."""
    record, picture = folder / "steps", folder / f"{mode}.png"
    record.write_text("")
    words = ["generate", "a red circle", "--seed", "1", "--model", options.model, "--size", str(options.size)]
    words += ["--steps", str(options.steps), "--output", str(picture)]
    words += ["--settings", options.settings] if options.settings else []
    words += ["--plain"] if mode == "plain" else []
    line = shlex.join([sys.executable, "-P", str(Path(__file__)), "--launch", str(record), "--", *words])
    started = subprocess.run(
        [*TMUX, "new-session", "-d", "-x", "200", "-y", "50", "-P", "-F", "#{pane_pid}",
         f"exec env TERM=xterm-256color SDOCTOR_HOME={shlex.quote(str(folder / 'home'))} {line}"],
        check=True, cwd=folder, capture_output=True, text=True,
    )  # fmt: skip
    pid, stopped, deadline = int(started.stdout), [], time.monotonic() + PATIENCE
    running: list[tuple[float, float]] = []
    try:
        while len(record.read_text().splitlines()) < 2 and time.monotonic() < deadline:
            time.sleep(0.5)
        while not picture.exists() and time.monotonic() < deadline:
            for sign, spans in ((signal.SIGSTOP, stopped), (signal.SIGCONT, running)):
                os.kill(pid, sign)
                begin = time.monotonic()
                time.sleep(SPAN_SECONDS)
                spans.append((begin, time.monotonic()))
    except ProcessLookupError:
        pass  # plain ends with its picture
    finally:
        while subprocess.run([*TMUX, "kill-server"], check=False, capture_output=True).returncode == 0:
            time.sleep(0.5)
        time.sleep(2.0)  # the worker ends with its owner
    if not picture.exists():
        raise SystemExit(f"No picture came of: {line}")
    picture.unlink()
    steps = steps_of(record, stopped)
    pairs = []
    for first, second in zip(stopped, running, strict=False):
        still, awake = (
            [step.end - step.begin for step in steps if begin <= step.begin and step.end <= end]
            for begin, end in (first, second)
        )
        if still and awake:
            pairs.append(statistics.mean(still) / statistics.mean(awake))
    print(f"{mode}: " + " ".join(f"{ratio:.1%}" for ratio in pairs), flush=True)
    return pairs


def main() -> int:
    """Draw by turns and tell the shares."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="builtin:sd15")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--steps", type=int, default=300, help="of one picture")
    parser.add_argument("--settings", default="")
    parser.add_argument("--rounds", type=int, default=2, help="of two pictures each, one with the screen")
    options = parser.parse_args()
    found: dict[str, list[float]] = {"plain": [], "screen": []}
    with tempfile.TemporaryDirectory() as name:
        for number in range(options.rounds):
            for mode in ("screen", "plain") if number % 2 == 0 else ("plain", "screen"):
                found[mode] += ratios(mode, options, Path(name))
    share: dict[str, float] = {}
    for mode, pairs in found.items():
        share[mode] = statistics.median(pairs)
        bounds = interval(pairs)
        sure = "too few for an interval" if bounds is None else f"95 %: {bounds[0]:.1%} to {bounds[1]:.1%}"
        print(f"{mode:<7}{len(pairs)} pairs of spans: {share[mode]:.1%} of the speed without it ({sure})")
    whole = share["screen"] / share["plain"]
    print(f"images per minute with the screen, of those with --plain: {whole:.1%}")
    return 0 if whole >= GOAL else 1


if __name__ == "__main__":
    if sys.argv[1:2] == ["--launch"]:
        launch(Path(sys.argv[2]), sys.argv[4:])
    else:
        sys.exit(main())
