"""Diary: writes down each time a generation ran out of memory, for later (``doctor.incidents``)."""

from __future__ import annotations

from datetime import UTC, datetime

from doctor.incidents import OUT_OF_MEMORY, Incident, incidents_file, record
from tui.decision import Decision
from tui.situation import Situation
from tuner.generation import Setback, Wish


class Diary:
    """Of one generation. What cannot be written must not cost the picture: it is kept in ``troubles``."""

    def __init__(self, situation: Situation, decision: Decision, wish: Wish) -> None:
        self._situation = situation
        self._decision = decision
        self._wish = wish
        self.troubles: list[str] = []

    def write(self, setback: Setback) -> None:
        """Record one attempt that ran out of memory."""
        incident = Incident(
            at=datetime.now(UTC).isoformat(timespec="seconds"),
            kind=OUT_OF_MEMORY,
            source="generate",
            model=self._situation.address,
            device=self._situation.target.device,
            phase=setback.failed.phase.value if setback.failed.phase else None,
            width=setback.request.width if setback.request else self._wish.width,
            height=setback.request.height if setback.request else self._wish.height,
            batch=self._wish.batch,
            budget_bytes=self._situation.budget,
            settings=setback.settings.text(),
            next_settings=None if setback.step is None else setback.step.settings.text(),
            message=setback.failed.message[:500],
            profile=self._decision.profile,
        )
        try:
            record(incident)
        except OSError as error:
            self.troubles.append(
                f"The incident could not be recorded in {incidents_file()}: {error.strerror or error}."
            )
