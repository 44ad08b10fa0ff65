"""docs/checks.md says what the checks are."""

from pathlib import Path

import pytest

from doctor.checks import CHECKS
from doctor.checks.catalogue import catalogue

PAGE = Path(__file__).parents[2] / "docs" / "checks.md"


def test_the_page_is_fresh() -> None:
    if not PAGE.exists():
        pytest.fail("docs/checks.md is missing; write it with: python -P -m doctor.checks > docs/checks.md")
    assert PAGE.read_text(encoding="utf-8") == catalogue(CHECKS), (
        "docs/checks.md is stale; write it anew with: python -P -m doctor.checks > docs/checks.md"
    )


def test_every_finding_is_on_the_page() -> None:
    page = catalogue(CHECKS)
    for check in CHECKS:
        assert f"## {check.name}\n" in page
        for cause, meaning in check.causes.items():
            assert f"| [`{cause}`](findings/{cause}.md) | {meaning} |" in page
