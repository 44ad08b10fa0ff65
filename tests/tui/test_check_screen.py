"""The check screen: findings, their remedies and pages, measuring; with facts and probes that only play."""

import asyncio
import threading
from functools import partial

import pytest
from cause_machines import MACHINES
from machines import CPU_ONLY, HEALTHY
from textual.app import App
from textual.widgets import Markdown, OptionList

from tui.examining import Examined, Examiner
from tui.screens.check import CheckScreen
from tui.screens.help import HelpOverlay
from tui.screens.page import PageScreen
from tui.widgets.finding_view import Command

FAULTY = MACHINES["cpu-only-torch"][0]
SIZES = [(80, 24), (200, 50)]


class Host(App):
    """A minimal app that remembers what was copied."""

    def __init__(self, gather, measure=None):
        super().__init__()
        parts = {"gather": gather} | ({"measure": measure} if measure else {})
        self.check = CheckScreen(partial(Examiner, **parts))
        self.copied = []

    def on_mount(self):
        self.push_screen(self.check)

    def copy_to_clipboard(self, text):
        self.copied.append(text)


def shown(app):
    return "\n".join(strip.text for strip in app.screen._compositor.render_strips())


async def until(condition, seconds=30.0):
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


async def says(pilot, words):
    async with asyncio.timeout(30):
        while words not in shown(pilot.app):
            await pilot.pause(0.05)


@pytest.mark.parametrize("size", SIZES)
async def test_a_fault_is_shown_with_its_remedy(size):
    app = Host(lambda: FAULTY)
    async with app.run_test(size=size) as pilot:
        await says(pilot, "1 error")
        await says(pilot, "ERROR:")
        text = shown(app)
        assert "this does not work as it is" in text
        assert "Ubuntu 24.04" in text
        await says(pilot, "Why")
        await says(pilot, "Mend")


async def test_a_healthy_machine_has_nothing_to_mend_and_all_shows_what_is_in_order():
    app = Host(lambda: HEALTHY)
    async with app.run_test(size=(120, 30)) as pilot:
        await says(pilot, "No error found")
        findings = app.check.query_one(OptionList)
        before = findings.option_count
        await pilot.press("a")
        await pilot.pause()
        assert findings.option_count >= before + 4
        await pilot.press("a")
        await pilot.pause()
        assert findings.option_count == before
        await pilot.press("y", "e")
        assert app.copied == []
        assert not isinstance(app.screen, PageScreen)


async def test_commands_are_copied_by_key_and_by_click():
    app = Host(lambda: FAULTY)
    async with app.run_test(size=(120, 40)) as pilot:
        await says(pilot, "ERROR:")
        await until(lambda: len(app.check.query(Command)) > 0)
        await pilot.press("y")
        assert len(app.copied) == 1
        assert "pip" in app.copied[0]
        await pilot.click(Command)
        assert app.copied == app.copied[:1] * 2
        await pilot.press("9")
        assert len(app.copied) == 2
        await pilot.press("Y")
        assert app.copied[2].splitlines()[0] == app.copied[0]
        assert len(app.copied[2].splitlines()) == len(app.check.query(Command))


@pytest.mark.parametrize("key", ["enter", "e"])
async def test_the_page_of_a_finding_opens_and_closes(key):
    app = Host(lambda: FAULTY)
    async with app.run_test(size=(80, 24)) as pilot:
        await says(pilot, "ERROR:")
        await pilot.press(key)
        await until(lambda: isinstance(app.screen, PageScreen))
        await pilot.pause(0.3)
        assert app.screen.query_one(Markdown).source.startswith("# ")
        await pilot.press("escape")
        await until(lambda: app.screen is app.check)


async def test_measuring_tells_how_far_it_is_and_changes_the_report():
    go = threading.Event()

    def measure(facts, show):
        show("copying memory", 3, 14)
        assert go.wait(10)
        return FAULTY

    app = Host(lambda: CPU_ONLY, measure)
    async with app.run_test(size=(80, 24)) as pilot:
        await says(pilot, "not measured")
        await pilot.press("m")
        await says(pilot, "3 of 14")
        assert "copying memory" in shown(app)
        # The screen is not held up, and a second examination is not begun.
        await pilot.press("a", "m", "r")
        go.set()
        await says(pilot, "1 error")
        assert "not measured" not in shown(app)


async def test_a_measurement_can_be_stopped_and_what_was_found_stays():
    def measure(facts, show):
        for number in range(1000):
            show("waiting", number, 1000)
            threading.Event().wait(0.01)
        return facts

    app = Host(lambda: FAULTY, measure)
    async with app.run_test(size=(80, 24)) as pilot:
        await says(pilot, "1 error")
        await pilot.press("m")
        await says(pilot, "waiting")
        await pilot.press("s")
        await says(pilot, "was stopped")
        assert app.check.query_one(OptionList).option_count > 0


async def test_leaving_ends_a_measurement():
    ended = threading.Event()

    def measure(facts, show):
        try:
            while True:
                show("waiting", 0, 1)
                threading.Event().wait(0.01)
        finally:
            ended.set()

    app = Host(lambda: FAULTY, measure)
    async with app.run_test(size=(80, 24)) as pilot:
        await says(pilot, "1 error")
        await pilot.press("m")
        await says(pilot, "waiting")
    assert ended.is_set()


async def test_a_defect_is_said():
    def broken():
        raise RuntimeError("no such thing")

    app = Host(broken)
    async with app.run_test(size=(80, 24)) as pilot:
        await says(pilot, "broke off: RuntimeError: no such thing")


async def test_the_help_names_every_key():
    app = Host(lambda: FAULTY)
    async with app.run_test(size=(80, 40)) as pilot:
        await says(pilot, "ERROR:")
        keys = {binding.key for binding in app.check.BINDINGS if binding.show}
        await pilot.press("question_mark")
        await until(lambda: isinstance(app.screen, HelpOverlay))
        await pilot.pause(0.2)
        text = shown(app)
        for key in keys - {"question_mark"}:
            assert f"  {key}" in text or f", {key}" in text, key


async def test_without_colour_the_severity_is_still_said(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    app = Host(lambda: FAULTY)
    async with app.run_test(size=(80, 24)) as pilot:
        await says(pilot, "ERROR:")
        assert "error " in shown(app)


def test_this_machine_is_examined_for_real():
    told = []
    examiner = Examiner(told.append)
    assert examiner.begin(live=False)
    examiner.join(30)
    assert isinstance(told[-1], Examined)
    assert told[-1].facts.python.version
    assert not told[-1].live
