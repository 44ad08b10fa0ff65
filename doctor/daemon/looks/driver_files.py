"""The driver's files after an update: is the library on the disk still that of the loaded kernel module?

A program that runs goes on with the old library, so that the daemon itself would not notice: new ones fail.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from doctor.daemon.looks.cards import mismatch
from doctor.daemon.sighting import Sighting, View
from doctor.telemetry.reading import text_of

_FOLDERS = (
    "usr/lib/x86_64-linux-gnu",
    "usr/lib/aarch64-linux-gnu",
    "usr/lib64",
    "usr/lib",
    "usr/lib/wsl/lib",
)
"""Where distributions put libnvidia-ml.so.1: Debian, Fedora, Arch."""

_VERSION = re.compile(r"libnvidia-ml\.so\.(\d+\.\d+(?:\.\d+)?)$")


class DriverFiles:
    """Compares /sys/module/nvidia/version with the name that libnvidia-ml.so.1 leads to."""

    every = 60.0

    def __init__(self, root: Path = Path("/")) -> None:
        """``root`` stands before /sys and /usr, so that a test can offer its own."""
        self._root = root

    def look(self, _view: View) -> Sequence[Sighting]:
        """One sighting if they differ; nothing where either is unknown."""
        loaded = (text_of(self._root / "sys/module/nvidia/version") or "").strip()
        installed = self._installed()
        if not loaded or not installed or loaded in installed:
            return ()
        return (mismatch("", loaded_module=loaded, installed_library=", ".join(sorted(installed))),)

    def _installed(self) -> set[str]:
        found = set()
        for folder in _FOLDERS:
            target = os.path.realpath(self._root / folder / "libnvidia-ml.so.1")
            match = _VERSION.search(target)
            if match and os.path.exists(target):  # noqa: PTH110
                found.add(match[1])
        return found
