"""The shell: its places, the work that goes on in them, leaving, themes; with screens that only play."""

import asyncio
import os
import shutil
import subprocess
import sys
import threading
import time

import pytest
from fake_jobs import Script, finishing, job_of, paint, sampler
from textual.binding import Binding
from textual.screen import Screen
from textual.widgets import Footer, Input, Static

from tui.places import PLACES, Place
from tui.screens.generate import GenerateScreen
from tui.screens.help import HelpOverlay
from tui.screens.leaving import LeaveQuestion
from tui.shell import SdoctorApp
from tui.themes import looks_file, remember_theme, remembered_theme
from tui.widgets.tab_line import PlaceTab
from tuner.events import Stepped


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("SDOCTOR_HOME", str(tmp_path / "home"))
    return tmp_path


class Playing(Screen):
    """A place with a text field and, if wanted, work."""

    AUTO_FOCUS = ""
    BINDINGS = [Binding("q", "app.quit", "quit")]  # noqa: RUF012

    def __init__(self, words):
        super().__init__()
        self.words = words
        self.is_working = False
        self.left = 0

    def compose(self):
        yield Static(f" {self.words}", id="title")
        yield Input()
        yield Footer()

    def leave(self):
        self.left += 1
        self.is_working = False
        self.app.exit()


def shell():
    names = [("one", "f1"), ("two", "f2"), ("three", "f3")]
    return SdoctorApp(
        places=[
            Place(
                name,
                key,
                name.title(),
                f"about {name}",
                f"Work runs at {name}",
                lambda name=name: Playing(name),
            )
            for name, key in names
        ]
    )


def shown(app):
    return "\n".join(strip.text for strip in app.screen._compositor.render_strips())


async def until(condition, seconds=30.0):
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


def test_the_keys_of_the_places_are_those_of_the_tabs():
    keys = [place.key for place in PLACES]
    assert len(set(keys)) == len(keys)
    for place in PLACES:
        assert any(place.key in binding.key.split(",") for binding in SdoctorApp.BINDINGS)


@pytest.mark.parametrize("size", [(40, 12), (80, 24), (200, 50)])
async def test_only_visited_places_are_built_and_they_stay(size):
    app = shell()
    async with app.run_test(size=size) as pilot:
        await until(lambda: app.here == "one")
        assert list(app.visited) == ["one"]
        await app.action_go("three")
        await pilot.pause()
        assert "three" in shown(app) or size[0] < 60
        first = app.visited["three"]
        await app.action_go("one")
        await app.action_go("three")
        assert app.visited["three"] is first
        assert len(app.screen.query(PlaceTab)) == 3
        assert [tab.place.name for tab in app.screen.query(PlaceTab) if tab.has_class("-here")] == ["three"]


async def test_a_click_on_a_tab_goes_there():
    app = shell()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(lambda: app.here == "one")
        await pilot.click(list(app.screen.query(PlaceTab))[1])
        await until(lambda: app.here == "two")


async def test_the_place_keys_work_in_a_text_field_and_type_nothing():
    app = SdoctorApp(
        places=[Place(p.name, p.key, p.title, p.about, "w", lambda p=p: Playing(p.name)) for p in PLACES]
    )
    async with app.run_test(size=(80, 24)) as pilot:
        await until(lambda: app.here == PLACES[0].name)
        for place in PLACES[1:]:
            await pilot.press(place.key)
            await until(lambda place=place: app.here == place.name)
            field = app.screen.query_one(Input)
            field.focus()
            await pilot.press(f"alt+{PLACES[0].key[1:]}")
            await until(lambda: app.here == PLACES[0].name)
            assert field.value == ""


async def test_quitting_asks_only_while_something_works():
    app = shell()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(lambda: app.here == "one")
        await app.action_go("two")
        app.visited["one"].is_working = True
        await until(lambda: "One*" in shown(app))
        await pilot.press("q")
        await until(lambda: isinstance(app.screen, LeaveQuestion))
        assert "Work runs at one." in shown(app)
        await pilot.press("escape")
        await until(lambda: not isinstance(app.screen, LeaveQuestion))
        assert app.is_running and app.visited["one"].left == 0
        await pilot.press("q")
        await until(lambda: isinstance(app.screen, LeaveQuestion))
        await pilot.press("q")
        await until(lambda: app.visited["one"].left == 1)
        assert app.visited["two"].left == 0
    assert app.return_code == 0


async def test_a_generation_goes_on_while_another_place_is_shown_and_is_drawn_when_it_is_back(home):
    away = threading.Event()

    class Held(Script):
        """Does not come to its end before the other place is shown."""

        def start(self):
            for event in super().start():
                if isinstance(event, Stepped) and event.index == 10:
                    away.wait(60)
                yield event

    script = Held(finishing([paint(home / "picture.png")], steps=20), pause=0.02)
    screen = GenerateScreen(job=job_of(script), read=sampler(), every=0.05)
    app = SdoctorApp(
        places=[
            Place("generate", "f1", "Generate", "Draw", "A picture is being drawn", lambda: screen),
            Place("monitor", "f2", "Monitor", "Watch", "", lambda: Playing("other")),
        ]
    )
    async with app.run_test(size=(120, 40)) as pilot:
        await until(lambda: screen.view.step >= 2)
        assert screen.is_working
        await pilot.press("f2")
        await until(lambda: app.here == "monitor")
        assert screen.view.step < 20
        away.set()
        await until(lambda: screen.view.over)
        await pilot.press("f1")
        await until(lambda: app.here == "generate")
        await until(lambda: "finished" in shown(app))
        await pilot.press("q")
        await until(lambda: not app.is_running)


async def test_quitting_idle_is_quick():
    app = shell()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(lambda: app.here == "one")
        await pilot.press("q")
        await until(lambda: not app.is_running)


async def test_the_help_names_the_places():
    app = shell()
    async with app.run_test(size=(80, 50)):
        await until(lambda: app.here == "one")
        app.push_screen(HelpOverlay((("Keys", (("x", "does something"),)),)))
        await until(lambda: "does something" in shown(app))
        for place in PLACES:
            assert place.key.upper() in shown(app)


async def test_a_theme_is_remembered():
    app = shell()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(lambda: app.here == "one")
        app.theme = "nord"
        await pilot.pause()
    assert remembered_theme() == "nord"
    again = shell()
    async with again.run_test(size=(80, 24)):
        await until(lambda: again.here == "one")
        assert again.theme == "nord"


@pytest.mark.parametrize("content", [b"", b"[]", b'{"theme": 3}', b"\xff", b'{"theme": "x"}' + b" " * 5000])
async def test_a_spoilt_theme_file_costs_nothing(content):
    looks_file().parent.mkdir(parents=True)
    looks_file().write_bytes(content)
    assert remembered_theme() is None


async def test_a_theme_that_is_gone_is_passed_over():
    remember_theme("no-such-theme")
    app = shell()
    async with app.run_test(size=(80, 24)):
        await until(lambda: app.here == "one")
        assert app.theme in app.available_themes


def test_without_a_terminal_there_is_the_help():
    code = "import sys; from tui.cli import main\ntry: main()\nfinally: print('textual' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 2
    assert "Commands:" in done.stdout + done.stderr
    assert done.stdout.rstrip().endswith("False")


@pytest.mark.skipif(shutil.which("tmux") is None, reason="no tmux here")
@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (200, 50)])
def test_all_places_in_a_real_terminal(home, columns, rows):
    server = ["tmux", "-L", f"sdoctor-shell-{os.getpid()}-{columns}", "-f", "/dev/null"]

    def read_until(words):
        text = ""
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            text = subprocess.run([*server, "capture-pane", "-p"], capture_output=True, text=True).stdout
            if words in text:
                return text
            time.sleep(0.1)
        raise AssertionError(f"{words!r} did not come; the screen was\n{text}")

    start = f"{sys.executable} -P -c 'from tui.cli import main; main()'"
    # A plugin of pytest sets COLUMNS and LINES, which Textual takes for the size of the terminal.
    command = f"cd {home}; env -u COLUMNS -u LINES {start}; echo left with $?; sleep 60"
    subprocess.run([*server, "new-session", "-d", "-x", str(columns), "-y", str(rows), command], check=True)
    try:
        for key, words in (
            (None, "what to draw"),
            ("F2", "RAM"),
            ("F3", "how large"),
            ("F4", "finding"),
            ("F1", "what to draw"),
        ):
            if key is not None:
                subprocess.run([*server, "send-keys", key], check=True)
            text = read_until(words)
            assert "F1 Generate" in text and "F4 Check" in text
        subprocess.run([*server, "send-keys", "C-c"], check=True)
        assert "left with 0" in read_until("left with")
    finally:
        subprocess.run([*server, "kill-server"], check=True)
