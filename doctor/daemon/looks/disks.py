"""Disks: is there room where models, profiles and pictures in work are written?"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from doctor import paths
from doctor.daemon.sighting import Sighting, View
from doctor.finding import Remedy, Severity
from doctor.gather.disks import model_cache
from doctor.sizes import GIB, MIB, gib

LOW = 2 * GIB
"""Free bytes. The smallest model that people download, Stable Diffusion 1.5 in fp16, has 2.0 GiB (1.07 billion weights):
with less there is no room for any."""

LOW_PERCENT = 5.0
"""And of the whole: a RAM disk of 4 GiB with 1.5 GiB free is well. What ext4 keeps for root (mke2fs(8), -m)."""

OUT = 256 * MIB
"""Free bytes from which it is an error: what the daemon's own history may need (doctor.history.tiers.MOST_BYTES)."""


def _places() -> dict[str, Path]:
    return {
        "model cache": model_cache(os.environ),
        "sdoctor data": paths.data_dir(),
        "temporary files": Path(tempfile.gettempdir()),
    }


class FullDisks:
    """Looks at the file systems themselves; two places on one are one."""

    every = 60.0

    def __init__(self, places: Mapping[str, Path] | None = None) -> None:
        self._places = _places() if places is None else places

    def look(self, _view: View) -> Sequence[Sighting]:
        """One sighting per file system that is as good as full."""
        found: dict[int, Sighting] = {}
        for purpose, path in self._places.items():
            folder = next((each for each in (path, *path.parents) if each.exists()), None)
            if folder is None:
                continue
            usage = shutil.disk_usage(folder)
            # A small file system (a RAM disk for temporary files) is not full because it is small.
            if usage.free >= LOW or 100.0 * usage.free / max(1, usage.total) >= LOW_PERCENT:
                continue
            found.setdefault(folder.stat().st_dev, _full(purpose, folder, usage.free, usage.total))
        return tuple(found.values())


def _full(purpose: str, folder: Path, free: int, total: int) -> Sighting:
    return Sighting(
        kind="disk-full",
        about=str(folder.stat().st_dev),
        severity=Severity.ERROR if free < OUT else Severity.WARNING,
        title=f"The disk of the {purpose} has {gib(free)} left of {gib(total)}.",
        evidence={"purpose": purpose, "free_mib": free // MIB, "total_gib": round(total / GIB, 1)},
        advice=Remedy(
            "Delete models that are not used any more; the first command names the largest.",
            ("hf cache ls --sort size", f"df -h {folder}"),
        ),
        worse=-float(free),
        linger=90.0,
    )
