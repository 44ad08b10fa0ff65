"""Is there enough main memory, and is it being swapped?"""

from __future__ import annotations

from collections.abc import Iterator

from doctor.check import Check, require
from doctor.facts import Facts
from doctor.finding import Finding, Remedy, Severity
from doctor.sizes import GIB, gib

LITTLE = 8 * GIB
"""SD 1.5 in fp32 with everything beside it takes about 5 GiB; SDXL in half precision about 7 GiB while it
loads."""

SWAPPED_SHARE = 0.25
SWAPPED_BYTES = GIB


def run(facts: Facts) -> Iterator[Finding]:
    """Too little to load a model; or in use by others so far that it is swapped."""
    memory = facts.memory
    total = require(memory.total, "memory.total")
    whole = min(total, memory.limit) if memory.limit is not None else total
    usable = require(memory.usable, "memory.available")
    evidence: dict[str, object] = {
        "memory.total": total,
        "memory.available": memory.available,
        "memory.limit": memory.limit,
        "memory.limit_used": memory.limit_used,
    }
    if usable < LITTLE:
        limited = memory.limit is not None and memory.limit < total
        yield Finding(
            id="ram-low",
            severity=Severity.WARNING if usable < LITTLE / 2 else Severity.NOTE,
            title=f"Only {gib(usable)} of main memory can be had (of "
            f"{gib(whole)}{', a limit' if limited else ''}).",
            evidence=evidence,
            cause="Models pass through main memory while they load, and stay there with CPU offload."
            + (" The limit is that of the container or service." if limited else ""),
            remedy=Remedy(
                "Raise the limit of the container (docker run --memory)."
                if limited
                else "Close other programs, use half precision and smaller models, or add memory.",
            ),
        )
    used, swap = memory.swap_used, memory.swap_total
    if (
        used is not None
        and swap
        and used >= SWAPPED_BYTES
        and used >= SWAPPED_SHARE * swap
        and usable < LITTLE
    ):
        yield Finding(
            id="swap-in-use",
            severity=Severity.WARNING,
            title=f"{gib(used)} of swap are in use while memory is short: loading and offloading will stall.",
            evidence=evidence | {"memory.swap_used": used, "memory.swap_total": swap},
            cause="What does not fit into memory is moved to the disk, which is a hundred times slower.",
            remedy=Remedy("Close other programs before generating, or choose a smaller model."),
        )


CHECK = Check(
    name="host-memory",
    title="Is there enough main memory?",
    needs=("memory.total", "memory.available", "memory.limit"),
    causes={
        "ram-low": "Little main memory can be had, on the machine or under the container's limit.",
        "swap-in-use": "Memory is short and the machine swaps.",
    },
    run=run,
    sources=(
        "github.com/lllyasviel/Fooocus/issues/1401",
        "github.com/Comfy-Org/ComfyUI/issues/4461",
    ),
)
