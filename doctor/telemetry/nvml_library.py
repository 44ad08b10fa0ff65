"""Whether NVIDIA's management library (NVML) is there at all. Imports nothing of ours: every start pays for it."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path


def library_present() -> bool:
    """Whether NVML's library can be loaded. Loading it starts nothing: only ``nvmlInit`` talks to the
    driver."""
    if sys.platform == "win32":
        system = Path(os.environ.get("WINDIR", "C:/Windows")) / "System32/nvml.dll"
        old = Path(os.environ.get("PROGRAMFILES", "C:/Program Files")) / "NVIDIA Corporation/NVSMI/nvml.dll"
        return system.exists() or old.exists()
    try:
        ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        return False
    return True
