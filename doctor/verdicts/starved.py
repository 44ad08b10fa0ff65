"""Does the work get too little of the processor: by a quota, by its priority, or by other programs?"""

from __future__ import annotations

import math

from doctor.finding import Remedy, Severity
from doctor.telemetry.sample import Neighbour
from doctor.verdicts.verdict import Rule, Verdict, confidence, figures
from doctor.verdicts.window import Window

THROTTLED = 10.0
"""Percent of a quota's periods that ended with the group stopped (ollama/ollama#17916 reports a 45-fold slowdown)."""

THROTTLED_SURE = 50.0
WAITED = 10.0
"""Of the time in which its threads could have run, the percentage that they waited for a core. Chosen here: an
undisturbed run on two cores waited 2 %, one that shares a core with a busy loop waits for half of its time there."""

WAITED_SURE = 35.0
DEMAND = 25.0
"""CPU time and waiting of all its threads together, percent of one core, under which a process hardly wants a core: one
that sleeps for a disk waits a little whenever it wakes up."""

OTHERS = 25.0
"""CPU time of all other programs, percent of one core, without which nobody is there who could starve anyone."""

STOLEN = 10.0
"""Percent of all cores' time that a virtual machine's host kept for others."""

PER_CORE = 1.5
"""Busy threads per core from which they stand in each other's way. Chosen here: computing threads in lock step, one
per core, and a few that mostly wait stay below (one too many is enough to stall them all: ollama/ollama#17916)."""

HALF = 50.0
"""Percent of the process's cores that others must use to be the reason, where it has too many threads itself."""

GPU_FED = 85.0
"""Utilisation of a card from which nothing on the processor holds it up."""

_FIRST_NAMES = 3


def _judge(window: Window) -> Verdict | None:
    work = window.computing
    busy = work.of_gpu(lambda card: card.utilization) if window.uses_gpu else None
    if not work.samples or (busy is not None and busy >= GPU_FED):
        return None
    return _quota(work) or _cores(work) or _stolen(work)


def _quota(work: Window) -> Verdict | None:
    throttled = work.of_process(lambda process: process.throttled_percent)
    cores = work.of_process(lambda process: process.quota_cores)
    if throttled is None or cores is None or throttled < THROTTLED:
        return None
    fitting = max(1, math.floor(cores))
    return Verdict(
        id="starved-by-quota",
        severity=Severity.WARNING,
        title=f"The control group's limit of {cores:g} cores stopped the work in {throttled:.0f} % of its periods.",
        confidence=confidence(throttled, THROTTLED, THROTTLED_SURE),
        evidence=figures(
            throttled_percent_of_periods=throttled,
            quota_cores=cores,
            busy_threads=work.of_process(lambda process: process.busy_threads),
            process_cpu_percent=work.own_cpu,
        ),
        advice=Remedy(
            "Use no more threads than the limit has cores, or give the container more (docker run --cpus).",
            (f"sdoctor generate --settings threads={fitting} ...", f"export OMP_NUM_THREADS={fitting}"),
        ),
    )


def _cores(work: Window) -> Verdict | None:
    """Threads that stood in the queue while other programs had the cores."""
    waited, others = work.wait_share, work.others_cpu
    if waited is None or others is None or waited < WAITED or others < OTHERS:
        return None
    wanted = (work.own_cpu or 0.0) + (work.of_process(lambda process: process.wait_percent) or 0.0)
    if wanted < DEMAND or too_many(work):
        return None
    niceness = int(work.of_process(lambda process: process.niceness) or 0)
    names = _names(work.neighbours)
    evidence = figures(
        waited_percent=waited,
        others_cpu_percent=others,
        process_cpu_percent=work.own_cpu,
        niceness=niceness,
        busiest_others=names or None,
        pressure_cpu_percent=work.mean(lambda each: each.pressure.cpu_some if each.pressure else None),
    )
    sure = confidence(waited, WAITED, WAITED_SURE)
    if niceness > 0:
        return Verdict(
            id="starved-by-priority",
            severity=Severity.WARNING,
            title=f"It runs with low priority (niceness {niceness}), and other programs take the cores first.",
            confidence=sure,
            evidence=evidence,
            advice=Remedy("Give it normal priority (needs root).", (f"sudo renice -n 0 -p {work.pid}",)),
        )
    return Verdict(
        id="starved-by-others",
        severity=Severity.WARNING,
        title="Other programs take the cores" + (f": {names}." if names else "."),
        confidence=sure,
        evidence=evidence,
        advice=Remedy("Close or slow down the others.", _slow_down(work.neighbours)),
    )


def too_many(work: Window) -> bool:
    """Whether its threads wait for one another rather than for other programs."""
    threads, cores, others = (
        work.of_process(lambda process: process.busy_threads),
        work.cores,
        work.others_cpu,
    )
    if threads is None or cores is None or others is None:
        return False
    return threads >= PER_CORE * cores and others < HALF * cores


def _stolen(work: Window) -> Verdict | None:
    stolen = work.mean(lambda sample: sample.stolen_percent)
    if stolen is None or stolen < STOLEN:
        return None
    return Verdict(
        id="starved-by-host",
        severity=Severity.WARNING,
        title=f"The host of this virtual machine gave {stolen:.0f} % of the cores' time to others.",
        confidence=confidence(stolen, STOLEN, 4 * STOLEN),
        evidence=figures(stolen_percent=stolen, process_cpu_percent=work.own_cpu),
        advice=Remedy("Take a virtual machine with cores of its own; nothing inside this one helps."),
    )


def _names(neighbours: tuple[Neighbour, ...]) -> str:
    return ", ".join(
        f"{each.name} ({each.pid}) {each.cpu_percent:.0f} %" for each in neighbours[:_FIRST_NAMES]
    )


def _slow_down(neighbours: tuple[Neighbour, ...]) -> tuple[str, ...]:
    return tuple(f"renice -n 19 -p {each.pid}" for each in neighbours[:1])


RULE = Rule(
    name="starved",
    causes={
        "starved-by-quota": "The CPU quota of the control group stops the work again and again.",
        "starved-by-priority": "Its low priority lets other programs go first.",
        "starved-by-others": "Other programs use the cores that it needs.",
        "starved-by-host": "The host of the virtual machine gives the cores to others.",
    },
    judge=_judge,
    sources=(
        "github.com/ollama/ollama/issues/17916",
        "docs.kernel.org/scheduler/sched-stats.html",
        "github.com/leejet/stable-diffusion.cpp/issues/226",
    ),
)
