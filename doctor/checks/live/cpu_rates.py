"""Does the processor compute, and reach its memory, as fast as it should?"""

from __future__ import annotations

from collections.abc import Iterator

from doctor.check import Check
from doctor.checks.cards import cuda_usable
from doctor.checks.live.results import answered, shown
from doctor.facts import Facts, ProbeResult
from doctor.finding import Finding, Remedy, Severity

OPERATIONS_PER_CYCLE = 32
"""fp32 operations per cycle and core with AVX2: two fused multiply-adds of 8 numbers (Haswell and Zen 2 on:
en.wikichip.org/wiki/flops)."""

LOW_RATE = 0.25
"""Share of that below which something is wrong. An idle virtual machine on Zen 4 measured 1.2 of it (its clock is above
the one it states); Zen 1 does half as much per cycle."""

LOW_SCALING = 0.4
"""What each thread after the first must add. Turbo clocks fall when all cores work, but not by more than a third."""

LOW_BANDWIDTH = 8.5
"""GB/s read and written: half of what one channel of DDR4-2133 carries, 17.1 GB/s (JEDEC JESD79-4)."""


def run(facts: Facts) -> Iterator[Finding]:
    """Matrix products, threads, bfloat16 and main memory."""
    rate = answered(facts, "cpu-rate")
    if rate is not None:
        yield from _products(facts, rate)
        yield from _threads(facts, rate)
        yield from _bf16(facts, rate)
    memory = answered(facts, "memory-bandwidth")
    copy = memory.value("copy") if memory else None
    if copy is not None and copy < LOW_BANDWIDTH:
        yield Finding(
            id="memory-bandwidth-low",
            severity=_weight(facts),
            title=f"Main memory is copied at {shown(copy)} GB/s, slower than one channel of old DDR4 would allow.",
            evidence={"measured GB/s": copy, "bound GB/s": LOW_BANDWIDTH},
            cause="Other programs use the memory, or the machine is a small or crowded virtual one. Everything on "
            "the processor and CPU offload waits for it.",
            remedy=Remedy(
                "Close other programs; on a machine of your own see that both channels hold a module."
            ),
        )


def _weight(facts: Facts) -> Severity:
    """The processor's speed matters most where it makes the pictures."""
    return Severity.NOTE if cuda_usable(facts) else Severity.WARNING


def _products(facts: Facts, rate: ProbeResult) -> Iterator[Finding]:
    measured, threads, clock = rate.value("fp32"), rate.value("threads"), facts.cpu.frequency_max
    flags = facts.cpu.flags or ()
    if measured is None or not threads or not clock or not {"avx2", "fma"} <= set(flags):
        return
    expected = threads * clock * 1e6 * OPERATIONS_PER_CYCLE / 1e12
    if measured < LOW_RATE * expected:
        yield Finding(
            id="cpu-rate-low",
            severity=_weight(facts),
            title=f"The processor multiplies fp32 matrices at {shown(measured)} TFLOP/s; {threads:.0f} threads at "
            f"{clock:.0f} MHz should reach about {shown(expected)}.",
            evidence={"measured TFLOP/s": measured, "expected TFLOP/s": expected, "threads": threads,
                      "cpu.frequency_max": clock, "cpu.quota_cores": facts.cpu.quota_cores,
                      "cpu.governor": facts.cpu.governor},
            cause="Other programs use the cores, a quota or a low clock holds them back, or torch was built without "
            "a fast library.",
            remedy=Remedy("Close other programs, choose the performance power profile, and check again.",
                          ("uptime", "powerprofilesctl set performance") if facts.host.os == "Linux" else ()),
        )  # fmt: skip


def _threads(facts: Facts, rate: ProbeResult) -> Iterator[Finding]:
    whole, one, threads = rate.value("fp32"), rate.value("fp32_one_thread"), rate.value("threads")
    if not whole or not one or not threads or threads < 2:
        return
    gained = whole / one
    if gained < 1 + LOW_SCALING * (threads - 1):
        yield Finding(
            id="thread-scaling-poor",
            severity=_weight(facts),
            title=f"{threads:.0f} threads compute only {gained:.1f} times as fast as one.",
            evidence={"speed-up": gained, "threads": threads, "cpu.quota_cores": facts.cpu.quota_cores,
                      "cpu.usable_cores": facts.cpu.usable_cores,
                      "environment": {name: value for name, value in (facts.environment or {}).items()
                                      if name.startswith(("OMP_", "MKL_", "GOMP_", "KMP_"))}},
            cause="Other programs use the cores, a quota or pinning puts the threads onto fewer cores, or the cores of "
            "a virtual machine are halves of real ones.",
            remedy=Remedy("Close other programs, unset OMP_PROC_BIND and GOMP_CPU_AFFINITY, and set the threads to "
                          "the cores that are really there.", (f"export OMP_NUM_THREADS={max(1, round(gained))}",)),
        )  # fmt: skip


def _bf16(facts: Facts, rate: ProbeResult) -> Iterator[Finding]:
    fp32, bf16 = rate.value("fp32"), rate.value("bf16")
    if not fp32 or not bf16 or bf16 >= fp32 or cuda_usable(facts):
        return
    evidence: dict[str, object] = {
        "bf16 TFLOP/s": bf16,
        "fp32 TFLOP/s": fp32,
        "cpu.flags": list(facts.cpu.flags or ()),
    }
    if facts.cpu.has_fast_bf16:
        yield Finding(
            id="cpu-bf16-slow",
            severity=Severity.WARNING,
            title=f"bf16 takes {shown(fp32 / bf16)} times as long as fp32, although the processor has it in hardware.",
            evidence=evidence,
            cause="torch's oneDNN does not use these instructions here: an old torch, a limit by "
            "ONEDNN_MAX_CPU_ISA, or a virtual machine that hides a part of them.",
            remedy=Remedy(
                "Unset ONEDNN_MAX_CPU_ISA and update torch; until then keep fp32.", ("sdoctor tune",)
            ),
        )
    else:
        yield Finding(
            id="cpu-no-bf16",
            severity=Severity.NOTE,
            title=f"bf16 takes {shown(fp32 / bf16)} times as long as fp32 on this processor: fp32 is the format "
            "to use.",
            evidence=evidence,
            cause="The processor has no bfloat16 in hardware. Half precision only saves memory there.",
            remedy=Remedy("Keep fp32 on the processor.", ("sdoctor tune",)),
        )


CHECK = Check(
    name="live-cpu-rates",
    title="Does the processor compute as fast as it should?",
    needs=(),
    causes={
        "cpu-rate-low": "Matrix products run far below what the processor's clock and instructions allow.",
        "memory-bandwidth-low": "Main memory is copied at an unusually low rate.",
        "thread-scaling-poor": "Several threads compute hardly faster than one.",
        "cpu-bf16-slow": "The processor has bfloat16 in hardware, but it runs slower than fp32.",
        "cpu-no-bf16": "The processor has no bfloat16 in hardware.",
    },
    run=run,
    sources=(
        "en.wikichip.org/wiki/flops",
        "github.com/ollama/ollama/issues/17916",
        "uxlfoundation.github.io/oneDNN/dev_guide_cpu_dispatcher_control.html",
    ),
    echoes=True,
)
