"""Does something hold the card back: its slot, power, heat, clocks, memory errors, MIG?"""

from __future__ import annotations

from collections.abc import Iterator

from doctor.check import Check
from doctor.checks.cards import name_of
from doctor.facts import Facts, Gpu
from doctor.finding import Finding, Remedy, Severity

LOWERED = 0.9
"""Part of the default power limit below which the loss of speed shows. A cap of 315 W on a card of 350 W cost 3 to
11 % of the clock (github.com/ashalliants/ninfer-3090/issues/72)."""

HOT = 87.0
"""Degrees Celsius; GeForce cards begin to lower their clocks between 83 and 90
(github.com/stas00/ml-engineering, compute/accelerator)."""

FEW_LANES = 4
"""Lanes below which moving weights over the bus, as CPU offload does, costs more than computing."""

_THERMAL = frozenset({"sw_thermal_slowdown", "hw_thermal_slowdown"})


def run(facts: Facts) -> Iterator[Finding]:
    """Per card, what NVML reports now. The PCIe generation is left out: it drops at idle to save power."""
    for gpu in facts.gpus or ():
        yield from _bus(gpu)
        yield from _power(gpu)
        yield from _heat(gpu)
        yield from _memory(gpu)
        if gpu.mig_enabled:
            yield _finding(gpu, "mig-mode", Severity.NOTE, "is divided by MIG: a program sees a slice, "
                 "not the whole card.",
                           "In MIG mode memory and cores are split between instances. One process uses "
                           "one of them.",
                           Remedy("To have the whole card, switch MIG off (needs an idle card).",
                                  (f"sudo nvidia-smi -i {gpu.index} -mig "
                                   f"0",)), mig_enabled=True)  # fmt: skip


def _bus(gpu: Gpu) -> Iterator[Finding]:
    width, most = gpu.pcie_width, gpu.pcie_width_max
    if width and most and width < most:
        few = width <= FEW_LANES < most
        yield _finding(
            gpu,
            "pcie-width",
            Severity.WARNING if few else Severity.NOTE,
            f"runs on {width} of its {most} PCIe lanes.",
            "The slot, a riser or a shared M.2 drive leaves it fewer lanes. Loading and CPU offload get "
            "slower in proportion; "
            "what stays on the card does not.",
            Remedy(
                "Put the card into the slot next to the processor and look at the mainboard's manual "
                "for shared lanes."
            ),
            pcie_width=width,
            pcie_width_max=most,
        )


def _power(gpu: Gpu) -> Iterator[Finding]:
    limit, default = gpu.power_limit, gpu.power_limit_default
    if limit and default and limit < LOWERED * default:
        yield _finding(
            gpu,
            "power-limit",
            Severity.NOTE,
            f"is limited to {limit:.0f} W of its usual {default:.0f} W.",
            "Somebody set the limit, to save power or noise. Long computations run at lower clocks.",
            Remedy(
                "If that is not meant, restore it.", (f"sudo nvidia-smi -i {gpu.index} -pl {default:.0f}",)
            ),
            power_limit=limit,
            power_limit_default=default,
        )
    reasons = gpu.clock_reasons or ()
    if "hw_power_brake_slowdown" in reasons:
        yield _finding(
            gpu,
            "power-brake",
            Severity.WARNING,
            "is slowed down by the power supply.",
            "The hardware signals that it does not get the power it asks for. Its clock is cut to a half "
            "or less.",
            Remedy(
                "Give it its own power cables from the supply, without adapters; check that the supply "
                "is strong enough."
            ),
            clock_reasons=list(reasons),
        )
    if "applications_clocks_setting" in reasons:
        yield _finding(
            gpu,
            "clocks-locked",
            Severity.NOTE,
            "runs at clocks that somebody set.",
            "Fixed clocks hold it below what it could do.",
            Remedy(
                "Take the setting back.",
                (f"sudo nvidia-smi -i {gpu.index} -rac", f"sudo nvidia-smi -i {gpu.index} -rgc"),
            ),
            clock_reasons=list(reasons),
        )


def _heat(gpu: Gpu) -> Iterator[Finding]:
    slowed = _THERMAL & set(gpu.clock_reasons or ())
    hot = gpu.temperature is not None and gpu.temperature >= HOT
    if slowed or hot:
        degrees = f"is at {gpu.temperature:.0f} °C" if gpu.temperature is not None else "is too hot"
        yield _finding(
            gpu,
            "gpu-hot",
            Severity.WARNING,
            f"{degrees}{' and slows down to cool' if slowed else ''}.",
            "Hot cards lower their clocks; speed falls after some minutes of work.",
            Remedy("Clean its fans and filters, let air into the case, or lower the power limit by a tenth."),
            temperature=gpu.temperature,
            clock_reasons=list(gpu.clock_reasons or ()),
        )


def _memory(gpu: Gpu) -> Iterator[Finding]:
    if gpu.ecc_uncorrected:
        yield _finding(
            gpu,
            "gpu-memory-errors",
            Severity.ERROR,
            f"has {gpu.ecc_uncorrected} memory errors that could not be corrected.",
            "ECC found more wrong bits than it can mend since the driver was loaded. Results cannot be "
            "trusted.",
            Remedy("Restart; if the count grows again, the card is faulty.", ("nvidia-smi -q -d ECC",)),
            ecc_uncorrected=gpu.ecc_uncorrected,
        )


def _finding(
    gpu: Gpu, cause_id: str, severity: Severity, says: str, cause: str, remedy: Remedy, **facts: object
) -> Finding:
    evidence: dict[str, object] = {f"gpus[{gpu.index}].{name}": value for name, value in facts.items()}
    return Finding(
        id=cause_id, severity=severity, title=f"{name_of(gpu)} "
             f"{says}", evidence=evidence, cause=cause, remedy=remedy
    )  # fmt: skip


CHECK = Check(
    name="gpu-state",
    title="Does something hold the card back: slot, power, heat, clocks?",
    needs=("gpus",),
    causes={
        "pcie-width": "The card has fewer PCIe lanes than it could use.",
        "power-limit": "The card's power limit was lowered.",
        "power-brake": "The power supply slows the card down.",
        "clocks-locked": "The card's clocks were fixed by somebody.",
        "gpu-hot": "The card is hot or slows down to cool.",
        "gpu-memory-errors": "The card's memory has uncorrectable errors.",
        "mig-mode": "The card is divided by MIG.",
    },
    run=run,
    sources=(
        "github.com/NVIDIA/go-nvml (nvml.h, clocks event reasons)",
        "github.com/Azure/azurehpc/issues/595 (a power cap at full load is normal)",
        "github.com/Tiiny-AI/PowerInfer/issues/237",
        "docs.nvidia.com/datacenter/tesla/mig-user-guide",
    ),
)
