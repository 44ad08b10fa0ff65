"""The words that are looked for first never rule out a line that the expression would match."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from cause_texts import TEXTS

from doctor.reports.anchors import anchors_of
from doctor.reports.cleaning import clean
from doctor.reports.patterns import ALL

FOUND = Path(__file__).parent / "found"
LINES = {
    line
    for text in (
        *(text for pair in TEXTS.values() for text in pair),
        *(one["text"] for name in FOUND.glob("*.json") for one in json.loads(name.read_text("utf-8"))),
    )
    for line in clean(text.encode())
}


def test_no_match_is_lost() -> None:
    for row in ALL:
        words = anchors_of(row.pattern)
        for line in LINES:
            if words is not None and re.search(row.pattern, line, re.I):
                assert any(word in line.lower() for word in words), (row.kind, line)


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("abc|defg", ("abc", "defg")),
        ("abc?def(x|y)ghij", ("ghij",)),
        ("ab{0,4}cde", ("cde",)),
        (r"no+ such \d+ file", ("such ",)),
        (r"[abc]{3}klm\.n", ("klm.n",)),
        (r"[^]|]xyz", ("xyz",)),
        ("(abc|def)", ("abc", "def")),
        ("(?:abc|def)?x", None),
        ("(?=abc)x", None),
        (r"a(?P<b>klm|(?:n|opq))", None),
        (r"\bVA\d(?:one(?:s|t)|two\b)", ("one", "two")),
        ("文件太小|ab", None),
        ("文件太小|abc", ("文件太小", "abc")),
        (r"abcd|\d+", None),
    ],
)
def test_words_of(pattern: str, words: tuple[str, ...] | None) -> None:
    found = anchors_of(pattern)
    assert found == words or (found and words and all(word.strip() in "".join(found) for word in words))
