"""A report as Markdown, to be pasted into an issue."""

from __future__ import annotations

import re
from collections.abc import Iterator

from doctor.facts import Facts
from doctor.finding import Finding, Report, Severity
from doctor.pages import page_path
from tui.report_parts import TROUBLE, describe, of, printable, shown, verdict

_SPECIAL = re.compile(r"([\\`*_\[\]<>|#~])")


def render_markdown(report: Report, facts: Facts) -> str:
    """Verdict, machine, and what is wrong, worst first; evidence and what is in order are folded away."""
    lines = [f"**{_text(verdict(report)[1])}**", "", _text(describe(facts)), ""]
    for severity in TROUBLE:
        for finding in of(report, severity):
            lines += _finding(finding)
    rest = [*of(report, Severity.UNKNOWN), *of(report, Severity.OK)]
    if rest:
        lines += ["<details><summary>In order, or not known</summary>", ""]
        lines += [f"- {finding.severity.value}: {_text(finding.title)}" for finding in rest]
        lines += ["", "</details>", ""]
    if facts.unread:
        lines += ["<details><summary>Not read</summary>", ""]
        lines += [f"- {_text(miss.what)}: {_text(miss.why)}" for miss in facts.unread]
        lines += ["", "</details>", ""]
    return "\n".join(lines)


def _finding(finding: Finding) -> Iterator[str]:
    yield f"### {finding.severity.value.upper()}: {_text(finding.title)}"
    yield ""
    if finding.cause:
        yield from (_text(finding.cause), "")
    if finding.remedy:
        yield from (f"**Mend:** {_text(finding.remedy.text)}", "")
        if finding.remedy.commands:
            yield from _fenced([printable(line) for line in finding.remedy.commands])
    yield f"<details><summary>Evidence (<code>{finding.id}</code>, {page_path(finding.id)})</summary>"
    yield ""
    yield from _fenced(
        [f"{name} = {printable(shown(value))}" for name, value in finding.evidence.items()] or ["none"]
    )
    yield from ("</details>", "")


def _fenced(lines: list[str]) -> Iterator[str]:
    """A block of code, in a fence longer than any that the lines hold."""
    longest = max((len(run) for line in lines for run in re.findall("`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    yield from (fence, *lines, fence, "")


def _text(words: str) -> str:
    return _SPECIAL.sub(r"\\\1", printable(words))
