"""The pages of the findings: one for every cause, in one form; and links in the documentation lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from doctor.checks import CHECKS
from doctor.pages import read_page

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted((DOCS / "findings").glob("*.md"))
MEANINGS: dict[str, set[str]] = {}
for _check in CHECKS:
    for _cause, _meaning in _check.causes.items():
        MEANINGS.setdefault(_cause, set()).add(_meaning)
SECTIONS = ("What you see", "Why", "What to do")
_LINK = re.compile(r"\[[^\]\n]*\]\((?P<target>[^)\s]+)\)")
_CODE = re.compile(r"```.*?```|`[^`\n]*`", re.S)


def test_every_cause_has_a_page_and_no_page_is_without_a_cause() -> None:
    assert {page.stem for page in PAGES} == set(MEANINGS)


@pytest.mark.parametrize("cause", sorted(MEANINGS))
def test_a_page_has_its_form(cause: str) -> None:
    page = read_page(cause)
    assert page is not None
    head, *sections = re.split(r"^## (.+)\n", page, flags=re.M)
    title, meaning = (line for line in head.splitlines() if line)
    assert title == f"# {cause}"
    assert meaning in MEANINGS[cause], "the meaning is that of one of the checks, word for word"
    assert tuple(sections[::2]) == SECTIONS
    for name, text in zip(sections[::2], sections[1::2], strict=True):
        assert len(text.split()) >= 4, f"{name} says nothing"


@pytest.mark.parametrize("page", [*sorted(DOCS.glob("*.md")), *PAGES], ids=lambda page: page.stem)
def test_links_lead_to_files(page: Path) -> None:
    text = _CODE.sub("", page.read_text(encoding="utf-8"))
    targets = [match["target"].partition("#")[0] for match in _LINK.finditer(text)]
    relative = [target for target in targets if target and not re.match(r"[a-z]+:", target)]
    assert [target for target in relative if not (page.parent / target).exists()] == []
