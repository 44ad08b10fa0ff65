"""The runner: order, crashes, unknown facts, choosing checks; and the list of checks as a whole."""

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
from machines import CPU_ONLY, HEALTHY, changed

from doctor.check import Check, FactUnread, choose, examine, known
from doctor.checks import CHECKS
from doctor.facts import Cpu, Facts, Unread
from doctor.finding import Finding, Severity


def make(name: str, *needs: str, run: object = None, causes: tuple[str, ...] = ("found",)) -> Check:
    def say(facts: Facts) -> Iterator[Finding]:
        for cause in causes:
            yield Finding(id=cause, severity=Severity.NOTE, title="Said.")

    return Check(
        name=name,
        title="Is it?",
        needs=needs,
        causes=dict.fromkeys(causes, "Meaning."),
        run=run or say,  # type: ignore[arg-type]
    )


def test_a_crash_is_a_finding_and_does_not_stop_the_others() -> None:
    def crash(facts: Facts) -> Iterator[Finding]:
        yield Finding(id="found", severity=Severity.NOTE, title="Said before.")
        raise ZeroDivisionError("by nothing")

    report = examine(HEALTHY, [make("first", run=crash), make("second")])
    assert [finding.id for finding in report.findings] == ["found", "first", "found"]
    failed = report.findings[1]
    assert failed.severity is Severity.UNKNOWN
    assert failed.evidence == {"exception": "ZeroDivisionError: by nothing"}


def test_a_check_whose_facts_are_unread_answers_unknown_with_the_reason() -> None:
    facts = replace(HEALTHY, gpus=None, unread=(Unread(what="gpus", why="the driver hangs"),))
    (finding,) = examine(facts, [make("one", "gpus")]).findings
    assert finding.severity is Severity.UNKNOWN
    assert finding.id == "one"
    assert finding.evidence == {"unread": ["gpus"], "why": {"gpus": "the driver hangs"}}


def test_a_fact_that_turns_out_missing_on_the_way_is_unknown_too() -> None:
    def ask(facts: Facts) -> Iterator[Finding]:
        raise FactUnread("gpus[0].capability")
        yield

    (finding,) = examine(HEALTHY, [make("one", run=ask)]).findings
    assert finding.severity is Severity.UNKNOWN
    assert finding.evidence["unread"] == ["gpus[0].capability"]


def test_known() -> None:
    assert known(HEALTHY, "gpus")
    assert known(CPU_ONLY, "gpus"), "() is an answer: there is none"
    assert not known(replace(HEALTHY, gpus=None), "gpus")
    assert known(HEALTHY, "cpu.quota_cores"), "None is an answer there: no limit"
    assert not known(replace(HEALTHY, unread=(Unread(what="cpu.quota_cores", why=""),)), "cpu.quota_cores")
    assert not known(replace(HEALTHY, unread=(Unread(what="cpu", why=""),)), "cpu.quota_cores")
    assert known(replace(HEALTHY, unread=(Unread(what="cpu.flags", why=""),)), "cpu.quota_cores")
    assert known(replace(HEALTHY, unread=(Unread(what="gpus[0].temperature", why=""),)), "gpus")
    assert known(replace(HEALTHY, torch=None), "torch"), "not installed: the packages tell"
    assert not known(replace(HEALTHY, torch=None, packages=None), "torch")
    assert not known(Facts(cpu=Cpu()), "cpu.flags")


def test_checks_are_chosen_by_name_and_by_what_they_find() -> None:
    both = make("both", causes=("left", "right"))
    checks = [both, make("other", causes=("else",))]

    def ids(only: tuple[str, ...] = (), skip: tuple[str, ...] = ()) -> list[str]:
        return [finding.id for finding in examine(HEALTHY, choose(checks, only, skip)).findings]

    assert ids() == ["left", "right", "else"]
    assert ids(only=("both",)) == ["left", "right"]
    assert ids(only=("right",)) == ["right"]
    assert ids(skip=("both",)) == ["else"]
    assert ids(skip=("left",)) == ["right", "else"]
    assert ids(only=("both", "else"), skip=("left",)) == ["right", "else"]
    with pytest.raises(KeyError, match="nothing"):
        choose(checks, only=("nothing",))


@pytest.mark.parametrize("facts", [HEALTHY, CPU_ONLY], ids=["card", "processor"])
def test_a_healthy_machine_has_no_fault(facts: Facts) -> None:
    wrong = [
        finding
        for finding in examine(facts, CHECKS).findings
        if finding.severity in (Severity.ERROR, Severity.WARNING, Severity.UNKNOWN)
    ]
    assert wrong == []


def test_from_no_facts_at_all_nothing_is_concluded() -> None:
    report = examine(Facts(), CHECKS)
    assert {finding.severity for finding in report.findings} == {Severity.UNKNOWN}
    assert not any("exception" in finding.evidence for finding in report.findings)


@pytest.mark.parametrize(
    "part", ["gpus", "torch", "packages", "environment", "disks", "cpu", "memory", "python"]
)
def test_one_part_unread_is_never_a_fault_and_never_a_crash(part: str) -> None:
    empty = type(getattr(HEALTHY, part))() if part in ("cpu", "memory", "python") else None
    facts = replace(HEALTHY, **{part: empty}, unread=(Unread(what=part, why="not read"),))
    report = examine(facts, CHECKS)
    assert not any("exception" in finding.evidence for finding in report.findings)
    assert {finding.severity for finding in report.findings} <= {Severity.OK, Severity.NOTE, Severity.UNKNOWN}
    assert report.count(Severity.UNKNOWN) > 0


def test_names_and_ids_are_kebab_case_and_unique() -> None:
    names = [check.name for check in CHECKS]
    ids = [cause for check in CHECKS for cause in check.causes]
    # Some checks come to the same causes by other evidence (messages, live probes); among the others each id is one's own.
    own = [cause for check in CHECKS if not check.echoes for cause in check.causes]
    assert len(set(names)) == len(names)
    assert len(set(own)) == len(own)
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name) for name in (*names, *ids))
    for check in CHECKS:
        assert check.title.endswith("?")
        assert all(meaning.endswith(".") for meaning in check.causes.values())


def test_changed_machines_are_real_facts() -> None:
    facts = changed(HEALTHY, cpu={"niceness": 5})
    assert facts.cpu.niceness == 5
    assert facts.cpu.model == HEALTHY.cpu.model
    assert Facts.from_json(facts.to_json()) == facts
