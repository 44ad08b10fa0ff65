"""Waiting until a worker's memory is back, so that the next trial finds what this one found."""

from __future__ import annotations

import time
from collections.abc import Callable

from doctor.sizes import MIB
from tuner.host_memory import available_bytes

FreeBytes = Callable[[], int | None]
"""Free bytes of a device now; None where that cannot be read."""
_SLACK = 256 * MIB
"""Other programs take and give back memory meanwhile; what a model leaves behind would be more than this."""
_NOISE = 16 * MIB
"""What is free on a quiet machine goes up and down by a few MiB."""
_LOOK_SECONDS = 0.05
_STILL_SECONDS = 1.0
"""Memory that has not become more for so long belongs to somebody else; waiting on would not bring it back."""


def free_bytes_of(device: str) -> FreeBytes:
    """How to read what is free on ``device``: the host's available memory, or the driver's free bytes."""
    if device == "cpu":
        return available_bytes
    from doctor.telemetry.gpu import GpuSource

    source = GpuSource()
    index = int(device.partition(":")[2] or 0)

    def driver_free() -> int | None:
        cards, _ = source.read()
        if cards is None or index >= len(cards):
            return None
        card = cards[index]
        if card.memory_total is None or card.memory_used is None:
            return None
        return card.memory_total - card.memory_used

    return driver_free


def wait_until_back(free: FreeBytes, before: int | None, seconds: float = 5.0) -> bool:
    """Wait until about as much is free as ``before``; False if no more comes back, or if it cannot be read.

    ``seconds`` is the longest wait while memory still comes back.
    """
    if before is None:
        return False
    now, most = time.monotonic(), -1
    until, moved = now + seconds, now
    while True:
        left, now = free(), time.monotonic()
        if left is None:
            return False
        if left >= before - _SLACK:
            return True
        if left > most + _NOISE:
            most, moved = left, now
        if now > until or now - moved > _STILL_SECONDS:
            return False
        time.sleep(_LOOK_SECONDS)
