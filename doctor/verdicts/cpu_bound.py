"""Does a single thread hold everything up: the one that launches the card's work, or the only one that computes?"""

from __future__ import annotations

from doctor.finding import Remedy, Severity
from doctor.verdicts.verdict import Rule, Verdict, confidence, figures
from doctor.verdicts.window import Window

WAITING = 85.0
"""Utilisation in percent below which the card waits for something; a pipeline that is bound by the card holds it above 95
(AUTOMATIC1111/stable-diffusion-webui#2449 shows launch-bound cards below 90)."""

WAITING_SURE = 60.0
ONE_CORE = 90.0
"""CPU time of one thread in percent from which its core is full."""

REST = 25.0
"""CPU time of all other threads together, percent of a core, under which the work has one thread only."""


def _judge(window: Window) -> Verdict | None:
    work = window.computing
    top, own = work.top_thread, work.own_cpu
    if top is None or own is None or top < ONE_CORE:
        return None
    return _launching(work, top, own) if window.uses_gpu else _alone(work, top, own)


def _launching(work: Window, top: float, own: float) -> Verdict | None:
    busy = work.of_gpu(lambda card: card.utilization)
    if busy is None or busy >= WAITING:
        return None
    return Verdict(
        id="cpu-bound",
        severity=Severity.WARNING,
        title=f"One thread is {top:.0f} % busy with launching work while the card is only {busy:.0f} % busy.",
        confidence=confidence(busy, WAITING, WAITING_SURE),
        evidence=figures(
            top_thread_percent=top,
            gpu_utilization_percent=busy,
            process_cpu_percent=own,
            step_seconds=_step(work),
        ),
        advice=Remedy(
            "Make more pictures at once, or compile the model: both launch less often. A faster core helps too.",
            ("sdoctor generate --batch 4 ...", "sdoctor tune MODEL"),
        ),
    )


def _alone(work: Window, top: float, own: float) -> Verdict | None:
    cores = work.cores
    if cores is None or cores < 2 or own - top >= REST:
        return None
    if work.device is None and (work.of_process(lambda process: process.thread_count) or 2) < 2:
        return None  # a program that never had a second thread is no torch that lost its own
    fitting = int(cores)
    return Verdict(
        id="one-thread",
        severity=Severity.WARNING,
        title=f"One thread computes and {cores - 1:g} of {cores:g} cores rest.",
        confidence=confidence(own - top, REST, 5.0),
        evidence=figures(
            top_thread_percent=top, process_cpu_percent=own, cores=cores, step_seconds=_step(work)
        ),
        advice=Remedy(
            "Give torch all cores: OMP_NUM_THREADS or the setting threads holds it to one.",
            (f"sdoctor generate --settings threads={fitting} ...", "unset OMP_NUM_THREADS"),
        ),
    )


def _step(work: Window) -> float | None:
    steps = [
        seconds for each in work.samples if each.worker is not None for seconds in each.worker.step_seconds
    ]
    return sum(steps) / len(steps) if steps else None


RULE = Rule(
    name="cpu",
    causes={
        "cpu-bound": "One thread cannot launch work as fast as the card does it.",
        "one-thread": "On a processor, only one thread computes.",
    },
    judge=_judge,
    sources=(
        "github.com/AUTOMATIC1111/stable-diffusion-webui/issues/2449",
        "github.com/bmaltais/kohya_ss/issues/1288",
        "github.com/facebookresearch/HolisticTraceAnalysis",
    ),
)
