"""Is there room for models and results?"""

from __future__ import annotations

from collections.abc import Iterator

from doctor.check import Check, FactUnread
from doctor.facts import Disk, Facts
from doctor.finding import Finding, Remedy, Severity
from doctor.sizes import GIB, gib

ROOM = {"model cache": 10 * GIB, "sdoctor data": GIB // 4}
"""SDXL in half precision is 6.9 GB on disk and FLUX 24 GB; profiles and journals are small."""


def run(facts: Facts) -> Iterator[Finding]:
    """Compare free space with what the next download needs."""
    for disk in facts.disks or ():
        needed = ROOM.get(disk.purpose)
        if needed is None:
            continue
        if disk.free is None:
            raise FactUnread("disks")
        if disk.free < needed:
            yield _full(disk, disk.free, windows=facts.host.os == "Windows")


def _full(disk: Disk, free: int, *, windows: bool) -> Finding:
    cache = disk.purpose == "model cache"
    variable = "HF_HOME" if cache else "SDOCTOR_HOME"
    move = f"set {variable}=D:\\\\folder" if windows else f"export {variable}=/path/on/a/larger/disk"
    return Finding(
        id="disk-nearly-full",
        severity=Severity.WARNING,
        title=f"Only {gib(free)} are free for the {disk.purpose} ({disk.path}).",
        evidence={
            "disks.path": disk.path,
            "disks.free": free,
            "disks.total": disk.total,
            "disks.kind": disk.kind,
        },
        cause="A download that fills the disk stops half-way with 'No space left on device'.",
        remedy=Remedy(
            "Remove models that are not used, or move the folder to a larger disk.",
            (("hf cache ls", move) if cache else (move,)),
        ),
    )


CHECK = Check(
    name="storage",
    title="Is there room for models and results?",
    needs=("disks",),
    causes={"disk-nearly-full": "Little space is left under the model cache or sdoctor's data folder."},
    run=run,
    sources=(
        "github.com/huggingface/diffusers/issues/4957",
        "huggingface.co/docs/huggingface_hub/guides/manage-cache",
    ),
)
