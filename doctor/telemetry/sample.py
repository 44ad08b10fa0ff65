"""Sample: one reading of the machine at one moment.

A counter that could not be read is ``None``: never zero, never the last value again.
Units: seconds, bytes, percent (0 to 100), watts, degrees Celsius.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuSample:
    """One graphics card, as its driver counts."""

    index: int
    """The driver's own order (PCI bus), which CUDA may number otherwise."""
    name: str | None = None
    utilization: float | None = None
    """Percent of the driver's last period in which a kernel ran; not the share of the chip in use."""
    memory_used: int | None = None
    """Device used: all processes and the CUDA contexts included."""
    memory_total: int | None = None
    power: float | None = None
    temperature: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The machine, and the watched process, at one moment."""

    at: float
    """``time.monotonic()`` of the reading."""
    cpu_percent: float | None = None
    """Busy share of all logical cores together since the reading before; None at the first one."""
    core_percents: tuple[float | None, ...] | None = None
    """The same for each logical core; None for a core whose clock did not advance."""
    memory_total: int | None = None
    memory_available: int | None = None
    """What can be had without swapping."""
    memory_used: int | None = None
    """Total less available: what cannot be had without swapping."""
    swap_used: int | None = None
    process_cpu_percent: float | None = None
    """The watched process since the reading before; 100 is one core busy."""
    process_rss: int | None = None
    """Resident memory of the watched process."""
    gpus: tuple[GpuSample, ...] | None = None
    """Cards of the NVIDIA driver; () if its library is not installed, None if it could not be asked."""
    gpu_error: str | None = None
    """The driver's own words where ``gpus`` is None."""
