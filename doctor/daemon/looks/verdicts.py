"""The verdicts on the last ten seconds that are an incident when they last: heat, brake, swap, spilled memory."""

from __future__ import annotations

from collections.abc import Sequence

from doctor.daemon.sighting import Sighting, View
from doctor.verdicts import judge

KINDS = ("throttled-thermal", "throttled-brake", "memory-swap", "memory-pressure", "memory-spill")
"""Other verdicts say what limits the work, which is no incident: something always does."""

LASTING = 10.0
"""Seconds for which a verdict must hold, beyond the ten that it rests on."""


class Verdicts:
    """Asks the same rules as ``sdoctor monitor``."""

    every = 2.0

    def look(self, view: View) -> Sequence[Sighting]:
        """The verdicts that hold now."""
        return [
            Sighting(
                kind=verdict.id,
                severity=verdict.severity,
                title=verdict.title,
                evidence=verdict.evidence,
                advice=verdict.advice,
                worse=verdict.confidence,
                after=LASTING,
            )
            for verdict in judge(view.samples)
            if verdict.id in KINDS
        ]
