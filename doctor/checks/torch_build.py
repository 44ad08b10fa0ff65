"""Is torch there, and is it a build for this machine's card?"""

from __future__ import annotations

from collections.abc import Iterator

from doctor.check import Check, FactUnread, require
from doctor.checks.cards import evidence_of, names_of, nvidia_present
from doctor.facts import Facts, TorchBuild
from doctor.finding import Finding, Remedy, Severity
from doctor.remedies import PIP, torch_for_cards


def run(facts: Facts) -> Iterator[Finding]:
    """torch missing, or a CPU build beside an NVIDIA card."""
    torch = facts.torch
    if torch is None:
        yield _missing(facts)
        return
    version = require(torch.version, "torch.version")
    if torch.cuda is not None or torch.hip is not None or facts.host.os == "Darwin":
        yield _found(torch, version)
        return
    present = nvidia_present(facts)
    if present is None:
        raise FactUnread("gpus")
    if present:
        yield _cpu_only(facts, version)
    else:
        yield _found(torch, version)


def _missing(facts: Facts) -> Finding:
    return Finding(
        id="torch-missing",
        severity=Severity.ERROR,
        title="torch is not installed for this Python.",
        evidence={
            "packages.torch": None,
            "python.version": facts.python.version,
            "python.prefix": facts.python.prefix,
        },
        cause="Everything here runs on torch. It may be installed for another Python than the one that ran "
        "sdoctor.",
        remedy=_install(facts),
    )


def _install(facts: Facts) -> Remedy:
    if nvidia_present(facts):
        return torch_for_cards(facts, facts.gpus or ())
    if facts.host.os == "Linux" and nvidia_present(facts) is False:
        return Remedy(
            text="Install the CPU build; the default one carries some gigabytes of CUDA that this machine "
            "cannot use.",
            commands=(f"{PIP} install torch torchvision --index-url https://download.pytorch.org/whl/cpu",),
        )
    return Remedy(text="Install torch.", commands=(f"{PIP} install torch torchvision",))


def _cpu_only(facts: Facts, version: str) -> Finding:
    cards = names_of(facts.gpus) if facts.gpus else "an NVIDIA card"
    cause = (
        "PyPI's Windows wheels are CPU builds."
        if facts.host.os == "Windows"
        else "This wheel holds no CUDA code."
    )
    return Finding(
        id="cpu-only-torch",
        severity=Severity.ERROR,
        title=f"The installed torch {version} is a CPU build, which leaves {cards} unused.",
        evidence={
            "torch.version": version,
            "torch.cuda": None,
            "gpus": evidence_of(facts.gpus or ()),
            "driver.pci_devices": facts.driver.pci_devices,
        },
        cause=f"{cause} Another package may have pulled it in over a CUDA build.",
        remedy=torch_for_cards(facts, facts.gpus or ()),
    )


def _found(torch: TorchBuild, version: str) -> Finding:
    made_for = (
        f"with CUDA {torch.cuda}" if torch.cuda else f"with ROCm {torch.hip}" if torch.hip else "without CUDA"
    )
    return Finding(
        id="torch-build",
        severity=Severity.OK,
        title=f"torch {version} is installed (built {made_for}).",
        evidence={"torch.version": version, "torch.cuda": torch.cuda, "torch.hip": torch.hip},
    )


CHECK = Check(
    name="torch-build",
    title="Is torch installed, and is it a build for this machine's card?",
    needs=("torch", "torch.cuda"),
    causes={
        "torch-missing": "torch is not installed for this Python.",
        "cpu-only-torch": "An NVIDIA card is there, but the installed torch is a CPU build.",
        "torch-build": "Which torch is installed (nothing wrong).",
    },
    run=run,
    sources=(
        "github.com/Comfy-Org/ComfyUI/issues/2427",
        "github.com/Comfy-Org/ComfyUI/issues/7932",
        "pytorch.org/get-started/locally",
    ),
)
