"""Free space where models are kept and where sdoctor writes."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import psutil

from doctor import paths
from doctor.facts import Disk
from doctor.gather.medium import medium_of
from doctor.gather.reading import Reading
from doctor.gather.redact import Redactor


def model_cache(environ: Mapping[str, str]) -> Path:
    """Where huggingface_hub keeps models, by its own order of precedence.

    Source: huggingface/huggingface_hub src/huggingface_hub/constants.py (HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE,
    HF_HOME, XDG_CACHE_HOME).
    """
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if environ.get(name):
            return Path(environ[name]).expanduser()
    if environ.get("HF_HOME"):
        return Path(environ["HF_HOME"]).expanduser() / "hub"
    cache = environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(cache).expanduser() / "huggingface" / "hub"


def read_disks(environ: Mapping[str, str], redactor: Redactor) -> Reading:
    """The file systems under the model cache and under sdoctor's data folder."""
    reading = Reading()
    places = {"model cache": lambda: model_cache(environ), "sdoctor data": paths.data_dir}
    disks = []
    for purpose, locate in places.items():
        path = reading.attempt(f"disks[{purpose}]", locate)
        disk = reading.attempt(f"disks[{purpose}]", partial(_disk, purpose, path, redactor)) if path else None
        if disk is None:
            continue
        disks.append(disk)
        if disk.medium is None:
            reading.miss(f"disks[{purpose}].medium", "the system does not tell what the file system lies on")
    reading.parts["disks"] = tuple(disks)
    return reading


def _disk(purpose: str, path: Path, redactor: Redactor) -> Disk:
    existing = paths.nearest_existing(path.absolute())
    usage = shutil.disk_usage(existing)
    kind, source = _file_system(existing)
    return Disk(
        purpose=purpose,
        path=redactor.text(str(path)),
        free=usage.free,
        total=usage.total,
        kind=kind,
        medium=medium_of(existing, kind, source) if sys.platform == "linux" else None,
    )


def _file_system(path: Path) -> tuple[str | None, str | None]:
    """Type of the file system that holds ``path``, and what is mounted there; None if no mounted one claims it."""
    real = os.path.realpath(path)
    best, kind, source = "", None, None
    for part in psutil.disk_partitions(all=True):
        point = part.mountpoint.rstrip("/\\")
        inside = real == point or real.startswith((point + "/", point + "\\"))
        if inside and len(part.mountpoint) >= len(best):
            best, kind, source = part.mountpoint, part.fstype, part.device
    return kind, source
