"""Every screen looks as it did: drawn from recorded traces with the clock standing still, at two sizes.

SDOCTOR_RENEW_LOOKS=1 draws the kept pictures anew; look at them (any browser shows an SVG) before they are committed.
"""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
import simulated
from cause_machines import MACHINES
from fake_jobs import CARD, Script, beginning, ending, job_of, paint, sampler, step
from looks import assert_drawn_as, settled, shown
from playing_monitor import ROWS, Playing, machine
from simulated import Machine, goal
from textual.app import App
from textual.widgets._footer import FooterKey

from doctor.sizes import MIB
from tui.app import GenerateApp
from tui.examining import Examiner
from tui.monitor_app import MonitorApp
from tui.orders import Order
from tui.places import PLACES
from tui.prompt_history import PromptHistory
from tui.run_messages import FeedEnded, Heard
from tui.screens.check import CheckScreen
from tui.screens.generate import GenerateScreen
from tui.screens.monitor import MonitorScreen
from tui.screens.tune import TuneScreen
from tui.shell import SdoctorApp
from tui.state import View, fold
from tui.study_feed import StudyFeed
from tui.study_state import StudyView
from tui.study_state import fold as fold_study
from tui.tune_app import TuneApp
from tui.tuning import Asked, Found
from tui.widgets.key_line import KeyLine
from tuner.generation import Wish
from tuner.study import Study

LOOKS = Path(__file__).parent / "looks"
SIZES = [(80, 24), (160, 50)]
FAULTY = MACHINES["cpu-only-torch"][0]


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("SDOCTOR_HOME", str(tmp_path / "home"))
    for name in ("NO_COLOR", "COLORTERM", "SDOCTOR_GRAPHICS"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


async def until(condition, pilot, seconds=30.0):
    async with asyncio.timeout(seconds):
        while not condition():
            await pilot.pause(0.05)


def picture(name, size):
    return LOOKS / f"{name}_{size[0]}x{size[1]}.svg"


# -------------------------------------------------------------------------- generate


class Idle:
    """A workshop that is given nothing to do."""

    def job(self, order, verdicts):
        raise AssertionError("nothing was ordered")

    def look(self, order):
        raise AssertionError("nobody asked for the settings")

    def release(self): ...

    def close(self): ...


def generated(png, *, until_step=None) -> View:
    """A recorded run, half a second between two messages, with a sample after each; broken off at a step."""
    events = beginning()
    for index in range(1, (until_step or 8) + 1):
        events += step(index, 8)
    events += [] if until_step else ending([png])
    read = sampler((CARD,))
    view = fold(View(), job_of(Script([])).opening(0.0))
    for number, event in enumerate(events, 1):
        view = fold(view, Heard(0.5 * number, event))
        view = fold(view, replace(read(None), at=0.5 * number))
    return view if until_step else fold(view, FeedEnded(0.5 * len(events)))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("name", "until_step"), [("generate_running", 5), ("generate_finished", None)])
async def test_generate(home, monkeypatch, size, name, until_step):
    monkeypatch.chdir(home)
    png = paint(Path("picture.png"))
    over = threading.Event()
    wish = Wish(prompt="a red circle on a wooden table", width=512, height=512, seed=7)
    screen = GenerateScreen(
        Idle(),
        Order(model="builtin:tiny", wish=wish),
        seed=7,
        read=lambda _pid: over.wait() and sampler()(None),
        history=PromptHistory(),
    )
    try:
        async with GenerateApp(screen=screen).run_test(size=size) as pilot:
            await until(lambda: screen.is_mounted and screen.app.screen is screen, pilot)
            screen.view = generated(png, until_step=until_step)
            screen.action_keys()
            screen.refresh_bindings()
            screen._draw_soon()
            await settled(pilot)
            assert_drawn_as(pilot.app, picture(name, size))
    finally:
        screen.feed.close()
        over.set()


# --------------------------------------------------------------------------- monitor


@pytest.mark.parametrize("size", SIZES)
async def test_monitor(size):
    screen = MonitorScreen(Playing())
    async with MonitorApp(screen).run_test(size=size) as pilot:
        await until(lambda: screen.feed.listener is not None, pilot)
        for number in range(1, 41):
            screen.feed.listener.sampled(machine(number))
        screen.feed.listener.listed(ROWS)
        await settled(pilot)
        assert_drawn_as(pilot.app, picture("monitor", size))


# ------------------------------------------------------------------------------ tune


SITUATION = SimpleNamespace(model=SimpleNamespace(name="builtin:tiny"), target=simulated.CPU)


def study(_asked, show, _say, _stopper) -> Found:
    """The real study of a machine that is only laws."""
    machine = Machine(budget=200 * MIB)
    whole = Study(
        goal=goal(budget=200 * MIB, max_size=1024), runner=machine, on_probe=show.probe, on_trial=show.trial
    )
    show.begin(whole, SITUATION)
    return Found(
        result=whole.run(),
        situation=SITUATION,
        profile=None,
        trouble=None,
        journal=None,
        resumed_trials=0,
        interrupted=False,
    )


def studied() -> StudyView:
    """What is heard of it, a second between two messages."""
    heard = []
    feed = StudyFeed(heard.append, study)
    assert feed.run(Asked())
    feed.join(30.0)
    view = StudyView()
    for number, message in enumerate(heard):
        view = fold_study(view, replace(message, at=float(number)))
    assert view.found is not None
    return view


@pytest.mark.parametrize("size", SIZES)
async def test_tune(size):
    screen = TuneScreen(Asked())
    async with TuneApp(screen).run_test(size=size) as pilot:
        await until(lambda: pilot.app.screen is screen, pilot)
        screen.view = studied()
        screen.action_keys()
        screen._draw_soon()
        await until(lambda: "ran" in shown(pilot.app), pilot)
        await settled(pilot)
        assert_drawn_as(pilot.app, picture("tune", size))


# ------------------------------------------------------------------- check, the shell


def check_screen() -> CheckScreen:
    return CheckScreen(partial(Examiner, gather=lambda: FAULTY))


class Host(App):
    """Only the check screen."""

    TITLE = "sdoctor check"

    def on_mount(self):
        self.push_screen(check_screen())


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", ["check", "shell"])
async def test_check_alone_and_in_the_shell(size, name):
    places = [replace(place, make=check_screen) for place in PLACES if place.name == "check"]
    app = (
        Host() if name == "check" else SdoctorApp(places=[*places, *(p for p in PLACES if p.name != "check")])
    )
    async with app.run_test(size=size) as pilot:
        await until(lambda: "Mend" in shown(app), pilot)
        await settled(pilot)
        assert "ERROR" in shown(app)
        assert_drawn_as(app, picture(name, size))


@pytest.mark.parametrize(
    "make",
    [
        lambda: MonitorApp(MonitorScreen(Playing())),
        lambda: TuneApp(TuneScreen(Asked())),
        lambda: SdoctorApp(places=[replace(place, make=check_screen) for place in PLACES]),
    ],
)
async def test_at_80_columns_every_key_is_whole(make):
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(lambda: app.screen.query(KeyLine) and app.screen.query(FooterKey), pilot)
        if isinstance(app.screen, TuneScreen):
            app.screen.action_keys()  # in a field letters are no keys
        await pilot.resize_terminal(130, 24)
        await settled(pilot)
        assert app.screen.query_one(KeyLine).show_command_palette
        await pilot.resize_terminal(80, 24)
        await settled(pilot)
        keys = list(app.screen.query(FooterKey))
        assert len(keys) >= 5
        assert all(key.region.right <= 80 and key.region.width >= len(key.description) for key in keys)
