"""Error lines about allocator settings and other environment variables."""

from __future__ import annotations

from doctor.checks.reported.rules import Rule, check_of
from doctor.facts import Facts, Message
from doctor.finding import Remedy, Severity
from doctor.remedies import unset_variable


def _unset(facts: Facts, _message: Message) -> Remedy:
    return Remedy(
        "Take the variable away, or set it as torch knows it: max_split_size_mb:512 (more than 20), and "
        "expandable_segments:True only on Linux.",
        (*unset_variable(facts, "PYTORCH_CUDA_ALLOC_CONF"), *unset_variable(facts, "PYTORCH_ALLOC_CONF")),
    )


_RULES = (
    Rule(kind="alloc-conf", id="alloc-conf-invalid", title="PYTORCH_CUDA_ALLOC_CONF has a value that "
         "torch does not take.",
         cause="The allocator's settings are read when CUDA starts; an unknown name stops the program or "
              "is ignored. "
         "expandable_segments does not exist on Windows.", remedy=_unset, severity=Severity.WARNING),
    Rule(kind="cuda-malloc", id="cuda-malloc-async", title="The allocator cudaMallocAsync does not work "
         "with this card or torch.",
         cause="ComfyUI and Forge switch it on by a flag or by the card's name. Some cards and operations "
              "do not have it.",
         remedy=Remedy("Start with --disable-cuda-malloc (in Forge without --cuda-malloc).")),
)  # fmt: skip

CHECK = check_of(
    "environment",
    "Do the error lines blame a setting of the allocator?",
    {
        "alloc-conf-invalid": "PYTORCH_CUDA_ALLOC_CONF has a value that torch does not take.",
        "cuda-malloc-async": "The allocator cudaMallocAsync does not work here.",
    },
    (
        "docs.pytorch.org/docs/stable/notes/cuda.html (PYTORCH_CUDA_ALLOC_CONF)",
        "github.com/Comfy-Org/ComfyUI (cuda_malloc.py)",
    ),
    rules=_RULES,
)
