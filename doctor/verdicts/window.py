"""Window: some samples in a row, and the figures that the rules ask of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from doctor.telemetry.sample import GpuSample, Neighbour, ProcessSample, Sample
from doctor.trace import Phase, PhaseRecord

_LANE = 0.985e9
"""Bytes per second of one PCIe lane of generation 3 (8 GT/s, 128b/130b); each later generation doubles it."""


LEAST_SAMPLES = 3
"""Samples that a judgement needs: one alone may have caught a moment."""


@dataclass(frozen=True, slots=True)
class Window:
    """Samples in the order of time. A figure is None where no sample has it."""

    samples: tuple[Sample, ...]

    @property
    def seconds(self) -> float:
        """Time that the samples cover."""
        return sum(sample.interval or 0.0 for sample in self.samples)

    def during(self, *phases: Phase) -> Window:
        """The samples in which the worker was in one of these phases; all samples where there is no worker.

        None at all if they are too few to judge.
        """
        within = tuple(
            sample
            for sample in self.samples
            if sample.worker is None or (sample.worker.phase in phases and _whole(sample))
        )
        return replace(self, samples=within if len(within) >= LEAST_SAMPLES else ())

    @property
    def computing(self) -> Window:
        """The samples in which the worker made a picture (or all without a worker): loading and saving are left out."""
        return self.during(Phase.ENCODE, Phase.DENOISE, Phase.DECODE)

    def mean(self, figure: Callable[[Sample], float | None]) -> float | None:
        """Mean over the samples that have the figure, each weighted with the time that it covers."""
        known = [
            (value, sample.interval or 1.0)
            for sample in self.samples
            if (value := figure(sample)) is not None
        ]
        weight = sum(span for _, span in known)
        return sum(value * span for value, span in known) / weight if weight > 0 else None

    def of_process(self, figure: Callable[[ProcessSample], float | None]) -> float | None:
        """Mean of a figure of the watched process."""
        return self.mean(lambda sample: None if sample.process is None else figure(sample.process))

    def of_gpu(self, figure: Callable[[GpuSample], float | None]) -> float | None:
        """Mean of a figure of the card that the work runs on."""
        index = self.gpu_index
        return self.mean(
            lambda sample: next(
                (figure(card) for card in sample.gpus or () if card.index == index),
                None,
            )
        )

    @property
    def last(self) -> Sample:
        """The newest sample."""
        return self.samples[-1]

    @property
    def device(self) -> str | None:
        """What the worker computes on, as it said."""
        return next((each.worker.device for each in reversed(self.samples) if each.worker is not None), None)

    @property
    def gpu_index(self) -> int | None:
        """The card that the work runs on: the worker's, else one that the process holds memory of, else the busiest.

        CUDA may number cards in another order than the driver; sdoctor's worker asks for the driver's order.
        """
        cards = next((each.gpus for each in reversed(self.samples) if each.gpus), ())
        if not cards or self.device == "cpu":
            return None
        if self.device is not None:
            return int(self.device.partition(":")[2] or 0)
        pid = self.pid
        held = [card.index for card in cards if pid in {each.pid for each in card.processes or ()}]
        if held:
            return held[0]
        if pid is not None and all(card.processes is not None for card in cards):
            return None  # it holds no memory of any card
        return max(cards, key=lambda card: card.utilization or 0.0).index

    @property
    def uses_gpu(self) -> bool:
        """Whether the work runs on a card, as far as can be told."""
        return self.gpu_index is not None

    @property
    def pid(self) -> int | None:
        """The watched process."""
        return next((each.process.pid for each in reversed(self.samples) if each.process is not None), None)

    @property
    def cores(self) -> float | None:
        """Cores that the process may use: its affinity or the quota of its group, whichever is less."""
        process = next((each.process for each in reversed(self.samples) if each.process is not None), None)
        if process is None or process.usable_cores is None:
            return None
        return min(float(process.usable_cores), process.quota_cores or float(process.usable_cores))

    @property
    def own_cpu(self) -> float | None:
        """CPU time of the process; 100 is one core."""
        return self.mean(lambda sample: sample.process_cpu_percent)

    @property
    def others_cpu(self) -> float | None:
        """CPU time of everything else on the machine; 100 is one core."""

        def others(sample: Sample) -> float | None:
            if sample.cpu_percent is None or not sample.core_percents or sample.process_cpu_percent is None:
                return None
            return max(0.0, sample.cpu_percent * len(sample.core_percents) - sample.process_cpu_percent)

        return self.mean(others)

    @property
    def neighbours(self) -> tuple[Neighbour, ...]:
        """Everyone who was seen to use the processor, each at the most, the busiest first."""
        most: dict[int, Neighbour] = {}
        for each in (each for sample in self.samples for each in sample.neighbours or ()):
            if each.pid not in most or most[each.pid].cpu_percent < each.cpu_percent:
                most[each.pid] = each
        return tuple(sorted(most.values(), key=lambda each: each.cpu_percent, reverse=True))

    @property
    def wait_share(self) -> float | None:
        """Of the time in which the process's threads could have run, the percentage that they waited for a core."""

        def share(sample: Sample) -> float | None:
            ran = sample.process_cpu_percent
            waited = None if sample.process is None else sample.process.wait_percent
            if ran is None or waited is None or ran + waited < 1.0:
                return None
            return 100.0 * waited / (ran + waited)

        return self.mean(share)

    @property
    def top_thread(self) -> float | None:
        """CPU time of the busiest thread, percent of a core."""
        return self.of_process(lambda process: process.threads[0].cpu_percent if process.threads else None)

    @property
    def pcie_share(self) -> float | None:
        """PCIe traffic in the busier direction, percent of what the link can carry now."""
        return self.of_gpu(_pcie_share)

    @property
    def ended(self) -> tuple[PhaseRecord, ...]:
        """Phases that ended within the window."""
        return tuple(
            record for each in self.samples if each.worker is not None for record in each.worker.ended
        )


def _whole(sample: Sample) -> bool:
    """Whether the phase ran for the whole time that the sample covers (half of it at least)."""
    assert sample.worker is not None
    within = sample.worker.phase_seconds
    return within is None or sample.interval is None or within >= sample.interval / 2


def _pcie_share(card: GpuSample) -> float | None:
    ways = [way for way in (card.pcie_received, card.pcie_sent) if way is not None]
    if not ways or not card.pcie_generation or not card.pcie_width:
        return None
    return float(100.0 * max(ways) / (_LANE * card.pcie_width * 2.0 ** (card.pcie_generation - 3)))
