"""A leaf program: asks the NVIDIA driver through NVML and prints what it says, one JSON line at a time.

NVML can hang or crash together with a lost card, so only this short-lived child ever calls it while facts
are gathered. Each line is written as soon as it is known: what was read before a hang is kept.

    {"driver": {...}}             version, cuda_version
    {"error": "..."}              NVML could not be started, and its own words for it
    {"cards": 2}                  how many cards the driver reports
    {"gpu": {...}}                one card
    {"unread": {"what", "why"}}   a field that this driver or card does not give
    {"done": true}
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

CLOCK_REASONS = {
    0x1: "gpu_idle",
    0x2: "applications_clocks_setting",
    0x4: "sw_power_cap",
    0x8: "hw_slowdown",
    0x10: "sync_boost",
    0x20: "sw_thermal_slowdown",
    0x40: "hw_thermal_slowdown",
    0x80: "hw_power_brake_slowdown",
    0x100: "display_clock_setting",
}
"""Bits of nvmlDeviceGetCurrentClocksEventReasons, from nvml.h (NVIDIA/go-nvml gen/nvml/nvml.h)."""

NOT_AVAILABLE = (2**32 - 1, 2**64 - 1)
"""All bits set: NVML_VALUE_NOT_AVAILABLE of nvml.h. Old drivers answer so where newer ones return an error."""

SANE_BYTES = 2**50
"""A driver that does not know a memory figure may return nonsense (Syllo/nvtop#432)."""


def main() -> None:
    """Print everything that NVML tells."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        _say(error=_words(error))
        return
    driver: dict[str, Any] = {}
    _field(driver, "version", "driver.version", pynvml.nvmlSystemGetDriverVersion)
    _field(driver, "cuda_version", "driver.cuda_version", lambda: _cuda_version(pynvml))
    _say(driver=driver)
    try:
        count = pynvml.nvmlDeviceGetCount()
    except pynvml.NVMLError as error:
        _say(unread={"what": "gpus", "why": _words(error)})
    else:
        _say(cards=count)
        for index in range(count):
            _say(gpu=_card(pynvml, index))
    _say(done=True)


def _say(**line: object) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__


def _field(into: dict[str, Any], name: str, what: str, read: Callable[[], Any]) -> None:
    """Put ``read()`` under ``name``; a driver that cannot say it leaves the field out and says why."""
    try:
        value = read()
    except Exception as error:  # noqa: BLE001  (NVMLError, a missing function, or a struct of another version)
        _say(unread={"what": what, "why": _words(error)})
    else:
        into[name] = value


def _cuda_version(nvml: Any) -> tuple[int, int]:
    try:
        number = nvml.nvmlSystemGetCudaDriverVersion_v2()
    except nvml.NVMLError:
        number = nvml.nvmlSystemGetCudaDriverVersion()
    return number // 1000, number % 1000 // 10


def _card(nvml: Any, index: int) -> dict[str, Any]:
    card: dict[str, Any] = {"index": index}
    try:
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
    except nvml.NVMLError as error:
        _say(unread={"what": f"gpus[{index}]", "why": _words(error)})
        return card
    for name, read in _readers(nvml, handle):
        _field(card, name, f"gpus[{index}].{name}", read)
    # One call, two facts: a card that will not say it lacks both.
    memory: dict[str, Any] = {}
    _field(memory, "info", f"gpus[{index}].memory_total", lambda: _memory(nvml, handle))
    return {**card, **memory.get("info", {})}


def _memory(nvml: Any, handle: Any) -> dict[str, int]:
    info = nvml.nvmlDeviceGetMemoryInfo(handle)
    if not 0 <= info.used <= info.total < SANE_BYTES:
        raise ValueError(f"the driver says {info.used} of {info.total} bytes")
    return {"memory_total": info.total, "memory_used": info.used}


def _there(value: int) -> int:
    """``value``, or ValueError if the driver says by it that it has none."""
    if value in NOT_AVAILABLE:
        raise ValueError("the driver has no value (N/A)")
    return value


def _readers(nvml: Any, handle: Any) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Fields of ``facts.Gpu`` and the NVML call behind each (docs.nvidia.com/deploy/nvml-api)."""
    yield "name", lambda: nvml.nvmlDeviceGetName(handle)
    yield "uuid", lambda: nvml.nvmlDeviceGetUUID(handle)
    yield "capability", lambda: nvml.nvmlDeviceGetCudaComputeCapability(handle)
    yield "pcie_generation", lambda: _there(nvml.nvmlDeviceGetCurrPcieLinkGeneration(handle))
    yield "pcie_generation_max", lambda: _there(nvml.nvmlDeviceGetMaxPcieLinkGeneration(handle))
    yield "pcie_width", lambda: _there(nvml.nvmlDeviceGetCurrPcieLinkWidth(handle))
    yield "pcie_width_max", lambda: _there(nvml.nvmlDeviceGetMaxPcieLinkWidth(handle))
    # NVML counts milliwatts.
    yield "power", lambda: _there(nvml.nvmlDeviceGetPowerUsage(handle)) / 1000
    yield "power_limit", lambda: _there(nvml.nvmlDeviceGetEnforcedPowerLimit(handle)) / 1000
    yield "power_limit_default", lambda: _there(nvml.nvmlDeviceGetPowerManagementDefaultLimit(handle)) / 1000
    yield (
        "power_limit_max",
        lambda: _there(nvml.nvmlDeviceGetPowerManagementLimitConstraints(handle)[1]) / 1000,
    )
    yield (
        "temperature",
        lambda: float(_there(nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU))),
    )
    slowdown = nvml.NVML_TEMPERATURE_THRESHOLD_SLOWDOWN
    yield (
        "temperature_slowdown",
        lambda: float(_there(nvml.nvmlDeviceGetTemperatureThreshold(handle, slowdown))),
    )
    for name, clock in (("clock_sm", nvml.NVML_CLOCK_SM), ("clock_memory", nvml.NVML_CLOCK_MEM)):
        yield name, partial(nvml.nvmlDeviceGetClockInfo, handle, clock)
        yield f"{name}_max", partial(nvml.nvmlDeviceGetMaxClockInfo, handle, clock)
    yield "clock_reasons", lambda: _clock_reasons(nvml, handle)
    yield "ecc_enabled", lambda: bool(nvml.nvmlDeviceGetEccMode(handle)[0])
    yield (
        "ecc_uncorrected",
        lambda: nvml.nvmlDeviceGetTotalEccErrors(
            handle, nvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED, nvml.NVML_VOLATILE_ECC
        ),
    )
    yield "mig_enabled", lambda: bool(nvml.nvmlDeviceGetMigMode(handle)[0])
    yield "mig_devices", lambda: _mig_devices(nvml, handle)
    yield "persistence", lambda: bool(nvml.nvmlDeviceGetPersistenceMode(handle))
    yield "display_active", lambda: bool(nvml.nvmlDeviceGetDisplayActive(handle))
    yield "processes", lambda: _processes(nvml, handle)


def _clock_reasons(nvml: Any, handle: Any) -> list[str]:
    try:
        bits = nvml.nvmlDeviceGetCurrentClocksEventReasons(handle)
    except nvml.NVMLError:
        # Drivers before 535 know the call by its older name only.
        bits = nvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle)
    return [name for bit, name in CLOCK_REASONS.items() if bits & bit]


def _processes(nvml: Any, handle: Any) -> list[dict[str, Any]]:
    """Processes that compute or draw on the card; one that does both is listed once."""
    found: dict[int, dict[str, Any]] = {}
    for kind in ("Compute", "Graphics"):
        for process in _running(nvml, handle, kind):
            entry = found.setdefault(process.pid, {"pid": process.pid})
            entry["memory_used"] = process.usedGpuMemory
            name: dict[str, Any] = {}
            try:
                name["name"] = nvml.nvmlSystemGetProcessName(process.pid)
            except (nvml.NVMLError, UnicodeDecodeError):
                continue  # it ended meanwhile, or belongs to another container
            entry |= name
    return list(found.values())


def _running(nvml: Any, handle: Any, kind: str) -> list[Any]:
    try:
        return list(getattr(nvml, f"nvmlDeviceGet{kind}RunningProcesses")(handle))
    except Exception as error:
        # pynvml makes its classes at run time, and one of the two does not descend from NVMLError.
        if type(error).__name__ not in ("NVMLError_FunctionNotFound", "NVMLLibraryMismatchError"):
            raise
        # Drivers before 510 know version 2 of the call only.
        return list(getattr(nvml, f"nvmlDeviceGet{kind}RunningProcesses_v2")(handle))


def _mig_devices(nvml: Any, handle: Any) -> list[dict[str, Any]]:
    """The slices of a card that is divided; a card that knows no MIG has none."""
    try:
        if not nvml.nvmlDeviceGetMigMode(handle)[0]:
            return []
    except nvml.NVMLError as error:
        if type(error).__name__ == "NVMLError_NotSupported":
            return []
        raise
    slices = []
    for index in range(nvml.nvmlDeviceGetMaxMigDeviceCount(handle)):
        try:
            mig = nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, index)
        except nvml.NVMLError as error:
            if type(error).__name__ == "NVMLError_NotFound":
                continue  # numbers may be left out
            raise
        found: dict[str, Any] = {}
        for name, read in (("name", nvml.nvmlDeviceGetName), ("uuid", nvml.nvmlDeviceGetUUID)):
            with contextlib.suppress(nvml.NVMLError):
                found[name] = read(mig)
        with contextlib.suppress(nvml.NVMLError, ValueError):
            found |= _memory(nvml, mig)
        slices.append(found)
    return slices


if __name__ == "__main__":
    main()
