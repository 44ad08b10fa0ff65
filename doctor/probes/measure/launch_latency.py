"""What does it cost the host to launch a small kernel, and to wait for one?"""

from __future__ import annotations

import time

import torch

from doctor.probes.measure.cuda import devices
from doctor.probes.say import Say

LAUNCHES, WAITS = 1000, 200
"""Fewer launches than the queue of a card holds (1024, Holistic Trace Analysis docs), so that none waits for room."""


def measure(say: Say) -> None:
    """The same tiny addition, launched in a row and launched with a wait after each."""
    for device in devices(torch):
        name = str(device)
        small = torch.zeros(16, device=device)
        _launch(small, 200)
        torch.cuda.synchronize(device)
        say.during(f"launching on {name}")
        say.value("launch", 1e6 * min(_per_launch(small, device) for _ in range(3)), "us", name)
        say.during(f"waiting for {name}")
        started = time.perf_counter()
        for _ in range(WAITS):
            small.add_(1)
            torch.cuda.synchronize(device)
        say.value("round_trip", 1e6 * (time.perf_counter() - started) / WAITS, "us", name)


def _launch(tensor: torch.Tensor, count: int) -> None:
    for _ in range(count):
        tensor.add_(1)


def _per_launch(tensor: torch.Tensor, device: torch.device) -> float:
    torch.cuda.synchronize(device)
    started = time.perf_counter()
    _launch(tensor, LAUNCHES)
    took = time.perf_counter() - started
    torch.cuda.synchronize(device)
    return took / LAUNCHES
