"""What ran out, by the numbers of an out-of-memory line?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from doctor.checks.reported.rules import check_of, finding_of, is_windows
from doctor.facts import Facts, Message
from doctor.finding import Finding, Remedy, Severity
from doctor.remedies import set_variable
from doctor.sizes import GIB, gib

_OTHER_SHARE, _OTHER_BYTES = 0.10, GIB
"""What a CUDA context and a desktop at rest hold; more than that belongs to somebody. The context is a few hundred MiB."""

_SPARE_SHARE = 0.05
"""Part of a device that rounding to blocks leaves unused anyway; only more than that is fragmentation."""

_OWN_SHARE = 1.02
"""Sizes are rounded to two digits in the message: allocated memory may seem that much larger than the device."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """The numbers of one message, in bytes; None for what it does not say."""

    requested: int | None
    total: int | None
    free: int | None
    allocated: int | None
    spare: int | None
    """Reserved by PyTorch, but not in use."""
    outside: int | None
    """Held neither by PyTorch nor free."""


def sizes_of(message: Message) -> Sizes:
    """Read the values of an out-of-memory message; sizes that cannot be (a counter that went below zero) are dropped."""
    values = {name: int(value) for name, value in message.values.items() if value.isdecimal()}
    total, free, allocated = values.get("total"), values.get("free"), values.get("allocated")
    spare = values.get("unallocated")
    if spare is None and "reserved" in values and allocated is not None:
        spare = max(0, values["reserved"] - allocated)
    own = values.get("own")
    if own is not None and (own > (total or own) or own < (allocated or 0)):
        own = None  # "17179869184.00 GiB" or "0 bytes", which some drivers (WSL, containers) make torch print
    outside = None
    if total is not None and free is not None and (own is not None or allocated is not None):
        outside = total - free - (own if own is not None else (allocated or 0) + (spare or 0))
    return Sizes(values.get("requested"), total, free, allocated, spare, outside)


def _run(facts: Facts) -> Iterator[Finding]:
    message = facts.message("out-of-memory")
    if message is not None:
        yield _cuda(facts, message)
    mps = facts.message("mps-oom")
    if mps is not None:
        yield _mps(mps)
    hidden = facts.message("cublas-init")
    if hidden is not None and message is None:
        yield _hidden(hidden)
    spill = facts.message("sysmem-fallback")
    if spill is not None and message is None:
        yield _spill(spill)


def _cuda(facts: Facts, message: Message) -> Finding:
    sizes = sizes_of(message)
    asked, spare = sizes.requested, sizes.spare or 0
    if asked is not None and sizes.free is not None and sizes.free > asked:
        return _despite_free(message, sizes)
    if asked is not None and spare > max(asked, _SPARE_SHARE * (sizes.total or 0)):
        return _fragmented(facts, message, sizes)
    held = sizes.outside or 0
    holders = _holders(facts)
    if sizes.total and held > max(_OTHER_SHARE * sizes.total, _OTHER_BYTES):
        return _others(message, held, sizes.total, holders)
    return _too_big(facts, message, sizes, holders)


def _despite_free(message: Message, sizes: Sizes) -> Finding:
    return finding_of(
        "oom-despite-free",
        message,
        f"{gib(sizes.free)} were free although only {gib(sizes.requested)} were asked for: video memory "
        f"is not what ran out.",
        "Main memory, the page file, a limit of the process or of the container did, or the free memory "
        "is Windows' shared one.",
        Remedy(
            "Look at main memory and page file (enlarge it on Windows) and at limits first; restart "
            "the program."
        ),
    )


def _fragmented(facts: Facts, message: Message, sizes: Sizes) -> Finding:
    old = "reserved in total" in message.text or "max_split_size_mb" in message.text
    segments = not is_windows(facts) and not facts.host.wsl
    value = "max_split_size_mb:512" if old or not segments else "expandable_segments:True"
    return finding_of(
        "oom-fragmentation",
        message,
        f"Video memory is fragmented: {gib(sizes.spare)} are reserved and unused, but in pieces; "
        f"{gib(sizes.requested)} in one "
        "piece were asked for.",
        "PyTorch keeps freed blocks for itself. Where sizes change from picture to picture, none of them "
        "is large enough.",
        Remedy(
            "Let the allocator grow its segments (expandable_segments:True, on Linux) or not split large "
            "blocks "
            "(max_split_size_mb), and restart the program between very different sizes.",
            set_variable(facts, "PYTORCH_CUDA_ALLOC_CONF", value),
        ),
    )


def _holders(facts: Facts) -> list[str]:
    found = [process for gpu in facts.gpus or () for process in gpu.processes or ()]
    return [
        f"{p.name or 'process'} ({gib(p.memory_used)})" if p.memory_used else p.name or "" for p in found
    ][:5]


def _others(message: Message, held: int, total: int, holders: list[str]) -> Finding:
    named = f" The report shows: {', '.join(holders)}." if holders else ""
    return finding_of(
        "oom-other-process",
        message,
        f"{gib(held)} of the {gib(total)} of the card are held outside this program's PyTorch, by other "
        f"processes.",
        f"Other programs, such as the desktop, a browser, a game or a second model server, hold that "
        f"part.{named}",
        Remedy(
            "Close other programs that hold video memory (browser with hardware acceleration, games, a "
            "second web UI); if it "
            "still does not fit, lower the picture size or use offload.",
            ("nvidia-smi",),
        ),
        evidence={"held outside": held},
    )


def _too_big(_facts: Facts, message: Message, sizes: Sizes, holders: list[str]) -> Finding:
    shared = bool(sizes.total and sizes.allocated and sizes.allocated > _OWN_SHARE * sizes.total)
    known = sizes.allocated and sizes.total
    numbers = f": {gib(sizes.allocated)} of {gib(sizes.total)} are its own live data" if known else ""
    more = " Windows already moved a part into shared memory, which is many times slower." if shared else ""
    beside = f" Beside it: {', '.join(holders)}." if holders else ""
    return finding_of(
        "oom-too-big",
        message,
        f"The model or the picture does not fit into video memory{numbers}.",
        f"The program's own data fill the device.{more}{beside}",
        Remedy(
            "Lower what is asked for: a smaller picture or batch, CPU offload (--medvram, --lowvram in "
            "web UIs, "
            "enable_model_cpu_offload in diffusers), VAE tiling, or a smaller or quantized model.",
            ("sdoctor tune",),
        ),
    )


def _mps(message: Message) -> Finding:
    return finding_of(
        "mps-oom",
        message,
        "The MPS backend reached its limit of Apple's unified memory.",
        "The model and its working memory are larger than what macOS lets the GPU use; other programs "
        "share that memory.",
        Remedy(
            "Lower the picture size or take a smaller or quantized model; close other programs. Lifting "
            "the limit "
            "(PYTORCH_MPS_HIGH_WATERMARK_RATIO=0.0) may freeze the Mac.",
            ("sdoctor tune",),
        ),
    )


def _hidden(message: Message) -> Finding:
    return finding_of(
        "cuda-library-start-failed",
        message,
        "cuBLAS or cuDNN could not start, mostly because no video memory was left for it.",
        "They need some hundred MiB of their own when they start. An old driver is the rarer reason.",
        Remedy(
            "Free video memory (smaller picture, --medvram, close other programs), then update the driver.",
            ("nvidia-smi",),
        ),
    )


def _spill(message: Message) -> Finding:
    return finding_of(
        "vram-spill",
        message,
        "Weights spill into main memory: each step is many times slower.",
        "Windows' driver moves what does not fit into shared memory instead of failing. The card then "
        "waits for the bus.",
        Remedy(
            "Leave more video memory free (Forge: lower 'GPU Weights'; smaller model), or set 'CUDA - "
            "Sysmem Fallback Policy' to "
            "'Prefer No Sysmem Fallback' in NVIDIA's control panel."
        ),
        severity=Severity.WARNING,
    )


CHECK = check_of(
    "memory",
    "Does the report hold an out-of-memory line, and what ran out?",
    {
        "oom-too-big": "This process's own live data fill the device.",
        "oom-fragmentation": "More is reserved but unused than was asked for.",
        "oom-other-process": "Other programs hold a large part of the device.",
        "oom-despite-free": "More was free than was asked for: VRAM is not what ran out.",
        "mps-oom": "The MPS backend reached its memory limit.",
        "cuda-library-start-failed": "cuBLAS or cuDNN could not start, mostly for want of memory.",
        "vram-spill": "Weights spill into main memory (Windows' shared memory).",
    },
    (
        "docs.pytorch.org/docs/stable/notes/cuda.html (memory management)",
        "github.com/pytorch/pytorch (c10/cuda/CUDACachingAllocator.cpp)",
        "github.com/AUTOMATIC1111/stable-diffusion-webui/issues/11063",
        "nvidia.custhelp.com/app/answers/detail/a_id/5490",
    ),
    run=_run,
)
