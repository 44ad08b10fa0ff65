"""Is what the checks say of a report the answer that its key asks for?"""

from __future__ import annotations

from typing import Any

from doctor.check import examine
from doctor.checks import CHECKS
from doctor.finding import Finding, Severity
from doctor.gather.report import read_report


def rendered(case: dict[str, Any]) -> str:
    facts = case["facts"]
    lines = [f"{key}: {value}" for key, value in facts.get("values", {}).items()]
    lines += [f"GPU {index}: {name}" for index, name in enumerate(facts.get("gpus", []))]
    lines += [f"[pip3] {name}=={version}" for name, version in facts.get("packages", {}).items()]
    return "\n".join([*lines, *facts.get("mentions", []), *facts.get("errors", [])]) + "\n"


def problems(text: str) -> list[Finding]:
    report = examine(read_report(text.encode()), CHECKS)
    return [one for one in report.findings if one.severity in (Severity.ERROR, Severity.WARNING)]


def is_right(case: dict[str, Any], found: list[Finding]) -> bool:
    if case["cause"] == "healthy":
        return not found
    answer = " ".join(map(str, found)).lower()
    named = {one.id for one in found} & {case["cause"], *case["also_acceptable"]}
    mentioned = (any(word.lower() in answer for word in must.split("|")) for must in case["must_mention"])
    return bool(named) and all(mentioned)
