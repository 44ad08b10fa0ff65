"""A machine that exists only as laws of memory and time: studies against it take milliseconds."""

from __future__ import annotations

from dataclasses import dataclass

from doctor.sizes import GIB, MIB
from doctor.trace import Outcome, Phase, PhaseRecord
from tuner.probe import Probe, Purpose, Trial
from tuner.settings import Settings
from tuner.strategy.goal import Goal
from tuner.target import Target

CPU = Target(
    device="cpu",
    name="test",
    memory_total=8 * GIB,
    memory_free=4 * GIB,
    fast_bf16=True,
    cores=4,
    default_threads=4,
)


def goal(**changes) -> Goal:
    values = {
        "target": CPU,
        "budget": GIB,
        "width": 256,
        "height": 256,
        "steps": 4,
        "batch": 1,
        "baseline": Settings(),
        "first_guess": Settings(precision="bf16"),
    }
    return Goal(**(values | changes))


@dataclass
class Machine:
    """A machine that obeys a memory and a time law exactly."""

    weights: float = 100 * MIB
    per_pixel: float = 600.0
    tiled_per_pixel: float = 240.0
    seconds_per_megapixel: float = 2.0
    growth: float = 1.0
    """Exponent of the pixels in the memory law: 1 is the straight line that the strategy assumes."""
    budget: float = GIB
    runs: int = 0

    def peak(self, probe: Probe) -> float:
        rate = self.tiled_per_pixel if probe.settings.vae_tiling == "on" else self.per_pixel
        pixels = (probe.width * probe.height * probe.batch) ** self.growth
        half = 0.5 if probe.settings.precision != "fp32" else 1.0
        return (self.weights + rate * pixels) * half

    def seconds_per_step(self, probe: Probe) -> float:
        factor = {"fp32": 3.0, "bf16": 1.0, "fp16": 1.0}[probe.settings.precision]
        factor *= 0.9 if probe.settings.memory_format == "channels_last" else 1.0
        factor *= 1.5 if probe.settings.attention == "sliced" else 1.0
        factor *= 4 / (probe.settings.threads or 4)
        return factor * self.seconds_per_megapixel * probe.width * probe.height * probe.batch / 1e6

    def forecast(self, settings: Settings, width: int, height: int, batch: int) -> int:
        """What a perfect prediction says."""
        probe = Probe(
            purpose=Purpose.LARGEST, settings=settings, width=width, height=height, batch=batch, steps=1
        )
        return int(self.peak(probe))

    def run(self, probe: Probe) -> Trial:
        self.runs += 1
        common = {
            name: getattr(probe, name)
            for name in ("purpose", "settings", "width", "height", "batch", "steps", "predicted")
        }
        step = self.seconds_per_step(probe)
        total = step * probe.steps + 0.1
        if self.peak(probe) > self.budget:
            return Trial(**common, outcome=Outcome.OUT_OF_MEMORY, failed_in=Phase.DECODE, message="no room")
        if probe.limit_seconds is not None and total > probe.limit_seconds:
            return Trial(**common, outcome=Outcome.TOO_SLOW, failed_in=Phase.DENOISE, message="too slow")
        return Trial(
            **common,
            outcome=Outcome.FINISHED,
            seconds_per_step=step,
            spread=0.0,
            seconds_per_image=total / probe.batch,
            peak_bytes=int(self.peak(probe)),
            phases=(PhaseRecord(phase=Phase.DECODE, seconds=0.1),),
            step_seconds=(step,) * probe.steps,
        )
