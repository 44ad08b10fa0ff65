"""Does the work wait for memory: swap, reclaim, or video memory that spilled into the host's?"""

from __future__ import annotations

from doctor.finding import Remedy, Severity
from doctor.sizes import MIB
from doctor.verdicts.verdict import Rule, Verdict, confidence, figures
from doctor.verdicts.window import Window

SWAP = 4.0 * MIB
"""Bytes per second out of and into swap that are more than the tidying up of pages nobody uses: a thousand pages."""

PRESSURE = 10.0
"""Percent of the time in which something stood still for memory. Chosen here: a machine with room shows none, and
systemd-oomd ends programs at 60 (oomd.conf(5), DefaultMemoryPressureLimit)."""

PRESSURE_SURE = 40.0
FULL_VRAM = 97.0
"""Percent of the card's memory from which the Windows driver may move pages to the host's (the slowness is told in
AUTOMATIC1111/stable-diffusion-webui#11063 and #14053; ur-grue/toptop src/diagnose.rs warns at the same mark)."""

LOW_POWER = 50.0
"""Percent of the power limit under which a card that says it is busy only waits for its memory."""

SPILL_TRAFFIC = 1e9
"""Bytes per second over PCIe while denoising, when a pipeline that fits moves almost nothing."""


def _judge(window: Window) -> Verdict | None:
    return _host(window) or (_spill(window.computing) if window.uses_gpu else None)


def _host(window: Window) -> Verdict | None:
    came_in = window.mean(lambda sample: sample.swap_in)
    went_out = window.mean(lambda sample: sample.swap_out)
    stalled = window.mean(lambda sample: sample.pressure.memory_some if sample.pressure else None)
    traffic = None if came_in is None or went_out is None else came_in + went_out
    swapping = traffic is not None and came_in is not None and traffic >= SWAP and came_in > 0
    pressed = stalled is not None and stalled >= PRESSURE
    if not swapping and not pressed:
        return None
    surer = max(
        confidence(traffic or 0.0, SWAP, 10 * SWAP) if swapping else 0.0,
        confidence(stalled or 0.0, PRESSURE, PRESSURE_SURE) if pressed else 0.0,
    )
    return Verdict(
        id="memory-swap" if swapping else "memory-pressure",
        severity=Severity.WARNING,
        title="The machine moves memory to and from the disk instead of computing."
        if swapping
        else f"Programs stand still for memory {stalled:.0f} % of the time.",
        confidence=surer,
        evidence=figures(
            swap_mib_per_second=None if traffic is None else traffic / MIB,
            memory_stalled_percent=stalled,
            available_gib=_gib(window.last.memory_available),
            process_swapped_gib=_gib(window.last.process.swapped if window.last.process else None),
        ),
        advice=Remedy(
            "Close what holds memory, or take settings that need less of it.",
            ("sdoctor generate --low-memory ...", "sdoctor plan MODEL"),
        ),
    )


def _spill(work: Window) -> Verdict | None:
    """Windows: nothing fails, everything is slow."""
    full = work.of_gpu(
        lambda card: (
            100.0 * card.memory_used / card.memory_total
            if card.memory_used is not None and card.memory_total
            else None
        )
    )
    traffic = work.of_gpu(lambda card: max(card.pcie_received or 0.0, card.pcie_sent or 0.0) or None)
    power = work.of_gpu(
        lambda card: 100.0 * card.power / card.power_limit if card.power and card.power_limit else None
    )
    if full is None or full < FULL_VRAM or traffic is None or traffic < SPILL_TRAFFIC:
        return None
    if power is not None and power >= LOW_POWER:
        return None
    return Verdict(
        id="memory-spill",
        severity=Severity.WARNING,
        title=f"Video memory is full ({full:.0f} %) and its overflow goes over PCIe all the time.",
        confidence=confidence(traffic, SPILL_TRAFFIC, 6 * SPILL_TRAFFIC),
        evidence=figures(vram_percent=full, pcie_gb_per_second=traffic / 1e9, power_percent_of_limit=power),
        advice=Remedy(
            "Make it fit: fewer pixels, bf16, offload; in NVIDIA's settings choose 'Prefer No Sysmem Fallback'.",
            ("sdoctor generate --low-memory ...",),
        ),
    )


def _gib(count: int | None) -> float | None:
    return None if count is None else count / 2**30


RULE = Rule(
    name="memory",
    causes={
        "memory-swap": "The machine swaps while it computes.",
        "memory-pressure": "The kernel makes programs wait while it frees memory.",
        "memory-spill": "The card's memory overflows into the host's (Windows).",
    },
    judge=_judge,
    sources=(
        "docs.kernel.org/accounting/psi.html",
        "man7.org/linux/man-pages/man5/oomd.conf.5.html",
        "github.com/AUTOMATIC1111/stable-diffusion-webui/issues/11063",
        "github.com/ur-grue/toptop (src/diagnose.rs)",
    ),
)
