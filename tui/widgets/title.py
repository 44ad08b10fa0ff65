"""TitleBar: the top line, with what runs on its left and how it stands on its right."""

from __future__ import annotations

from textual.content import Content

from doctor.trace import Outcome
from tui.widgets.of_view import OfView
from tui.widgets.words import clock, printable, status


class TitleBar(OfView):
    """One line: command, model, state, clock."""

    def render(self) -> Content:
        """The model gives way first when the line is too short, then the command."""
        view = self.view
        right = f"{status(view)}  {clock(view.elapsed)} " if view.run else f"{status(view)} "
        left = " sdoctor generate" if self.size.width > 60 else " sdoctor" if self.size.width > 30 else ""
        model = f"  {printable(view.run.model)}" if view.run else ""
        room = self.size.width - len(left) - len(right) - 2
        if len(model) > room:
            model = model[: room - 1] + "…" if room > 3 else ""
        gap = " " * max(1, self.size.width - len(left) - len(model) - len(right))
        return Content.assemble((left, "bold"), model, gap, (right, _tone(view.outcome)))


def _tone(outcome: Outcome | None) -> str:
    if outcome is None:
        return "bold"
    if outcome is Outcome.FINISHED:
        return "bold $text-success"
    return "bold $text-warning" if outcome is Outcome.INTERRUPTED else "bold $text-error"
