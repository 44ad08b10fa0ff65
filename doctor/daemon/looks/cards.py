"""Cards: is their memory full, and are they still there?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from doctor.daemon.sighting import Sighting, View
from doctor.finding import Remedy, Severity
from doctor.sizes import gib
from doctor.telemetry.sample import GpuSample

FULL_PERCENT = 97.0
"""As in ``doctor.verdicts.memory_bound``, where its sources are: from here the Windows driver may spill."""

FULL_SECONDS = 10.0
LOST_SECONDS = 5.0
"""After sleep, a driver may answer nothing once (crystian/ComfyUI-Crystools#273)."""

MISMATCH = "mismatch"
"""In the driver's words "Driver/library version mismatch" (nvml.h, NVML_ERROR_LIB_RM_VERSION_MISMATCH)."""


class VideoMemory:
    """Memory of a card that is as good as full."""

    every = 1.0

    def look(self, view: View) -> Sequence[Sighting]:
        """One sighting per full card."""
        return [found for card in view.newest.gpus or () if (found := _full(card)) is not None]


def _full(card: GpuSample) -> Sighting | None:
    if card.memory_used is None or not card.memory_total:
        return None
    percent = 100.0 * card.memory_used / card.memory_total
    if percent < FULL_PERCENT:
        return None
    free = card.memory_total - card.memory_used
    holders = sorted(card.processes or (), key=lambda each: each.memory_used or 0, reverse=True)
    names = ", ".join(f"{each.name or each.pid} ({gib(each.memory_used)})" for each in holders[:3])
    return Sighting(
        kind="vram-pressure",
        about=f"gpu{card.index}",
        severity=Severity.WARNING,
        title=f"{card.name or 'The card'} has {gib(free)} of its memory left.",
        evidence={"gpu": card.index, "vram_percent": round(percent, 1), "free_mib": free // 2**20}
        | ({"held_by": names} if names else {}),
        advice=Remedy(
            "Close what holds the card's memory, or make pictures with settings that need less.",
            ("sdoctor generate --low-memory ...", "nvidia-smi"),
        ),
        worse=percent,
        after=FULL_SECONDS,
    )


class LostCards:
    """A card that was there and does not answer any more. A card that comes back ends the incident."""

    every = 1.0

    def __init__(self) -> None:
        self._known: dict[int, str] = {}

    def look(self, view: View) -> Sequence[Sighting]:
        """One sighting per lost card; one for all if the driver itself does not answer."""
        cards, error = view.newest.gpus, view.newest.gpu_error
        if cards is None:
            return list(self._silent(error or ""))
        answering = {card.index: card for card in cards if card.name is not None}
        self._known |= {index: card.name or "" for index, card in answering.items()}
        return [
            Sighting(
                kind="gpu-lost",
                about=f"gpu{index}",
                severity=Severity.ERROR,
                title=f"{name} (card {index}) does not answer the driver any more.",
                evidence={"gpu": index, "name": name},
                advice=_AFTER_LOSS,
                after=LOST_SECONDS,
            )
            for index, name in self._known.items()
            if index not in answering
        ]

    def _silent(self, error: str) -> Iterator[Sighting]:
        if MISMATCH in error.lower():
            yield mismatch(error)
        elif self._known:
            yield Sighting(
                kind="gpu-lost",
                about="driver",
                severity=Severity.ERROR,
                title=f"The driver of {' and '.join(dict.fromkeys(self._known.values()))} does not answer any more.",
                evidence={"driver_said": error} if error else {},
                advice=_AFTER_LOSS,
                after=LOST_SECONDS,
            )


def mismatch(words: str, **evidence: str) -> Sighting:
    """The kernel's part of the driver is another version than the libraries."""
    return Sighting(
        kind="driver-mismatch",
        severity=Severity.ERROR,
        title="The NVIDIA driver was updated, but the old one is still loaded: new programs cannot use the card.",
        evidence={"driver_said": words, **evidence} if words else {**evidence},
        advice=Remedy("Restart the machine; until then do not end what works.", ("sudo reboot",)),
        linger=120.0,
    )


_AFTER_LOSS = Remedy(
    "Look for Xid lines in the kernel's log; 79 is a card that fell off the bus: check power and slot. "
    "A restart usually brings it back.",
    ("sudo dmesg | grep -i xid", "sdoctor check"),
)
