"""Does the installed torch carry code for this card?"""

from __future__ import annotations

from collections.abc import Iterator

from doctor.check import Check, require
from doctor.checks.cards import dotted, evidence_of, names_of
from doctor.compat import OLDEST_CAPABILITY, architectures_of, newest_code, runs_on
from doctor.facts import Facts, Gpu
from doctor.finding import Finding, Remedy, Severity
from doctor.remedies import torch_for_cards


def run(facts: Facts) -> Iterator[Finding]:
    """Compare every card's capability with the architectures inside the build."""
    torch = facts.torch
    if not facts.gpus or torch is None or torch.cuda is None:
        return
    tabled = architectures_of(torch.version, torch.cuda, facts.host.machine)
    codes = require(torch.architectures or tabled, "torch.architectures")
    served, too_new, dropped, too_old = [], [], [], []
    newest = require(newest_code(codes), "torch.architectures")
    for gpu in facts.gpus:
        capability = require(gpu.capability, f"gpus[{gpu.index}].capability")
        if any(runs_on(code, capability) for code in codes):
            served.append(gpu)
        elif capability > newest:
            too_new.append(gpu)
        elif capability < OLDEST_CAPABILITY:
            too_old.append(gpu)
        else:
            dropped.append(gpu)
    where = "torch's library" if torch.architectures else "the table of published builds"
    if too_new:
        yield _too_new(facts, tuple(too_new), _evidence(facts, too_new, codes, where))
    if dropped:
        yield _dropped(facts, tuple(dropped), _evidence(facts, dropped, codes, where))
    if too_old:
        yield _too_old(tuple(too_old), _evidence(facts, too_old, codes, where))
    if served:
        yield Finding(
            id="architecture",
            severity=Severity.OK,
            title=f"torch {torch.version} carries code for {names_of(served)}.",
            evidence=_evidence(facts, served, codes, where),
        )


def _evidence(facts: Facts, gpus: list[Gpu], codes: tuple[str, ...], where: str) -> dict[str, object]:
    torch = facts.torch
    return {
        "gpus": evidence_of(gpus),
        "torch.version": torch.version if torch else None,
        "torch.cuda": torch.cuda if torch else None,
        "torch.architectures": list(codes),
        "read from": where,
    }


def _too_new(facts: Facts, gpus: tuple[Gpu, ...], evidence: dict[str, object]) -> Finding:
    return Finding(
        id="arch-not-in-wheel",
        severity=Severity.ERROR,
        title=f"{names_of(gpus)} is newer than the installed torch: the build carries no code for it.",
        evidence=evidence,
        cause=f"The card has compute capability {_capabilities(gpus)}, and no architecture in this build "
        "runs on it. "
        "Programs stop with 'no kernel image is available for execution on the device'.",
        remedy=torch_for_cards(facts, gpus),
    )


def _dropped(facts: Facts, gpus: tuple[Gpu, ...], evidence: dict[str, object]) -> Finding:
    return Finding(
        id="arch-dropped",
        severity=Severity.ERROR,
        title=f"{names_of(gpus)} is older than the installed torch supports, but another build still has it.",
        evidence=evidence,
        cause=f"Code for compute capability {_capabilities(gpus)} was left out of this CUDA build. "
        "The CUDA 12.6 builds carried it up to torch 2.14.",
        remedy=torch_for_cards(facts, gpus),
    )


def _too_old(gpus: tuple[Gpu, ...], evidence: dict[str, object]) -> Finding:
    return Finding(
        id="gpu-too-old",
        severity=Severity.ERROR,
        title=f"{names_of(gpus)} is too old for every current torch build.",
        evidence=evidence,
        cause=f"Compute capability {_capabilities(gpus)} lies below {dotted(OLDEST_CAPABILITY)}, the oldest "
        "that is built.",
        remedy=Remedy(
            "Run on the processor, or use a newer card; 4 GiB and Turing (RTX 20, GTX 16) are a fair minimum."
        ),
    )


def _capabilities(gpus: tuple[Gpu, ...]) -> str:
    return ", ".join(sorted({dotted(gpu.capability) for gpu in gpus if gpu.capability}))


CHECK = Check(
    name="architecture",
    title="Does the installed torch carry code for this card?",
    needs=("gpus", "torch", "torch.cuda"),
    causes={
        "arch-not-in-wheel": "The card is newer than the code inside the installed torch build.",
        "arch-dropped": "The card is older than this build supports, but another build of torch still has "
        "it.",
        "gpu-too-old": "No current torch build has code for this card.",
        "architecture": "The build carries code for the card (nothing wrong).",
    },
    run=run,
    sources=(
        "github.com/pytorch/pytorch (torch/cuda/__init__.py)",
        "github.com/pytorch/pytorch/issues/157517",
        "github.com/pytorch/pytorch/issues/172352",
        "github.com/Comfy-Org/ComfyUI/issues/7127",
    ),
)
