"""NVIDIA cards through NVML, in this process.

What costs microseconds is asked each time. The list of processes holds a lock of the whole driver for milliseconds
(flightlessmango/MangoHud#2104) and PCIe traffic is measured over 20 ms in each direction (nvml.h,
nvmlDeviceGetPcieThroughput), so these are asked every few seconds only, or not at all.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from doctor.telemetry.gpu_counters import UNREADABLE, CounterReader
from doctor.telemetry.sample import GpuProcess, GpuSample

_SANE_BYTES = 1 << 50
"""A driver that does not know a memory figure may return all bits set (Syllo/nvtop#432)."""

_REASONS = (
    (0x4, "power cap"),
    (0x8, "hardware"),
    (0x20, "software thermal"),
    (0x40, "hardware thermal"),
    (0x80, "power brake"),
)
"""Bits of nvmlDeviceGetCurrentClocksEventReasons that hold the clock down (nvml.h, nvmlClocksEventReason*)."""

PROCESS_SECONDS = 5.0
"""Age at which the list of a card's processes is asked anew (nvitop keeps it for 2 s)."""


@dataclass(slots=True)
class _Kept:
    """The last list of a card's processes."""

    at: float
    processes: tuple[GpuProcess, ...] | None


class GpuSource:
    """Reads NVIDIA cards, if NVML's library can be loaded. A card may fall off the bus and come back."""

    def __init__(self, processes: bool = False) -> None:
        """``processes``: whether to ask for the processes and PCIe traffic of the cards, which costs milliseconds."""
        self._nvml: Any = None
        self._error: str | None = None
        self._none_here = False
        self._dear = processes
        self._kept: dict[int, _Kept] = {}
        self._counters: CounterReader | None = None
        try:
            import pynvml

            pynvml.nvmlInit()
            self._nvml = pynvml
            self._counters = CounterReader(pynvml, slow=processes)
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
            self._ask(nvml, "nvmlShutdown")

    def _card(self, index: int) -> GpuSample:
        nvml = self._nvml
        # Handles are asked for anew each time, so a card may fall off the bus and come back.
        handle = self._ask(nvml, "nvmlDeviceGetHandleByIndex", index)
        if handle is None or self._counters is None:
            self._kept.pop(index, None)
            return GpuSample(index=index)
        name = self._ask(nvml, "nvmlDeviceGetName", handle)
        rates = self._ask(nvml, "nvmlDeviceGetUtilizationRates", handle)
        memory = self._ask(nvml, "nvmlDeviceGetMemoryInfo", handle)
        bits = self._ask(nvml, "nvmlDeviceGetCurrentClocksEventReasons", handle)
        if bits is None:
            bits = self._ask(nvml, "nvmlDeviceGetCurrentClocksThrottleReasons", handle)
        return GpuSample(
            index=index,
            name=name.decode(errors="replace") if isinstance(name, bytes) else name,
            utilization=_share(rates.gpu) if rates is not None else None,
            memory_activity=_share(rates.memory) if rates is not None else None,
            memory_used=_sane(memory.used) if memory is not None else None,
            memory_total=_sane(memory.total) if memory is not None else None,
            processes=self._processes(index, handle) if self._dear else None,
            power=_thousandth(self._ask(nvml, "nvmlDeviceGetPowerUsage", handle)),
            power_limit=_thousandth(self._ask(nvml, "nvmlDeviceGetEnforcedPowerLimit", handle)),
            clock=_number(self._ask(nvml, "nvmlDeviceGetClockInfo", handle, nvml.NVML_CLOCK_SM)),
            clock_max=_number(self._ask(nvml, "nvmlDeviceGetMaxClockInfo", handle, nvml.NVML_CLOCK_SM)),
            memory_clock=_number(self._ask(nvml, "nvmlDeviceGetClockInfo", handle, nvml.NVML_CLOCK_MEM)),
            temperature=_number(
                self._ask(nvml, "nvmlDeviceGetTemperature", handle, nvml.NVML_TEMPERATURE_GPU)
            ),
            throttle_reasons=None if bits is None else tuple(word for bit, word in _REASONS if bits & bit),
            **self._counters.read(index, handle),
        )

    def _processes(self, index: int, handle: Any) -> tuple[GpuProcess, ...] | None:
        kept, now = self._kept.get(index), time.monotonic()
        if kept is not None and now - kept.at < PROCESS_SECONDS:
            return kept.processes
        lists = [
            self._ask(self._nvml, f"nvmlDeviceGet{kind}RunningProcesses", handle)
            for kind in ("Compute", "Graphics")
        ]
        known = [each for some in lists if some is not None for each in some]
        found = {each.pid: self._process(each) for each in known}
        everything = None if all(some is None for some in lists) else tuple(found.values())
        self._kept[index] = _Kept(now, everything)
        return everything

    def _process(self, process: Any) -> GpuProcess:
        name = self._ask(self._nvml, "nvmlSystemGetProcessName", process.pid)
        text = name.decode(errors="replace") if isinstance(name, bytes) else name
        used = process.usedGpuMemory
        return GpuProcess(
            pid=int(process.pid),
            name=text.replace("\\", "/").rpartition("/")[2] if text else None,
            memory_used=None if used is None else _sane(used),
        )

    @staticmethod
    def _ask(nvml: Any, question: str, *arguments: Any) -> Any:
        try:
            return getattr(nvml, question)(*arguments)
        except (nvml.NVMLError, *UNREADABLE):
            return None


def _share(value: int) -> float | None:
    return float(value) if 0 <= value <= 100 else None


def _thousandth(value: int | None) -> float | None:
    return None if value is None else value / 1000


def _number(value: int | None) -> float | None:
    """All bits set is no figure."""
    return None if value is None or value >= 0xFFFFFFFF else float(value)


def _sane(count: int) -> int | None:
    return int(count) if 0 <= count < _SANE_BYTES else None
