"""Words about cards that several checks share."""

from __future__ import annotations

from collections.abc import Sequence

from doctor.facts import Facts, Gpu


def name_of(gpu: Gpu) -> str:
    """What a person calls the card: its name, or its number if it has none."""
    return gpu.name or f"card {gpu.index}"


def names_of(gpus: Sequence[Gpu]) -> str:
    """ "NVIDIA GeForce RTX 3090 and 2 x NVIDIA T4"."""
    counts: dict[str, int] = {}
    for gpu in gpus:
        counts[name_of(gpu)] = counts.get(name_of(gpu), 0) + 1
    words = [name if count == 1 else f"{count} x {name}" for name, count in counts.items()]
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1]))) if words else "no card"


def dotted(capability: tuple[int, int]) -> str:
    """A compute capability as NVIDIA writes it: "8.6"."""
    return f"{capability[0]}.{capability[1]}"


def evidence_of(gpus: Sequence[Gpu]) -> list[dict[str, object]]:
    """The cards as evidence: index, name, capability."""
    return [
        {
            "index": gpu.index,
            "name": gpu.name,
            "capability": dotted(gpu.capability) if gpu.capability else None,
        }
        for gpu in gpus
    ]


def nvidia_present(facts: Facts) -> bool | None:
    """Whether an NVIDIA card is in the machine, whatever the driver says; None if nothing tells."""
    if facts.gpus:
        return any(gpu.vendor == "nvidia" for gpu in facts.gpus)
    if facts.driver.pci_devices:
        return True
    if facts.gpus is not None or facts.driver.pci_devices == 0:
        return False
    return None


def cuda_usable(facts: Facts) -> bool:
    """Whether images will be made on an NVIDIA card here, as far as the facts tell."""
    return bool(facts.gpus) and facts.torch is not None and facts.torch.cuda is not None
