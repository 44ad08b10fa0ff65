"""Reports found after the rules were written, reduced to their telling lines, each with its public thread."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from judging import is_right, problems

REPORTS = json.loads((Path(__file__).parent / "found" / "reports.json").read_text("utf-8"))
BOUND = 0.95


def test_score() -> None:
    wrong: list[dict[str, Any]] = [one for one in REPORTS if not is_right(one, problems(one["text"]))]
    print(f"\n{1 - len(wrong) / len(REPORTS):.1%} of {len(REPORTS)} found reports; wrong:")
    for one in wrong:
        print(f"  {one['name']}: wanted {one['cause']}, found {[f.id for f in problems(one['text'])]}")
    assert len(wrong) <= (1 - BOUND) * len(REPORTS)


def test_each_names_its_source() -> None:
    assert all(one["source"].startswith(("https://github.com/", "own: ")) for one in REPORTS)
    assert len({one["name"] for one in REPORTS}) == len(REPORTS)
