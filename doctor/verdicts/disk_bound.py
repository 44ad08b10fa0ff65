"""Does loading wait for the disk?"""

from __future__ import annotations

from doctor.finding import Remedy, Severity
from doctor.sizes import MIB
from doctor.trace import Phase
from doctor.verdicts.verdict import Rule, Verdict, confidence, figures
from doctor.verdicts.window import Window

STALLED = 25.0
"""Percent of the time in which something on the machine stood still for a disk (pressure, "some")."""

STALLED_SURE = 75.0
READ = 1.0 * MIB
"""Bytes per second that the process must fetch at least: else the disk is somebody else's business."""

SLOW = 500e6
"""Bytes per second that any disk for models should give: a SATA drive does, a hard disk or a network share does not
(Comfy-Org/ComfyUI#2288: loading 30 to 50 times slower)."""

COMPUTING = 70.0
"""CPU time in percent of a core from which the process has something else to do than wait."""


def _judge(window: Window) -> Verdict | None:
    loading = window.during(Phase.LOAD)
    stalled = loading.mean(lambda sample: sample.pressure.io_some if sample.pressure else None)
    asleep = _asleep(loading)
    read = loading.of_process(lambda process: process.read)
    if read is None:
        read = _of_disks(loading)
    waits = max(stalled or 0.0, asleep or 0.0)
    own = loading.own_cpu
    if read is None or read < READ or read >= SLOW or waits < STALLED or (own or 0.0) >= COMPUTING:
        return None
    return Verdict(
        id="disk-bound",
        severity=Severity.WARNING,
        title=f"It waits for the disk, which gives {read / MIB:.0f} MiB per second.",
        confidence=confidence(waits, STALLED, STALLED_SURE),
        evidence=figures(
            process_read_mib_per_second=read / MIB,
            io_stalled_percent=stalled,
            asleep_for_disk_percent=asleep,
            process_cpu_percent=own,
            major_faults_per_second=loading.of_process(lambda process: process.major_faults),
            disk_busy_percent=_busiest(loading),
        ),
        advice=Remedy(
            "Put the models on an SSD of this machine; a second run finds them in memory.",
            ("sdoctor check --live --only disk-read-slow", "export HF_HOME=/path/on/an/ssd"),
        ),
    )


def _asleep(window: Window) -> float | None:
    """Percent of the samples in which a thread of the process slept for a disk."""
    return window.of_process(
        lambda process: (
            None
            if process.threads is None
            else 100.0 * any(thread.state == "D" for thread in process.threads)
        )
    )


def _of_disks(window: Window) -> float | None:
    """All disks together; only where no process is watched, or its counters are private."""
    return window.mean(
        lambda sample: None if sample.disks is None else sum((disk.read for disk in sample.disks), 0.0)
    )


def _busiest(window: Window) -> float | None:
    return window.mean(
        lambda sample: max((disk.busy_percent or 0.0 for disk in sample.disks or ()), default=None)
    )


RULE = Rule(
    name="disk",
    causes={"disk-bound": "Loading waits for a slow disk."},
    judge=_judge,
    sources=("docs.kernel.org/accounting/psi.html", "github.com/Comfy-Org/ComfyUI/issues/2288"),
)
