"""Can CUDA be started, how long does it take, and which cards does torch see?"""

from __future__ import annotations

import time

import torch

from doctor.probes.say import Say


def measure(say: Say) -> None:
    """``torch.cuda.init`` raises what ``is_available`` only hides; the first tensor makes the context."""
    started = time.perf_counter()
    say.during("starting CUDA")
    torch.cuda.init()  # type: ignore[no-untyped-call]
    count = torch.cuda.device_count()
    say.value("cards", count, "count")
    for index in range(count):
        device = f"cuda:{index}"
        say.during(f"the first tensor on {device}")
        torch.zeros(1, device=device)
        major, minor = torch.cuda.get_device_capability(index)
        say.note(device, torch.cuda.get_device_name(index))
        say.note(f"{device} capability", f"{major}.{minor}")
    torch.cuda.synchronize()
    say.value("init", time.perf_counter() - started, "s")
