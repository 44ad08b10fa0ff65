"""Prints how often the verdict is right: ``python tests/benchmarks/verdicts.py [--repeat N] [--model builtin:sd15]``.

Every trial is really brought about where this machine can have it, with a model that really runs in a worker. The cards
are recorded with the real sampler on a fake driver; what this machine cannot have is written down by hand. A trial in
which programs that are no part of it took too much of the cores is void, since its truth is not known: it is repeated.
With ``--record FILE`` every run is written there as it ends, and a later call with the same file runs only what is missing.

    python tests/benchmarks/verdicts.py --model builtin:sd15 --size 256 --precision fp32 --seconds 12 --decode 1,512 \\
        --kind run --repeat 1 --alone --evidence
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

import gpu_traces  # noqa: E402
import induced  # noqa: E402
import squeezed  # noqa: E402
from written_traces import WRITTEN  # noqa: E402

from doctor.verdicts import judge  # noqa: E402
from tuner.models import resolve, weights_bytes  # noqa: E402
from tuner.settings import Settings  # noqa: E402

ATTEMPTS = 3
HEALTHY = {"processor-bound"}
LARGE = 1 << 30
"""Bytes of weights from which a lack of memory can be brought about: a small model is less than the program around it."""

MEMORY_SHARE = 0.7
"""Of the weights, what a worker that shall swap may hold."""


@dataclass(frozen=True)
class Trial:
    """What is brought about, what ought to be said, and how it came about."""

    name: str
    expected: set[str]
    kind: str
    run: Callable[[], induced.Seen]
    exposed: bool = False
    """Whether strangers change what is true even if they get only what the trial leaves over."""


@dataclass(frozen=True)
class Run:
    """One trial that was carried out."""

    trial: str
    said: str | None
    """None if strangers disturbed every attempt."""
    evidence: dict[str, float | int | str]
    void: int
    """Attempts that were disturbed."""


def induced_trials(asked: argparse.Namespace) -> list[Trial]:
    """What a machine without a card can have."""
    cores = os.cpu_count() or 1
    common = {
        "model": asked.model,
        "size": asked.size,
        "seconds": asked.seconds,
        "settings": Settings(precision=asked.precision),
    }

    def quota() -> induced.Seen:
        with induced.cpu_quota(0.6) as move:
            return induced.generate(**common, on_ready=move)

    def threads(count: int) -> induced.Seen:
        settings = Settings(precision=asked.precision, threads=count)
        return induced.generate(**(common | {"settings": settings}))

    def neighbours(count: int, nice: int = 0) -> induced.Seen:
        return induced.generate(
            **common,
            on_ready=lambda pid: os.setpriority(os.PRIO_PROCESS, pid, nice),
            at_denoise=lambda: induced.busy_neighbours(count),
        )

    trials = [
        Trial("healthy", HEALTHY, "run", lambda: induced.generate(**common), exposed=True),
        Trial(
            "busy neighbour per core", {"starved-by-others"}, "run", lambda: neighbours(cores), exposed=True
        ),
        Trial("one busy neighbour", {"starved-by-others"}, "run", lambda: neighbours(1), exposed=True),
        Trial("niceness 19 beside them", {"starved-by-priority"}, "run", lambda: neighbours(cores, 19)),
        Trial("four threads per core", {"too-many-threads"}, "run", lambda: threads(4 * cores)),
        Trial("one thread", {"one-thread"}, "run", lambda: threads(1)),
        Trial(
            "a worker at rest",
            {"idle"},
            "run",
            lambda: induced.rest(model=asked.model, precision=asked.precision),
        ),
    ]
    if asked.decode is not None:
        steps, size = asked.decode
        of_picture = common | {"seconds": 0.0, "steps": steps, "size": size}
        trials.append(
            Trial("decoding after few steps", {"vae-bound"}, "run", lambda: induced.generate(**of_picture))
        )
    if induced.can_group(induced.CPU_GROUPS, "cpu.cfs_quota_us"):
        trials.append(Trial("quota of 0.6 cores", {"starved-by-quota"}, "run", quota))
    throttles = induced.can_group(induced.BLOCK_GROUPS, "blkio.throttle.read_bps_device")
    if throttles:
        trials.append(Trial("reading at 20 MiB/s", {"disk-bound"}, "run", induced.read_slowly))
    weights = weights_bytes(resolve(asked.model), asked.precision) or 0
    if weights >= LARGE and throttles:
        trials.append(
            Trial(
                "loading the model at 20 MiB/s",
                {"disk-bound"},
                "run",
                lambda: squeezed.loaded_slowly(asked.model, asked.precision),
            )
        )
    if weights >= LARGE and squeezed.can_swap():
        limit = int(MEMORY_SHARE * weights)
        trials += [
            Trial(
                "less memory than weights, swap",
                {"memory-swap"},
                "run",
                lambda: squeezed.swapped(limit, **common),
            ),
            Trial("memory full, no swap", {"memory-pressure"}, "run", lambda: squeezed.reclaimed(**common)),
        ]
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


def carried_out(trial: Trial, pushed_aside: bool, disturbed: float) -> Run:
    """The first run without strangers, none if there was none."""
    for void in range(ATTEMPTS):
        seen = trial.run()
        harmless = pushed_aside and not trial.exposed
        if harmless or seen.strangers is None or seen.strangers < disturbed:
            first = next(iter(judge(seen.samples)), None)
            return Run(
                trial.name,
                "nothing" if first is None else first.id,
                {} if first is None else first.evidence,
                void,
            )
        time.sleep(2)
    return Run(trial.name, None, {}, ATTEMPTS)


def earlier(path: Path | None) -> list[Run]:
    """What a call before this one wrote down."""
    if path is None or not path.exists():
        return []
    return [Run(**json.loads(line)) for line in path.read_text().splitlines()]


def steps_and_size(text: str) -> tuple[int, int]:
    """ "1,512": one step, 512 x 512."""
    steps, size = text.split(",")
    return int(steps), int(size)


def options() -> argparse.Namespace:
    """As typed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeat", type=int, default=3, help="runs of each induced trial")
    parser.add_argument("--model", default="builtin:tiny")
    parser.add_argument("--size", type=int)
    parser.add_argument("--precision", default="bf16")
    parser.add_argument("--seconds", type=float, default=5.0, help="of steps in each run")
    parser.add_argument("--decode", type=steps_and_size, help="STEPS,SIZE at which decoding takes long")
    parser.add_argument("--alone", action="store_true", help="push other programs aside (root, cgroups v1)")
    parser.add_argument(
        "--disturbed", type=float, default=20.0, help="%% of a core by strangers that voids a run"
    )
    parser.add_argument("--only", default="", help="trials whose name holds this")
    parser.add_argument("--kind", default="", help="trials that came about so: run, fake driver, written")
    parser.add_argument("--evidence", action="store_true", help="print the figures of the verdicts too")
    parser.add_argument("--record", type=Path, help="a file that keeps what was run")
    return parser.parse_args()


def main() -> None:
    asked = options()
    right = total = alarms = healthy = voids = 0
    before = earlier(asked.record)
    with tempfile.TemporaryDirectory() as folder, alone(asked.alone):
        trials = induced_trials(asked) + recorded_trials(Path(folder))
        print(f"{'brought about':<32}{'how':<13}{'expected':<22}said (times)")
        for trial in trials:
            if asked.only not in trial.name or asked.kind not in trial.kind:
                continue
            runs = [run for run in before if run.trial == trial.name]
            for _ in range((asked.repeat if trial.kind == "run" else 1) - len(runs)):
                run = carried_out(trial, asked.alone, asked.disturbed)
                runs.append(run)
                if asked.record is not None:
                    with asked.record.open("a") as file:
                        file.write(json.dumps(asdict(run)) + "\n")
            said = Counter(run.said for run in runs if run.said is not None)
            hits = sum(count for name, count in said.items() if name in trial.expected)
            right, total = right + hits, total + said.total()
            voids += sum(run.void for run in runs)
            if trial.expected == HEALTHY:
                healthy, alarms = healthy + said.total(), alarms + said.total() - hits
            words = ", ".join(f"{name} ({count})" for name, count in said.most_common()) or "always disturbed"
            mark = "" if hits == said.total() else "  <-- wrong"
            print(f"{trial.name:<32}{trial.kind:<13}{'/'.join(trial.expected):<22}{words}{mark}", flush=True)
            for run in runs if asked.evidence else ():
                print(
                    "    " + ", ".join(f"{name} {value}" for name, value in run.evidence.items()), flush=True
                )
    print(f"\nright: {right} of {total}; false alarms in healthy runs: {alarms} of {healthy}")
    print(f"void because other programs disturbed them, and repeated: {voids}")
    sys.exit(0 if total and right >= 0.9 * total and not alarms else 1)


if __name__ == "__main__":
    main()
