"""FindingView: one finding in full: why, what mends it, the commands one can copy, the evidence."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from doctor.finding import Finding, Severity
from tui.report_parts import printable, shown

TONES = {
    Severity.ERROR: "$text-error",
    Severity.WARNING: "$text-warning",
    Severity.NOTE: "$text-accent",
    Severity.OK: "$text-success",
    Severity.UNKNOWN: "$foreground-muted",
}


class Command(Static):
    """A command of the remedy; a click copies it."""

    DEFAULT_CSS = """
    Command { width: 1fr; height: auto; padding: 0 0 0 2; }
    Command:hover { background: $surface-lighten-1; }
    """

    class Wanted(Message):
        """The user wants it in the clipboard."""

        def __init__(self, command: str) -> None:
            super().__init__()
            self.command = command

    def __init__(self, number: int, command: str) -> None:
        words = Content.assemble((f"{number} ", "bold $text-accent"), (printable(command), "bold"))
        super().__init__(words, markup=False)
        self._command = command

    def on_click(self) -> None:
        """Copy it."""
        self.post_message(self.Wanted(self._command))


class FindingView(VerticalScroll):
    """Shows the finding that it was told last."""

    def compose(self) -> ComposeResult:
        """Words, commands, evidence."""
        yield Static(id="finding-words", markup=False)
        yield Vertical(id="finding-commands")
        yield Static(id="finding-evidence", markup=False)

    async def show(self, finding: Finding | None) -> None:
        """Show ``finding``; None for nothing."""
        self.query_one("#finding-words", Static).update(_words(finding) if finding else "")
        self.query_one("#finding-evidence", Static).update(_evidence(finding) if finding else "")
        commands = self.query_one("#finding-commands", Vertical)
        await commands.remove_children()
        remedy = finding.remedy if finding else None
        if remedy is not None and remedy.commands:
            await commands.mount(*(Command(n, text) for n, text in enumerate(remedy.commands, 1)))
        self.scroll_home(animate=False)


def _words(finding: Finding) -> Content:
    tone = f"bold {TONES[finding.severity]}"
    parts = [
        Content.assemble((f"{finding.severity.value.upper()}: ", tone), (printable(finding.title), "bold"))
    ]
    if finding.cause:
        parts += [Content(""), Content.assemble(("Why   ", "$text-accent"), printable(finding.cause))]
    if finding.remedy is not None:
        parts += [Content(""), Content.assemble(("Mend  ", "$text-accent"), printable(finding.remedy.text))]
    return Content("\n").join(parts)


def _evidence(finding: Finding) -> Content:
    rows = [Content(""), Content.assemble(("Evidence", "$text-accent"), f"  [{finding.id}]")]
    rows += [
        Content.assemble((f"  {printable(name)} ", "$foreground-muted"), printable(shown(value)))
        for name, value in finding.evidence.items()
    ]
    return Content("\n").join(rows)
