"""Is the device that computes well used? That is how it should be."""

from __future__ import annotations

from doctor.finding import Remedy, Severity
from doctor.verdicts.verdict import Rule, Verdict, confidence, figures
from doctor.verdicts.window import Window

GPU_BUSY = 90.0
"""Utilisation in percent from which the card is what everything waits for."""

GPU_SURE = 98.0
CORES_BUSY = 75.0
"""CPU time of the process in percent of its cores; between two matrix products its threads wait for one another."""

CORES_SURE = 95.0

MACHINE_BUSY, MACHINE_SURE = 90.0, 98.0
"""Percent of all cores from which a machine of which no process is watched has none to spare. Chosen here."""


def _judge(window: Window) -> Verdict | None:
    work = window.computing
    if window.uses_gpu:
        return _card(work)
    if window.pid is None:
        return _machine(window)
    own, cores = work.own_cpu, work.cores
    if own is None or not cores:
        return None
    share = own / cores
    if share < CORES_BUSY:
        return None
    return Verdict(
        id="processor-bound",
        severity=Severity.OK,
        title=f"The processor is well used: {share:.0f} % of {cores:g} cores compute.",
        confidence=confidence(share, CORES_BUSY, CORES_SURE),
        evidence=figures(
            process_cpu_percent=own,
            cores=cores,
            waited_percent=work.wait_share,
            others_cpu_percent=work.others_cpu,
        ),
        advice=Remedy("Faster only with settings that compute less.", ("sdoctor tune MODEL",)),
    )


def _machine(window: Window) -> Verdict | None:
    """No process is watched: only that the cores are in use can be told, not whether somebody waits for them."""
    busy = window.mean(lambda sample: sample.cpu_percent)
    if busy is None or busy < MACHINE_BUSY:
        return None
    first = next(iter(window.neighbours), None)
    most = f", the busiest program is {first.name} ({first.pid})" if first is not None else ""
    return Verdict(
        id="processor-busy",
        severity=Severity.OK,
        title=f"The processor is {busy:.0f} % busy{most}.",
        confidence=confidence(busy, MACHINE_BUSY, MACHINE_SURE),
        evidence=figures(
            machine_cpu_percent=busy, busiest_percent=None if first is None else first.cpu_percent
        ),
        advice=None
        if first is None
        else Remedy("Watch a process to see what it waits for.", (f"sdoctor monitor --pid {first.pid}",)),
    )


def _card(work: Window) -> Verdict | None:
    busy = work.of_gpu(lambda card: card.utilization)
    if busy is None or busy < GPU_BUSY:
        return None
    return Verdict(
        id="gpu-bound",
        severity=Severity.OK,
        title=f"The card is well used: it is busy {busy:.0f} % of the time.",
        confidence=confidence(busy, GPU_BUSY, GPU_SURE),
        evidence=figures(
            gpu_utilization_percent=busy,
            memory_activity_percent=work.of_gpu(lambda card: card.memory_activity),
            power_watts=work.of_gpu(lambda card: card.power),
            power_limit_watts=work.of_gpu(lambda card: card.power_limit),
        ),
        advice=Remedy("Faster only with settings that compute less.", ("sdoctor tune MODEL",)),
    )


RULE = Rule(
    name="well-used",
    causes={
        "gpu-bound": "The card is busy all the time: good.",
        "processor-bound": "The process computes on all of its cores: good.",
        "processor-busy": "All cores are in use; which process waits for them is not known unless one is watched.",
    },
    judge=_judge,
    sources=("docs.nvidia.com/deploy/nvml-api (nvmlUtilization_t)",),
)
