"""Device: what a prediction needs to know about the card, or about this machine's processor."""

from __future__ import annotations

from dataclasses import dataclass

from doctor.cards import Card, named
from doctor.sizes import MIB
from tuner.cuda_context import context_bytes
from tuner.processor_rate import ProcessorRate
from tuner.target import Target

# Share of a card's memory that its driver keeps: torch's messages say "23.69 GiB total capacity" on cards of 24,
# "11.76 GiB" of 12, "7.79 GiB" of 8 (pytorch/pytorch#16417 and many more).
DRIVER_SHARE = 0.02
# What a desktop with a browser holds on the card that drives the screen. Assumed, not measured here.
DESKTOP_BYTES = 400 * MIB
# What a worker on a processor takes beside weights and tensors: code and tables that are loaded at the first run.
# Measured: 20 to 29 MiB in builtin:tiny and builtin:sd15 (docs/plan.md).
HOST_BYTES = 28 * MIB
# A card about which only the memory is known is taken for an Ampere one, the oldest that torch 2.13 fully serves.
_ASSUMED_CAPABILITY = (8, 6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """Where it shall run. Bytes and seconds."""

    name: str
    memory_bytes: int | None
    usable_bytes: int | None
    """What one program can get, its CUDA context included; None if the memory is unknown."""
    capability: tuple[int, int] | None
    """None: a processor, whose memory is the host's."""
    card: Card | None = None
    processor: ProcessorRate | None = None
    """What a processor's arithmetic may reach; None for a card, and where it is not known."""
    computes_bf16: bool = True
    """Whether a processor multiplies in bfloat16; without, OpenVINO computes such models in float32."""
    convolves_bf16: bool = True
    """Whether oneDNN convolves in 16 bits on a processor; without, torch does by columns (``tuner.workspaces``)."""

    @property
    def is_cpu(self) -> bool:
        """Whether it computes on the host processor."""
        return self.capability is None

    @property
    def budget(self) -> int | None:
        """Bytes that torch's allocator may reserve."""
        if self.usable_bytes is None or self.is_cpu:
            return self.usable_bytes
        return max(0, self.usable_bytes - self.context_bytes)

    @property
    def context_bytes(self) -> int:
        """What a CUDA context takes of it; 0 on a processor."""
        return 0 if self.is_cpu else context_bytes(self.card)


def device_of_card(card: Card) -> Device:
    """The card in a usual machine: a desktop's one drives a screen, a server's one does not."""
    free = int(card.memory_bytes * (1 - DRIVER_SHARE)) - (DESKTOP_BYTES if card.is_desktop else 0)
    return Device(
        name=card.name,
        memory_bytes=card.memory_bytes,
        usable_bytes=free,
        capability=card.capability,
        card=card,
    )


def device_of_memory(memory: int, card: Card | None = None) -> Device:
    """Any NVIDIA card with that much to use; arithmetic only where the card is known."""
    return Device(
        name=card.name if card else "a card",
        memory_bytes=memory,
        usable_bytes=memory,
        capability=card.capability if card else _ASSUMED_CAPABILITY,
        card=card,
    )


def device_of_target(target: Target, processor: ProcessorRate | None = None) -> Device:
    """This machine's own device, with what is free on it now."""
    if target.is_cpu:
        return Device(
            name=target.name or "this processor",
            memory_bytes=target.memory_total,
            usable_bytes=target.memory_free,
            capability=None,
            processor=processor,
            computes_bf16=target.fast_bf16 is not False,
            convolves_bf16=target.convolves_bf16 is not False,
        )
    return Device(
        name=target.name or target.device,
        memory_bytes=target.memory_total,
        usable_bytes=target.memory_free,
        capability=target.capability or _ASSUMED_CAPABILITY,
        card=named(target.name),
    )
