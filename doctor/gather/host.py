"""Operating system, processor, memory and interpreter."""

from __future__ import annotations

import os
import platform
import re
import struct
import sys
from collections.abc import Mapping
from pathlib import Path

import psutil

from doctor.cgroup import Limits, read_limits
from doctor.facts import Cpu, Host, Memory, Python
from doctor.gather.reading import Reading
from doctor.gather.redact import Redactor

FLAGS = frozenset({
    "avx", "avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512vl", "avx512_bf16", "avx512_vnni",
    "avx512_fp16", "avx_vnni", "amx_tile", "amx_bf16", "amx_int8",
    "asimd", "asimdhp", "fphp", "bf16", "i8mm", "sve", "sve2", "svebf16",
})  # fmt: skip
"""Instruction sets that decide which number formats are fast, as Linux names them (arch/x86, arch/arm64
cpuinfo)."""

_SCALING = Path("/sys/devices/system/cpu/cpu0/cpufreq")
"""How the kernel scales the clock of the first core (docs.kernel.org/admin-guide/pm/cpufreq.html)."""


def read_host(environ: Mapping[str, str], redactor: Redactor) -> Reading:
    """Everything about the machine but its graphics cards and disks."""
    reading = Reading()
    reading.parts["host"] = _host(reading, environ)
    limits = Limits()
    if sys.platform == "linux":
        limits = reading.attempt("cpu.quota_cores", read_limits) or limits
        if any(miss.what == "cpu.quota_cores" for miss in reading.unread):
            reading.miss("memory.limit", "the control groups of this process could not be read")
    reading.parts["cpu"] = _cpu(reading, limits)
    reading.parts["memory"] = _memory(reading, limits)
    reading.parts["python"] = _python(redactor)
    return reading


def _host(reading: Reading, environ: Mapping[str, str]) -> Host:
    system = platform.system()
    kernel = platform.release()
    return Host(
        os=system or None,
        distribution=reading.attempt("host.distribution", lambda: _distribution(system)),
        kernel=kernel or None,
        machine=platform.machine() or None,
        wsl=system == "Linux" and "microsoft" in kernel.lower(),
        container=reading.attempt("host.container", lambda: find_container(environ)),
    )


def _distribution(system: str) -> str:
    if system == "Linux":
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    return f"macOS {platform.mac_ver()[0]}" if system == "Darwin" else platform.version()


def find_container(environ: Mapping[str, str], root: Path = Path("/")) -> str:
    """ "docker", "podman", "kubernetes", "lxc", ...; "" if none of their marks is there."""
    if environ.get("KUBERNETES_SERVICE_HOST"):
        return "kubernetes"
    if (root / "run/.containerenv").exists():
        return "podman"
    if (root / ".dockerenv").exists():
        return "docker"
    if environ.get("container"):
        return environ["container"]
    init = root / "proc/1/cgroup"
    groups = init.read_text(errors="replace") if init.exists() else ""
    marks = {"kubepods": "kubernetes", "docker": "docker", "libpod": "podman", "/lxc": "lxc"}
    return next((name for mark, name in marks.items() if mark in groups), "")


def _cpu(reading: Reading, limits: Limits) -> Cpu:
    model, flags = reading.attempt("cpu.flags", _model_and_flags) or (None, None)
    if flags is None and not any(miss.what == "cpu.flags" for miss in reading.unread):
        reading.miss("cpu.flags", "this system does not list the processor's instruction sets")
    return Cpu(
        model=model,
        physical_cores=reading.attempt("cpu.physical_cores", lambda: psutil.cpu_count(logical=False)),
        logical_cores=os.cpu_count(),
        usable_cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        quota_cores=limits.cpu_cores,
        flags=flags,
        frequency_max=_frequency_max(reading),
        governor=_scaling(reading, "governor"),
        scaling_driver=_scaling(reading, "scaling_driver"),
        niceness=os.getpriority(os.PRIO_PROCESS, 0) if hasattr(os, "getpriority") else None,
        numa_nodes=_numa_nodes(reading),
    )


def _model_and_flags() -> tuple[str | None, tuple[str, ...] | None]:
    info = Path("/proc/cpuinfo")
    if info.exists():
        return parse_cpuinfo(info.read_text(errors="replace"))
    return platform.processor() or None, None


def parse_cpuinfo(text: str) -> tuple[str | None, tuple[str, ...] | None]:
    """Model name and the flags of ``FLAGS`` from the first processor of ``/proc/cpuinfo`` (x86 and ARM)."""
    model, flags = None, None
    for line in text.splitlines():
        key, colon, value = line.partition(":")
        name = key.strip().lower()
        if colon and name == "model name" and model is None:
            model = value.strip() or None
        elif colon and name in ("flags", "features") and flags is None:
            flags = tuple(sorted(FLAGS & set(value.split())))
        if model is not None and flags is not None:
            break
    return model, flags


def _frequency_max(reading: Reading) -> float | None:
    """MHz, from the frequency scaling or, where there is none, the clock that the processor states."""
    file, info = _SCALING / "cpuinfo_max_freq", Path("/proc/cpuinfo")
    if file.exists():
        return reading.attempt("cpu.frequency_max", lambda: int(file.read_text()) / 1000)
    clock = parse_clock(info.read_text(errors="replace")) if info.exists() else None
    if clock is None:
        reading.miss("cpu.frequency_max", "this system tells no clock of the processor")
    return clock


def parse_clock(text: str) -> float | None:
    """The highest "cpu MHz" of ``/proc/cpuinfo``; None where it is not told (ARM)."""
    found = re.findall(r"^cpu MHz\s*:\s*(\d{2,5}(?:\.\d+)?)\s*$", text, re.MULTILINE)
    return max(map(float, found), default=None)


def _scaling(reading: Reading, fact: str) -> str | None:
    """How the clocks are set: "governor" or "scaling_driver" of the first core."""
    file = _SCALING / f"scaling_{fact.removeprefix('scaling_')}"
    if not file.exists():
        reading.miss(f"cpu.{fact}", "the kernel offers no frequency scaling here (usual in virtual machines)")
        return None
    return reading.attempt(f"cpu.{fact}", lambda: file.read_text().strip() or None)


def _numa_nodes(reading: Reading) -> int | None:
    folder = Path("/sys/devices/system/node")
    if not folder.exists():
        reading.miss("cpu.numa_nodes", "this system does not list its memory nodes")
        return None
    return len([entry for entry in folder.iterdir() if entry.name[:4] == "node" and entry.name[4:].isdigit()])


def _memory(reading: Reading, limits: Limits) -> Memory:
    ram = reading.attempt("memory.total", psutil.virtual_memory)
    swap = reading.attempt("memory.swap_total", psutil.swap_memory)
    return Memory(
        total=ram.total if ram else None,
        available=ram.available if ram else None,
        swap_total=swap.total if swap else None,
        swap_used=swap.used if swap else None,
        limit=limits.memory,
        limit_used=limits.memory_used,
    )


def _python(redactor: Redactor) -> Python:
    return Python(
        version=platform.python_version(),
        implementation=platform.python_implementation(),
        bits=struct.calcsize("P") * 8,
        prefix=redactor.text(sys.prefix),
        virtual_environment=sys.prefix != sys.base_prefix or (Path(sys.prefix) / "conda-meta").is_dir(),
    )
