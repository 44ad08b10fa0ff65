"""Ordering on the generate screen: the form, the queue, the settings, the gallery; with a workshop that only plays."""

import asyncio
import re
import threading

import pytest
from fake_jobs import Script, finishing, job_of, paint, sampler
from textual import events
from textual.widgets import OptionList

from doctor.errors import UsageError
from tui.app import GenerateApp
from tui.decision import Asked, decide
from tui.gallery import gallery, gallery_file, pieces_of, remember
from tui.orders import Order, State
from tui.prompt_history import PromptHistory
from tui.screens.gallery import GalleryScreen
from tui.screens.generate import GenerateScreen
from tui.screens.settings import SettingsEditor
from tui.situation import survey
from tui.widgets.job_list import JobList
from tui.widgets.order_form import Ask, Field
from tuner.generation import Wish
from tuner.settings import Request, Settings


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("SDOCTOR_HOME", str(tmp_path / "home"))
    return tmp_path


class Playing:
    """A workshop whose jobs are scripts."""

    def __init__(self, png):
        self.png = png
        self.held = 0
        """How many of the first jobs never get beyond their first step unless somebody stops them."""
        self.orders = []
        self.released = threading.Event()
        self.closed = False
        self.gate = threading.Event()
        self.gate.set()

    def job(self, order, verdicts):
        self.orders.append(order)
        script = Script(finishing([self.png]), holds=len(self.orders) <= self.held)
        play = script.start

        def start():
            assert self.gate.wait(20)
            yield from play()

        script.start = start
        return job_of(script, model=order.model, prompt=order.wish.prompt, seed=order.wish.seed)

    def look(self, order):
        if order.model != "builtin:tiny":
            raise UsageError(f"There is no model {order.model}.")
        situation = survey(order.model, "cpu", None)
        asked = Asked(precision=None, low_memory=False, settings=order.settings or None, use_profile=False)
        return situation, decide(situation, asked, order.wish)

    def release(self):
        self.released.set()

    def close(self):
        self.closed = True


def screen_of(workshop, prompt="", **changes):
    order = Order(model="builtin:tiny", wish=Wish(prompt=prompt, seed=5))
    screen = GenerateScreen(
        workshop, order, begin=bool(prompt), read=sampler(), every=0.05, history=PromptHistory(), **changes
    )
    return GenerateApp(screen=screen), screen


@pytest.fixture
def workshop(home):
    return Playing(paint(home / "picture.png"))


def shown(app):
    return "\n".join(strip.text for strip in app.screen._compositor.render_strips())


async def until(condition, seconds=30.0):
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


def states(screen):
    return [one.state for one in screen.orders.placed]


async def write(pilot, text):
    await pilot.press(*(" " if letter == " " else letter for letter in text))


@pytest.mark.parametrize("size", [(80, 24), (200, 50)])
async def test_an_empty_box_waits_and_enter_draws(workshop, size):
    app, screen = screen_of(workshop)
    async with app.run_test(size=size) as pilot:
        await pilot.pause(0.3)
        assert isinstance(screen.focused, Ask)
        assert "ready" in shown(app)
        await write(pilot, "a red circle")
        await pilot.press("enter")
        await until(lambda: states(screen) == [State.FINISHED])
        await pilot.pause(0.5)
        assert "finished" in shown(app)
        assert workshop.orders[0].wish.prompt == "a red circle"
        assert screen.query_one(Ask).value == ""
    assert workshop.closed


async def test_an_empty_prompt_and_a_bad_field_are_said_and_nothing_is_ordered(workshop):
    app, screen = screen_of(workshop)
    async with app.run_test(size=(200, 50)) as pilot:
        await pilot.press("enter")
        await pilot.pause(0.3)
        assert "the prompt is empty" in shown(app)
        await pilot.press("x")
        screen.query_one("#field-steps", Field).value = "many"
        await pilot.press("enter")
        await pilot.pause(0.3)
        assert "'many' cannot be used as steps; it is a whole number from 1 to 1000." in shown(app)
        screen.query_one("#field-steps", Field).value = "4"
        screen.query_one("#field-size", Field).value = "huge"
        await pilot.press("enter")
        await pilot.pause(0.3)
        assert "'huge' is not a picture size" in shown(app)
        assert workshop.orders == []
        assert screen.query_one(Ask).value == "x"


async def test_the_fields_become_the_order(workshop):
    app, screen = screen_of(workshop)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("escape", "o")
        await pilot.pause(0.3)
        assert re.search(r"size.*steps.*guidance.*seed.*batch", shown(app))
        for name, value in {
            "size": "64x128",
            "steps": "7",
            "guidance": "3.5",
            "seed": "11",
            "batch": "2",
            "negative": "blue",
        }.items():
            screen.query_one(f"#field-{name}", Field).value = value
        await pilot.press("i", "x", "enter")
        await until(lambda: workshop.orders)
    assert workshop.orders[0] == Order(
        model="builtin:tiny",
        wish=Wish(
            prompt="x", width=64, height=128, steps=7, guidance=3.5, seed=11, batch=2, negative_prompt="blue"
        ),
    )


async def test_what_is_typed_right_after_enter_is_the_next_prompt(workshop):
    app, screen = screen_of(workshop)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause(0.2)
        for key in ("a", "enter", "b", "enter", "c"):
            app._driver.send_message(events.Key(key, key if len(key) == 1 else None))
        await until(lambda: len(workshop.orders) == 2)
        await pilot.pause()
        assert [order.wish.prompt for order in workshop.orders] == ["a", "b"]
        assert screen.query_one(Ask).value == "c"


async def test_history_comes_back_with_the_arrow_and_in_the_next_session(workshop):
    app, screen = screen_of(workshop, prompt="first")
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("i")
        await write(pilot, "second")
        await pilot.press("enter")
        await write(pilot, "draft")
        await pilot.press("up")
        assert screen.query_one(Ask).value == "second"
        await pilot.press("up", "up", "down", "down")
        assert screen.query_one(Ask).value == "draft"
    app, screen = screen_of(workshop)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("up", "up")
        assert screen.query_one(Ask).value == "first"


async def test_jobs_run_one_after_another_and_can_be_moved_and_removed(workshop):
    workshop.gate.clear()
    app, screen = screen_of(workshop, prompt="one")
    async with app.run_test(size=(160, 45)) as pilot:
        await pilot.press("i")
        for prompt in ("two", "three", "four"):
            await write(pilot, prompt)
            await pilot.press("enter")
        await pilot.press("escape", "j")
        await pilot.pause(0.4)
        assert "3 waiting" in shown(app)
        jobs = screen.query_one(JobList)
        jobs.highlighted = 3
        await pilot.press("K")
        await pilot.pause(0.4)
        jobs.highlighted = 1
        await pilot.press("x")
        workshop.gate.set()
        await until(lambda: len(workshop.orders) == 3 and not screen.is_working)
        assert [order.wish.prompt for order in workshop.orders] == ["one", "four", "three"]
        assert states(screen) == [State.FINISHED] * 3


async def test_cancel_ends_one_job_and_the_next_begins(workshop):
    workshop.held = 2
    app, screen = screen_of(workshop, prompt="one")
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("i", "x", "enter", "escape")
        await until(lambda: screen.view.step >= 1)
        await pilot.press("c")
        await until(lambda: states(screen) == [State.STOPPED, State.RUNNING])
        assert len(workshop.orders) == 2


async def test_quit_leaves_what_waits_undrawn(workshop):
    workshop.held = 1
    app, screen = screen_of(workshop, prompt="one")
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("i", "x", "enter", "escape")
        await until(lambda: screen.view.step >= 1)
        await pilot.press("q")
        await until(lambda: app._exit)
    assert len(workshop.orders) == 1


async def test_the_settings_editor_lists_knobs_and_reasons_and_changes_the_order(workshop):
    app, _ = screen_of(workshop)
    async with app.run_test(size=(160, 45)) as pilot:
        await pilot.press("escape", "s")
        await until(lambda: isinstance(app.screen, SettingsEditor))
        await until(lambda: app.screen.query_one("#knobs", OptionList).option_count > 5)
        await pilot.pause(0.3)
        text = shown(app)
        assert "vae_tiling" in text
        assert "fp16✗" in text
        assert "✗ fp16: half precision" in text
        knobs = app.screen.query_one("#knobs", OptionList)
        knobs.highlighted = knobs.get_option_index("vae_tiling")
        await pilot.press("right")
        await pilot.pause(0.2)
        assert re.search(r"vae_tiling +off +\[on\]", shown(app))
        await pilot.press("enter", "i", "x")
        await pilot.pause(0.3)
        assert "settings changed by hand: vae_tiling=on" in shown(app)
        await pilot.press("enter")
        await until(lambda: workshop.orders)
    assert workshop.orders[0].settings == "vae_tiling=on"


async def test_settings_of_a_model_that_is_not_there_say_so(workshop):
    app, screen = screen_of(workshop)
    async with app.run_test(size=(100, 30)) as pilot:
        screen.query_one("#field-model", Field).value = "builtin:none"
        await pilot.press("escape", "s")
        await pilot.pause(0.5)
        assert "There is no model builtin:none." in shown(app)
        await pilot.press("escape")


def put_into_gallery(png, prompt="a [b]blue[/b] square", seed=9):
    request = Request(prompt=prompt, width=64, height=64, steps=5, seed=seed, negative_prompt="red")
    remember(
        pieces_of([str(png)], request, model="builtin:tiny", settings=Settings(), device="cpu", seconds=1.5)
    )


@pytest.mark.parametrize("size", [(80, 24), (200, 50)])
async def test_the_gallery_shows_how_and_gives_prompt_and_seed_back(workshop, size):
    put_into_gallery(workshop.png)
    put_into_gallery(workshop.png.with_name("gone.png"), prompt="newer")
    app, screen = screen_of(workshop)
    async with app.run_test(size=size) as pilot:
        await pilot.press("escape", "g")
        await until(lambda: isinstance(app.screen, GalleryScreen))
        await pilot.pause(0.3)
        text = shown(app)
        assert "newer (gone)" in text
        assert "The file is gone." in text
        await pilot.press("down")
        await app.workers.wait_for_complete()
        await pilot.pause(0.3)
        text = shown(app)
        assert "a [b]blue[/b] square" in text
        assert "64x64 · 5 steps · seed 9 · fp32 · 1.5 s" in text
        assert "not: red" in text
        assert text.count("▀") > 50
        await pilot.press("s")
        await pilot.pause(0.3)
        assert screen.query_one(Ask).value == "a [b]blue[/b] square"
        await pilot.press("enter")
        await until(lambda: workshop.orders)
    wish = workshop.orders[0].wish
    assert (wish.seed, wish.steps, wish.width, wish.negative_prompt) == (9, 5, 64, "red")


async def test_unload_ends_the_worker_that_waits(workshop):
    app, screen = screen_of(workshop)
    async with app.run_test(size=(80, 24)):
        (unload,) = [command for command in screen.commands() if command.title == "Unload"]
        unload.callback()
        await until(workshop.released.is_set)


def test_the_index_survives_a_torn_line_and_is_private(workshop):
    put_into_gallery(workshop.png)
    with gallery_file().open("ab") as file:
        file.write(b'{"torn\n')
    put_into_gallery(workshop.png, seed=10)
    assert [piece.seed for piece in gallery()] == [10, 9]
    assert gallery_file().stat().st_mode & 0o777 == 0o600
