"""How much memory has the card, and is it free?"""

from __future__ import annotations

from collections.abc import Iterator

from doctor.check import Check, require
from doctor.checks.cards import name_of
from doctor.facts import Facts, Gpu
from doctor.finding import Finding, Remedy, Severity
from doctor.sizes import GIB, gib

ROUNDING = 0.92
"""Cards report a little less than is printed on the box ("8 GB" as 7.6 to 8.0 GiB), mostly for ECC and the
driver."""

HELD_BYTES, HELD_SHARE = GIB, 0.25
"""A desktop alone holds some hundred MiB; a quarter of the card and a whole GiB is somebody else's work."""

_TIERS = (
    (12, "SDXL at 1024x1024 in half precision fits whole; FLUX with offloading or 8-bit weights.", ()),
    (
        8,
        "SD 1.5 fits with room; SDXL at 1024x1024 in half precision with VAE tiling or model offload.",
        ("sdoctor tune",),
    ),
    (
        4,
        "SD 1.5 at 512x512 in half precision; SDXL only with CPU offload, at a fraction of the speed.",
        ("sdoctor tune",),
    ),
    (
        0,
        "SD 1.5 at 512x512 or less, in half precision with CPU offload; SDXL and FLUX only layer by layer, "
        "far slower.",
        ("sdoctor tune",),
    ),
)


def tier(total: int) -> int:
    """The tier of a card in GiB: 12, 8, 4, or 0 for less."""
    return next(size for size, _, _ in _TIERS if total >= size * GIB * ROUNDING)


def run(facts: Facts) -> Iterator[Finding]:
    """Per card: what its memory allows, and whether somebody else holds much of it."""
    for gpu in facts.gpus or ():
        total = require(gpu.memory_total, f"gpus[{gpu.index}].memory_total")
        yield _tier(gpu, total)
        used = require(gpu.memory_used, f"gpus[{gpu.index}].memory_used")
        if used >= HELD_BYTES and used >= HELD_SHARE * total:
            yield _held(gpu, total, used, pasted=bool(facts.read_from))


def _tier(gpu: Gpu, total: int) -> Finding:
    size = tier(total)
    words, commands = next((words, commands) for level, words, commands in _TIERS if level == size)
    named = f"{size} GiB or more" if size else "under 4 GiB"
    return Finding(
        id="vram-tier",
        severity=Severity.OK if size == 12 else Severity.NOTE,
        title=f"{name_of(gpu)} has {gib(total)} of memory ({named}): {words}",
        evidence={f"gpus[{gpu.index}].memory_total": total, "tier_gib": size},
        cause="Expected from the sizes of these models, not measured here." if size < 12 else "",
        remedy=Remedy("Let sdoctor measure the largest picture that works.", commands) if commands else None,
    )


def _held(gpu: Gpu, total: int, used: int, *, pasted: bool) -> Finding:
    holders = sorted(gpu.processes or (), key=lambda process: -(process.memory_used or 0))
    named = [
        f"{process.name or 'process'} (pid {process.pid}"
        + (f", {gib(process.memory_used)})" if process.memory_used is not None else ")")
        for process in holders
    ]
    by = f" by {', '.join(named[:3])}" if named else ""
    return Finding(
        id="vram-held",
        # In a pasted table it may be the very program that was asked about.
        severity=Severity.NOTE if pasted else Severity.WARNING,
        title=f"{gib(used)} of the {gib(total)} of {name_of(gpu)} are already held{by}.",
        evidence={
            f"gpus[{gpu.index}].memory_used": used,
            f"gpus[{gpu.index}].memory_total": total,
            f"gpus[{gpu.index}].processes": named or None,
        },
        cause="Another program (a second image program, a browser, a game) keeps memory that a generation "
        "cannot have.",
        remedy=Remedy(
            "Close it, or switch off the browser's hardware acceleration, and check again.", ("nvidia-smi",)
        ),
    )


CHECK = Check(
    name="vram",
    title="How much memory has the card, and is it free?",
    needs=("gpus",),
    causes={
        "vram-tier": "What is realistic with the memory of this card: under 4, 4, 8, 12 GiB and more.",
        "vram-held": "Other programs hold a large part of the card's memory.",
    },
    run=run,
    sources=(
        "huggingface.co/docs/diffusers/optimization/memory",
        "github.com/AUTOMATIC1111/stable-diffusion-webui/issues/11739",
        "github.com/Comfy-Org/ComfyUI_frontend/issues/14599",
    ),
)
