"""StepBar and PhaseStrip: how far the generation is, and where its time went."""

from __future__ import annotations

from textual.content import Content

from doctor.trace import Outcome, Phase
from tui.state import View
from tui.widgets.of_view import OfView
from tui.widgets.words import duration, pace, status

_MIN_BAR = 10


class StepBar(OfView):
    """One line: a bar of the steps, the speed, the time left."""

    def render(self) -> Content:
        """The bar takes what the words leave."""
        view = self.view
        words = _progress_words(view)
        room = self.size.width - len(words) - 2
        if room < _MIN_BAR:
            return Content(words)
        done = round(room * view.step / view.total) if view.total else 0
        return Content.assemble(
            ("━" * done, "$text-accent"), ("─" * (room - done), "$panel-lighten-2"), "  ", words
        )


def _progress_words(view: View) -> str:
    steps = f"{view.step}/{view.total} steps" if view.total else ""
    if view.seconds_per_step is not None:
        steps += f"  {pace(view.seconds_per_step)}"
    if view.seconds_left is not None:
        return f"{steps}  about {duration(view.seconds_left)} left"
    if view.outcome is None and view.phase is not None and view.in_phase is not None:
        return f"{steps}  {status(view)} {duration(view.in_phase)}"
    return steps


class PhaseStrip(OfView):
    """One line: the phases in order, with the seconds each took."""

    def render(self) -> Content:
        """Done phases plain, the running one marked, those to come dim."""
        view = self.view
        taken = {record.phase: record.seconds for record in view.phases}
        parts: list[str | tuple[str, str]] = []
        for phase in Phase:
            if parts:
                parts.append((" → ", "$foreground-muted"))
            if view.phase is phase:
                parts.append((f"{phase.value} {duration(view.in_phase or 0.0)}…", "bold $text-accent"))
            elif phase in taken:
                parts.append(f"{phase.value} {duration(taken[phase])}")
            elif view.failed_in is phase and view.outcome is not None:
                tone = "$warning" if view.outcome is Outcome.INTERRUPTED else "bold $error"
                parts.append((f"{phase.value} ✗", tone))
            else:
                parts.append((phase.value, "$foreground-muted"))
        return Content.assemble(*parts)
