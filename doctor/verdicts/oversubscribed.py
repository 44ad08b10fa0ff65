"""Does the work use more threads than there are cores?"""

from __future__ import annotations

import math

from doctor.finding import Remedy, Severity
from doctor.verdicts.starved import GPU_FED, OTHERS, WAITED
from doctor.verdicts.verdict import Rule, Verdict, confidence, figures
from doctor.verdicts.window import Window

PER_CORE = 1.5
"""Busy threads per core from which they stand in each other's way. Chosen here: computing threads in lock step, one
per core, and a few that mostly wait stay below (one too many is enough to stall them all: ollama/ollama#17916)."""

PER_CORE_SURE = 3.0


def _judge(window: Window) -> Verdict | None:
    work = window.computing
    threads = work.of_process(lambda process: process.busy_threads)
    cores, waited, others = work.cores, work.wait_share, work.others_cpu
    busy = work.of_gpu(lambda card: card.utilization) if window.uses_gpu else None
    if threads is None or cores is None or waited is None or others is None:
        return None
    fed = busy is not None and busy >= GPU_FED
    if fed or threads < PER_CORE * cores or waited < WAITED or others >= max(OTHERS, 25.0 * cores):
        return None
    fitting = max(1, math.floor(cores))
    return Verdict(
        id="too-many-threads",
        severity=Severity.WARNING,
        title=f"{threads:.0f} threads compute on {cores:g} cores and wait for one another.",
        confidence=confidence(threads / cores, PER_CORE, PER_CORE_SURE),
        evidence=figures(
            busy_threads=threads,
            cores=cores,
            waited_percent=waited,
            others_cpu_percent=others,
            process_cpu_percent=work.own_cpu,
        ),
        advice=Remedy(
            "One thread per core is enough.",
            (f"sdoctor generate --settings threads={fitting} ...", f"export OMP_NUM_THREADS={fitting}"),
        ),
    )


RULE = Rule(
    name="oversubscribed",
    causes={"too-many-threads": "More threads compute than there are cores."},
    judge=_judge,
    sources=("github.com/ollama/ollama/issues/17916", "github.com/uxlfoundation/oneTBB/issues/190"),
)
