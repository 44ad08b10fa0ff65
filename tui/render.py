"""A report as text for people, and as one JSON document for programs."""

from __future__ import annotations

import shutil
import textwrap
from typing import Any

from doctor.facts import Facts
from doctor.finding import Finding, Report, Severity
from doctor.pages import page_path
from tui.report_parts import TROUBLE, count, describe, of, printable, shown, verdict

CHECK_SCHEMA = "sdoctor.check/1"

NARROWEST, WIDEST = 60, 100
"""Columns; longer lines tire the eye, shorter ones tear commands apart."""

_COLOURS = {
    Severity.ERROR: "1;31",
    Severity.WARNING: "1;33",
    Severity.NOTE: "1;36",
    Severity.OK: "1;32",
    Severity.UNKNOWN: "1;35",
}


def report_json(report: Report, facts: Facts) -> dict[str, Any]:
    """The document of ``sdoctor check --json``, schema sdoctor.check/1."""
    import msgspec  # the text for people does without it

    return {
        "schema": CHECK_SCHEMA,
        "facts": msgspec.to_builtins(facts),
        "findings": [
            _finding_json(finding, msgspec.to_builtins(finding.evidence)) for finding in report.findings
        ],
        "summary": {
            "errors": report.count(Severity.ERROR),
            "warnings": report.count(Severity.WARNING),
            "notes": report.count(Severity.NOTE),
            "unknown": report.count(Severity.UNKNOWN),
        },
    }


def _finding_json(finding: Finding, evidence: dict[str, Any]) -> dict[str, Any]:
    remedy = finding.remedy
    return {
        "id": finding.id,
        "severity": finding.severity.value,
        "title": finding.title,
        "evidence": evidence,
        "cause": finding.cause,
        "remedy": {
            "text": remedy.text if remedy else "",
            "commands": list(remedy.commands) if remedy else [],
        },
        "page": page_path(finding.id),
    }


def render_report(report: Report, facts: Facts, *, color: bool, verbose: bool) -> str:
    """The report for a person: the verdict, the machine, then what is wrong, worst first, each with its
    remedy.

    ``verbose`` adds evidence, what is in order, and what could not be read. Without ``color`` it is plain
    text.
    """
    page = _Page(color, max(NARROWEST, min(WIDEST, shutil.get_terminal_size().columns)))
    page.verdict(report)
    page.machine(facts)
    for severity in TROUBLE:
        for finding in of(report, severity):
            page.finding(finding, verbose=verbose)
    if verbose:
        for finding in (*of(report, Severity.UNKNOWN), *of(report, Severity.OK)):
            page.finding(finding, verbose=True)
        page.unread(facts)
    else:
        page.footer(report)
    return "\n".join(page.lines) + "\n"


class _Page:
    """Lines of text, wrapped to a width; colours are a few ANSI codes or none."""

    def __init__(self, color: bool, width: int) -> None:
        self.lines: list[str] = []
        self._color = color
        self._width = width

    def verdict(self, report: Report) -> None:
        severity, words = verdict(report)
        self.lines.append(self._paint(words, _COLOURS[severity]))

    def machine(self, facts: Facts) -> None:
        self._wrap(describe(facts), "  ", "  ", dim=True)

    def finding(self, finding: Finding, *, verbose: bool) -> None:
        self.lines.append("")
        label = f"{finding.severity.value.upper()}: "
        body = textwrap.wrap(
            printable(finding.title), self._width, initial_indent=" " * len(label), subsequent_indent="  ",
            break_on_hyphens=False,
        )  # fmt: skip
        first = self._paint(label.rstrip(), _COLOURS[finding.severity]) + " " + body[0].lstrip()
        self.lines += [f"{first}", *body[1:]]
        if finding.cause:
            self._wrap(finding.cause, "  Why:  ", "        ")
        if finding.remedy:
            self._wrap(finding.remedy.text, "  Mend: ", "        ")
            # Commands are never wrapped: they are there to be copied.
            self.lines += [
                f"          {self._paint(printable(line), '1')}" for line in finding.remedy.commands
            ]
        if finding.severity in (Severity.ERROR, Severity.WARNING):
            self._wrap(f"sdoctor explain {finding.id}", "  More: ", "        ", dim=True)
        if verbose:
            for name, value in finding.evidence.items():
                self._wrap(f"{name} = {shown(value)}", "        ", "          ", dim=True)
            self._wrap(f"[{finding.id}]", "        ", "        ", dim=True)

    def unread(self, facts: Facts) -> None:
        if facts.unread:
            self.lines += ["", "Not read:"]
        for miss in facts.unread:
            self._wrap(f"{miss.what}: {miss.why}", "  ", "    ", dim=True)

    def footer(self, report: Report) -> None:
        unknown, fine = report.count(Severity.UNKNOWN), report.count(Severity.OK)
        parts = [f"{count(fine, 'thing')} in order"] if fine else []
        if unknown:
            parts.append(f"{count(unknown, 'question')} open because facts are missing")
        if parts:
            self.lines.append("")
            self._wrap(f"{', '.join(parts)}. Evidence and details: --verbose", "", "", dim=True)

    def _wrap(self, text: str, first: str, rest: str, *, dim: bool = False) -> None:
        wrapped = textwrap.wrap(
            printable(text),
            self._width,
            initial_indent=first,
            subsequent_indent=rest,
            break_on_hyphens=False,
        )
        self.lines += [self._paint(line, "2") for line in wrapped] if dim else wrapped

    def _paint(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._color else text
