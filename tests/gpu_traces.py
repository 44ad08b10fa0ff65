"""Traces of cards that are not here: the real sampler and the real pynvml on a fake driver (see fake_nvml)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from nvml_fixture import RTX_3090, build_fake_nvml

from doctor.telemetry.recording import read_recording
from doctor.telemetry.sample import Sample

RECORD = """
import sys, time
from pathlib import Path
from doctor.telemetry.gpu_child import GpuChild
from doctor.telemetry.recording import write_recording
from doctor.telemetry.sampler import Sampler
sampler = Sampler(GpuChild())
samples = []
for _ in range(7):
    samples.append(sampler.read(int(sys.argv[2])))
    time.sleep(0.4)
sampler.close()
write_recording(Path(sys.argv[1]), samples)
"""

# Watts, megahertz and traffic as a 3090 has them in these states; the maximum clock of the fake card is 2100 MHz.
CLEAR = "value nvmlDeviceGetCurrentClocksEventReasons 0 0\n"
FULL_POWER = "value nvmlDeviceGetPowerUsage 0 245000\nvalue nvmlDeviceGetClockInfo 0 1860\n"
LINK = "value nvmlDeviceGetCurrPcieLinkGeneration 0 4\nvalue nvmlDeviceGetCurrPcieLinkWidth 0 16\n"
NOT_HELD = "grow 269 0 0\ngrow 270 0 0\ngrow 271 0 0\n"

SCENARIOS: dict[str, tuple[str, str, bool]] = {
    # name: (expected verdict, scenario, whether the launching thread is busy)
    "card well used": (
        "gpu-bound",
        CLEAR
        + FULL_POWER
        + LINK
        + NOT_HELD
        + "grow 74 0 30000000\nvalue nvmlDeviceGetUtilizationRates 0 99\n",
        True,
    ),
    "power cap at full load": (
        "gpu-bound",
        "value nvmlDeviceGetCurrentClocksEventReasons 0 4\ngrow 74 0 950000000\n"
        + FULL_POWER
        + LINK
        + NOT_HELD
        + "value nvmlDeviceGetUtilizationRates 0 99\n",
        False,
    ),
    "launch-bound": (
        "cpu-bound",
        CLEAR
        + LINK
        + NOT_HELD
        + "value nvmlDeviceGetUtilizationRates 0 42\nvalue nvmlDeviceGetPowerUsage 0 120000\n",
        True,
    ),
    "hot card": (
        "throttled-thermal",
        "value nvmlDeviceGetCurrentClocksEventReasons 0 32\nvalue nvmlDeviceGetTemperature 0 93\n"
        "grow 269 0 400000000\ngrow 270 0 0\ngrow 271 0 0\n"
        "value nvmlDeviceGetUtilizationRates 0 99\nvalue nvmlDeviceGetClockInfo 0 1200\n" + LINK,
        False,
    ),
    "hot card of an old driver": (
        "throttled-thermal",
        "value nvmlDeviceGetCurrentClocksEventReasons 0 64\nvalue nvmlDeviceGetTemperature 0 93\n"
        "value nvmlDeviceGetUtilizationRates 0 99\nvalue nvmlDeviceGetClockInfo 0 1200\n" + LINK,
        False,
    ),
    "power brake": (
        "throttled-brake",
        "value nvmlDeviceGetCurrentClocksEventReasons 0 128\ngrow 269 0 0\ngrow 270 0 0\ngrow 271 0 300000000\n"
        "value nvmlDeviceGetUtilizationRates 0 99\nvalue nvmlDeviceGetClockInfo 0 1050\n" + LINK,
        False,
    ),
    "power limit far too low": (
        "throttled-power",
        "value nvmlDeviceGetCurrentClocksEventReasons 0 4\ngrow 74 0 990000000\nvalue nvmlDeviceGetPowerUsage 0 100000\n"
        "value nvmlDeviceGetEnforcedPowerLimit 0 100000\nvalue nvmlDeviceGetUtilizationRates 0 99\n"
        "value nvmlDeviceGetClockInfo 0 990\n" + LINK + NOT_HELD,
        False,
    ),
    "sequential offload": (
        "offload-bound",
        CLEAR + LINK + NOT_HELD + "value pcie_received 0 14000000\nvalue pcie_sent 0 200000\n"
        "value nvmlDeviceGetUtilizationRates 0 35\nvalue nvmlDeviceGetPowerUsage 0 110000\n",
        False,
    ),
    "offload, bytes counted": (
        "offload-bound",
        CLEAR + LINK + NOT_HELD + "grow 198 0 15000000000\ngrow 197 0 100000000\n"
        "value nvmlDeviceGetUtilizationRates 0 35\nvalue nvmlDeviceGetPowerUsage 0 110000\n",
        False,
    ),
    "video memory spilled": (
        "memory-spill",
        CLEAR + LINK + NOT_HELD + "value pcie_received 0 3000000\nvalue pcie_sent 0 2500000\nspill\n"
        "value nvmlDeviceGetUtilizationRates 0 99\nvalue nvmlDeviceGetPowerUsage 0 90000\n"
        "value nvmlDeviceGetClockInfo 0 1900\n",
        False,
    ),
    "card at rest": ("idle", CLEAR + NOT_HELD + "value nvmlDeviceGetUtilizationRates 0 0\n", False),
}


def record(folder: Path, name: str) -> tuple[Sample, ...]:
    """The recorded trace of one scenario, read back from its file."""
    _, scenario, busy = SCENARIOS[name]
    code = "while True: pass" if busy else "import time; time.sleep(60)"
    child = subprocess.Popen([sys.executable, "-S", "-c", code])
    try:
        card = RTX_3090
        if "spill\n" in scenario:
            card = card.replace("25769803776 1073741824", "25769803776 25700000000")
        scenario = f"{card}process {child.pid} 4294967296\n" + scenario.replace("spill\n", "")
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "trace.jsonl"
        subprocess.run(
            [sys.executable, "-P", "-c", RECORD, str(path), str(child.pid)],
            env=build_fake_nvml(folder, scenario) | {"PYTHONPATH": os.environ.get("PYTHONPATH", "")},
            check=True,
            timeout=60,
        )
        return read_recording(path).samples
    finally:
        child.kill()
        child.wait()
