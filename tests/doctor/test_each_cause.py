"""Every cause that a check may name has a case that fires it and one, close to it, that keeps it silent."""

from __future__ import annotations

import pytest
from cause_machines import MACHINES
from cause_texts import OK_AMD, OK_LINUX, OK_MAC, OK_WINDOWS, TEXTS
from live_machines import LIVE
from machines import assert_reads_well

from doctor.check import examine
from doctor.checks import CHECKS
from doctor.facts import Facts
from doctor.finding import Finding, Severity
from doctor.gather.report import read_report

CASES: dict[str, tuple[Facts, Facts]] = (
    MACHINES
    | LIVE
    | {
        cause: (read_report(fires.encode()), read_report(silent.encode()))
        for cause, (fires, silent) in TEXTS.items()
    }
)
ALL = sorted({cause for check in CHECKS for cause in check.causes})


def said(facts: Facts) -> dict[str, Finding]:
    return {
        finding.id: finding
        for finding in examine(facts, CHECKS).findings
        if finding.severity != Severity.UNKNOWN
    }


def test_every_cause_has_its_two_cases() -> None:
    assert sorted(CASES) == ALL
    assert len(ALL) >= 60


@pytest.mark.parametrize("cause", ALL)
def test_it_fires_and_it_keeps_silent(cause: str) -> None:
    fires, silent = CASES[cause]
    found = said(fires)
    assert cause in found
    assert cause not in said(silent)
    assert_reads_well(found[cause])


@pytest.mark.parametrize("text", [OK_LINUX, OK_WINDOWS, OK_MAC, OK_AMD])
def test_reports_of_healthy_machines_name_no_fault(text: str) -> None:
    wrong = [
        one
        for one in said(read_report(text.encode())).values()
        if one.severity in (Severity.ERROR, Severity.WARNING)
    ]
    assert wrong == []


def test_one_cause_is_named_once() -> None:
    for cause in TEXTS:
        fires, _ = CASES[cause]
        ids = [
            finding.id for finding in examine(fires, CHECKS).findings if finding.severity == Severity.ERROR
        ]
        assert len(ids) == len(set(ids))


def test_a_remedy_of_an_error_says_what_to_do() -> None:
    for cause, (fires, _) in CASES.items():
        finding = said(fires).get(cause)
        if finding and finding.severity is Severity.ERROR:
            assert finding.remedy is not None, cause
            assert finding.evidence, cause
