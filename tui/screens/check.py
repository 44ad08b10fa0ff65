"""CheckScreen: what is wrong with this machine, and what mends it; the findings of ``sdoctor check`` to be opened."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from typing import ClassVar

from textual.app import ComposeResult, SystemCommand
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.screen import Screen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from doctor.finding import Finding, Severity
from doctor.pages import read_page
from tui.examining import Broken, Examined, Examiner, News, Progress
from tui.report_parts import TROUBLE, count, describe, of, printable, verdict
from tui.screens.help import HelpOverlay
from tui.screens.page import PageScreen
from tui.widgets.finding_view import TONES, Command, FindingView
from tui.widgets.key_line import KeyLine

_ENDING_SECONDS = 2.0
"""Longest wait for a measurement to put its children away when the screen is taken down."""

HELP = (
    (
        "Keys",
        (
            ("↑ ↓", "the findings, worst first"),
            ("Enter, e", "the page of the finding: what one sees, why, what to do"),
            ("y", "copy the first command that mends it; 1 to 9 or a click: that one"),
            ("Y", "copy all of them, a line each"),
            ("a", "show also what is in order and what could not be told, or hide it"),
            ("m", "measure: imports, card, processor, memory, disk; some seconds"),
            ("r", "look again"),
            ("s", "stop a measurement"),
            ("Tab", "between the list and the finding, which can be scrolled"),
            ("q", "quit"),
            ("Ctrl+P", "command palette: themes, screenshot, ..."),
            ("?", "this help"),
        ),
    ),
)


class CheckScreen(Screen[None]):
    """Examines in a thread when it is opened. Needs no particular app."""

    CSS_PATH = ["../sdoctor.tcss", "check.tcss"]  # noqa: RUF012  (Textual's own type is a plain list)
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (120, "-wide")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "app.quit", "quit"),
        Binding("ctrl+c", "app.quit", show=False),
        Binding("question_mark", "help", "help", key_display="?"),
        Binding("e", "explain", "explain"),
        Binding("y", "copy(1)", "copy command"),
        Binding("Y", "copy_all", show=False),
        *(Binding(str(number), f"copy({number})", show=False) for number in range(1, 10)),
        Binding("a", "all", "all/trouble"),
        Binding("m", "measure", "measure"),
        Binding("s", "stop", "stop"),
        Binding("r", "again", "look again"),
    ]

    class Told(Message):
        """News of the examination."""

        def __init__(self, news: News) -> None:
            super().__init__()
            self.news = news

    def __init__(self, examiner: Callable[[Callable[[News], None]], Examiner] = Examiner) -> None:
        """``examiner`` is built with what it shall tell its news to."""
        super().__init__()
        self._examiner = examiner(self._deliver)
        self._examined: Examined | None = None
        self._findings: tuple[Finding, ...] = ()
        self._all = False

    def compose(self) -> ComposeResult:
        """The verdict, the machine, the list, the finding beside (or below) it."""
        yield Static(" check", id="title", markup=False)
        yield Static("looking at this machine ...", id="verdict-line", markup=False)
        yield Static(id="machine", markup=False)
        with Horizontal(id="check"):
            yield OptionList(id="findings", markup=False, compact=True)
            yield FindingView(id="finding")
        yield KeyLine()

    def on_mount(self) -> None:
        """Look at the machine at once; that takes part of a second."""
        self.query_one("#findings").focus()
        self._begin(live=False)

    async def on_unmount(self) -> None:
        """Leave no child behind."""
        self._examiner.stop()
        await asyncio.to_thread(self._examiner.join, _ENDING_SECONDS)

    # ---------------------------------------------------------------- examination

    def _deliver(self, news: News) -> None:
        # Raised when the event loop has closed meanwhile: then there is no screen left to tell.
        with contextlib.suppress(RuntimeError):
            self.post_message(self.Told(news))

    def _begin(self, *, live: bool) -> None:
        if self._examiner.begin(live=live):
            self._say("measuring this machine ..." if live else "looking at this machine ...", "$text-accent")
        self.refresh_bindings()

    def _say(self, words: str, tone: str) -> None:
        self.query_one("#verdict-line", Static).update(Content.assemble((words, f"bold {tone}")))

    def on_check_screen_told(self, event: Told) -> None:
        """Show it."""
        news = event.news
        if isinstance(news, Progress):
            self._say(
                f"measuring: {news.ended} of {news.count}, {news.seconds:.0f} s, {news.doing} ...",
                "$text-accent",
            )
            return
        if isinstance(news, Broken):
            self._say(news.message, "$text-warning")
        else:
            self._examined = news
            self._show(news)
        self.call_after_refresh(self.refresh_bindings)

    def _show(self, examined: Examined) -> None:
        severity, words = verdict(examined.report)
        self._say(words.replace("; see below with --verbose", "; they are listed below"), TONES[severity])
        how = "measured too" if examined.live else "not measured: m measures"
        self.query_one("#title", Static).update(f" check, {how}")
        self.query_one("#machine", Static).update(printable(describe(examined.facts)))
        self._fill()

    def _fill(self) -> None:
        """The list; the cursor stays on its finding if that is still there."""
        if self._examined is None:
            return
        report = self._examined.report
        last = self._chosen()
        shown = (*TROUBLE, Severity.UNKNOWN, Severity.OK) if self._all else TROUBLE
        self._findings = tuple(finding for severity in shown for finding in of(report, severity))
        findings = self.query_one("#findings", OptionList)
        findings.clear_options()
        findings.add_options([Option(_line(finding)) for finding in self._findings])
        findings.border_title = count(len(self._findings), "finding")
        rest = report.count(Severity.OK), report.count(Severity.UNKNOWN)
        findings.border_subtitle = "" if self._all else f"{rest[0]} in order, {rest[1]} open: a shows them"
        ids = [finding.id for finding in self._findings]
        if ids:
            findings.highlighted = ids.index(last.id) if last is not None and last.id in ids else 0
        else:
            self.run_worker(self.query_one(FindingView).show(None), exclusive=True)

    def _chosen(self) -> Finding | None:
        at = self.query_one("#findings", OptionList).highlighted
        return None if at is None or at >= len(self._findings) else self._findings[at]

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """Show the finding under the cursor."""
        event.stop()
        self.run_worker(self.query_one(FindingView).show(self._chosen()), exclusive=True)
        self.refresh_bindings()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Enter: its page."""
        event.stop()
        self.action_explain()

    # ----------------------------------------------------------------------- keys

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Which keys mean something now; the footer shows only those."""
        if action in ("again", "measure"):
            return not self._examiner.is_busy
        if action == "stop":
            return self._examiner.is_busy
        if action in ("copy", "explain"):
            return self.is_mounted and (
                self._chosen() is not None if action == "explain" else bool(self._remedy())
            )
        return super().check_action(action, parameters)

    def action_again(self) -> None:
        """Look at the machine again."""
        self._begin(live=False)

    def action_measure(self) -> None:
        """Run the live probes, then examine."""
        self._begin(live=True)

    def action_stop(self) -> None:
        """Stop a measurement; what was found before stays."""
        self._examiner.stop()

    def action_all(self) -> None:
        """Show or hide what is in order and what is open."""
        self._all = not self._all
        self._fill()

    def action_copy(self, number: int) -> None:
        """Copy a command of the finding."""
        commands = self._remedy()
        if number <= len(commands):
            self._copy(commands[number - 1])

    def action_copy_all(self) -> None:
        """Copy all of them."""
        commands = self._remedy()
        if commands:
            self._copy("\n".join(commands))

    def _remedy(self) -> tuple[str, ...]:
        """The commands of the finding under the cursor."""
        finding = self._chosen()
        return finding.remedy.commands if finding and finding.remedy else ()

    def on_command_wanted(self, event: Command.Wanted) -> None:
        """A click on a command."""
        self._copy(event.command)

    def _copy(self, command: str) -> None:
        self.app.copy_to_clipboard(command)
        # Whether the terminal took it cannot be known.
        self.notify(command, title="Sent to the terminal's clipboard", markup=False)

    def action_explain(self) -> None:
        """Open the page of the finding."""
        finding = self._chosen()
        if finding is None:
            return
        page = read_page(finding.id)
        if page is None:
            self.notify("There is no page for this one; the evidence beside it is all that is known.")
        else:
            self.app.push_screen(PageScreen(finding.id, page))

    def action_help(self) -> None:
        """Open the help."""
        self.app.push_screen(HelpOverlay(HELP))

    def commands(self) -> Iterable[SystemCommand]:
        """What the command palette of the app may offer now."""
        if not self._examiner.is_busy:
            yield SystemCommand("Look again", "Read the machine again and examine it", self.action_again)
            yield SystemCommand("Measure", "Run the live probes; some seconds", self.action_measure)


def _line(finding: Finding) -> Content:
    tone = f"bold {TONES[finding.severity]}"
    return Content.assemble((f"{finding.severity.value:<8}", tone), printable(finding.title))
