"""The NVIDIA driver and its cards: files of the kernel, and NVML asked in a child process with a deadline."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from doctor.facts import Driver, Gpu, GpuProcess, MigDevice, Unread
from doctor.gather.reading import Reading
from doctor.gather.redact import Redactor
from doctor.telemetry.nvml_library import library_present

DEADLINE = 10.0
"""Seconds. A server with eight cards and no persistence daemon needs several to start its driver."""

_MODULE_VERSION = re.compile(r"NVRM version:.*?\s(\d{2,4}\.\d+(?:\.\d+)?)(?=\s)")


def read_nvidia(redactor: Redactor, root: Path = Path("/"), deadline: float = DEADLINE) -> Reading:
    """``driver`` and ``gpus``. A machine without the driver's library pays only for a failed dlopen.

    ``root`` stands before /proc and /sys, so that a test can offer its own.
    """
    reading = Reading()
    devices = reading.attempt("driver.pci_devices", lambda: count_pci_devices(root / "sys/bus/pci/devices"))
    library = library_present()
    found: dict[str, Any] = {
        "pci_devices": devices,
        "library_found": library,
        "kernel_module_version": reading.attempt(
            "driver.kernel_module_version", lambda: _module_version(root)
        ),
        "nouveau_loaded": reading.attempt("driver.nouveau_loaded", lambda: _nouveau_loaded(root)),
    }
    gpus: tuple[Gpu, ...] | None = None
    if library:
        gpus = _ask_nvml(reading, found, redactor, deadline)
    elif sys.platform == "darwin" or (devices == 0 and not _card_beside_pci(root)):
        # macOS has had no driver for NVIDIA cards since 10.13.
        gpus = ()
    else:
        reading.miss("gpus", "the NVIDIA driver's library (NVML) is not installed")
    reading.parts |= {"driver": Driver(**found), "gpus": gpus}
    return reading


def count_pci_devices(folder: Path) -> int | None:
    """NVIDIA display controllers (PCI vendor 0x10de, class 0x03) under sysfs; None where there is no such
    folder."""
    if not folder.exists():
        return None
    count = 0
    for device in folder.iterdir():
        try:
            vendor, kind = ((device / name).read_text().strip() for name in ("vendor", "class"))
        except OSError:
            continue  # a device that was pulled meanwhile
        count += vendor == "0x10de" and kind.startswith("0x03")
    return count


def _card_beside_pci(root: Path) -> bool:
    """Marks of a card that the PCI bus does not show: WSL's (dxg), a Jetson's, or nodes given to a
    container."""
    return any((root / "dev" / name).exists() for name in ("dxg", "nvhost-gpu", "nvidiactl", "nvidia0"))


def parse_module_version(text: str) -> str | None:
    """Version of the loaded kernel module, from ``/proc/driver/nvidia/version``; None if it is not there."""
    match = _MODULE_VERSION.search(text)
    return match[1] if match else None


def _module_version(root: Path) -> str | None:
    file = root / "proc/driver/nvidia/version"
    return parse_module_version(file.read_text(errors="replace")) if file.exists() else None


def _nouveau_loaded(root: Path) -> bool | None:
    file = root / "proc/modules"
    if not file.exists():
        return None
    return any(line.split(" ", 1)[0] == "nouveau" for line in file.read_text(errors="replace").splitlines())


def _ask_nvml(
    reading: Reading, driver: dict[str, Any], redactor: Redactor, deadline: float
) -> tuple[Gpu, ...] | None:
    """Run the child; fill ``driver`` and return the cards, None if it is not known which there are."""
    answer = _run_child(deadline)
    cards: list[Gpu] = []
    promised: int | None = None
    for line in answer.lines:
        driver |= _driver_fields(line)
        if "unread" in line:
            reading.unread.append(Unread(**line["unread"]))
        elif "cards" in line:
            promised = line["cards"]
        elif "gpu" in line:
            cards.append(_gpu(line["gpu"], redactor))
    if "error" in driver:
        reading.miss("gpus", driver["error"])
        reading.miss("driver.version", driver["error"])
        return None
    if answer.ended_badly is not None:
        driver["error"] = answer.ended_badly
        reading.miss("gpus" if promised is None else f"gpus[{len(cards)}:]", answer.ended_badly)
    return tuple(cards) if promised is not None and (cards or promised == 0) else None


def _driver_fields(line: dict[str, Any]) -> dict[str, Any]:
    if "error" in line:
        return {"error": line["error"]}
    fields = dict(line.get("driver", {}))
    if "cuda_version" in fields:
        fields["cuda_version"] = tuple(fields["cuda_version"])
    return fields


def _gpu(fields: dict[str, Any], redactor: Redactor) -> Gpu:
    values = dict(fields)
    if "capability" in values:
        values["capability"] = tuple(values["capability"])
    if "clock_reasons" in values:
        values["clock_reasons"] = tuple(values["clock_reasons"])
    if "mig_devices" in values:
        values["mig_devices"] = tuple(MigDevice(**one) for one in values["mig_devices"])
    if "processes" in values:
        values["processes"] = tuple(_process(process, redactor) for process in values["processes"])
    return Gpu(**values)


def _process(fields: dict[str, Any], redactor: Redactor) -> GpuProcess:
    name = fields.get("name")
    return GpuProcess(
        pid=fields["pid"],
        name=redactor.text(name) if name is not None else None,
        memory_used=fields.get("memory_used"),
    )


class _Answer:
    """The lines that the child printed, and how it ended if not in order."""

    def __init__(self, lines: list[dict[str, Any]], ended_badly: str | None) -> None:
        self.lines = lines
        self.ended_badly = ended_badly


def _run_child(deadline: float) -> _Answer:
    """Run ``doctor.gather.nvml_child`` for at most ``deadline`` seconds.

    It writes into a file, not a pipe: a child that hangs inside the kernel cannot be killed, and nobody must
    wait for the other end of its pipe.
    """
    command = [sys.executable, "-P", "-m", "doctor.gather.nvml_child"]
    started = time.monotonic()
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=errors, cwd=tempfile.gettempdir()
        )
        ended_badly = None
        try:
            code = child.wait(deadline)
            if code != 0:
                ended_badly = f"asking it ended with {_how(code)}"
        except subprocess.TimeoutExpired:
            child.kill()
            ended_badly = f"it did not answer within {time.monotonic() - started:.0f} s"
        output.seek(0)
        lines = parse_lines(output.read())
        if ended_badly and child.returncode:
            errors.seek(0)
            last = errors.read().decode(errors="replace").strip().splitlines()[-1:]
            ended_badly += f": {last[0]}" if last else ""
    return _Answer(lines, ended_badly)


def parse_lines(output: bytes) -> list[dict[str, Any]]:
    """The JSON objects among the child's lines; anything else (a library's chatter, half a line) is passed
    over."""
    lines = []
    for text in output.splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if isinstance(line, dict):
            lines.append(line)
    return lines


def _how(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
