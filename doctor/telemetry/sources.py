"""Live readers: psutil for the host, NVML for NVIDIA cards.

A counter that fails is dropped from the sample and nothing is ever raised. NVML is asked only for what
costs microseconds (no process list, which holds a lock of the whole driver for milliseconds:
flightlessmango/MangoHud#2104).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import psutil

from doctor.telemetry.sample import GpuSample, Sample

_UNREADABLE = (psutil.Error, OSError, RuntimeError, ValueError, AttributeError, LookupError)
"""What psutil raises where a counter is missing, forbidden or in a form that it does not know."""

_SANE_BYTES = 1 << 50
"""A driver that does not know a memory figure may return all bits set (Syllo/nvtop#432)."""


def _read(read: Callable[[], Any]) -> Any:
    """The counter, or None if it cannot be had."""
    try:
        return read()
    except _UNREADABLE:
        return None


class HostSource:
    """Reads the host, one process and the cards. Percentages cover the time since the reading before."""

    def __init__(self, gpus: GpuSource | None = None) -> None:
        self._gpus = gpus if gpus is not None else GpuSource()
        self._cores: tuple[tuple[float, float], ...] | None = None
        self._process: psutil.Process | None = None

    def read(self, pid: int | None = None) -> Sample:
        """One sample; ``pid`` is the process to watch, None for no process."""
        whole, cores = self._cpu()
        memory = _read(psutil.virtual_memory)
        swap = _read(psutil.swap_memory)
        cpu, rss = self._watched(pid)
        gpus, gpu_error = self._gpus.read()
        return Sample(
            at=time.monotonic(),
            cpu_percent=whole,
            core_percents=cores,
            memory_total=None if memory is None else memory.total,
            memory_available=None if memory is None else memory.available,
            memory_used=None if memory is None else memory.total - memory.available,
            swap_used=None if swap is None else swap.used,
            process_cpu_percent=cpu,
            process_rss=rss,
            gpus=gpus,
            gpu_error=gpu_error,
        )

    def close(self) -> None:
        """Give the driver's library back."""
        self._gpus.close()

    def _cpu(self) -> tuple[float | None, tuple[float | None, ...] | None]:
        """(percent of all cores, percent of each); None at the first reading, or if cores came or went."""
        times = _read(lambda: psutil.cpu_times(percpu=True))
        before = self._cores
        self._cores = None if times is None else tuple(_busy_and_total(core) for core in times)
        if before is None or self._cores is None or len(before) != len(self._cores):
            return None, None
        spent = [(now[0] - then[0], now[1] - then[1]) for now, then in zip(self._cores, before, strict=True)]
        whole = _percent(sum(busy for busy, _ in spent), sum(total for _, total in spent))
        return whole, tuple(_percent(busy, total) for busy, total in spent)

    def _watched(self, pid: int | None) -> tuple[float | None, int | None]:
        """(percent of a core, resident bytes) of the watched process."""
        if pid is None:
            self._process = None
            return None, None
        if self._process is None or self._process.pid != pid:
            self._process = _read(lambda: psutil.Process(pid))
            # psutil answers 0.0 to the first question: it has nothing to compare with yet.
            _read(lambda: self._process.cpu_percent(None) if self._process else None)
            cpu = None
        else:
            watched = self._process
            cpu = _read(lambda: watched.cpu_percent(None))
        process = self._process
        if process is None:
            return None, None
        return cpu, _read(lambda: process.memory_info().rss)


class GpuSource:
    """Reads NVIDIA cards through NVML, if its library can be loaded."""

    def __init__(self) -> None:
        self._nvml: Any = None
        self._error: str | None = None
        self._none_here = False
        try:
            import pynvml

            pynvml.nvmlInit()
            self._nvml = pynvml
        except ImportError:
            self._error = "the package nvidia-ml-py is not installed"
        except Exception as error:  # noqa: BLE001  (pynvml makes its error classes at run time; a broken library may raise any)
            self._none_here = type(error).__name__ == "NVMLError_LibraryNotFound"
            self._error = None if self._none_here else str(error)

    def read(self) -> tuple[tuple[GpuSample, ...] | None, str | None]:
        """(cards, None); ((), None) where no driver is installed; (None, why) where it cannot be asked."""
        if self._nvml is None:
            return (() if self._none_here else None), self._error
        try:
            count = int(self._nvml.nvmlDeviceGetCount())
        except (self._nvml.NVMLError, OSError) as error:
            return None, str(error)
        return tuple(self._card(index) for index in range(count)), None

    def close(self) -> None:
        """Give the driver's library back. Further readings say that it is closed."""
        nvml, self._nvml, self._error = self._nvml, None, "closed"
        if nvml is not None:
            self._ask(nvml, nvml.nvmlShutdown)

    def _card(self, index: int) -> GpuSample:
        nvml = self._nvml
        # Handles are asked for anew each time, so a card may fall off the bus and come back.
        handle = self._ask(nvml, nvml.nvmlDeviceGetHandleByIndex, index)
        if handle is None:
            return GpuSample(index=index)
        name = self._ask(nvml, nvml.nvmlDeviceGetName, handle)
        rates = self._ask(nvml, nvml.nvmlDeviceGetUtilizationRates, handle)
        memory = self._ask(nvml, nvml.nvmlDeviceGetMemoryInfo, handle)
        milliwatts = self._ask(nvml, nvml.nvmlDeviceGetPowerUsage, handle)
        degrees = self._ask(nvml, nvml.nvmlDeviceGetTemperature, handle, nvml.NVML_TEMPERATURE_GPU)
        return GpuSample(
            index=index,
            name=name.decode(errors="replace") if isinstance(name, bytes) else name,
            utilization=float(rates.gpu) if rates is not None and rates.gpu <= 100 else None,
            memory_used=_sane(memory.used) if memory is not None else None,
            memory_total=_sane(memory.total) if memory is not None else None,
            power=None if milliwatts is None else milliwatts / 1000,
            temperature=None if degrees is None else float(degrees),
        )

    @staticmethod
    def _ask(nvml: Any, question: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return question(*arguments)
        except (nvml.NVMLError, *_UNREADABLE):
            return None


def _busy_and_total(core: Any) -> tuple[float, float]:
    """(busy, all) seconds of one core. Linux counts guest time within user time too: it is taken off once."""
    total = sum(core) - getattr(core, "guest", 0.0) - getattr(core, "guest_nice", 0.0)
    return total - core.idle - getattr(core, "iowait", 0.0), total


def _percent(part: float, whole: float) -> float | None:
    return min(100.0, max(0.0, 100.0 * part / whole)) if whole > 0 else None


def _sane(count: int) -> int | None:
    return int(count) if 0 <= count < _SANE_BYTES else None


def read_sample(pid: int | None = None, over: float = 0.2) -> Sample:
    """One sample by itself. Blocks for ``over`` seconds, the time that its CPU percentages cover."""
    source = HostSource()
    try:
        source.read(pid)
        time.sleep(over)
        return source.read(pid)
    finally:
        source.close()
