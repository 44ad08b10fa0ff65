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

NEEDS_SWAP = 24 * GIB
"""Main memory below which SDXL in fp32 or FLUX (13 and 24 GB of weights, and more) does not load without swap."""

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
    if memory.swap_total == 0 and total < NEEDS_SWAP and facts.host.container == "":
        yield Finding(
            id="no-swap",
            severity=Severity.NOTE,
            title=f"There is no swap beside {gib(total)} of main memory: a large model ends the program "
            f"instead of loading slowly.",
            evidence={"memory.total": total, "memory.swap_total": 0},
            cause="While a model loads it may be in memory twice for a moment. Without swap the kernel "
            "kills the program then.",
            remedy=Remedy(
                "Add a swap file of 16 GiB on a fast disk.",
                (
                    "sudo fallocate -l 16G /swapfile",
                    "sudo chmod 600 /swapfile",
                    "sudo mkswap /swapfile",
                    "sudo swapon /swapfile",
                ),
            )
            if facts.host.os == "Linux"
            else None,
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
        "no-swap": "Little main memory and no swap.",
        "ram-low": "Little main memory can be had, on the machine or under the container's limit.",
        "swap-in-use": "Memory is short and the machine swaps.",
    },
    run=run,
    sources=(
        "github.com/lllyasviel/Fooocus/issues/1401",
        "github.com/Comfy-Org/ComfyUI/issues/4461",
    ),
)
