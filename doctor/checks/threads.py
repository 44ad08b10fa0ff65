"""Do the number of threads and the priority fit the cores that this process may use?"""

from __future__ import annotations

import math
from collections.abc import Iterator

from doctor.check import Check, require
from doctor.checks.cards import cuda_usable
from doctor.facts import Facts
from doctor.finding import Finding, Remedy, Severity

_DYNAMIC = frozenset({"intel_pstate", "amd_pstate_epp"})
"""Scaling drivers whose "powersave" raises the clock under load: the active modes of both
(docs.kernel.org/admin-guide/pm/intel_pstate.html, amd-pstate.html). In their passive modes, where they are called
intel_cpufreq and amd-pstate, it is the lowest clock."""


def run(facts: Facts) -> Iterator[Finding]:
    """A CPU quota below the threads torch will start; OMP_NUM_THREADS too high or left at one; low
    priority."""
    yield from _threads(facts)
    if facts.cpu.governor == "powersave" and not cuda_usable(facts):
        yield from _powersave(facts.cpu.scaling_driver)
    niceness = facts.cpu.niceness
    if niceness is not None and niceness > 0:
        yield Finding(
            id="low-priority",
            severity=Severity.NOTE if cuda_usable(facts) else Severity.WARNING,
            title=f"This session runs with low priority (niceness {niceness}): other programs go first.",
            evidence={"cpu.niceness": niceness},
            cause="Programs inherit the niceness of the shell or service that starts them.",
            remedy=Remedy(
                "Raise it again (needs root), or start from a normal shell.", ("sudo renice -n 0 -p $$",)
            ),
        )


def _powersave(driver: str | None) -> Iterator[Finding]:
    """The governor "powersave" of a scaling driver, or of one that is not known."""
    if driver is not None and driver.replace("-", "_") in _DYNAMIC:
        return
    choose = "sudo cpupower frequency-set -g performance"
    unsure = "cat /sys/devices/system/cpu/cpu0/cpufreq/scaling_driver"
    yield Finding(
        id="governor-powersave",
        severity=Severity.NOTE,
        title="The processor's frequency governor is 'powersave'"
        + (f": {driver} holds it at its lowest clock." if driver else "."),
        evidence={"cpu.governor": "powersave", "cpu.scaling_driver": driver},
        cause="Most scaling drivers take this governor to mean the lowest clock. "
        + (
            "Only intel_pstate and amd-pstate-epp speed up under load with it."
            if driver
            else "Under intel_pstate and amd-pstate-epp it is the normal setting; the first command tells which it is."
        ),
        remedy=Remedy("Choose another governor.", (choose,))
        if driver
        else Remedy("If it is neither of the two, choose another governor.", (unsure, choose)),
    )


def _threads(facts: Facts) -> Iterator[Finding]:
    cpu = facts.cpu
    usable = require(cpu.usable_cores, "cpu.usable_cores")
    allowed = min(usable, cpu.quota_cores) if cpu.quota_cores is not None else float(usable)
    set_to = _number((facts.environment or {}).get("OMP_NUM_THREADS"))
    # torch starts one thread per physical core that it may use, unless the variable says otherwise.
    threads = set_to if set_to is not None else min(cpu.physical_cores or usable, usable)
    fitting = max(1, math.floor(allowed))
    evidence: dict[str, object] = {
        "cpu.usable_cores": usable,
        "cpu.quota_cores": cpu.quota_cores,
        "cpu.physical_cores": cpu.physical_cores,
        "environment.OMP_NUM_THREADS": set_to,
    }
    remedy = Remedy(
        "Let the number of threads be the cores that are really there, rounded down.",
        (f"export OMP_NUM_THREADS={fitting}",),
    )
    if facts.host.os == "Windows":
        remedy = Remedy(remedy.text, (f"set OMP_NUM_THREADS={fitting}",))
    if threads > fitting and cpu.quota_cores is not None and cpu.quota_cores < usable:
        yield Finding(
            id="threads-over-quota",
            severity=Severity.WARNING,
            title=f"torch will start {threads} threads, but the control group allows {cpu.quota_cores:g} "
            "cores.",
            evidence=evidence,
            cause="Threads that wait for one another are stopped in turn when the quota is used up; text "
            "encoding and "
            "everything else on the processor slows down many times.",
            remedy=remedy,
        )
    elif set_to is not None and set_to > usable:
        yield Finding(
            id="omp-threads",
            severity=Severity.WARNING,
            title=f"OMP_NUM_THREADS={set_to} is more than the {usable} cores that this process may use.",
            evidence=evidence,
            cause="More threads than cores take turns and wait for one another.",
            remedy=remedy,
        )
    elif set_to == 1 and fitting >= 4 and not cuda_usable(facts):
        yield Finding(
            id="omp-threads",
            severity=Severity.WARNING,
            title=f"OMP_NUM_THREADS=1 leaves {fitting - 1} of {fitting} cores idle.",
            evidence=evidence,
            cause="The variable was set for another program, and torch obeys it too.",
            remedy=remedy,
        )


def _number(text: str | None) -> int | None:
    """OMP_NUM_THREADS may be a list ("4,2"): the first level counts. None if it is no number."""
    first = (text or "").split(",")[0].strip()
    return int(first) if first.isdecimal() and len(first) < 7 else None


CHECK = Check(
    name="threads",
    title="Do the number of threads and the priority fit the cores that may be used?",
    needs=("cpu.usable_cores", "cpu.quota_cores", "environment"),
    causes={
        "threads-over-quota": "torch will start more threads than the control group's CPU quota allows.",
        "omp-threads": "OMP_NUM_THREADS is larger than the cores, or leaves most of them idle.",
        "governor-powersave": "The frequency governor is powersave (harmless under intel_pstate and amd-pstate-epp).",
        "low-priority": "The session has a low priority (positive niceness).",
    },
    run=run,
    sources=(
        "github.com/ollama/ollama/issues/17916",
        "github.com/vllm-project/vllm/issues/34462",
        "github.com/FeralInteractive/gamemode/issues/299",
        "docs.kernel.org/admin-guide/pm/intel_pstate.html",
        "docs.kernel.org/admin-guide/pm/amd-pstate.html",
        "github.com/pytorch/pytorch (aten/src/ATen/ParallelOpenMP.cpp: MKL counts physical cores)",
    ),
)
