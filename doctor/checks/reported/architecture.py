"""Error lines about a card that the installed torch, or an extension, has no code for."""

from __future__ import annotations

from collections.abc import Iterator

from doctor.checks.cards import dotted, evidence_of
from doctor.checks.reported.rules import check_of, finding_of, only_amd
from doctor.compat import CU128, OLDEST_CAPABILITY, Capability, architectures_of, release, runs_on
from doctor.facts import Facts, Gpu, Message
from doctor.finding import Finding, Remedy, Severity
from doctor.remedies import pip_of, torch_for_cards

_KINDS = ("arch-not-compatible", "arch-range", "arch-compiler", "no-kernel-image", "arch-advice")

_FIRST_CUDA: tuple[tuple[Capability, tuple[int, int]], ...] = (
    ((10, 0), (12, 8)), ((9, 0), (11, 8)), ((8, 6), (11, 0)), ((8, 0), (11, 0)), ((7, 5), (10, 0)), ((7, 0), (9, 0)),
)  # fmt: skip
"""First CUDA that compiles code which runs on a card of at least that capability; code for 8.0 runs on 8.6 and 8.9
(docs.nvidia.com/cuda/cuda-toolkit-release-notes; CUDA C++ Programming Guide, binary compatibility)."""

_TURING: Capability = (7, 5)
"""The oldest architecture of CUDA 13 (docs.nvidia.com/cuda/cuda-toolkit-release-notes, 13.0)."""

_GB10: Capability = (12, 1)


def _run(facts: Facts) -> Iterator[Finding]:
    """Join the message, the card and the build."""
    if only_amd(facts) or (facts.torch and facts.torch.hip):
        return
    message = next((said for kind in _KINDS if (said := facts.message(kind))), None)
    capability = _capability(facts, message)
    if message is None and not _impossible(facts, capability):
        return
    if capability is None:
        yield _nameless(facts, message)
    elif capability < OLDEST_CAPABILITY:
        yield _too_old(facts, capability, message)
    elif message is not None and _harmless(facts, capability, message):
        yield _warned_without_need(capability, message)
    elif capability >= _TURING and _has_code(facts, capability):
        if message is not None and message.kind == "no-kernel-image":
            yield _extension(facts, capability, message)
    elif capability < _TURING:
        yield _dropped(facts, capability, message)
    else:
        yield _too_new(facts, capability, message)


def _capability(facts: Facts, message: Message | None) -> Capability | None:
    for said in (message, *(facts.message(kind) for kind in _KINDS)):
        if said and (sm := said.values.get("sm")):
            return int(sm[:-1]), int(sm[-1])
        if said and "major" in said.values:
            return int(said.values["major"]), int(said.values["minor"])
    return next((gpu.capability for gpu in facts.gpus or () if gpu.capability), None)


def _cuda(facts: Facts) -> tuple[int, ...] | None:
    return release(facts.torch.cuda) if facts.torch else None


def _codes(facts: Facts) -> tuple[str, ...] | None:
    torch = facts.torch
    if torch is None:
        return None
    return torch.architectures or architectures_of(torch.version, torch.cuda, facts.host.machine or "x86_64")


def _has_code(facts: Facts, capability: Capability) -> bool:
    codes = _codes(facts)
    return bool(codes) and any(runs_on(code, capability) for code in codes or ())


def _impossible(facts: Facts, capability: Capability | None) -> bool:
    """Whether no build with the report's CUDA can have code for the card, whatever was or was not said."""
    cuda = _cuda(facts)
    if not cuda or capability is None or _has_code(facts, capability):
        return False
    cards = [gpu for gpu in facts.gpus or () if gpu.capability]
    if _codes(facts) and cards:
        return not any(_has_code(facts, gpu.capability) for gpu in cards if gpu.capability)
    first = next((floor for start, floor in _FIRST_CUDA if capability >= start), (0, 0))
    return cuda < first or (capability < _TURING and cuda >= (13,))


def _harmless(facts: Facts, capability: Capability, message: Message) -> bool:
    if message.kind == "no-kernel-image" or facts.message("no-kernel-image"):
        return False
    cuda = _cuda(facts)
    return (capability == _GB10 and (not cuda or cuda >= (12, 8))) or _has_code(facts, capability)


def _named(capability: Capability, facts: Facts | None = None) -> str:
    card: Gpu | None = (
        next((g for g in (facts.gpus or ()) if g.capability == capability), None) if facts else None
    )
    words = f"compute capability {dotted(capability)} (sm_{capability[0]}{capability[1]})"
    return f"{card.name}, {words}," if card and card.name else f"The card, {words},"


def _stand_in(facts: Facts, capability: Capability) -> tuple[Gpu, ...]:
    """The card of the message, for the remedy, where the report names none."""
    named = tuple(gpu for gpu in facts.gpus or () if gpu.capability)
    return named or (Gpu(index=0, capability=capability),)


def _too_new(facts: Facts, capability: Capability, message: Message | None) -> Finding:
    need = next((floor for start, floor in _FIRST_CUDA if capability >= start), (12, 8))
    have = f" with CUDA {facts.torch.cuda}" if facts.torch and facts.torch.cuda else ""
    return finding_of(
        "arch-not-in-wheel",
        message,
        f"{_named(capability, facts)} is newer than the installed torch{have}: the build carries no code "
        f"for it.",
        f"Code for this card begins with CUDA {need[0]}.{need[1]} builds. Without it programs stop with "
        "'no kernel image is available for execution on the device'.",
        _newer(facts, capability),
        evidence=_evidence(facts),
    )


def _evidence(facts: Facts) -> dict[str, object]:
    torch = facts.torch
    return {
        "gpus": evidence_of(facts.gpus or ()),
        "torch.version": torch.version if torch else None,
        "torch.cuda": torch.cuda if torch else None,
    }


def _newer(facts: Facts, capability: Capability) -> Remedy:
    """The right index by card and driver; where the driver is not known, both that may be right."""
    remedy = torch_for_cards(facts, _stand_in(facts, capability))
    if facts.driver.version is not None or capability < (10, 0):
        return remedy
    older = f"{pip_of(facts)} install torch torchvision --index-url {CU128.url}"
    return Remedy(
        f"{remedy.text} With a driver below 580 (see nvidia-smi) take {CU128.name} instead: the last line.",
        (*remedy.commands, older),
    )


def _dropped(facts: Facts, capability: Capability, message: Message | None) -> Finding:
    remedy = torch_for_cards(facts, _stand_in(facts, capability))
    skips = facts.message("skip-install")
    if skips:
        remedy = Remedy(
            f"{remedy.text} Take --skip-install and --skip-prepare-environment out of the start flags, or "
            f"run the "
            "commands yourself: with them the program never replaces torch.",
            remedy.commands,
        )
    return finding_of(
        "arch-dropped",
        message,
        f"{_named(capability, facts)} was dropped from the installed torch build, but another build still "
        f"has it.",
        "CUDA 13 has no Maxwell, Pascal and Volta (Pascal left the cu128 builds with torch 2.8, Volta "
        "with 2.11). "
        "The CUDA 12.6 builds carry them up to torch 2.14.",
        remedy,
        evidence=_evidence(facts),
    )


def _too_old(facts: Facts, capability: Capability, message: Message | None) -> Finding:
    return finding_of(
        "gpu-too-old",
        message,
        f"{_named(capability, facts)} is too old for every current torch build.",
        f"Code begins with compute capability {dotted(OLDEST_CAPABILITY)} (Maxwell). No driver or "
        f"reinstallation "
        "changes that.",
        Remedy("Compute on the processor, or use a newer card; Turing (RTX 20, GTX 16) is a fair minimum."),
        evidence=_evidence(facts),
    )


def _warned_without_need(capability: Capability, message: Message) -> Finding:
    return finding_of(
        "arch-warning-harmless",
        message,
        f"torch warns about {_named(capability).rstrip(',').lower()} without need: its kernels run.",
        "The warning compares numbers only; code for an earlier minor version, such as 12.0 for 12.1, "
        "runs on the "
        "card. Nothing is slower or wrong because of it.",
        Remedy("Nothing has to be done; a later torch does not warn any more."),
        severity=Severity.WARNING,
    )


def _extension(facts: Facts, capability: Capability, message: Message) -> Finding:
    return finding_of(
        "extension-arch",
        message,
        f"An extension, not torch, has no code for {_named(capability, facts).rstrip(',')}.",
        "The installed torch has code for the card, so the missing kernel belongs to a package with its "
        "own: "
        "xformers, flash-attn, sageattention, bitsandbytes. Its wheel was built for other cards.",
        Remedy(
            "Take such extensions out (torch's own attention needs none), or rebuild the one in the "
            "traceback.",
            (f"{pip_of(facts)} uninstall -y xformers flash-attn sageattention",),
        ),
    )


def _nameless(facts: Facts, message: Message | None) -> Finding:
    """A card that the report does not name: the build's CUDA tells which side it is missing on."""
    advice = facts.message("arch-advice")
    cuda = _cuda(facts)
    older = (cuda or (0,)) >= (13,) or (advice is not None and "12.6" in advice.values.get("cuda", ""))
    return finding_of(
        "arch-dropped" if older else "arch-not-in-wheel",
        message,
        "The installed torch has no code for the card of this report.",
        "The build carries machine code for some cards only. RTX 50xx (sm_120) needs cu128 or newer; GTX "
        "9xx, "
        "GTX 10xx and V100 need cu126.",
        torch_for_cards(facts, ()),
    )


CHECK = check_of(
    "architecture",
    "Do the error lines say that code for the card is missing?",
    {
        "arch-not-in-wheel": "The card is newer than the code inside the installed torch build.",
        "arch-dropped": "The card was dropped from this build, but another build of torch still has it.",
        "gpu-too-old": "No current torch build has code for this card.",
        "arch-warning-harmless": "torch warns about the card although its code runs on it.",
        "extension-arch": "torch has code for the card, an extension (xformers, flash-attn, ...) has none.",
    },
    (
        "github.com/pytorch/pytorch/issues/157517",
        "github.com/pytorch/pytorch/issues/172352",
        "github.com/Comfy-Org/ComfyUI/issues/7127",
        "github.com/Comfy-Org/ComfyUI/issues/11602",
    ),
    run=_run,
)
