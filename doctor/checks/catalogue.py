"""The page docs/checks.md, written from the list of checks itself."""

from __future__ import annotations

from collections.abc import Sequence

from doctor.check import Check

_HEAD = """\
# What `sdoctor check` looks at

This page is written by `python -P -m doctor.checks`; a test fails when it is stale.

A check asks one question of the facts. Where a fact that it needs could not be read it answers *unknown*, never "fine"
and never a fault. `--only` and `--skip` take the names of checks and the ids of findings.

Severities: **error** (it does not work like this), **warning** (it works, slower or not everywhere), **note**
(good to know), **ok** (looked at and in order), **unknown**.
"""


def catalogue(checks: Sequence[Check]) -> str:
    """The page as Markdown."""
    return "\n".join([_HEAD, *(_section(check) for check in checks)])


def _section(check: Check) -> str:
    lines = [f"## {check.name}", "", check.title, "", "| finding | what it means |", "|---|---|"]
    lines += [f"| [`{cause}`](findings/{cause}.md) | {meaning} |" for cause, meaning in check.causes.items()]
    lines += ["", f"Needs: {', '.join(f'`{path}`' for path in check.needs)}."]
    if check.sources:
        lines += ["", "Sources:", "", *(f"- {source}" for source in check.sources)]
    return "\n".join(lines) + "\n"
