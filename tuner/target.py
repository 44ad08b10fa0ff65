"""Target: the device that a pipeline shall run on, with what the knobs need to know about it."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from doctor.errors import UsageError
from doctor.facts import Facts
from doctor.sizes import GIB, gib

_FLOOR_SHARE = 0.05
_FLOOR_BYTES = GIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One device. Memory in bytes; None where the facts do not say."""

    device: str
    """As torch names it: "cpu", "cuda:0"."""
    name: str | None = None
    memory_total: int | None = None
    memory_free: int | None = None
    """What a worker may take: on a CPU a floor is left for the rest of the machine."""
    capability: tuple[int, int] | None = None
    fast_bf16: bool | None = None
    convolves_bf16: bool | None = None
    """Of a processor: see ``Cpu.convolves_bf16``."""
    cores: int | None = None
    """Physical cores that may be used, control group quota respected."""
    default_threads: int | None = None
    """Threads that torch computes with unless told otherwise: it does not know of a quota."""
    packages: tuple[str, ...] = ()
    """Installed packages that knobs depend on."""

    @property
    def is_cpu(self) -> bool:
        """Whether the pipeline computes on the host processor."""
        return self.device == "cpu"


def holds_budgets(device: str) -> bool:
    """Whether a process can be held to a budget on this system.

    On a card torch does it. On a CPU the kernel has to, and only Linux counts what torch maps against ``RLIMIT_DATA``: macOS
    takes the limit and ignores it, Windows has none. There a worker is ended when the machine's free memory runs low.
    """
    return device != "cpu" or sys.platform == "linux"


def floor_of_free_memory(total: int) -> int:
    """Bytes of host memory that sdoctor never takes, so that the machine is not driven into swap."""
    return max(_FLOOR_BYTES, int(total * _FLOOR_SHARE))


def choose_target(facts: Facts, wanted: str | None = None) -> Target:
    """The device to run on: the one asked for, else the first usable GPU, else the CPU.

    Raises UsageError if ``wanted`` is not there or torch cannot use it.
    """
    if wanted in (None, "auto"):
        return _cuda_target(facts, 0) if _cuda_is_usable(facts) else _cpu_target(facts)
    if wanted == "cpu":
        return _cpu_target(facts)
    if wanted == "cuda" or (wanted.startswith("cuda:") and wanted[5:].isdigit()):
        if not _cuda_is_usable(facts):
            raise UsageError(
                f"The device '{wanted}' cannot be used: {_why_no_cuda(facts)} `sdoctor check` tells more."
            )
        index = int(wanted[5:] or 0) if wanted != "cuda" else 0
        if index >= len(facts.gpus or ()):
            raise UsageError(
                f"There is no device '{wanted}': this machine has {len(facts.gpus or ())} GPU(s), counted from 0."
            )
        return _cuda_target(facts, index)
    raise UsageError(f"'{wanted}' is not a device; write auto, cpu, cuda or cuda:N.")


def _cuda_is_usable(facts: Facts) -> bool:
    return bool(facts.gpus) and facts.torch is not None and facts.torch.cuda is not None


def _why_no_cuda(facts: Facts) -> str:
    if not facts.gpus:
        return "no NVIDIA GPU was found."
    return "the installed torch is a build without CUDA."


def _packages(facts: Facts) -> tuple[str, ...]:
    return tuple(package.name for package in facts.packages or ())


def _cuda_target(facts: Facts, index: int) -> Target:
    gpu = (facts.gpus or ())[index]
    return Target(
        device=f"cuda:{index}",
        name=gpu.name,
        memory_total=gpu.memory_total,
        memory_free=gpu.memory_free,
        capability=gpu.capability,
        # Tensor cores take bfloat16 from compute capability 8.0 on; before, torch emulates it.
        fast_bf16=None if gpu.capability is None else gpu.capability >= (8, 0),
        cores=_cores(facts),
        default_threads=_default_threads(facts),
        packages=_packages(facts),
    )


def _cpu_target(facts: Facts) -> Target:
    memory = facts.memory
    total = memory.total if memory.limit is None or memory.total is None else min(memory.total, memory.limit)
    free = None
    if memory.usable is not None and total is not None:
        free = max(0, memory.usable - floor_of_free_memory(total))
    return Target(
        device="cpu",
        name=facts.cpu.model,
        memory_total=total,
        memory_free=free,
        fast_bf16=facts.cpu.has_fast_bf16,
        convolves_bf16=facts.cpu.convolves_bf16,
        cores=_cores(facts),
        default_threads=_default_threads(facts),
        packages=_packages(facts),
    )


def _default_threads(facts: Facts) -> int | None:
    known = [count for count in (facts.cpu.physical_cores, facts.cpu.usable_cores) if count]
    return min(known) if known else None


def _cores(facts: Facts) -> int | None:
    """Physical cores within the affinity mask and the quota; hyper-threads do not help matrix products."""
    cpu = facts.cpu
    known = [count for count in (cpu.physical_cores, cpu.usable_cores) if count]
    if cpu.quota_cores:
        known.append(max(1, int(cpu.quota_cores)))
    return min(known) if known else None


def check_budget(budget: int | None, target: Target) -> int | None:
    """The bytes that a worker may use: the budget asked for, else what is free.

    Raises UsageError if more is asked for than the device has free, since that would take the
    memory of other programs (on a CPU: drive the machine into swap), or if nothing could hold it to that.
    """
    if budget is None:
        return target.memory_free
    if not holds_budgets(target.device):
        raise UsageError(
            "--memory cannot be kept here: a budget for the CPU needs Linux, since no other system holds a program to it. "
            "Leave it out; a run is ended when the machine's free memory runs low."
        )
    if target.memory_free is not None and budget > target.memory_free:
        raise UsageError(
            f"A budget of {gib(budget)} is more than the {gib(target.memory_free)} that can be taken on "
            f"{target.name or target.device} now; give a smaller --memory or close other programs."
        )
    return budget
