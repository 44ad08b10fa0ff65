"""How fast do bytes cross between main memory and each card, from pinned and from ordinary memory?"""

from __future__ import annotations

import contextlib
import threading
import time

import torch

from doctor.probes.measure.cuda import devices, event_seconds
from doctor.probes.say import Say

BYTES = 256 * 2**20
REPEATS = 5


def measure(say: Say) -> None:
    """Both directions, the best of some; and the PCIe link as the driver reports it during a copy."""
    for device in devices(torch):
        name = str(device)
        say.note(name, torch.cuda.get_device_name(device))
        on_card = torch.empty(BYTES, dtype=torch.uint8, device=device)
        for kind in ("pinned", "pageable"):
            say.during(f"copying {kind} memory to {name}")
            host = torch.ones(BYTES, dtype=torch.uint8, pin_memory=kind == "pinned")
            for way, target, source in (("to_card", on_card, host), ("from_card", host, on_card)):

                def copy(target: torch.Tensor = target, source: torch.Tensor = source) -> None:
                    target.copy_(source, non_blocking=True)

                copy()
                torch.cuda.synchronize(device)
                best = min(event_seconds(torch, device, copy, 1) for _ in range(REPEATS))
                say.value(f"{kind}_{way}", BYTES / best / 1e9, "GB/s", name)
            if kind == "pinned":
                say.during(f"reading the PCIe link of {name}")
                _say_link(say, device, host, on_card)


def _say_link(say: Say, device: torch.device, host: torch.Tensor, on_card: torch.Tensor) -> None:
    """Generation and width under load: at rest both may be lowered to save power. Left out if NVML does not tell."""
    with contextlib.suppress(Exception):
        import pynvml

        pynvml.nvmlInit()
        uuid = str(torch.cuda.get_device_properties(device).uuid)
        handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}")
        seen: list[tuple[int, int]] = []

        def look() -> None:
            time.sleep(0.1)
            seen.append(
                (
                    pynvml.nvmlDeviceGetCurrPcieLinkGeneration(handle),
                    pynvml.nvmlDeviceGetCurrPcieLinkWidth(handle),
                )
            )

        watcher = threading.Thread(target=look, daemon=True)
        watcher.start()
        end = time.perf_counter() + 1.0
        while watcher.is_alive() and time.perf_counter() < end:
            on_card.copy_(host, non_blocking=True)
            torch.cuda.synchronize(device)
        say.value("pcie_generation", seen[0][0], "generation", str(device))
        say.value("pcie_width", seen[0][1], "lanes", str(device))
