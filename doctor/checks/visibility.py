"""Does CUDA_VISIBLE_DEVICES hide cards?"""

from __future__ import annotations

from collections.abc import Iterator

from doctor.check import Check
from doctor.checks.cards import cuda_usable
from doctor.facts import Facts, Gpu
from doctor.finding import Finding, Remedy, Severity


def visible(value: str, gpus: tuple[Gpu, ...]) -> tuple[list[Gpu], str | None]:
    """The cards that a value leaves visible, and the first entry that names none (or None).

    How many is certain; which ones is not, for CUDA may number cards differently from the driver
    (CUDA_DEVICE_ORDER).
    Reading stops at the first entry that names no card, and a card named twice hides all: that is CUDA's own
    rule
    (CUDA C++ Programming Guide, environment variables). MIG entries are taken as good.
    """
    chosen: list[Gpu] = []
    for entry in value.split(","):
        name = entry.strip()
        match = [gpu for gpu in gpus if _names(name, gpu)]
        if name.startswith("MIG-"):
            match = [gpu for gpu in gpus if gpu.mig_enabled is not False][:1]
        if len(match) != 1:
            return chosen, name
        if match[0] in chosen and not name.startswith("MIG-"):
            return [], name
        chosen.append(match[0])
    return chosen, None


def _names(entry: str, gpu: Gpu) -> bool:
    if entry.isdecimal():
        return int(entry) == gpu.index
    return entry.startswith("GPU-") and gpu.uuid is not None and gpu.uuid.startswith(entry)


def run(facts: Facts) -> Iterator[Finding]:
    """Tell what the variable hides, if it is set."""
    value = (facts.environment or {}).get("CUDA_VISIBLE_DEVICES")
    if value is None or not facts.gpus or not cuda_usable(facts):
        return
    seen, stopped_at = visible(value, facts.gpus)
    if len(seen) == len(facts.gpus) and stopped_at is None:
        return
    windows = facts.host.os == "Windows"
    unset = "set CUDA_VISIBLE_DEVICES=" if windows else "unset CUDA_VISIBLE_DEVICES"
    evidence: dict[str, object] = {
        "environment.CUDA_VISIBLE_DEVICES": value,
        "gpus": [gpu.index for gpu in facts.gpus],
        "visible cards": len(seen),
    }
    bad = stopped_at is not None and stopped_at not in ("", "-1")
    stop = f" The entry '{stopped_at}' names no card here, and CUDA stops reading there." if bad else ""
    if not seen:
        yield Finding(
            id="cuda-visible-devices",
            severity=Severity.ERROR,
            title=f"CUDA_VISIBLE_DEVICES={value!r} hides every card from torch.",
            evidence=evidence,
            cause=f"Programs started from here see no card and use the processor.{stop}",
            remedy=Remedy("Remove the variable, or name a card that exists.", (unset,)),
        )
        return
    yield Finding(
        id="cuda-visible-devices",
        severity=Severity.WARNING if bad else Severity.NOTE,
        title=f"CUDA_VISIBLE_DEVICES={value!r} shows torch {len(seen)} of {len(facts.gpus)} cards.",
        evidence=evidence,
        cause=f"The other cards stay unused by programs started from here.{stop}",
        remedy=Remedy("If that is not meant, remove the variable.", (unset,)),
    )


CHECK = Check(
    name="visibility",
    title="Does CUDA_VISIBLE_DEVICES hide cards?",
    needs=("environment", "gpus"),
    causes={"cuda-visible-devices": "The variable hides cards from torch, or names one that does not exist."},
    run=run,
    sources=(
        "docs.nvidia.com/cuda/cuda-c-programming-guide (environment variables)",
        "github.com/NVIDIA/DCGM (dcgmlib/dcgm_errors.h, BAD_CUDA_ENV)",
    ),
)
