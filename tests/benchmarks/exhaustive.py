"""What `sdoctor tune` found against an exhaustive search over the same knobs.

    cd tests && python -m benchmarks.exhaustive builtin:tiny --size 128 --steps 4
    cd tests && python -m benchmarks.exhaustive builtin:sd15 --size 256 --steps 1 --record sd15.jsonl --minutes 12

Three parts, one after the other: tune's own search for speed, every combination of the values that tune would try (those
that tune measured are measured), and a duel of the two winners: two workers that stay alive draw in turns, so that what the
machine does meanwhile meets both alike. With ``--record`` every trial of the searches is on disk as it ends, and the same
command goes on from there; ``--minutes`` breaks off in time (exit code 3). Prints a Markdown table; exits with 1 if tune's
winner is more than 3 % slower than the exhaustive one, with 2 if other programs disturbed the duel.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from benchmarks.generation_speed import Tuned
from benchmarks.pairs import interval

from doctor.gather import gather
from tuner.fingerprint import fingerprint_of
from tuner.gate import Gate
from tuner.knobs import KNOBS, default_settings, is_lossless, refusals
from tuner.lab import Bench, Lab
from tuner.probe import Probe, Purpose, Trial
from tuner.settings import Settings
from tuner.strategy.comparing import DISTURBED, NOISE
from tuner.strategy.fastest import probe_at
from tuner.strategy.goal import Goal
from tuner.study import Result, Study
from tuner.target import Target, choose_target

_ROUNDS = 11


class _Ran(msgspec.Struct, frozen=True):
    """One line of the record."""

    part: str
    trial: Trial


class _BrokenOff(Exception):
    """The time is over."""


@dataclass
class Record:
    """The trials so far, part by part; on disk, if there is a file."""

    path: Path | None
    until: float | None
    ran: list[_Ran] = field(default_factory=list)

    def begin(self, about: str) -> None:
        """Read what there is. ``about`` stands for machine and question: a record of another one is refused."""
        if self.path is None:
            return
        if not self.path.exists():
            self.path.write_text(about + "\n", "utf-8")
            return
        first, *lines = self.path.read_text("utf-8").splitlines()
        if first != about:
            raise SystemExit(f"{self.path} is the record of another machine or question; name another file.")
        self.ran = [msgspec.json.decode(line, type=_Ran) for line in lines]

    def of(self, part: str) -> list[Trial]:
        """The trials of a part, in the order in which they ended."""
        return [one.trial for one in self.ran if one.part == part]

    def run(self, part: str, run: Callable[[], Trial]) -> Trial:
        """Run one trial and keep it. Raises _BrokenOff if the time is over."""
        if self.until is not None and time.monotonic() > self.until:
            raise _BrokenOff
        trial = run()
        line = _Ran(part, trial)
        self.ran.append(line)
        if self.path is not None:
            with self.path.open("ab") as file:
                file.write(msgspec.json.encode(line) + b"\n")
        print(f"{part} {len(self.of(part))}: {_line(trial)}", file=sys.stderr, flush=True)
        return trial


def _line(trial: Trial) -> str:
    took = "" if trial.seconds_per_image is None else f", {trial.seconds_per_image:.3f} s"
    return f"{trial.settings.text()}: {trial.outcome.value}{took}"


def combinations(target: Target, batch: int, *, lossy: bool) -> Iterator[Settings]:
    """Every combination of the values that the tuner itself would try, the default ones included."""
    base = default_settings(target)
    choices = []
    for knob in KNOBS:
        tried = [value for value in knob.candidates(target, batch) if value not in knob.slow]
        if knob.only_lossy and not lossy:
            tried = []
        values = {getattr(Settings(), knob.name), getattr(base, knob.name), *tried}
        choices.append([(knob.name, value) for value in sorted(values, key=str)])
    for chosen in itertools.product(*choices):
        settings = Settings().but(**dict(chosen))
        if not refusals(settings, target) and (lossy or is_lossless(settings, Settings())):
            yield settings


@dataclass
class _Remembering:
    """A runner that keeps what ran under a part's name."""

    lab: Lab
    record: Record
    part: str

    def run(self, probe: Probe) -> Trial:
        return self.record.run(self.part, lambda: self.lab.run(probe))


def tuned(lab: Lab, goal: Goal, record: Record) -> Result:
    """tune's own search; a study goes on from its trials alone."""
    trials = record.of("tune")
    return Study(goal=goal, runner=_Remembering(lab, record, "tune"), trials=trials).run()


def exhaustive(lab: Lab, goal: Goal, record: Record) -> list[Trial]:
    """Every combination, measured."""
    # The first run of each: a second one is a privilege of what tune thought well of.
    by_tune = [trial for trial in record.of("tune") if trial.purpose in (Purpose.BASELINE, Purpose.FASTEST)]
    done = {trial.settings: trial for trial in (*by_tune, *record.of("every"))}
    # The reference for the pictures first, as tune does it.
    wanted = sorted(
        combinations(goal.target, goal.batch, lossy=goal.lossy), key=lambda one: one != Settings()
    )
    for settings in wanted:
        if settings not in done:
            purpose = Purpose.BASELINE if settings == Settings() else Purpose.FASTEST
            probe = probe_at(goal, settings, purpose)
            done[settings] = record.run("every", lambda probe=probe: lab.run(probe))  # type: ignore[misc]
    return [done[settings] for settings in wanted]


def duel(
    model: str, goal: Goal, both: tuple[Settings, Settings], rounds: int
) -> tuple[list[float], list[float], list[float]]:
    """Seconds per picture of the two, drawn in turns by two workers that stay alive; the same twice if they are one.

    Third, what of their wish for the processor others took, picture by picture.

    Fresh processes would differ by what the machine did in the half minute between them.
    """
    fighters = {settings: Tuned(model, settings, goal.width, goal.steps) for settings in both}
    taken: dict[Settings, list[float]] = {settings: [] for settings in fighters}
    waits: list[float] = []
    try:
        for number in range(rounds):
            # The order turns too: who comes second may find a warmer machine.
            for settings in dict.fromkeys(both if number % 2 == 0 else both[::-1]):
                taken[settings].append(fighters[settings].run().total)
                wait = fighters[settings].cpu_wait
                waits += [] if wait is None else [wait]
                print(f"duel {number + 1}: {settings.text()}, {taken[settings][-1]:.3f} s", file=sys.stderr)
    finally:
        for fighter in fighters.values():
            fighter.close()
    return taken[both[0]], taken[both[1]], waits


def _row(search: str, trials: list[Trial], winner: Settings, measured: list[float]) -> str:
    minutes = sum(trial.seconds or 0.0 for trial in trials) / 60
    middle = f"{statistics.median(measured):.3f} ({min(measured):.3f} to {max(measured):.3f})"
    return f"| {search} | {len(trials)} | {minutes:.1f} | {winner.text()} | {middle} |"


def main() -> int:
    """Search both ways, compare, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model")
    parser.add_argument("--size", type=int, required=True)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=_ROUNDS, help="of the duel")
    parser.add_argument("--record", type=Path, help="where to keep the trials, to go on from")
    parser.add_argument("--minutes", type=float, help="break off after so long; needs --record")
    options = parser.parse_args()
    if options.minutes is not None and options.record is None:
        parser.error("--minutes needs --record, or what was measured would be lost.")
    facts = gather()
    target = choose_target(facts, "cpu")
    goal = Goal(
        target=target,
        budget=target.memory_free,
        width=options.size,
        height=options.size,
        steps=options.steps,
        batch=1,
        baseline=Settings(),
        first_guess=default_settings(target),
        # Only the search for speed is compared.
        max_size=options.size,
        step=options.size,
    )
    until = None if options.minutes is None else time.monotonic() + options.minutes * 60
    record = Record(options.record, until)
    question = f"{options.model} {options.size} {options.steps}"
    record.begin(f"{question} on {fingerprint_of(facts, target).key()}")
    bench = Bench(model=options.model, device=target.device, budget=target.memory_free)
    with tempfile.TemporaryDirectory(prefix="sdoctor-exhaustive-") as scratch:
        pictures = Path(scratch) if options.record is None else options.record.with_suffix(".pictures")
        try:
            with Lab(bench, gate=Gate(pictures)) as lab:
                result = tuned(lab, goal, record)
                everything = exhaustive(lab, goal, record)
                finished = [trial for trial in everything if trial.seconds_per_image is not None]
                if result.best is None or not finished:
                    raise SystemExit("Nothing ran.")
                best = min(finished, key=lambda trial: trial.seconds_per_image or 0.0).settings
                both = (result.best.settings, best)
            mine, exact, waits = duel(options.model, goal, both, options.rounds)
        except _BrokenOff:
            count = len(record.ran)
            print(f"Broken off with {count} trials; the same command goes on from {options.record}.")
            return 3
    speed = [trial for trial in result.trials if trial.purpose is not Purpose.LARGEST]
    print(f"{options.model} at {options.size}x{options.size}, {options.steps} steps, on {target.name}:\n")
    print(
        "| search | runs | minutes | winner | s per picture, in turns: median (least to most) |\n|---|---|---|---|---|"
    )
    print(_row("tune", speed, both[0], mine))
    print(_row("exhaustive", everything, both[1], exact))
    ratios = [one / other for one, other in zip(mine, exact, strict=True)]
    ratio, bounds = statistics.median(ratios), interval(ratios)
    sure = "too few for an interval" if bounds is None else f"95 %: {bounds[0]:.3f} to {bounds[1]:.3f}"
    print(
        f"\ntune's winner takes {ratio:.3f} times the exhaustive winner's time, median of {len(ratios)} pairs ({sure})."
    )
    if waits and statistics.median(waits) > DISTURBED:
        share = f"{statistics.median(waits):.0%}"
        print(f"No verdict: in the duel other programs had the processor for {share} of the time (median).")
        return 2
    return 0 if ratio <= 1 + NOISE else 1


if __name__ == "__main__":
    sys.exit(main())
