"""Calibration: how this machine's own measurements differ from the predictions for the same runs."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tuner.dryrun.rows import Answer, Ask
from tuner.probe import Trial
from tuner.replay import Replay

_MOST_TRIALS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What is added to every prediction for this machine."""

    overhead_bytes: int = 0
    """On a card: measured peak minus weights, tensors and workspaces, the median; never negative."""
    growth: float = 1.0
    """On a processor: measured memory beside the weights over the predicted one, the median; holes in the heap grow
    with the tensors. 1 on a card, where the allocator is replayed."""
    flops_per_second: float | None = None
    """Operations that whole runs really did in a second, the median."""
    trials: int = 0
    """How many measured runs it rests on; 0: none, the published constants stand alone."""


def calibrate(
    model: str,
    trials: Iterable[Trial],
    ask: Callable[[Ask], Answer],
    run: Callable[[Answer, Trial], Replay],
    *,
    host_bytes: int | None = None,
) -> Calibration:
    """Compare finished trials of one model with what would have been predicted for them.

    ``host_bytes``: what a worker on a processor takes whatever it computes; None for a card.
    """
    excess: list[int] = []
    growths: list[float] = []
    rates: list[float] = []
    finished = [trial for trial in trials if trial.finished and trial.peak_bytes is not None]
    for trial in finished[-_MOST_TRIALS:]:
        answer = ask(
            Ask(
                model=model,
                settings=trial.settings,
                width=trial.width,
                height=trial.height,
                batch=trial.batch,
            )
        )
        stages = run(answer, trial).stages
        worst = max(stages, key=lambda stage: stage.peak_bytes)
        excess.append((trial.peak_bytes or 0) - worst.peak_bytes)
        live = worst.peak_bytes - worst.weights_bytes
        if host_bytes is not None and live > 0:
            growths.append(((trial.peak_bytes or 0) - worst.weights_bytes - host_bytes) / live)
        if trial.seconds_per_image:
            operations = sum(
                stage.flops * (trial.steps if stage.name == "denoise" else 1) for stage in stages
            )
            rates.append(operations / (trial.seconds_per_image * trial.batch))
    if not excess:
        return Calibration()
    overhead = max(0, int(statistics.median(excess))) if host_bytes is None else host_bytes
    return Calibration(
        overhead_bytes=overhead,
        growth=max(0.0, statistics.median(growths)) if growths else 1.0,
        flops_per_second=statistics.median(rates) if rates else None,
        trials=len(excess),
    )
