"""Is the disk under the model cache fast enough?"""

from __future__ import annotations

from collections.abc import Iterator

from doctor.check import Check
from doctor.checks.live.results import answered, shown
from doctor.facts import Facts
from doctor.finding import Finding, Remedy, Severity

HARD_DISK, SOLID_STATE = 200.0, 500.0
"""MB/s. Hard disks read 100 to 200, SATA's solid-state disks up to 550 (the 6 Gbit/s of the interface), NVMe ones 2000
and more; below 500 loading waits for the disk."""

SDXL_MB = 6940
"""Size of SDXL's file in half precision (huggingface.co/stabilityai/stable-diffusion-xl-base-1.0)."""


def run(facts: Facts) -> Iterator[Finding]:
    """Compare the rate of an uncached read with classes of disks."""
    result = answered(facts, "disk-read")
    rate = result.value("read") if result else None
    if result is None or rate is None or rate >= SOLID_STATE:
        return
    slow = rate < HARD_DISK
    yield Finding(
        id="disk-read-slow",
        severity=Severity.WARNING if slow else Severity.NOTE,
        title=f"The disk of the model cache reads {shown(rate)} MB/s: SDXL takes {SDXL_MB / rate:.0f} s to load.",
        evidence={
            "measured MB/s": rate,
            "file": result.notes.get("file"),
            "bytes": result.value("bytes"),
            "disks": [
                {"path": disk.path, "kind": disk.kind, "medium": disk.medium}
                for disk in facts.disks or ()
                if disk.purpose == "model cache"
            ],
        },
        cause="A hard disk, a USB disk, a network folder or a busy disk reads so slowly."
        if slow
        else "That is the speed of SATA or of a shared virtual disk; NVMe disks read four times as fast and more.",
        remedy=Remedy("Move the models to a local NVMe disk.", ("export HF_HOME=/path/on/a/faster/disk",)),
    )


CHECK = Check(
    name="live-disk",
    title="Is the disk of the model cache fast enough?",
    needs=(),
    causes={"disk-read-slow": "A file of the model cache is read slower than from a solid-state disk."},
    run=run,
    sources=(
        "github.com/Comfy-Org/ComfyUI/issues/2288",
        "sata-io.org (Serial ATA Revision 3: 6 Gbit/s, about 550 MB/s of data)",
    ),
)
