"""Words and look-ups that the checks of the live probes share."""

from __future__ import annotations

from collections.abc import Iterator

from doctor.cards import Card, meant_by
from doctor.facts import Facts, Gpu, ProbeOutcome, ProbeResult

_LONGEST = 160
"""Characters of an error in a title."""


def answered(facts: Facts, name: str) -> ProbeResult | None:
    """The result of a probe that ended well, or None."""
    result = facts.probe(name)
    return result if result is not None and result.outcome is ProbeOutcome.OK else None


def quoted(result: ProbeResult) -> str:
    """The first line of its error, which is the deepest cause: for a title, in quotes."""
    first = (result.error or "no words").splitlines()[0].strip()
    shown = first if len(first) <= _LONGEST else f"{first[: _LONGEST - 3]}..."
    return f'"{" ".join(shown.split())}"'


def shown(number: float) -> str:
    """A figure with three digits, as people write it: "0.203", "61.4", "312"."""
    return f"{number:.0f}" if number >= 100 else f"{number:.3g}"


def title_of(device: str, result: ProbeResult) -> str:
    """What a person calls the device: the card's name, or the processor."""
    return "the processor" if device == "cpu" else result.notes.get(device, device)


def published(name: str) -> Card | None:
    """The published figures of a card; of several that the name may mean, the slowest. None if it is not known."""
    return min(meant_by(name), key=lambda card: (card.fp32_tflops, card.bandwidth_gbs), default=None)


def gpu_named(facts: Facts, name: str) -> Gpu | None:
    """The first card of that name as its driver describes it. CUDA may number cards in another order."""
    return next((gpu for gpu in facts.gpus or () if gpu.name == name), None)


def by_device(result: ProbeResult) -> Iterator[tuple[str, str, dict[str, float]]]:
    """(device, its name, figure -> value) for each device that was measured."""
    for device in result.devices:
        figures = {one.name: one.value for one in result.values if one.device == device}
        yield device, title_of(device, result), figures
