"""Does CUDA start, does a kernel run, and do the basics behave?"""

from __future__ import annotations

from collections.abc import Iterator

from doctor.check import Check
from doctor.checks.live.results import answered, by_device, quoted, shown
from doctor.facts import Facts, ProbeOutcome
from doctor.finding import Finding, Remedy, Severity

SLOW_START = 3.0
"""Seconds from which starting CUDA is noteworthy: without persistence the driver starts anew for every program
(docs.nvidia.com/deploy/driver-persistence; github.com/arrayfire/arrayfire/issues/2467)."""

SLOW_LAUNCH = 40.0
"""Microseconds: twice the upper end of what launching a kernel from Python costs, 5 to 20 us (Holistic Trace
Analysis, hta.readthedocs.io)."""


def run(facts: Facts) -> Iterator[Finding]:
    """What the probes of the card's basics say."""
    yield from _start(facts)
    yield from _kernel(facts)
    yield from _launches(facts)
    yield from _convolutions(facts)


def _start(facts: Facts) -> Iterator[Finding]:
    result = facts.probe("cuda-init")
    if result is None:
        return
    if result.outcome is ProbeOutcome.FAILED:
        yield Finding(
            id="cuda-init-fails",
            severity=Severity.ERROR,
            title=f"torch cannot start CUDA: {quoted(result)}.",
            evidence={"error": result.error, "during": result.during},
            cause="Driver, torch build and card do not come together. Where these words name a known cause, a "
            "finding of its own tells it.",
            remedy=Remedy(
                "See whether the driver itself answers, then restart the machine.", ("nvidia-smi",)
            ),
        )
    seconds = result.value("init")
    if seconds is not None and seconds >= SLOW_START:
        yield Finding(
            id="cuda-init-slow",
            severity=Severity.NOTE,
            title=f"Starting CUDA took {seconds:.1f} s.",
            evidence={"seconds": seconds},
            cause="On a machine without a screen the driver unloads its state when no program uses the card, "
            "and starts anew for each.",
            remedy=Remedy(
                "Let the persistence daemon hold it.",
                ("sudo systemctl enable --now nvidia-persistenced",) if facts.host.os == "Linux" else (),
            ),
        )


def _kernel(facts: Facts) -> Iterator[Finding]:
    result = facts.probe("cuda-kernel")
    if result is not None and result.outcome is ProbeOutcome.FAILED:
        yield Finding(
            id="kernel-fails",
            severity=Severity.ERROR,
            title=f"CUDA starts, but a kernel does not run: {quoted(result)}.",
            evidence={"error": result.error, "during": result.during},
            cause="The torch build has no code for this card, the card has no memory left, or it computes wrongly.",
            remedy=Remedy(
                "Compare the card with what torch was built for, and look for faults in the kernel's log.",
                (
                    'python -c "import torch; print(torch.cuda.get_arch_list())"',
                    "sudo dmesg | grep -i -e nvrm -e xid",
                ),
            ),
        )


def _launches(facts: Facts) -> Iterator[Finding]:
    result = answered(facts, "launch-latency")
    for device, _, figures in by_device(result) if result else ():
        launch = figures.get("launch")
        if launch is not None and launch >= SLOW_LAUNCH:
            yield Finding(
                id="launch-latency-high",
                severity=Severity.WARNING,
                title=f"Launching a kernel on {device} costs {launch:.0f} us; usual are 5 to 20.",
                evidence={"launch us": launch, "round trip us": figures.get("round_trip"),
                          "CUDA_LAUNCH_BLOCKING": (facts.environment or {}).get("CUDA_LAUNCH_BLOCKING")},
                cause="The processor is slow, busy or saving power, or CUDA_LAUNCH_BLOCKING is set. Small pictures "
                "then wait for the processor, not for the card.",
                remedy=Remedy("Unset CUDA_LAUNCH_BLOCKING, close other programs, choose the performance power "
                              "profile; larger batches and torch.compile need fewer launches.",
                              ("powerprofilesctl set performance",) if facts.host.os == "Linux" else ()),
            )  # fmt: skip


def _convolutions(facts: Facts) -> Iterator[Finding]:
    result = answered(facts, "fp16-convolution")
    for device, name, figures in by_device(result) if result else ():
        bad, count = figures.get("not_finite"), figures.get("convolutions")
        if bad and count:
            yield Finding(
                id="fp16-nan-conv",
                severity=Severity.ERROR,
                title=f"{name}: {shown(bad)} of {shown(count)} convolutions in half precision gave NaN.",
                evidence={"device": device, "not finite": bad, "convolutions": count},
                cause="This card or its driver computes fp16 convolutions wrongly, so pictures come out black or green.",
                remedy=Remedy(
                    "Compute in fp32 (in A1111 --no-half, in ComfyUI --force-fp32); with another driver or cuDNN "
                    "try again.",
                    ("sdoctor tune",),
                ),
            )


CHECK = Check(
    name="live-cuda",
    title="Does CUDA start, does a kernel run, and is its result right?",
    needs=(),
    causes={
        "cuda-init-fails": "torch has CUDA and there is a card, but CUDA cannot be started.",
        "cuda-init-slow": "Starting CUDA takes seconds, as without the persistence daemon.",
        "kernel-fails": "CUDA starts, but a small kernel fails or computes wrongly.",
        "launch-latency-high": "Launching a kernel costs the processor much more time than usual.",
        "fp16-nan-conv": "Convolutions in half precision gave NaN when they were tried.",
    },
    run=run,
    sources=(
        "hta.readthedocs.io (launch statistics)",
        "docs.nvidia.com/deploy/driver-persistence",
        "github.com/pytorch/pytorch/issues/58123",
    ),
)
