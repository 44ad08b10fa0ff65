"""Do environment variables that were left over slow things down or load the wrong libraries?"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from doctor.check import Check
from doctor.compat import release
from doctor.facts import Facts
from doctor.finding import Finding, Remedy, Severity
from doctor.remedies import unset_variable

_TRUE = frozenset({"1", "true", "yes", "on"})
_OPTIONS = frozenset(
    {"backend", "max_split_size_mb", "roundup_power2_divisions", "garbage_collection_threshold", "expandable_segments",
     "pinned_use_cuda_host_register", "pinned_num_register_threads", "pinned_use_background_threads",
     "release_lock_on_cudamalloc", "pinned_use_hip_host_register", "release_lock_on_hipmalloc",
     "graph_capture_record_stream_reuse",
     "max_non_split_rounding_mb", "per_process_memory_fraction", "pinned_reserve_segment_size_mb", "throw_on_cudamalloc_oom"}
)  # fmt: skip
"""Names that the allocator knows (pytorch/pytorch c10/core/AllocatorConfig.h, c10/cuda/CUDAAllocatorConfig.h)."""


@dataclass(frozen=True, slots=True)
class _Rule:
    name: str
    id: str
    severity: Severity
    bad: Callable[[str, Facts], bool]
    title: str
    cause: str
    remedy: str = "Take the variable away."


def _is_on(value: str, _facts: Facts) -> bool:
    return value.strip().lower() in _TRUE


def _foreign_cuda(value: str, facts: Facts) -> bool:
    uses = facts.torch is not None and facts.torch.cuda is not None
    return uses and bool(re.search(r"cuda|cudnn|conda\w*/lib", value, re.I)) and "/usr/lib/wsl" not in value


def _other_cuda(value: str, facts: Facts) -> bool:
    cuda = release(facts.torch.cuda) if facts.torch else None
    return cuda is not None and value.isdecimal() and value != "".join(map(str, cuda[:2]))


def _bad_allocator(value: str, facts: Facts) -> bool:
    names = {part.partition(":")[0].strip() for part in value.split(",") if part.strip()}
    segments = re.search(r"expandable_segments\s*:\s*true", value, re.I) and (
        facts.host.os == "Windows" or facts.host.wsl
    )
    return bool(names - _OPTIONS) or bool(segments)


def _new_name_too_early(_value: str, facts: Facts) -> bool:
    torch = release(facts.torch.version) if facts.torch else None
    return (
        torch is not None and torch < (2, 10) and "PYTORCH_CUDA_ALLOC_CONF" not in (facts.environment or {})
    )


def _has_packages(value: str, _facts: Facts) -> bool:
    return "site-packages" in value or "dist-packages" in value


_RULES = (
    _Rule("CUDA_LAUNCH_BLOCKING", "launch-blocking", Severity.WARNING, _is_on,
          "CUDA_LAUNCH_BLOCKING is set: the card waits for the processor after every operation.",
          "The variable is for finding errors. With it nothing overlaps, and small pictures take much "
          "longer."),
    _Rule("PYTORCH_NO_CUDA_MEMORY_CACHING", "memory-caching-off", Severity.WARNING, _is_on,
          "PYTORCH_NO_CUDA_MEMORY_CACHING is set: every piece of memory is asked from the driver anew.",
          "The variable is for finding errors. Allocations then cost more than the computing between "
          "them."),
    _Rule("PYTORCH_CUDA_ALLOC_CONF", "alloc-conf-invalid", Severity.WARNING, _bad_allocator,
          "PYTORCH_CUDA_ALLOC_CONF holds a setting that torch does not take here.",
          "An unknown name stops torch when CUDA starts; expandable_segments does not work on Windows and "
          "WSL."),
    _Rule("PYTORCH_ALLOC_CONF", "alloc-conf-ignored", Severity.NOTE, _new_name_too_early,
          "PYTORCH_ALLOC_CONF is ignored by this torch.",
          "Releases before 2.10 read the settings from PYTORCH_CUDA_ALLOC_CONF "
          "(github.com/pytorch/pytorch/issues/183387).",
          "Set the older name to the same value."),
    _Rule("LD_LIBRARY_PATH", "library-path", Severity.NOTE, _foreign_cuda,
          "LD_LIBRARY_PATH names a folder of CUDA: its libraries may be loaded in place of torch's own.",
          "torch brings CUDA libraries of its own. Another version in front of them gives 'undefined "
          "symbol' or cuDNN errors.",
          "If such errors come, start without it."),
    _Rule("BNB_CUDA_VERSION", "bnb-version-forced", Severity.WARNING, _other_cuda,
          "BNB_CUDA_VERSION makes bitsandbytes load a library for another CUDA than torch's.",
          "The variable was set for an older torch. bitsandbytes finds the right library by itself."),
    _Rule("HF_HUB_OFFLINE", "offline-mode", Severity.NOTE, _is_on,
          "HF_HUB_OFFLINE is set: models are taken from the cache only.",
          "A model that is not in the cache cannot be found while it is set."),
    _Rule("PYTHONPATH", "pythonpath", Severity.WARNING, _has_packages,
          "PYTHONPATH puts packages of another Python in front of this one's.",
          "Every Python started from here looks there first, in virtual environments too. Versions mix."),
    _Rule("NVIDIA_TF32_OVERRIDE", "tf32-off", Severity.NOTE, lambda value, _facts: value.strip() == "0",
          "NVIDIA_TF32_OVERRIDE=0 switches TF32 off for all of CUDA.",
          "Computations in fp32 then run at a fraction of the speed on RTX 30 and newer."),
)  # fmt: skip


def run(facts: Facts) -> Iterator[Finding]:
    """Judge the variables that are set."""
    environment = facts.environment or {}
    for rule in _RULES:
        value = environment.get(rule.name)
        if value is not None and rule.bad(value, facts):
            yield Finding(
                id=rule.id,
                severity=rule.severity,
                title=rule.title,
                evidence={f"environment.{rule.name}": value},
                cause=rule.cause,
                remedy=Remedy(rule.remedy, unset_variable(facts, rule.name)),
            )


CHECK = Check(
    name="variables",
    title="Do environment variables slow things down or load the wrong libraries?",
    needs=("environment",),
    causes={
        "launch-blocking": "CUDA_LAUNCH_BLOCKING makes the card wait after every operation.",
        "memory-caching-off": "PYTORCH_NO_CUDA_MEMORY_CACHING switches the allocator's cache off.",
        "alloc-conf-invalid": "PYTORCH_CUDA_ALLOC_CONF holds a setting that torch does not take here.",
        "alloc-conf-ignored": "PYTORCH_ALLOC_CONF is ignored by this torch.",
        "library-path": "LD_LIBRARY_PATH names a folder of another CUDA.",
        "bnb-version-forced": "BNB_CUDA_VERSION names another CUDA than torch's.",
        "offline-mode": "HF_HUB_OFFLINE is set (nothing wrong).",
        "pythonpath": "PYTHONPATH puts packages of another Python in front.",
        "tf32-off": "NVIDIA_TF32_OVERRIDE switches TF32 off.",
    },
    run=run,
    sources=(
        "docs.pytorch.org/docs/stable/cuda_environment_variables.html",
        "github.com/pytorch/pytorch/issues/183387",
        "github.com/pytorch/pytorch/issues/140797",
        "huggingface.co/docs/huggingface_hub/package_reference/environment_variables",
    ),
)
