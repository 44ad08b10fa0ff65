"""Is the card held down by heat or by its power supply?"""

from __future__ import annotations

from doctor.finding import Remedy, Severity
from doctor.telemetry.sample import GpuSample
from doctor.verdicts.verdict import Rule, Verdict, confidence, figures
from doctor.verdicts.window import Window

HELD_PERCENT = 1.0
"""Share of the time held down by heat or by the power brake from which it counts. Chosen here: a healthy card has none,
and the driver counts nanoseconds, so that a hundredth is no accident."""

HELD_SURE = 20.0
SEEN_PERCENT = 50.0
"""The same for cards that show only the reasons of the moment: share of the samples that show one."""

SLOW_CLOCK = 80.0
"""Clock in percent of the highest under which a power cap costs more than the 3 to 11 % that a usual one does
(ashalliants/ninfer-3090#72)."""

BUSY = 90.0
"""Utilisation in percent from which the clock tells something: it rests with the card."""


def _judge(window: Window) -> Verdict | None:
    if not window.uses_gpu:
        return None
    work = window.computing
    thermal, brake = _thermal(work), _brake(work)
    degrees = work.of_gpu(lambda card: card.temperature)
    evidence = figures(
        thermal_percent_of_time=thermal,
        power_brake_percent_of_time=brake,
        temperature_celsius=degrees,
        clock_percent_of_highest=_clock(work),
        power_watts=work.of_gpu(lambda card: card.power),
        power_limit_watts=work.of_gpu(lambda card: card.power_limit),
    )
    if brake is not None and brake >= HELD_PERCENT:
        return Verdict(
            id="throttled-brake",
            severity=Severity.WARNING,
            title=f"The card's power brake held its clock down {brake:.0f} % of the time.",
            confidence=confidence(brake, HELD_PERCENT, HELD_SURE),
            evidence=evidence,
            advice=Remedy(
                "Give every power socket of the card a cable of its own; until then lower its limit.",
                (f"sudo nvidia-smi -i {window.gpu_index} -pl 200",),
            ),
        )
    if thermal is not None and thermal >= HELD_PERCENT:
        return Verdict(
            id="throttled-thermal",
            severity=Severity.WARNING,
            title=f"Heat held the card's clock down {thermal:.0f} % of the time.",
            confidence=confidence(thermal, HELD_PERCENT, HELD_SURE),
            evidence=evidence,
            advice=Remedy(
                "Clean the fans and give the case air; a lower power limit costs less than throttling does.",
                (f"nvidia-smi -i {window.gpu_index} -q -d TEMPERATURE,PERFORMANCE",),
            ),
        )
    return _power(window, work, evidence)


def _power(window: Window, work: Window, evidence: dict[str, float | int | str]) -> Verdict | None:
    """A power cap is normal at full load: it only counts where the clock lost much to it."""
    capped = work.of_gpu(lambda card: card.throttling.power_cap if card.throttling else None)
    if capped is None:
        capped = _seen(work, "power cap")
    clock, busy = _clock(work), work.of_gpu(lambda card: card.utilization)
    if capped is None or clock is None or busy is None:
        return None
    if capped < SEEN_PERCENT or busy < BUSY or clock >= SLOW_CLOCK:
        return None
    return Verdict(
        id="throttled-power",
        severity=Severity.NOTE,
        title=f"The power limit holds the card's clock at {clock:.0f} % of its highest.",
        confidence=confidence(clock, SLOW_CLOCK, 60.0),
        evidence={**evidence, **figures(power_cap_percent_of_time=capped)},
        advice=Remedy(
            "Some of that is normal at full load. If the limit was lowered, or this is a laptop on battery, raise it.",
            (f"nvidia-smi -i {window.gpu_index} -q -d POWER",),
        ),
    )


def _thermal(window: Window) -> float | None:
    def share(card: GpuSample) -> float | None:
        held = card.throttling
        parts = [part for part in (held and held.software_thermal, held and held.hardware_thermal) if part]
        return max(parts) if parts else (0.0 if held is not None else None)

    counted = window.of_gpu(share)
    if counted is not None:
        return counted
    seen = _seen(window, "thermal")
    return seen if seen is not None and seen >= SEEN_PERCENT else None


def _brake(window: Window) -> float | None:
    counted = window.of_gpu(lambda card: card.throttling.power_brake if card.throttling else None)
    if counted is not None:
        return counted
    seen = _seen(window, "power brake")
    return seen if seen is not None and seen >= SEEN_PERCENT else None


def _seen(window: Window, word: str) -> float | None:
    """Percent of the samples that show such a reason."""
    return window.of_gpu(
        lambda card: (
            None
            if card.throttle_reasons is None
            else 100.0 * any(word in reason for reason in card.throttle_reasons)
        )
    )


def _clock(window: Window) -> float | None:
    return window.of_gpu(
        lambda card: (
            100.0 * card.clock / card.clock_max if card.clock is not None and card.clock_max else None
        )
    )


RULE = Rule(
    name="throttled",
    causes={
        "throttled-thermal": "The card is too hot and lowers its clock.",
        "throttled-brake": "The card's supply gives too little and its emergency brake lowers the clock.",
        "throttled-power": "The power limit costs the card much of its clock.",
    },
    judge=_judge,
    sources=(
        "github.com/NVIDIA/go-nvml (gen/nvml/nvml.h: nvmlClocksEventReason*)",
        "github.com/leptonai/gpud (components hw-slowdown)",
        "github.com/ashalliants/ninfer-3090/issues/72",
    ),
)
