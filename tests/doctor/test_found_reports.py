"""Reports found in public threads, reduced to their telling lines, each with its source.

``reports.json`` was read while the rules grew. ``first_sight.json`` was put to finished rules: 26 of 28 were right at
first sight; the two that were not (a CPU build beside nvcc, missing Python libraries) have been mended since.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from judging import is_right, problems

REPORTS = [
    one
    for name in ("reports.json", "first_sight.json")
    for one in json.loads((Path(__file__).parent / "found" / name).read_text("utf-8"))
]
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
