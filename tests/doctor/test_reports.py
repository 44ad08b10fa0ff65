"""Real reports: does the check name their cause, and is it silent about the healthy ones?"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from cause_texts import TEXTS
from hypothesis import given, settings
from hypothesis import strategies as st
from judging import is_right, problems, rendered

from doctor.check import examine
from doctor.checks import CHECKS
from doctor.gather.report import read_report

CASES = {
    path.stem: json.loads(path.read_text("utf-8"))
    for path in (Path(__file__).parent / "reports").glob("*.json")
}
SAID = [text for pair in TEXTS.values() for text in pair] + [rendered(case) for case in CASES.values()]
BOUND = 0.92
"""A little below what is reached, so that a check that gets worse is noticed."""


def test_score() -> None:
    wrong = {name: [one.id for one in problems(rendered(case))] for name, case in sorted(CASES.items())
             if not is_right(case, problems(rendered(case)))}  # fmt: skip
    score = 1 - len(wrong) / len(CASES)
    print(f"\n{score:.1%} of {len(CASES)} reports; wrong:")
    for name, found in wrong.items():
        print(f"  {name}: wanted {CASES[name]['cause']}, found {found}")
    assert score >= BOUND


WAYS: dict[str, Callable[[str], str]] = {
    "fenced": lambda text: f"```text\n{text}```\n",
    "indented": lambda text: "".join(f"    {line}\n" for line in text.splitlines()),
    "quoted": lambda text: "".join(f"> {line}\n" for line in text.splitlines()),
    "bullets": lambda text: "".join(f"- {line}\n" for line in text.splitlines()),
    "windows": lambda text: text.replace("\n", "\r\n"),
    "details": lambda text: f"<details><summary>Log</summary>\n<pre>\n{text}</pre>\n</details>\n",
    "coloured": lambda text: "".join(f"\x1b[33m{line}\x1b[0m\n" for line in text.splitlines()),
    "stamped": lambda text: "".join(f"2025-07-31T20:25:10.740385 - {line}\n" for line in text.splitlines()),
    "mailed twice": lambda text: "".join(f"> > {line}\n" for line in text.splitlines()),
    "journal": lambda text: "".join(
        f"Oct 04 13:19:39 host webui[394]: {line}\n" for line in text.splitlines()
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_pasting_changes_nothing(way: str) -> None:
    for name, case in CASES.items():
        text = rendered(case)
        assert {f.id for f in problems(text)} == {f.id for f in problems(WAYS[way](text))}, name


def survives(content: bytes) -> None:
    """Refusing a text that holds nothing is the one way in which reading may end without facts."""
    with suppress(ValueError):
        examined = examine(read_report(content), CHECKS)
        assert not any("exception" in finding.evidence for finding in examined.findings)


@settings(max_examples=150)
@given(st.sampled_from(sorted(CASES)), st.floats(0, 1), st.binary(max_size=80))
def test_no_input_crashes_it(name: str, part: float, noise: bytes) -> None:
    content = rendered(CASES[name]).encode()
    survives(content[: int(len(content) * part)] + noise)


@settings(max_examples=300)
@given(
    st.lists(
        st.tuples(st.sampled_from(SAID), st.integers(0, 300), st.integers(0, 300)), min_size=1, max_size=3
    ),
    st.lists(st.tuples(st.integers(0, 600), st.sampled_from("0123456789 .:()[]{}|'\"\n-+%é")), max_size=12),
)
def test_no_damaged_report_crashes_it(
    parts: list[tuple[str, int, int]], changes: list[tuple[int, str]]
) -> None:
    text = list("".join(text[start : start + length] for text, start, length in parts) + "x")
    for place, character in changes:
        text[place % len(text)] = character
    survives("".join(text).encode())


def test_a_unit_without_its_first_letter_is_no_size() -> None:
    survives(b"CUDA out of memory. Tried to allocate 2.00 iB. GPU 0 has a total capacity of 8.00 GiB")


@given(st.text())
def test_no_text_crashes_it(text: str) -> None:
    survives(b"x" + text.encode())


@pytest.mark.parametrize("content", [b"{}", b"It does not work, please help."])
def test_a_text_without_facts_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match="names no version"):
        read_report(content)
