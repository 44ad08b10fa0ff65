"""Memory meters: what the worker uses now, and its peak since the last reset.

Two kinds, never mixed: torch's own figures on CUDA, and the process's resident memory beyond the bare
worker (its libraries loaded, no model) on a CPU.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any, Protocol

_STATUS = Path("/proc/self/status")
_CLEAR_REFS = Path("/proc/self/clear_refs")


class Meter(Protocol):
    """What the session asks of a meter. All figures in bytes; None where they cannot be had."""

    def reset_peak(self) -> None:
        """Begin a new peak."""

    def now(self) -> tuple[int | None, int | None]:
        """(allocated, reserved) at this moment."""

    def peak(self) -> tuple[int | None, int | None]:
        """Largest (allocated, reserved) since the reset."""

    def synchronise(self) -> None:
        """Wait until the device has done what it was told, so that a clock reading means something."""


def process_memory() -> dict[str, int]:
    """The ``Vm*`` lines of /proc/self/status in bytes; empty where there is no such file (not Linux)."""
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError:
        return {}
    fields = (line.split() for line in lines if line.startswith("Vm"))
    return {parts[0].rstrip(":"): int(parts[1]) * 1024 for parts in fields if len(parts) >= 2}


class ProcessMeter:
    """The process's resident memory beyond what it had when the meter was made.

    The peak is the kernel's own high-water mark (``VmHWM``), reset by writing 5 to
    ``/proc/self/clear_refs`` (proc(5)), so no sampling can miss it. Without /proc (macOS, Windows) only
    psutil's present value is known and there is no peak.
    """

    def __init__(self) -> None:
        memory = process_memory()
        self._resident = memory.get("VmRSS")
        self._data = memory.get("VmData")
        self._base_rss = 0
        if self._resident is None:
            import psutil

            self._process = psutil.Process()
            self._base_rss = self._process.memory_info().rss

    def reset_peak(self) -> None:
        """Begin a new peak."""
        with contextlib.suppress(OSError):
            _CLEAR_REFS.write_text("5")

    def now(self) -> tuple[int | None, int | None]:
        """(resident, writable data mapped), both beyond the bare worker."""
        memory = process_memory()
        if self._resident is None or self._data is None:
            return max(0, self._process.memory_info().rss - self._base_rss), None
        return max(0, memory["VmRSS"] - self._resident), max(0, memory["VmData"] - self._data)

    def peak(self) -> tuple[int | None, int | None]:
        """(largest resident since the reset, None): the kernel keeps no high-water mark of mapped data."""
        memory = process_memory()
        if self._resident is None or "VmHWM" not in memory:
            return None, None
        return max(0, memory["VmHWM"] - self._resident), None

    def synchronise(self) -> None:
        """A CPU has done what it was told when the call returns."""


class CudaMeter:
    """torch's caching allocator on one device: bytes in live tensors, and bytes it holds."""

    def __init__(self, device: str) -> None:
        import torch

        self._cuda: Any = torch.cuda
        self._device = torch.device(device)

    def reset_peak(self) -> None:
        """Begin a new peak."""
        self._cuda.reset_peak_memory_stats(self._device)

    def now(self) -> tuple[int | None, int | None]:
        """(allocated, reserved) at this moment."""
        return self._cuda.memory_allocated(self._device), self._cuda.memory_reserved(self._device)

    def peak(self) -> tuple[int | None, int | None]:
        """Largest (allocated, reserved) since the reset."""
        return self._cuda.max_memory_allocated(self._device), self._cuda.max_memory_reserved(self._device)

    def synchronise(self) -> None:
        """Wait for the device."""
        self._cuda.synchronize(self._device)


def meter_for(device: str) -> Meter:
    """The meter of a device, with the present state as its zero."""
    return ProcessMeter() if device == "cpu" else CudaMeter(device)
