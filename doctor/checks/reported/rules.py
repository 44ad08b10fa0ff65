"""Messages whose meaning is one cause: a table of rules, and the check that is made of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from doctor.check import Check
from doctor.facts import Facts, Message
from doctor.finding import Finding, Remedy, Severity

Words = str | Callable[[Facts, Message], str]
Mending = Remedy | Callable[[Facts, Message], Remedy]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One kind of message and what it means. A title or a remedy may depend on the facts and the message."""

    kind: str
    id: str
    title: Words
    cause: Words
    remedy: Mending
    severity: Severity = Severity.ERROR
    applies: Callable[[Facts], bool] = lambda _facts: True
    """Whether the message means this on the machine of the report."""


def finding_of(
    cause_id: str,
    message: Message | None,
    title: str,
    cause: str,
    remedy: Remedy,
    *,
    severity: Severity = Severity.ERROR,
    evidence: dict[str, object] | None = None,
) -> Finding:
    """A finding that rests on a message; its text and values are evidence."""
    said: dict[str, object] = {"message": message.text, **message.values} if message else {}
    return Finding(
        id=cause_id, severity=severity, title=title, evidence={**said, **(evidence or {})}, cause=cause, remedy=remedy
    )  # fmt: skip


def apply(rules: Sequence[Rule], facts: Facts) -> Iterator[Finding]:
    """The findings of every rule whose message was said, one per cause."""
    said: set[str] = set()
    for rule in rules:
        message = facts.message(rule.kind)
        if message is None or rule.id in said or not rule.applies(facts):
            continue
        said.add(rule.id)
        yield finding_of(
            rule.id,
            message,
            rule.title if isinstance(rule.title, str) else rule.title(facts, message),
            rule.cause if isinstance(rule.cause, str) else rule.cause(facts, message),
            rule.remedy if isinstance(rule.remedy, Remedy) else rule.remedy(facts, message),
            severity=rule.severity,
        )


def check_of(
    topic: str,
    title: str,
    causes: dict[str, str],
    sources: tuple[str, ...],
    *,
    rules: Sequence[Rule] = (),
    run: Callable[[Facts], Iterator[Finding]] | None = None,
) -> Check:
    """The check "reported-<topic>": first what ``run`` finds by joining facts, then the rules."""

    def both(facts: Facts) -> Iterator[Finding]:
        said: set[str] = set()
        for finding in run(facts) if run else ():
            said.add(finding.id)
            yield finding
        yield from (finding for finding in apply(rules, facts) if finding.id not in said)

    return Check(
        name=f"reported-{topic}", title=title, needs=(), causes=causes, run=both, sources=sources, echoes=True
    )


def is_windows(facts: Facts) -> bool:
    """Whether the report is from Windows itself (not from WSL)."""
    return facts.host.os == "Windows" and not facts.host.wsl


def is_mac(facts: Facts) -> bool:
    """Whether the report is from a Mac."""
    return facts.host.os == "Darwin"


def has_vendor(facts: Facts, vendor: str) -> bool:
    """Whether the report names a card of that maker."""
    return any(gpu.vendor == vendor for gpu in facts.gpus or ())


def only_amd(facts: Facts) -> bool:
    """Whether the report names AMD cards and no NVIDIA card."""
    return has_vendor(facts, "amd") and not has_vendor(facts, "nvidia")
