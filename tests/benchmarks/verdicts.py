"""Prints how often the verdict is right: ``python tests/benchmarks/verdicts.py [--repeat N] [--model builtin:sd15]``.

Every trial is really brought about where this machine can have it, with a model that really runs in a worker. The cards
are recorded with the real sampler on a fake driver; memory pressure is written down by hand. A trial in which programs
that are no part of it took a fifth of a core or more is void, since its truth is not known: it is repeated.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

import gpu_traces  # noqa: E402
import induced  # noqa: E402
from written_traces import WRITTEN  # noqa: E402

from doctor.verdicts import judge  # noqa: E402
from tuner.settings import Settings  # noqa: E402

DISTURBED = 20.0
ATTEMPTS = 3
HEALTHY = {"processor-bound"}


@dataclass(frozen=True)
class Trial:
    """What is brought about, what ought to be said, and how it came about."""

    name: str
    expected: set[str]
    kind: str
    run: Callable[[], induced.Seen]
    exposed: bool = False
    """Whether strangers change what is true even if they get only what the trial leaves over."""


def induced_trials(model: str, size: int | None) -> list[Trial]:
    """What a machine without a card can have."""
    cores = os.cpu_count() or 1
    common = {"model": model, "size": size}

    def quota() -> induced.Seen:
        with induced.cpu_quota(0.6) as move:
            return induced.generate(**common, on_ready=move)

    def many_threads() -> induced.Seen:
        return induced.generate(**common, settings=Settings(precision="bf16", threads=4 * cores))

    def one_thread() -> induced.Seen:
        return induced.generate(**common, settings=Settings(precision="bf16", threads=1))

    def neighbours() -> induced.Seen:
        return induced.generate(**common, at_denoise=lambda: induced.busy_neighbours(cores))

    def one_neighbour() -> induced.Seen:
        return induced.generate(**common, at_denoise=lambda: induced.busy_neighbours(1))

    def low_priority() -> induced.Seen:
        return induced.generate(
            **common,
            on_ready=lambda pid: os.setpriority(os.PRIO_PROCESS, pid, 19),
            at_denoise=lambda: induced.busy_neighbours(cores),
        )

    trials = [
        Trial("healthy", HEALTHY, "run", lambda: induced.generate(**common), exposed=True),
        Trial("busy neighbour per core", {"starved-by-others"}, "run", neighbours, exposed=True),
        Trial("one busy neighbour", {"starved-by-others"}, "run", one_neighbour, exposed=True),
        Trial("niceness 19 beside them", {"starved-by-priority"}, "run", low_priority),
        Trial("four threads per core", {"too-many-threads"}, "run", many_threads),
        Trial("one thread", {"one-thread"}, "run", one_thread),
        Trial("a worker at rest", {"idle"}, "run", induced.rest),
    ]
    if induced.can_group(induced.CPU_GROUPS, "cpu.cfs_quota_us"):
        trials.append(Trial("quota of 0.6 cores", {"starved-by-quota"}, "run", quota))
    if induced.can_group(induced.BLOCK_GROUPS, "blkio.throttle.read_bps_device"):
        trials.append(Trial("loading at 20 MiB/s", {"disk-bound"}, "run", induced.read_slowly))
    return trials


def recorded_trials(folder: Path) -> list[Trial]:
    """Cards on a fake driver, and traces written by hand."""

    def of_card(name: str) -> Callable[[], induced.Seen]:
        return lambda: induced.Seen(gpu_traces.record(folder / str(time.monotonic_ns()), name), 0.0)

    cards = [
        Trial(name, {expected}, "fake driver", of_card(name))
        for name, (expected, _, _) in gpu_traces.SCENARIOS.items()
    ]
    written = [
        Trial(name, {expected}, "written", lambda samples=samples: induced.Seen(samples, 0.0))
        for name, (expected, samples) in WRITTEN.items()
    ]
    return cards + written


@contextlib.contextmanager
def alone(wanted: bool) -> Iterator[None]:
    """This program and all that it starts get 256 times the usual share of the cores, as if nobody else were there."""
    if not wanted:
        yield
        return
    with induced.group(induced.CPU_GROUPS, cpu__shares="262144") as folder:
        outside, induced.CPU_GROUPS = induced.CPU_GROUPS, folder
        (folder / "cgroup.procs").write_text(str(os.getpid()))
        try:
            yield
        finally:
            (outside / "cgroup.procs").write_text(str(os.getpid()))
            induced.CPU_GROUPS = outside


def undisturbed(trial: Trial, pushed_aside: bool) -> tuple[induced.Seen | None, int]:
    """The first run without strangers, None if there was none; and how many were void."""
    for void in range(ATTEMPTS):
        seen = trial.run()
        harmless = pushed_aside and not trial.exposed
        if harmless or seen.strangers is None or seen.strangers < DISTURBED:
            return seen, void
        time.sleep(2)
    return None, ATTEMPTS


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeat", type=int, default=3, help="runs of each induced trial")
    parser.add_argument("--model", default="builtin:tiny")
    parser.add_argument("--size", type=int)
    parser.add_argument(
        "--alone", action="store_true", help="push other programs aside (root, control groups v1)"
    )
    parser.add_argument("--only", default="", help="trials whose name holds this")
    asked = parser.parse_args()
    right = total = alarms = healthy = voids = 0
    with tempfile.TemporaryDirectory() as folder, alone(asked.alone):
        trials = induced_trials(asked.model, asked.size) + recorded_trials(Path(folder))
        print(f"{'brought about':<32}{'how':<13}{'expected':<22}said (times)")
        for trial in (trial for trial in trials if asked.only in trial.name):
            said: Counter[str] = Counter()
            for _ in range(asked.repeat if trial.kind == "run" else 1):
                seen, void = undisturbed(trial, asked.alone)
                voids += void
                if seen is not None:
                    said[next((verdict.id for verdict in judge(seen.samples)), "nothing")] += 1
            hits = sum(count for name, count in said.items() if name in trial.expected)
            right, total = right + hits, total + said.total()
            if trial.expected == HEALTHY:
                healthy, alarms = healthy + said.total(), alarms + said.total() - hits
            words = ", ".join(f"{name} ({count})" for name, count in said.most_common()) or "always disturbed"
            mark = "" if hits == said.total() else "  <-- wrong"
            print(f"{trial.name:<32}{trial.kind:<13}{'/'.join(trial.expected):<22}{words}{mark}", flush=True)
    print(f"\nright: {right} of {total}; false alarms in healthy runs: {alarms} of {healthy}")
    print(f"void because other programs disturbed them, and repeated: {voids}")
    sys.exit(0 if total and right >= 0.9 * total and not alarms else 1)


if __name__ == "__main__":
    main()
