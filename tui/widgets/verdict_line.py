"""VerdictLine: what the work waits for, and what to do about it."""

from __future__ import annotations

from textual.content import Content

from doctor.finding import Severity
from doctor.verdicts.verdict import Verdict
from tui.widgets.said import Said
from tui.widgets.words import printable

_TONES = {
    Severity.OK: "$text-success",
    Severity.NOTE: "$text-accent",
    Severity.WARNING: "$text-warning",
    Severity.ERROR: "$text-error",
    Severity.UNKNOWN: "$foreground-muted",
}


class VerdictLine(Said):
    """The verdict that matters most, and its advice; nothing where nothing stands out."""

    def __init__(self) -> None:
        super().__init__(id="verdict", classes="-empty")
        self._verdicts: tuple[Verdict, ...] = ()

    def show(self, verdicts: tuple[Verdict, ...]) -> None:
        """Show the first of ``verdicts``, if they are others than those shown."""
        if verdicts == self._verdicts:
            return
        self._verdicts = verdicts
        self.set_class(not verdicts, "-empty")
        self.say(_words(verdicts[0]) if verdicts else "")


def _words(verdict: Verdict) -> Content:
    title = (printable(verdict.title), f"bold {_TONES[verdict.severity]}")
    advice = verdict.advice
    if advice is None:
        return Content.assemble(title)
    commands = "".join(f" `{command}`" for command in advice.commands)
    return Content.assemble(title, f"  {printable(advice.text)}{printable(commands)}")
