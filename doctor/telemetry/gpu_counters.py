"""Cumulative counters of a card: time held down, and bytes over PCIe. Numbers of the fields: nvml.h."""

from __future__ import annotations

import time
from typing import Any

from doctor.telemetry.rates import Rates
from doctor.telemetry.sample import Throttling

_NANOSECONDS = {"power_cap": 74, "software_thermal": 269, "hardware_thermal": 270, "power_brake": 271}
"""NVML_FI_DEV_CLOCKS_EVENT_REASON_*: nanoseconds for which the clock was held down."""

_BYTES = {"sent": 197, "received": 198}
"""NVML_FI_DEV_PCIE_COUNT_TX_BYTES and _RX_BYTES, as the card sees it."""

UNREADABLE = (OSError, RuntimeError, ValueError, AttributeError, LookupError)
"""What pynvml raises beside its own errors, where the driver knows less than it."""

_SLOW_SECONDS = 5.0
"""Age at which PCIe traffic is measured anew where the card does not count bytes: that takes 40 ms."""


class CounterReader:
    """Turns the counters of every card into shares and rates."""

    def __init__(self, nvml: Any, *, slow: bool) -> None:
        """``slow``: whether to measure PCIe traffic for 40 ms where it is not counted."""
        self._nvml = nvml
        self._slow = slow
        self._rates = Rates()
        self._measured: dict[int, tuple[float, float | None, float | None]] = {}

    def read(self, index: int, handle: Any) -> dict[str, Any]:
        """The fields of ``GpuSample`` that come from counters."""
        at = time.monotonic()
        counts = self._fields(handle)
        held = {
            name: None if rate is None else min(100.0, rate / 1e7)
            for name, field in _NANOSECONDS.items()
            for rate in (self._rates.per_second((index, field), at, counts.get(field)),)
        }
        received, sent = (
            self._rates.per_second((index, _BYTES[way]), at, counts.get(_BYTES[way]))
            for way in ("received", "sent")
        )
        if self._slow and not any(field in counts for field in _BYTES.values()):
            received, sent = self._traffic(index, handle, at)
        known = any(share is not None for share in held.values())
        return {
            "throttling": Throttling(**held) if known else None,
            "pcie_received": received,
            "pcie_sent": sent,
            "pcie_generation": self._ask("nvmlDeviceGetCurrPcieLinkGeneration", handle),
            "pcie_width": self._ask("nvmlDeviceGetCurrPcieLinkWidth", handle),
        }

    def _fields(self, handle: Any) -> dict[int, int]:
        wanted = [*_NANOSECONDS.values(), *_BYTES.values()]
        answers = self._ask("nvmlDeviceGetFieldValues", handle, wanted)
        found = {}
        for answer in answers or ():
            if answer.nvmlReturn == 0:
                # Every one of these is an unsigned long long.
                found[int(answer.fieldId)] = int(answer.value.ullVal)
        return found

    def _traffic(self, index: int, handle: Any, at: float) -> tuple[float | None, float | None]:
        last = self._measured.get(index)
        if last is None or at - last[0] >= _SLOW_SECONDS:
            sent, received = (
                self._ask("nvmlDeviceGetPcieThroughput", handle, way)
                for way in (self._nvml.NVML_PCIE_UTIL_TX_BYTES, self._nvml.NVML_PCIE_UTIL_RX_BYTES)
            )
            # It counts in KiB per second.
            last = (
                at,
                None if received is None else received * 1024.0,
                None if sent is None else sent * 1024.0,
            )
            self._measured[index] = last
        return last[1], last[2]

    def _ask(self, question: str, *arguments: Any) -> Any:
        try:
            return getattr(self._nvml, question)(*arguments)
        except (self._nvml.NVMLError, *UNREADABLE):
            return None
