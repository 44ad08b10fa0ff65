"""Checks: named questions asked of ``Facts``; and the runner that asks them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from doctor.facts import Facts
from doctor.finding import Finding, Report, Severity

T = TypeVar("T")

_NONE_MEANS_NONE = frozenset(
    {
        "cpu.quota_cores",
        "memory.limit",
        "torch",
        "torch.cuda",
        "torch.hip",
        "driver.error",
        "driver.kernel_module_version",
    }
)
"""Facts for which None is an answer ("there is no limit") unless they are listed as unread."""


class FactUnread(LookupError):
    """A check came upon a fact that is not known; the runner turns it into an UNKNOWN finding."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One question: what it looks at, what it may find, and the pure function that answers.

    ``run`` may yield nothing (nothing to say), and may raise FactUnread or anything else: the runner copes.
    """

    name: str
    title: str
    """The question as a person would ask it."""
    needs: tuple[str, ...]
    """Facts without which the question cannot be answered at all, as dotted paths: "torch",
    "cpu.quota_cores"."""
    causes: dict[str, str]
    """Every finding id that it may use, each with one sentence on what it means."""
    run: Callable[[Facts], Iterable[Finding]]
    sources: tuple[str, ...] = ()
    """Public pages on which its judgement rests."""
    echoes: bool = False
    """Whether it may come to a cause that another check found by other evidence: of one cause one finding stands,
    the later one, which knows more, in the place of the earlier one and with the evidence of both."""


def known(facts: Facts, path: str) -> bool:
    """Whether the fact at a dotted path was read.

    It was not if it or something above it is listed as unread, or if it is None where None is no answer.
    """
    if any(_covers(unread.what, path) for unread in facts.unread):
        return False
    if path in ("torch", "torch.cuda", "torch.hip"):
        # Without torch these are known if the packages are: it is not installed, and has no CUDA.
        return facts.torch is not None or facts.packages is not None
    value: object = facts
    for name in path.split("."):
        value = getattr(value, name)
        if value is None:
            return path in _NONE_MEANS_NONE
    return True


def require(value: T | None, what: str) -> T:
    """``value``, or FactUnread if it is None. ``what`` is the fact's dotted path."""
    if value is None:
        raise FactUnread(what)
    return value


def examine(facts: Facts, checks: Iterable[Check]) -> Report:
    """Ask every check, in order. A crash of one is a finding and does not stop the others."""
    findings: list[Finding] = []
    for check in checks:
        for finding in _answers(facts, check):
            at = _place(findings, finding.id) if check.echoes else None
            if at is None:
                findings.append(finding)
            else:
                findings[at] = replace(finding, evidence={**findings[at].evidence, **finding.evidence})
    return Report(tuple(findings))


def _place(findings: Sequence[Finding], cause_id: str) -> int | None:
    return next((at for at, finding in enumerate(findings) if finding.id == cause_id), None)


def choose(checks: Sequence[Check], only: Sequence[str] = (), skip: Sequence[str] = ()) -> list[Check]:
    """The checks to ask: those named in ``only`` (all if empty), without those in ``skip``.

    A name is a check's name or the id of a finding; with an id, of that check only the findings with that id
    count. Raises KeyError with the first name that is neither.
    """
    for name in (*only, *skip):
        if not any(name == check.name or name in check.causes for check in checks):
            raise KeyError(name)
    return [
        _narrowed(check, only, skip)
        for check in checks
        if check.name not in skip and (not only or _is_named(check, only))
    ]


def _is_named(check: Check, names: Sequence[str]) -> bool:
    return check.name in names or any(cause in names for cause in check.causes)


def _narrowed(check: Check, only: Sequence[str], skip: Sequence[str]) -> Check:
    wanted = [cause for cause in check.causes if cause not in skip]
    if only and check.name not in only:
        wanted = [cause for cause in wanted if cause in only]
    if wanted == list(check.causes):
        return check

    def run(facts: Facts) -> Iterator[Finding]:
        return (finding for finding in check.run(facts) if finding.id in wanted)

    causes = {cause: check.causes[cause] for cause in wanted}
    return Check(
        name=check.name,
        title=check.title,
        needs=check.needs,
        causes=causes,
        run=run,
        sources=check.sources,
        echoes=check.echoes,
    )


def _answers(facts: Facts, check: Check) -> Iterator[Finding]:
    missing = [path for path in check.needs if not known(facts, path)]
    if missing:
        yield _unknown(facts, check, missing)
        return
    try:
        yield from check.run(facts)
    except FactUnread as error:
        yield _unknown(facts, check, [error.what])
    except Exception as error:  # noqa: BLE001  (whatever it is, it must not hide the other checks)
        yield Finding(
            id=check.name,
            severity=Severity.UNKNOWN,
            title=f"The check '{check.name}' failed, so its question stays open: {check.title}",
            evidence={"exception": f"{type(error).__name__}: {error}"},
            cause="This is a defect of sdoctor, not of this machine.",
        )


def _unknown(facts: Facts, check: Check, missing: Sequence[str]) -> Finding:
    reasons = {
        unread.what: unread.why
        for unread in facts.unread
        if any(_covers(unread.what, path) for path in missing)
    }
    return Finding(
        id=check.name,
        severity=Severity.UNKNOWN,
        title=f"Could not tell: {check.title}",
        evidence={"unread": list(missing), **({"why": reasons} if reasons else {})},
        cause=f"Not known: {', '.join(missing)}.",
    )


def _covers(unread: str, path: str) -> bool:
    """Whether an unread entry leaves ``path`` unknown: the same fact or one above it ("cpu" covers
    "cpu.flags")."""
    return path == unread or re.match(rf"{re.escape(unread)}[.\[]", path) is not None
