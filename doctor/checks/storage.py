"""Is there room for models and results?"""

from __future__ import annotations

from collections.abc import Iterator

from doctor.check import Check, FactUnread
from doctor.facts import Disk, Facts
from doctor.finding import Finding, Remedy, Severity
from doctor.sizes import GIB, gib

ROOM = {"model cache": 10 * GIB, "sdoctor data": GIB // 4}
"""SDXL in half precision is 6.9 GB on disk and FLUX 24 GB; profiles and journals are small."""

_REMOTE = ("nfs", "cifs", "smb", "9p", "fuse.sshfs", "fuse.rclone", "virtiofs", "drvfs")
"""File systems that reach the files over a network or, as WSL's /mnt/c does, over a bridge to Windows."""


def run(facts: Facts) -> Iterator[Finding]:
    """Compare free space with what the next download needs."""
    for disk in facts.disks or ():
        if disk.purpose == "model cache" and disk.kind and disk.kind.startswith(_REMOTE):
            yield _remote(disk)
        needed = ROOM.get(disk.purpose)
        if needed is None:
            continue
        if disk.free is None:
            raise FactUnread("disks")
        if disk.free < needed:
            yield _full(disk, disk.free, windows=facts.host.os == "Windows")


def _remote(disk: Disk) -> Finding:
    return Finding(
        id="cache-remote",
        severity=Severity.NOTE,
        title=f"The model cache ({disk.path}) lies on {disk.kind}: models load slowly from there.",
        evidence={"disks.path": disk.path, "disks.kind": disk.kind},
        cause="Files are mapped into memory and read in small pieces, which a network or WSL's bridge to "
        "Windows slows "
        "down many times. Users report 30 to 50 times.",
        remedy=Remedy(
            "Keep models on a local disk (under WSL: in the Linux home).", ("export HF_HOME=~/hf",)
        ),
    )


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
    causes={
        "disk-nearly-full": "Little space is left under the model cache or sdoctor's data folder.",
        "cache-remote": "The model cache lies on a network file system or under WSL's /mnt.",
    },
    run=run,
    sources=(
        "github.com/huggingface/diffusers/issues/4957",
        "github.com/Comfy-Org/ComfyUI/issues/2288",
        "huggingface.co/docs/huggingface_hub/guides/manage-cache",
    ),
)
