"""The probes, a plain list: what each measures, how long it may take, and whether others disturb it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from doctor.facts import Facts

MEASURE = "doctor.probes.measure"

Excuse = Callable[[Facts], str | None]


class Turn(Enum):
    """When a probe measures. Its preparation (imports) runs beside others in any case."""

    FIRST = "alone, before the others"
    BESIDE = "beside others"
    ALONE = "alone, after the others"


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One measurement in a child process of its own."""

    name: str
    doing: str
    """For the progress line: "importing torch"."""
    module: str
    """The module with its ``measure``; imported by the child only."""
    deadline: float
    """Seconds of preparation and measurement together; the wait for its turn does not count."""
    turn: Turn = Turn.BESIDE
    needs: tuple[str, ...] = ()
    """Probes that must have ended well before this one measures."""
    excuse: Excuse = lambda _facts: None
    """Why it does not apply to the machine of these facts, or None."""


def needs_package(name: str) -> Excuse:
    """The excuse of a probe of a package that is not installed."""

    def excuse(facts: Facts) -> str | None:
        if facts.packages is None or facts.package(name) is not None:
            return None
        return f"{name} is not installed"

    return excuse


def needs_torch(facts: Facts) -> str | None:
    """The excuse of a probe that computes. torch may be there without metadata, so its files count too."""
    return needs_package("torch")(facts) if facts.torch is None else None


def needs_cuda(facts: Facts) -> str | None:
    """The excuse of a probe of a graphics card."""
    if facts.torch is None:
        return needs_torch(facts)
    if facts.torch.cuda is None and facts.torch.hip is None:
        return "the installed torch is a CPU build"
    if facts.gpus == () and facts.torch.hip is None:
        return "there is no NVIDIA card"
    return None


IMPORT_DEADLINE = 60.0
"""Seconds. torch and diffusers are 2 to 5 s of work, but a hard disk may need most of a minute to read them."""

CUDA_DEADLINE = 30.0
"""Seconds. Without persistence mode a driver needs several to start (docs.nvidia.com/deploy/driver-persistence)."""

TORCH, CUDA = ("import-torch",), ("import-torch", "cuda-init", "cuda-kernel")

PROBES: tuple[Probe, ...] = (
    Probe(name="disk-read", doing="reading a file of the model cache", module=f"{MEASURE}.disk_read",
          deadline=15.0, turn=Turn.FIRST),
    Probe(name="import-torch", doing="importing torch", module=f"{MEASURE}.import_torch",
          deadline=IMPORT_DEADLINE, excuse=needs_torch),
    Probe(name="import-diffusers", doing="importing diffusers", module=f"{MEASURE}.import_diffusers",
          deadline=IMPORT_DEADLINE, excuse=needs_package("diffusers")),
    Probe(name="import-xformers", doing="importing xformers", module=f"{MEASURE}.import_xformers",
          deadline=IMPORT_DEADLINE, excuse=needs_package("xformers")),
    Probe(name="cuda-init", doing="starting CUDA", module=f"{MEASURE}.cuda_init",
          deadline=CUDA_DEADLINE, needs=TORCH, excuse=needs_cuda),
    Probe(name="cuda-kernel", doing="running a kernel on the card", module=f"{MEASURE}.cuda_kernel",
          deadline=CUDA_DEADLINE, needs=("import-torch", "cuda-init"), excuse=needs_cuda),
    Probe(name="attention", doing="trying every attention backend", module=f"{MEASURE}.attention",
          deadline=CUDA_DEADLINE, needs=TORCH, excuse=needs_torch),
    Probe(name="compiler", doing="trying the compiler that torch.compile needs", module=f"{MEASURE}.compiler",
          deadline=30.0, excuse=needs_torch),
    Probe(name="memory-bandwidth", doing="copying in main memory", module=f"{MEASURE}.memory_bandwidth",
          deadline=15.0, turn=Turn.ALONE),
    Probe(name="cpu-rate", doing="multiplying matrices on the processor", module=f"{MEASURE}.cpu_rate",
          deadline=30.0, turn=Turn.ALONE, needs=TORCH, excuse=needs_torch),
    Probe(name="gpu-rate", doing="multiplying matrices on the card", module=f"{MEASURE}.gpu_rate",
          deadline=CUDA_DEADLINE, turn=Turn.ALONE, needs=CUDA, excuse=needs_cuda),
    Probe(name="gpu-copy", doing="copying to and from the card", module=f"{MEASURE}.gpu_copy",
          deadline=CUDA_DEADLINE, turn=Turn.ALONE, needs=CUDA, excuse=needs_cuda),
    Probe(name="launch-latency", doing="launching small kernels", module=f"{MEASURE}.launch_latency",
          deadline=CUDA_DEADLINE, turn=Turn.ALONE, needs=CUDA, excuse=needs_cuda),
    Probe(name="fp16-convolution", doing="convolving in half precision", module=f"{MEASURE}.fp16_convolution",
          deadline=CUDA_DEADLINE, needs=CUDA, excuse=needs_cuda),
)  # fmt: skip
"""In the order in which they start; long preparations first."""
