"""A report as text for people, and as one JSON document for programs."""

from __future__ import annotations

import json
import shutil
import textwrap
from collections.abc import Iterator
from typing import Any

import msgspec

from doctor.facts import Facts
from doctor.finding import Finding, Report, Severity
from doctor.sizes import gib

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
    return {
        "schema": CHECK_SCHEMA,
        "facts": msgspec.to_builtins(facts),
        "findings": [_finding_json(finding) for finding in report.findings],
        "summary": {
            "errors": report.count(Severity.ERROR),
            "warnings": report.count(Severity.WARNING),
            "notes": report.count(Severity.NOTE),
            "unknown": report.count(Severity.UNKNOWN),
        },
    }


def _finding_json(finding: Finding) -> dict[str, Any]:
    remedy = finding.remedy
    return {
        "id": finding.id,
        "severity": finding.severity.value,
        "title": finding.title,
        "evidence": msgspec.to_builtins(finding.evidence),
        "cause": finding.cause,
        "remedy": {
            "text": remedy.text if remedy else "",
            "commands": list(remedy.commands) if remedy else [],
        },
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
    for severity in (Severity.ERROR, Severity.WARNING, Severity.NOTE):
        for finding in _of(report, severity):
            page.finding(finding, verbose=verbose)
    if verbose:
        for finding in (*_of(report, Severity.UNKNOWN), *_of(report, Severity.OK)):
            page.finding(finding, verbose=True)
        page.unread(facts)
    else:
        page.footer(report)
    return "\n".join(page.lines) + "\n"


def describe(facts: Facts) -> str:
    """The machine in one line: system, processor, memory, cards, driver, torch, diffusers."""
    return "; ".join(filter(None, (*_hardware(facts), *_software(facts))))


def _hardware(facts: Facts) -> Iterator[str | None]:
    host, cpu = facts.host, facts.cpu
    inside = f" in {host.container}" if host.container else " in WSL" if host.wsl else ""
    yield (host.distribution or host.os or "unknown system") + inside
    cores = f", {cpu.usable_cores} cores" if cpu.usable_cores else ""
    yield f"{cpu.model}{cores}" if cpu.model else None
    yield f"{gib(facts.memory.total)} memory" if facts.memory.total else None
    for gpu in facts.gpus or ():
        yield f"{gpu.name or f'card {gpu.index}'} {gib(gpu.memory_total)}"
    if facts.gpus is None:
        yield "graphics cards unknown"
    elif not facts.gpus:
        yield "no NVIDIA card"


def _software(facts: Facts) -> Iterator[str | None]:
    yield f"driver {facts.driver.version}" if facts.driver.version else None
    yield f"Python {facts.python.version}" if facts.python.version else None
    yield f"torch {facts.torch.version or 'of unknown version'}" if facts.torch else None
    diffusers = facts.package("diffusers")
    yield f"diffusers {diffusers.version}" if diffusers else None


def verdict(report: Report) -> tuple[Severity, str]:
    """The one sentence that everything below must agree with."""
    errors, warnings = report.count(Severity.ERROR), report.count(Severity.WARNING)
    failed = [finding for finding in _of(report, Severity.UNKNOWN) if "exception" in finding.evidence]
    if errors:
        rest = f" and {_count(warnings, 'warning')}" if warnings else ""
        return Severity.ERROR, f"{_count(errors, 'error')}{rest}: this does not work as it is."
    if failed:
        return (
            Severity.UNKNOWN,
            f"No error found, but {_count(len(failed), 'check')} failed; see below with --verbose.",
        )
    if warnings:
        return Severity.WARNING, f"No error found; {_count(warnings, 'warning')}."
    if not report.findings:
        return Severity.UNKNOWN, "Nothing was found to judge."
    if report.count(Severity.UNKNOWN):
        return Severity.OK, "No error found in what could be read."
    return Severity.OK, "No error found."


def _of(report: Report, severity: Severity) -> list[Finding]:
    return [finding for finding in report.findings if finding.severity is severity]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


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
            _printable(finding.title), self._width, initial_indent=" " * len(label), subsequent_indent="  ",
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
                f"          {self._paint(_printable(line), '1')}" for line in finding.remedy.commands
            ]
        if verbose:
            for name, value in finding.evidence.items():
                self._wrap(f"{name} = {_shown(value)}", "        ", "          ", dim=True)
            self._wrap(f"[{finding.id}]", "        ", "        ", dim=True)

    def unread(self, facts: Facts) -> None:
        if facts.unread:
            self.lines += ["", "Not read:"]
        for miss in facts.unread:
            self._wrap(f"{miss.what}: {miss.why}", "  ", "    ", dim=True)

    def footer(self, report: Report) -> None:
        unknown, fine = report.count(Severity.UNKNOWN), report.count(Severity.OK)
        parts = [f"{_count(fine, 'thing')} in order"] if fine else []
        if unknown:
            parts.append(f"{_count(unknown, 'question')} open because facts are missing")
        if parts:
            self.lines.append("")
            self._wrap(f"{', '.join(parts)}. Evidence and details: --verbose", "", "", dim=True)

    def _wrap(self, text: str, first: str, rest: str, *, dim: bool = False) -> None:
        wrapped = textwrap.wrap(
            _printable(text),
            self._width,
            initial_indent=first,
            subsequent_indent=rest,
            break_on_hyphens=False,
        )
        self.lines += [self._paint(line, "2") for line in wrapped] if dim else wrapped

    def _paint(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._color else text


def _shown(value: object) -> str:
    if value is None:
        return "none"
    return value if isinstance(value, str) else json.dumps(msgspec.to_builtins(value))


def _printable(text: str) -> str:
    """Facts may come from a stranger's file: no control sequences reach the terminal."""
    return "".join(sign if sign.isprintable() else " " for sign in text)
