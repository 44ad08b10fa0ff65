"""Findings: what a check has to say, typed, with its evidence and its remedy."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Severity(StrEnum):
    """How much a finding matters. UNKNOWN stands beside the scale: a fact was missing, or the check failed."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"
    OK = "ok"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Remedy:
    """Words and commands that would mend it. sdoctor never runs them unasked."""

    text: str
    commands: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One answer of a check."""

    id: str
    """The cause, stable over releases: "torch-cpu-only-build"."""
    severity: Severity
    title: str
    """One sentence for a tired person."""
    evidence: dict[str, object] = field(default_factory=dict)
    """The facts it rests on: name -> value."""
    cause: str = ""
    """Two sentences at most: why this happens."""
    remedy: Remedy | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """The findings of one examination, in reading order."""

    findings: tuple[Finding, ...]

    def count(self, severity: Severity) -> int:
        """How many findings have that severity."""
        return sum(finding.severity is severity for finding in self.findings)
