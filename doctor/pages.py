"""The page of each finding, ``docs/findings/ID.md``: found in the checkout or beside the installed package."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path

from doctor.check import Check

_HERE = Path(__file__).resolve().parent
_FOLDERS = (_HERE / "findings", _HERE.parent / "docs" / "findings")
"""In a wheel the pages lie in the package, in a checkout in the documentation."""

_ALIKE = 0.65
"""Share of equal letters above which a name is taken for a misspelling (difflib's ratio); below it the guesses are
of no help."""

_SHORTEST = 3


def page_path(cause: str) -> str:
    """Where the page of a finding lies in the documentation."""
    return f"docs/findings/{cause}.md"


def read_page(cause: str) -> str | None:
    """The page as Markdown, or None if there is none for that id."""
    for folder in _FOLDERS:
        file = folder / f"{cause}.md"
        if file.is_file():
            return file.read_text(encoding="utf-8")
    return None


def asked_by(cause: str, checks: Sequence[Check]) -> tuple[Check, ...]:
    """The checks that may find this cause; empty if there is no such id."""
    return tuple(check for check in checks if cause in check.causes)


def nearest(name: str, known: Iterable[str]) -> list[str]:
    """Known names that are written like this one or hold it, at most three; the best first."""
    names = sorted(set(known))
    holding = [one for one in names if len(name) >= _SHORTEST and name.lower() in one]
    alike = get_close_matches(name.lower(), names, n=3, cutoff=_ALIKE)
    return list(dict.fromkeys((*alike, *holding)))[:3]
