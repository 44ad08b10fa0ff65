"""Is there a card at all?"""

from __future__ import annotations

from collections.abc import Iterator

from doctor.check import Check
from doctor.facts import Facts
from doctor.finding import Finding, Remedy, Severity


def run(facts: Facts) -> Iterator[Finding]:
    """No NVIDIA card, and torch is not built for another maker's: everything runs on the processor."""
    other_maker = facts.torch is not None and facts.torch.hip is not None
    if facts.gpus or facts.driver.pci_devices or other_maker or facts.host.os == "Darwin":
        return
    yield Finding(
        id="no-gpu",
        severity=Severity.NOTE,
        title="There is no NVIDIA card here: images are made on the processor, in minutes rather than "
        "seconds.",
        evidence={
            "gpus": [],
            "driver.pci_devices": facts.driver.pci_devices,
            "driver.library_found": facts.driver.library_found,
        },
        cause="This works, with smaller pictures and smaller models.",
        remedy=Remedy(
            "Start with 256 to 384 pixels, 20 to 30 steps and a small model (SD 1.5 rather than SDXL or "
            "FLUX), let "
            "sdoctor find the fastest settings, and have patience.",
            ("sdoctor tune",),
        ),
    )


CHECK = Check(
    name="no-gpu",
    title="Is there a graphics card to compute on?",
    needs=("gpus",),
    causes={"no-gpu": "There is no NVIDIA card; images are made on the processor."},
    run=run,
)
