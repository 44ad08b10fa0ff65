"""Calibration: how this machine's own measurements differ from the predictions for the same runs."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from tuner.dryrun.rows import Answer, Ask
from tuner.knobs.fewer_steps import steps_left
from tuner.probe import Trial
from tuner.replay import Replay
from tuner.settings import Settings

_MOST_TRIALS = 4

Kind = tuple[str, str]
"""Compiler and number format: what the time for an operation depends on most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What is added to every prediction for this machine."""

    overhead_bytes: int = 0
    """On a card: measured peak minus weights, tensors and workspaces, the median; never negative."""
    growth: float = 1.0
    """On a processor: measured memory beside the weights over the predicted one, the median over runs whose tensors are
    more than the constant; holes in the heap grow with the tensors. 1 on a card, where the allocator is replayed."""
    rates: Mapping[Kind, float] = field(default_factory=dict)
    """Operations that the largest run of each kind really did in a second, from prompt to picture."""
    trials: int = 0
    """How many measured runs it rests on; 0: none, the published constants stand alone."""

    def rate_of(self, settings: Settings) -> float | None:
        """Operations a second with these settings; None if nothing of their kind was measured."""
        return self.rates.get(_kind(settings))


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
    rates: dict[Kind, float] = {}
    for trial in _telling(trials):
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
        if host_bytes is not None and live >= host_bytes:
            growths.append(((trial.peak_bytes or 0) - worst.weights_bytes - host_bytes) / live)
        if trial.seconds_per_image:
            steps = steps_left(trial.steps, trial.settings.fewer_steps)
            operations = sum(stage.flops * (steps if stage.name == "denoise" else 1) for stage in stages)
            rates.setdefault(_kind(trial.settings), operations / (trial.seconds_per_image * trial.batch))
    if not excess:
        return Calibration()
    overhead = max(0, int(statistics.median(excess))) if host_bytes is None else host_bytes
    return Calibration(
        overhead_bytes=overhead,
        growth=max(0.0, statistics.median(growths)) if growths else 1.0,
        rates=rates,
        trials=len(excess),
    )


def _kind(settings: Settings) -> Kind:
    return settings.compile, settings.precision


def _telling(trials: Iterable[Trial]) -> list[Trial]:
    """The largest finished run of each kind, then the next largest: what is asked is seldom smaller.

    In a small picture Python and a constant outweigh what grows with it: builtin:tiny's runs at 128x128 foretold six
    times the time of one at 256x256, and two thirds of its memory. A run with a cache of steps did less than is counted.
    """
    finished = [
        trial
        for trial in trials
        if trial.finished and trial.peak_bytes is not None and trial.settings.step_cache == "none"
    ]
    finished.sort(key=lambda trial: trial.width * trial.height * trial.batch, reverse=True)
    first: dict[Kind, Trial] = {}
    for trial in finished:
        first.setdefault(_kind(trial.settings), trial)
    leading = list(first.values())
    others = [trial for trial in finished if all(trial is not one for one in leading)]
    return (leading + others)[:_MOST_TRIALS]
