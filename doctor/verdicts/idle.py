"""Is there nothing to do?"""

from __future__ import annotations

from doctor.finding import Severity
from doctor.verdicts.verdict import Rule, Verdict, confidence, figures
from doctor.verdicts.window import Window

PROCESS = 5.0
"""CPU time in percent of one core that a program uses that only waits for its user."""

MACHINE = 10.0
"""The same for all cores together, where no process is watched."""

CARD = 5.0
"""Utilisation of a card that draws a screen and nothing else."""

DISK = 5.0
"""Percent of the time in which something stands still for a disk: then it is not idle, it waits."""


def _judge(window: Window) -> Verdict | None:
    own, machine = window.own_cpu, window.mean(lambda sample: sample.cpu_percent)
    card = window.of_gpu(lambda each: each.utilization)
    disk = window.mean(lambda sample: sample.pressure.io_some if sample.pressure else None)
    waited = window.of_process(lambda process: process.wait_percent) or 0.0
    used, limit = (own, PROCESS) if window.pid is not None else (machine, MACHINE)
    if used is None or used >= limit or (card or 0.0) >= CARD or (disk or 0.0) >= DISK or waited >= PROCESS:
        return None
    whose = "The watched process" if window.pid is not None else "The machine"
    return Verdict(
        id="idle",
        severity=Severity.NOTE,
        title=f"{whose} has nothing to do.",
        confidence=confidence(used, limit, 0.0),
        evidence=figures(process_cpu_percent=own, machine_cpu_percent=machine, gpu_utilization_percent=card),
    )


RULE = Rule(name="idle", causes={"idle": "Nothing is being computed."}, judge=_judge)
