"""A report as Markdown and as HTML, and the pages that `sdoctor explain` prints."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from command import sdoctor, sentence_of
from hypothesis import given
from hypothesis import strategies as st
from machines import HEALTHY

from doctor.checks import CHECKS
from doctor.finding import Finding, Remedy, Report, Severity
from doctor.pages import read_page
from tui.render_html import render_html
from tui.render_markdown import render_markdown

CAUSES = sorted({cause for check in CHECKS for cause in check.causes})
DOCS = Path(__file__).parents[2] / "docs"


def report(text: str) -> Report:
    remedy = Remedy(text, (text,))
    return Report(
        (
            Finding(
                id="some-id",
                severity=Severity.ERROR,
                title=text,
                cause=text,
                evidence={text: text},
                remedy=remedy,
            ),
        )
    )


class Tags(HTMLParser):
    """Collects every tag, so that a test can see what a text made of itself."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.open: list[str] = []
        self.words = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        if tag != "meta":
            self.open.append(tag)
        assert not {"src", "href"} & {name for name, _ in attrs}

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data


@given(st.text(min_size=1, max_size=80).filter(str.strip))
def test_no_text_becomes_html(text: str) -> None:
    plain, made = Tags(), Tags()
    plain.feed(render_html(report("words"), HEALTHY))
    made.feed(render_html(report(text), HEALTHY))
    assert made.seen == plain.seen
    assert made.open == []


@given(st.text(alphabet="`~<>#|*_[]\\ab\n\x1b", max_size=80))
def test_no_text_leaves_its_fence(text: str) -> None:
    fence: str | None = None
    for line in render_markdown(report(text), HEALTHY).splitlines():
        ticks = re.fullmatch(r"`{3,}", line)
        if fence is None and ticks:
            fence = line
        elif fence is not None and line == fence:
            fence = None
        elif fence is None:
            assert "\x1b" not in line
            assert not re.search(r"(?<!\\)<(?!/?(?:details|summary|code)\b)", line)
    assert fence is None


def test_the_html_says_what_the_text_says() -> None:
    page = Tags()
    page.feed(render_html(report("The card & its <driver> disagree."), HEALTHY))
    assert "The card & its <driver> disagree." in page.words
    assert "1 error: this does not work as it is." in page.words


@pytest.mark.parametrize("cause", CAUSES)
def test_every_finding_has_a_page(cause: str) -> None:
    page = read_page(cause)
    assert page is not None
    lines = page.splitlines()
    assert lines[0] == f"# {cause}"
    assert [line for line in lines if line.startswith("## ")] == [
        "## What you see",
        "## Why",
        "## What to do",
    ]


def test_no_page_without_its_finding() -> None:
    assert sorted(file.stem for file in (DOCS / "findings").iterdir()) == CAUSES


def test_explain_prints_the_page_and_its_sources(tmp_path: Path) -> None:
    done = sdoctor("explain", "oom-too-big", home=tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith("# oom-too-big\n")
    assert "## Sources" in done.stdout


def test_explain_names_the_nearest(tmp_path: Path) -> None:
    done = sdoctor("explain", "oom-to-big", home=tmp_path)
    assert done.returncode == 2
    assert "oom-too-big" in sentence_of(done)


def test_the_command_writes_markdown_and_html(tmp_path: Path) -> None:
    facts = tmp_path / "facts.json"
    facts.write_bytes(HEALTHY.to_json())
    page = tmp_path / "report.html"
    done = sdoctor("check", "--from", str(facts), "--markdown", "--html", str(page), home=tmp_path)
    assert done.stdout.startswith("**")
    assert page.read_text().startswith("<!DOCTYPE html>")
    refused = sdoctor("check", "--from", str(facts), "--markdown", "--json", home=tmp_path)
    assert refused.returncode == 2
    assert "exclude" in refused.stderr
