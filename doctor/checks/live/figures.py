"""What was measured, in one finding: nothing is wrong with it, but it is good to have in a report."""

from __future__ import annotations

from collections.abc import Iterator

from doctor.check import Check
from doctor.checks.live.results import by_device, shown
from doctor.facts import Facts, ProbeOutcome, ProbeResult
from doctor.finding import Finding, Severity


def run(facts: Facts) -> Iterator[Finding]:
    """The rates of each device in the title, every figure in the evidence."""
    if facts.probes is None:
        return
    measured = {
        probe.name: {
            f"{value.device + ' ' if value.device else ''}{value.name} {value.unit}": float(
                shown(value.value)
            )
            for value in probe.values
        }
        for probe in facts.probes
        if probe.values
    }
    if not measured:
        return
    skipped = {
        probe.name: probe.error for probe in facts.probes if probe.outcome is ProbeOutcome.NOT_APPLICABLE
    }
    words = "; ".join((*_rates(facts.probe("gpu-rate")), *_rates(facts.probe("cpu-rate")), *_rest(facts)))
    yield Finding(
        id="live-figures",
        severity=Severity.OK,
        title=f"Measured here: {words}." if words else f"{len(measured)} live probes measured something.",
        evidence={**measured, **({"not applicable": skipped} if skipped else {})},
    )


def _rates(result: ProbeResult | None) -> Iterator[str]:
    for _, name, figures in by_device(result) if result else ():
        kinds = [f"{kind} {shown(figures[kind])}" for kind in ("fp32", "bf16", "fp16") if kind in figures]
        if kinds:
            yield f"{name} {', '.join(kinds)} TFLOP/s"


def _rest(facts: Facts) -> Iterator[str]:
    for name, figure, words in (
        ("memory-bandwidth", "copy", "main memory {} GB/s"),
        ("gpu-copy", "pinned_to_card", "to the card {} GB/s"),
        ("launch-latency", "launch", "a launch {} us"),
        ("disk-read", "read", "the model cache {} MB/s"),
    ):
        result = facts.probe(name)
        value = result.value(figure) if result else None
        if value is not None:
            yield words.format(shown(value))


CHECK = Check(
    name="live-figures",
    title="What was measured here?",
    needs=(),
    causes={"live-figures": "What the live probes measured (nothing wrong)."},
    run=run,
    sources=("docs/live.md",),
)
