"""Does the work use more threads than there are cores?"""

from __future__ import annotations

import math

from doctor.finding import Remedy, Severity
from doctor.verdicts.starved import GPU_FED, PER_CORE, WAITED, too_many
from doctor.verdicts.verdict import Rule, Verdict, confidence, figures
from doctor.verdicts.window import Window

PER_CORE_SURE = 3.0


def _judge(window: Window) -> Verdict | None:
    work = window.computing
    threads = work.of_process(lambda process: process.busy_threads)
    cores, waited = work.cores, work.wait_share
    busy = work.of_gpu(lambda card: card.utilization) if window.uses_gpu else None
    if threads is None or cores is None or waited is None or waited < WAITED or not too_many(work):
        return None
    if busy is not None and busy >= GPU_FED:
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
            others_cpu_percent=work.others_cpu,
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
