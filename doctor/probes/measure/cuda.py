"""What the probes of graphics cards share: which cards, and how much of each may be used."""

from __future__ import annotations

from typing import Any

from doctor.probes.say import NotApplicable

MOST_CARDS = 4
"""Cards that are measured; a server's other ones are like these."""

LEAST_FREE = 2**30
"""Bytes that must be free on a card: a measurement takes up to half of it."""


def devices(torch: Any) -> list[Any]:
    """The cards that have room to be measured, as torch devices, in CUDA's order. Raises NotApplicable."""
    if not torch.cuda.is_available():
        raise NotApplicable("CUDA cannot be used, or shows no card")
    found = [torch.device("cuda", index) for index in range(min(torch.cuda.device_count(), MOST_CARDS))]
    roomy = [device for device in found if torch.cuda.mem_get_info(device)[0] >= LEAST_FREE]
    if not roomy:
        raise NotApplicable("less than 1 GiB is free on the card")
    return roomy


def event_seconds(torch: Any, device: Any, run: Any, times: int) -> float:
    """Seconds per run, between two CUDA events around ``times`` of them: the host's own time does not count."""
    before, after = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    with torch.cuda.device(device):
        before.record()
        for _ in range(times):
            run()
        after.record()
        after.synchronize()
    return float(before.elapsed_time(after)) / 1000 / times
