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
from tui.folding import folded
from tui.render_html import render_html
from tui.render_markdown import render_markdown

CAUSES = sorted({cause for check in CHECKS for cause in check.causes})


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


def test_explain_prints_the_page_and_its_sources(tmp_path: Path) -> None:
    done = sdoctor("explain", "oom-too-big", home=tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith("# oom-too-big\n")
    assert "## Sources" in done.stdout


def test_explain_names_the_nearest(tmp_path: Path) -> None:
    done = sdoctor("explain", "oom-to-big", home=tmp_path)
    assert done.returncode == 2
    assert "oom-too-big" in sentence_of(done)


def test_explain_of_a_check_lists_its_findings(tmp_path: Path) -> None:
    done = sdoctor("explain", "vram", home=tmp_path)
    assert done.returncode == 2
    assert "vram-tier, vram-held" in sentence_of(done)


def test_nothing_alike_is_no_guess(tmp_path: Path) -> None:
    assert "--list" in sentence_of(sdoctor("explain", "qqqqqq", home=tmp_path))


@given(st.text(alphabet="ab `-#\n", max_size=200), st.integers(20, 140))
def test_folding_loses_no_word_and_tears_no_code(text: str, columns: int) -> None:
    assert folded(text, columns).split() == text.split()


def test_a_command_stays_in_one_line() -> None:
    page = folded(
        "Words that go before it, and then `python -m pip install torch torchvision` and more words.", 60
    )
    assert "`python -m pip install torch torchvision`" in page
    assert max(map(len, page.splitlines())) <= 60


@pytest.mark.parametrize("cause", CAUSES)
def test_pages_fit_a_terminal(cause: str) -> None:
    lines = folded(read_page(cause) or "", 80).splitlines()
    long = [line for line in lines if len(line) > 80]
    # Longer than the terminal is only what may not be broken: a command, an address.
    assert [line for line in long if "`" not in line and " " in line.strip()] == []


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
