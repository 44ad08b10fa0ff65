"""What is free of a device now, and what a process uses of it: for leases."""

from __future__ import annotations

import time
from collections.abc import Callable

import psutil

from doctor.telemetry.sample import GpuSample, Sample
from tuner.host_memory import available_bytes
from tuner.target import floor_of_free_memory

_OLD_SECONDS = 10.0
"""A sample of a card that is older says nothing of now."""


class Free:
    """Reads the newest sample for cards, the kernel for the host."""

    def __init__(self, newest: Callable[[], Sample | None]) -> None:
        self._newest = newest

    def of(self, device: str) -> int | None:
        """Bytes that can be taken; of the host a floor is left for everything else. None if it is not known."""
        if device == "cpu":
            total = int(psutil.virtual_memory().total)
            return max(0, available_bytes() - floor_of_free_memory(total))
        card = self._card(device)
        if card is None or card.memory_total is None or card.memory_used is None:
            return None
        return max(0, card.memory_total - card.memory_used)

    def used_by(self, device: str, pid: int) -> int:
        """Bytes that a process and its children use; 0 where that is not known: then all of a lease is kept free."""
        family = _family(pid)
        if device == "cpu":
            return sum(_resident(process) for process in family)
        card = self._card(device)
        pids = {process.pid for process in family}
        held = () if card is None else card.processes or ()
        return sum(each.memory_used or 0 for each in held if each.pid in pids)

    def _card(self, device: str) -> GpuSample | None:
        sample = self._newest()
        if sample is None or time.monotonic() - sample.at > _OLD_SECONDS:
            return None
        index = int(device.partition(":")[2] or 0)
        return next((card for card in sample.gpus or () if card.index == index), None)


def born(pid: int) -> float | None:
    """When a process started; None if there is none of that number (any more)."""
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else float(process.create_time())
    except psutil.Error:
        return None


def _family(pid: int) -> list[psutil.Process]:
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.Error:
        return []


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0
