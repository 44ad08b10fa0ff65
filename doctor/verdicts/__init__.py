"""Verdicts: what the work waits for, as pure functions of samples.

``RULES`` is in the order of precedence: what explains a slowness by itself comes before what only shows it.
"""

from __future__ import annotations

from collections.abc import Sequence

from doctor.finding import Severity
from doctor.telemetry.sample import Sample
from doctor.verdicts import (
    cpu_bound,
    disk_bound,
    idle,
    memory_bound,
    offload_bound,
    oversubscribed,
    starved,
    throttled,
    vae_bound,
    well_used,
)
from doctor.verdicts.verdict import Rule, Verdict
from doctor.verdicts.window import LEAST_SAMPLES, Window

RULES: tuple[Rule, ...] = (
    throttled.RULE,
    memory_bound.RULE,
    starved.RULE,
    oversubscribed.RULE,
    disk_bound.RULE,
    offload_bound.RULE,
    vae_bound.RULE,
    cpu_bound.RULE,
    well_used.RULE,
    idle.RULE,
)

WINDOW_SECONDS = 10.0
"""How far back a live judgement looks."""


def judge(samples: Sequence[Sample]) -> tuple[Verdict, ...]:
    """All verdicts on these samples, the one that matters most first; () where nothing stands out.

    Pure: the same samples give the same verdicts, live or played again.
    """
    window = Window(tuple(sample for sample in samples if sample.interval is not None))
    if len(window.samples) < LEAST_SAMPLES:
        return ()
    found = [verdict for rule in RULES if (verdict := rule.judge(window)) is not None]
    # A card that is busy because it is held down, or computes on memory elsewhere, is not well used.
    wrong = [verdict for verdict in found if verdict.severity is not Severity.OK]
    return tuple(wrong or found)


def recent(samples: Sequence[Sample], seconds: float = WINDOW_SECONDS) -> tuple[Sample, ...]:
    """The samples of the last seconds, but never fewer than a judgement needs where there are so many."""
    if not samples:
        return ()
    end = samples[-1].at
    within = sum(end - sample.at < seconds for sample in samples)
    return tuple(samples[-max(within, LEAST_SAMPLES) :])
