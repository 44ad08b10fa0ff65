"""What every form of a report says in the same words: the verdict, the machine, the order of the findings."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator

from doctor.facts import Facts
from doctor.finding import Finding, Report, Severity
from doctor.sizes import gib

TROUBLE = (Severity.ERROR, Severity.WARNING, Severity.NOTE)
"""What asks for attention, worst first."""


def describe(facts: Facts) -> str:
    """The machine in one line: system, processor, memory, cards, driver, torch, diffusers."""
    return "; ".join(filter(None, (*_hardware(facts), *_software(facts))))


def _hardware(facts: Facts) -> Iterator[str | None]:
    host, cpu = facts.host, facts.cpu
    inside = f" in {host.container}" if host.container else " in WSL" if host.wsl else ""
    unknown = "no system named" if facts.read_from else "unknown system"
    yield (host.distribution or {"Darwin": "macOS"}.get(host.os or "", host.os) or unknown) + inside
    cores = f", {cpu.usable_cores} cores" if cpu.usable_cores else ""
    yield f"{cpu.model}{cores}" if cpu.model else None
    yield f"{gib(facts.memory.total)} memory" if facts.memory.total else None
    cards = Counter(
        f"{gpu.name or f'card {gpu.index}'}{f' {gib(gpu.memory_total)}' if gpu.memory_total else ''}"
        for gpu in facts.gpus or ()
    )
    yield from (name if number == 1 else f"{number} x {name}" for name, number in cards.items())
    if facts.gpus is None:
        yield "no card named" if facts.read_from else "graphics cards unknown"
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
    failed = [finding for finding in of(report, Severity.UNKNOWN) if "exception" in finding.evidence]
    if errors:
        rest = f" and {count(warnings, 'warning')}" if warnings else ""
        return Severity.ERROR, f"{count(errors, 'error')}{rest}: this does not work as it is."
    if failed:
        return (
            Severity.UNKNOWN,
            f"No error found, but {count(len(failed), 'check')} failed; see below with --verbose.",
        )
    if warnings:
        return Severity.WARNING, f"No error found; {count(warnings, 'warning')}."
    if not report.findings:
        return Severity.OK, "The checks that were asked found nothing."
    if report.count(Severity.UNKNOWN):
        return Severity.OK, "No error found in what could be read."
    return Severity.OK, "No error found."


def of(report: Report, severity: Severity) -> list[Finding]:
    """The findings of one severity, in reading order."""
    return [finding for finding in report.findings if finding.severity is severity]


def count(number: int, noun: str) -> str:
    """ "1 error", "2 errors"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def shown(value: object) -> str:
    """A value of the evidence, for people."""
    if value is None:
        return "none"
    if isinstance(value, str):
        return value
    import msgspec  # the short report shows no values

    return json.dumps(msgspec.to_builtins(value))


def printable(text: str) -> str:
    """Facts may come from a stranger's file: no control sequences get through."""
    return "".join(sign if sign.isprintable() else " " for sign in text)
