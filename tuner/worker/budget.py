"""Budgets: make a device behave as if it had less memory, so that running out of it is real and harmless."""

from __future__ import annotations

import sys

from tuner.worker.meter import process_memory


class BudgetRefused(Exception):
    """A budget cannot be enforced on this system."""


def bare_data() -> int | None:
    """Writable data of this process now, in bytes: the zero from which a CPU budget counts. None if not Linux."""
    return process_memory().get("VmData")


def set_budget(device: str, budget: int, bare: int | None) -> None:
    """Let this process use ``budget`` bytes on ``device``; on a CPU beyond ``bare`` (see ``bare_data``).

    On a CPU: a soft ``RLIMIT_DATA`` (setrlimit(2): private writable mappings), against which torch's
    allocation fails with a catchable error at a sharp edge. On CUDA: torch's own per-process fraction.
    Raises BudgetRefused where the system has no such limit.
    """
    if device != "cpu":
        _limit_cuda(device, budget)
        return
    if sys.platform != "linux" or bare is None:
        raise BudgetRefused("A memory budget for the CPU needs Linux; leave --memory out on this system.")
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = bare + budget
    resource.setrlimit(
        resource.RLIMIT_DATA, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard)
    )


def lift_budget() -> None:
    """Take a CPU budget away again, so that an error can be reported with memory to spare."""
    if sys.platform == "linux":
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (hard, hard))


def _limit_cuda(device: str, budget: int) -> None:
    import torch

    total = torch.cuda.get_device_properties(device).total_memory
    torch.cuda.set_per_process_memory_fraction(min(1.0, budget / total), device)
