"""How fast does each card multiply matrices in each format, and copy its own memory?"""

from __future__ import annotations

import torch

from doctor.probes.measure.cuda import devices, event_seconds
from doctor.probes.say import Say

SIDES = (1024, 2048, 4096, 8192)
"""Multiples of 128 keep tensor cores busy; the size grows until one product takes LONG_ENOUGH."""

LONG_ENOUGH = 0.01
"""Seconds of one product from which the launch and the ends do not count."""

WARM_UP, BUDGET = 0.3, 0.3
"""Seconds per format: clocks need a while to rise from idle."""

COPY_BYTES = 256 * 2**20


def measure(say: Say) -> None:
    """fp32 (TF32 off, as torch has it by default), fp16, bf16, and a copy within the card's memory."""
    for device in devices(torch):
        name = str(device)
        say.note(name, torch.cuda.get_device_name(device))
        for kind, dtype in (("fp32", torch.float32), ("fp16", torch.float16), ("bf16", torch.bfloat16)):
            say.during(f"{kind} on {name}")
            say.value(kind, _rate(device, dtype), "TFLOP/s", name)
        say.during(f"copying within {name}")
        say.value("copy", _copy_rate(device), "GB/s", name)


def _copy_rate(device: torch.device) -> float:
    source = torch.ones(COPY_BYTES, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    target.copy_(source)
    seconds = min(event_seconds(torch, device, lambda: target.copy_(source), 10) for _ in range(5))
    return 2 * COPY_BYTES / seconds / 1e9


def _rate(device: torch.device, dtype: torch.dtype) -> float:
    side, once = 0, 0.0
    for side in SIDES:
        left, right = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))

        def product(left: torch.Tensor = left, right: torch.Tensor = right) -> torch.Tensor:
            return left @ right

        product()
        once = event_seconds(torch, device, product, 1)
        if once >= LONG_ENOUGH:
            break
    event_seconds(torch, device, product, max(1, int(WARM_UP / once)))
    runs = max(1, int(BUDGET / 5 / once))
    return 2 * side**3 / min(event_seconds(torch, device, product, runs) for _ in range(5)) / 1e12
