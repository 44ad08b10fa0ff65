"""What ran out, by the numbers of an out-of-memory line?"""

from __future__ import annotations

from collections.abc import Iterator

from doctor.check import Check
from doctor.facts import Facts, Message
from doctor.finding import Finding, Remedy, Severity

_OTHER_SHARE = 0.05
"""Part of a device that a context and a desktop at rest hold; more than that belongs to somebody."""

_CONTEXT = 600 * 2**20
"""A bound for the CUDA context of the process itself, which older messages count as nobody's."""

_SPARE_SHARE = 0.05
"""Part of a device that rounding to blocks leaves unused anyway; only more than that is fragmentation."""

_FIT = Remedy(
    "Lower what is asked for: a smaller picture or batch, CPU offload (--medvram, --lowvram in web UIs), "
    "VAE tiling, or a smaller or quantized model.",
    ("sdoctor tune",),
)
_UNFRAGMENT = Remedy(
    "Let the allocator grow its segments, or cap the size of blocks it splits on an old torch (second line).",
    ("export PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True",
     "export PYTORCH_CUDA_ALLOC_CONF=max_split_size_mb:512"),
)  # fmt: skip
_CLOSE = Remedy(
    "Close the browser, games and other programs on the desktop that hold video memory, and see who holds it.",
    ("nvidia-smi",),
)


def run(facts: Facts) -> Iterator[Finding]:
    """Judge the numbers of the first out-of-memory line."""
    message = facts.message("out-of-memory")
    if message is not None:
        yield _cuda(message)
    mps = facts.message("mps-oom")
    if mps is not None:
        yield _finding(mps, "mps-oom", "The MPS backend reached its limit of Apple's unified memory.",
                       "The model and its working memory are larger than what macOS lets the GPU use.", _FIT)  # fmt: skip
    page = facts.message("pagefile")
    if page is not None:
        yield _finding(page, "pagefile-too-small", "Windows' paging file is too small: main memory ran out, not VRAM.",
                       "Windows must be able to commit everything that a program reserves, and loading torch "
                       "reserves gigabytes.", Remedy("Enlarge the page file (SystemPropertiesPerformance, "
                       "Advanced, Virtual memory), close programs, restart."))  # fmt: skip


def _cuda(message: Message) -> Finding:
    sizes = {name: int(value) for name, value in message.values.items()}
    requested, free, total = sizes.get("requested"), sizes.get("free"), sizes.get("total")
    allocated = sizes.get("allocated")
    spare = sizes.get("unallocated")
    if spare is None and "reserved" in sizes and allocated is not None:
        spare = max(0, sizes["reserved"] - allocated)
    worth = total is None or (spare or 0) >= _SPARE_SHARE * total
    if requested is not None and spare is not None and spare > requested and worth:
        return _finding(message, "oom-fragmentation", "Video memory is fragmented: enough is reserved, but in pieces.",
                        "PyTorch holds more unused memory than was asked for, but no single piece is large enough.",
                        _UNFRAGMENT)  # fmt: skip
    if requested is not None and free is not None and free > requested:
        return _finding(message, "oom-despite-free", f"{free / 2**30:.2f} GiB were free although the request was smaller.",
                        "Video memory is not what ran out. Main memory, the page file or a per-process limit did.",
                        Remedy("Look at main memory and page file first; restart the program."))  # fmt: skip
    held = None
    if total is not None and free is not None and allocated is not None:
        held = total - free - allocated - (spare or 0)
    if (
        held is not None
        and total
        and held > max(_OTHER_SHARE * total, _CONTEXT)
        and "this process has" not in message.text
    ):
        return _finding(message, "oom-other-process", f"{held / 2**30:.1f} GiB of the card are held outside PyTorch.",
                        "Other programs, such as the desktop or a browser, hold the rest of the card.", _CLOSE)  # fmt: skip
    shared = total is not None and allocated is not None and allocated > total
    more = " Windows already moved a part into shared memory." if shared else ""
    return _finding(message, "oom-too-big", "The model or the picture does not fit into video memory.",
                    f"The program's own live data fill the device.{more}", _FIT)  # fmt: skip


def _finding(message: Message, cause_id: str, title: str, cause: str, remedy: Remedy) -> Finding:
    evidence: dict[str, object] = {"message": message.text, **message.values}
    return Finding(
        id=cause_id, severity=Severity.ERROR, title=title, evidence=evidence, cause=cause, remedy=remedy
    )


CHECK = Check(
    name="reported-memory",
    title="Does the report hold an out-of-memory line, and what ran out?",
    needs=(),
    causes={
        "oom-too-big": "This process's own live data fill the device.",
        "oom-fragmentation": "More is reserved but unused than was asked for.",
        "oom-other-process": "Other programs hold a large part of the device.",
        "oom-despite-free": "More was free than was asked for: VRAM is not what ran out.",
        "mps-oom": "The MPS backend reached its memory limit.",
        "pagefile-too-small": "Windows could commit no more memory.",
    },
    run=run,
    sources=("docs.pytorch.org/docs/stable/notes/cuda.html (memory management)",),
)
