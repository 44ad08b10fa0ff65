"""The monitor screen, on feeds that only play, on this machine, and in a real terminal."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from looks import assert_looks_like, settled, shown
from playing_monitor import CARD, ROWS, Playing, machine
from textual.widgets import Input
from written_traces import WRITTEN, process

from doctor.incidents import Incident, record
from doctor.telemetry.processes import ProcessRow, started
from doctor.telemetry.recording import Recorder, Recording, read_recording, write_recording
from doctor.telemetry.sample import (
    GpuSample,
)
from tui.monitor_app import MonitorApp
from tui.monitor_feed import LiveFeed
from tui.monitor_news import Listed, Sampled
from tui.screens.help import HelpOverlay
from tui.screens.monitor import MonitorScreen
from tui.screens.signalling import SignalScreen
from tui.screens.threads import ThreadsScreen, details
from tui.timeline import Mark
from tui.widgets.board import Board
from tui.widgets.panel import Panel
from tui.widgets.process_list import ProcessList

LOOKS = Path(__file__).parent / "looks"
SIZES = [(40, 12), (80, 24), (200, 50)]


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("SDOCTOR_HOME", str(tmp_path / "home"))
    return tmp_path


async def until(condition, seconds=30.0):
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


async def fed(screen, pilot, count=10, rows=ROWS, **changes):
    await until(lambda: screen.feed.listener is not None)
    for number in range(1, count + 1):
        screen.feed.listener.sampled(machine(number, **changes))
    screen.feed.listener.listed(rows)
    await settled(pilot)


def playing():
    return MonitorScreen(Playing())


# --------------------------------------------------------------------------------- looks


@pytest.mark.parametrize("size", [(80, 24), (200, 50)])
async def test_it_looks_as_it_did(size):
    screen = playing()
    async with MonitorApp(screen).run_test(size=size) as pilot:
        await fed(screen, pilot, 40)
        assert_looks_like(pilot.app, LOOKS / f"monitor_{size[0]}x{size[1]}.txt")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("gpus", [(), None, (CARD, GpuSample(index=1))])
async def test_any_size_with_and_without_cards(size, gpus):
    screen = playing()
    async with MonitorApp(screen).run_test(size=size) as pilot:
        await fed(screen, pilot, gpus=gpus, gpu_error="driver and library differ" if gpus is None else None)
        await pilot.press("v")
        await settled(pilot)
        panels = {panel.id for panel in screen.query(Panel)}
        assert ("gpu0" in panels) == bool(gpus)
        if gpus is None:
            assert "driver and library differ" in shown(pilot.app) or size[0] < 80
        if gpus and len(gpus) > 1 and size[0] >= 80:
            screen.query_one("#gpu1").scroll_visible(animate=False)
            await settled(pilot)
            assert "does not answer" in shown(pilot.app)


async def test_every_figure_of_a_card_is_shown_where_there_is_room():
    screen = playing()
    async with MonitorApp(screen).run_test(size=(200, 50)) as pilot:
        await fed(screen, pilot)
        text = shown(pilot.app)
    for words in ("busy 97 %, memory 61 %", "9.00 GiB of 24.00 GiB", "341 W of 350 W", "71 °C", "x16"):
        assert words in text
    for words in ("held down by power cap 12 %", "1740 of 2100 MHz, memory 9751", "PCIe in 238.4 MiB/s"):
        assert words in text


async def test_what_is_absent_is_never_zero():
    screen = playing()
    async with MonitorApp(screen).run_test(size=(200, 50)) as pilot:
        await fed(
            screen,
            pilot,
            gpus=(GpuSample(index=0, name="Old card"),),
            cpu_percent=None,
            core_percents=None,
            memory_used=None,
            memory_total=None,
            pressure=None,
            disks=None,
            networks=(),
            swap_total=None,
        )
        panels = [panel._reading for panel in screen.query(Panel)]
    lines = [line for reading in panels for line in reading.lines]
    assert not [line for line in lines if any(letter.isdigit() for letter in line.replace("GPU 0", ""))], (
        lines
    )
    assert all(value is None for reading in panels for value in (*reading.fill, *reading.contour))


async def test_a_card_that_vanishes_comes_back():
    screen = playing()
    async with MonitorApp(screen).run_test(size=(120, 40)) as pilot:
        await fed(screen, pilot)
        assert "busy 97 %" in shown(pilot.app)
        screen.feed.listener.sampled(machine(11, gpus=(GpuSample(index=0),)))
        await settled(pilot)
        assert "does not answer" in shown(pilot.app)
        screen.feed.listener.sampled(
            machine(12, gpus=None, gpu_error="the driver has not answered for 0.5 s")
        )
        await settled(pilot)
        assert "has not answered" in shown(pilot.app)
        screen.feed.listener.sampled(machine(13))
        await until(lambda: len(screen.query("#gpu0")) == 1 and "memory 61 %" in shown(pilot.app))


async def test_without_colour(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    screen = playing()
    async with MonitorApp(screen).run_test(size=(80, 24)) as pilot:
        await fed(screen, pilot)
        assert "main.py" in shown(pilot.app)


# ---------------------------------------------------------------------------------- time


async def test_history_is_looked_through_and_left_again():
    screen = playing()
    async with MonitorApp(screen).run_test(size=(120, 40)) as pilot:
        await fed(screen, pilot, 30)
        await pilot.press("left", "left")
        assert screen.line.sample.at == 128.0
        assert "0:02 ago" in shown(pilot.app)
        screen.feed.listener.sampled(machine(31))
        await settled(pilot)
        assert screen.line.sample.at == 128.0
        assert "CPU" in shown(pilot.app) and "busy 58 %" in shown(pilot.app)
        await pilot.press("home")
        assert screen.line.sample.at == 101.0
        await pilot.press("end")
        await until(lambda: screen.line.follows and "busy 61 %" in shown(pilot.app))
        await pilot.press("space")
        screen.feed.listener.sampled(machine(32))
        await until(lambda: "busy 61 %" in shown(pilot.app))
        await pilot.press("escape")
        await until(lambda: "busy 62 %" in shown(pilot.app))


async def test_a_click_on_the_line_of_time_goes_there():
    screen = playing()
    async with MonitorApp(screen).run_test(size=(120, 40)) as pilot:
        await fed(screen, pilot, 30)
        await pilot.click("#scrubber", offset=(1, 0))
        await settled(pilot)
        assert screen.line.head == 0


async def test_incidents_are_marked_in_the_plots_and_told():
    screen = playing()
    async with MonitorApp(screen).run_test(size=(120, 40)) as pilot:
        await until(lambda: screen.feed.listener is not None)
        for number in range(30):
            screen.feed.listener.sampled(replace(machine(number), clock=1000.0 + number))
        screen.feed.listener.marked((Mark(1020.0, "out of memory in decode: builtin:tiny"),))
        await settled(pilot)
        screen.feed.listener.sampled(replace(machine(30), clock=1030.0))
        await settled(pilot)
        text = shown(pilot.app)
    assert "! out of memory in decode: builtin:tiny" in text
    assert "┊" in text
    assert "─!─" in text


async def test_incidents_of_the_disk_are_found(home):
    record(
        Incident(
            at=datetime.now(UTC).isoformat(),
            kind="out_of_memory",
            source="generate",
            model="builtin:tiny",
            device="cpu",
        )
    )
    screen = MonitorScreen(LiveFeed(interval=0.1))
    async with MonitorApp(screen).run_test(size=(80, 24)):
        await until(lambda: len(screen.marks) == 1)


# ----------------------------------------------------------------------------- recordings


async def test_a_recording_is_played_paused_and_sought(tmp_path):
    write_recording(tmp_path / "a.jsonl", WRITTEN["swapping"][1])
    recording = read_recording(tmp_path / "a.jsonl")
    screen = MonitorScreen(recording=recording, speed=100.0)
    async with MonitorApp(screen).run_test(size=(80, 24)) as pilot:
        await until(lambda: screen.line.at_end)
        await settled(pilot)
        text = shown(pilot.app)
        assert "at its end" in text
        assert "moves memory to and from the disk" in text
        await pilot.press("home")
        await settled(pilot)
        assert screen.line.head == 0
        await pilot.press("space")
        await until(lambda: screen.line.at_end)
        await pilot.press("left", "<")
        assert screen._player.speed == 30.0
        await pilot.press("k")
        assert not isinstance(pilot.app.screen, SignalScreen)


async def test_an_empty_recording_says_so():
    screen = MonitorScreen(recording=Recording(header=None, samples=()))
    async with MonitorApp(screen).run_test(size=(80, 24)) as pilot:
        await pilot.press("left", "end", "space", "t", "k", "d", "plus")
        await until(lambda: "holds no sample" in shown(pilot.app))


# ------------------------------------------------------------------------------ processes


def listed(screen):
    return [entry.row.pid for entry in screen.query_one(ProcessList).entries]


async def test_sorted_by_key_and_mouse():
    screen = playing()
    async with MonitorApp(screen).run_test(size=(80, 24)) as pilot:
        await fed(screen, pilot)
        assert listed(screen) == [12, 13, 1]
        await pilot.press("r")
        assert listed(screen) == [1, 13, 12]
        await pilot.press("r", ".")
        assert screen.order.column == "memory"
        await pilot.press(",", ",")
        assert screen.order.column == "gpu"
        assert listed(screen)[0] == 12
        await pilot.click("#processes", offset=(5, 0))
        assert screen.order.column == "pid" and listed(screen) == [1, 12, 13]
        await pilot.click("#processes", offset=(5, 0))
        assert listed(screen) == [13, 12, 1]


async def test_filtered_as_one_types_and_taken_back():
    screen = playing()
    async with MonitorApp(screen).run_test(size=(80, 24)) as pilot:
        await fed(screen, pilot)
        await pilot.press("slash", *"main q")
        assert listed(screen) == []
        await pilot.press("backspace", "backspace")
        assert listed(screen) == [12]
        await pilot.press("enter")
        assert pilot.app.focused is screen.query_one(ProcessList)
        assert "1 of 3 processes" in shown(pilot.app)
        await pilot.press("escape")
        assert listed(screen) == [12, 13, 1]
        assert screen.query_one("#filter", Input).value == ""


async def test_the_cursor_stays_with_its_process():
    screen = playing()
    async with MonitorApp(screen).run_test(size=(80, 24)) as pilot:
        await fed(screen, pilot)
        table = screen.query_one(ProcessList)
        await pilot.press("down")
        assert table.chosen.row.pid == 13
        await pilot.press("r", "t")
        assert table.chosen.row.pid == 13
        screen.feed.listener.listed(ROWS[:2])
        await settled(pilot)
        assert table.chosen is not None


async def test_a_long_list_is_scrolled_to_the_cursor():
    screen = playing()
    rows = tuple(ProcessRow(pid=n, name=f"program-{n}", cpu_percent=0.0) for n in range(1, 200))
    async with MonitorApp(screen).run_test(size=(80, 24)) as pilot:
        await fed(screen, pilot, rows=rows)
        await pilot.press("G")
        await until(lambda: "program-199" in shown(pilot.app))
        await pilot.press("g")
        await settled(pilot)
        assert "program-1" in shown(pilot.app) and "program-199" not in shown(pilot.app)
        assert "COMMAND" in shown(pilot.app)


async def test_one_is_watched_and_left_again():
    screen = playing()
    async with MonitorApp(screen).run_test(size=(80, 24)) as pilot:
        await fed(screen, pilot)
        await pilot.press("enter")
        assert screen.feed.pid == 12
        screen.feed.listener.sampled(
            machine(11, process=process(pid=12, name="python"), process_cpu_percent=104.0)
        )
        await settled(pilot)
        assert screen.query_one("#process", Panel)._reading.title == "python (12)"
        await pilot.press("d")
        assert isinstance(pilot.app.screen, ThreadsScreen)
        await until(lambda: "94 %" in shown(pilot.app))
        await pilot.press("escape", "enter")
        assert screen.feed.pid is None
        screen.feed.listener.sampled(machine(12))
        await settled(pilot)
        assert not screen.query("#process")


def test_threads_that_are_unknown_are_not_invented():
    row = ROWS[1]
    assert "Reading its threads" in details(row, machine(1))
    hidden = machine(1, process=process(pid=12, threads=None))
    assert "cannot be read" in details(row, hidden)


async def test_a_signal_is_sent_after_a_yes_only():
    child = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(60)"])
    try:
        row = ProcessRow(pid=child.pid, name="python", user="me", cpu_percent=1.0, started=started(child.pid))
        screen = playing()
        async with MonitorApp(screen).run_test(size=(80, 24), notifications=True) as pilot:
            await fed(screen, pilot, rows=(row,), gpus=())
            await pilot.press("k", "y")
            assert isinstance(pilot.app.screen, SignalScreen)
            await pilot.press("t")
            await until(lambda: "Send SIGTERM?" in shown(pilot.app))
            await pilot.press("n")
            await settled(pilot)
            assert child.poll() is None
            await pilot.press("T", "enter")
            await settled(pilot)
            assert child.poll() is None
            await pilot.press("y")
            await until(lambda: child.poll() is not None)
            await until(lambda: f"SIGTERM was sent to python ({child.pid})" in shown(pilot.app))
        assert child.returncode == -signal.SIGTERM
    finally:
        child.kill()
        child.wait()


# ------------------------------------------------------------------------------ the feed


async def test_this_machine_is_shown_recorded_and_left(tmp_path):
    file = tmp_path / "a.jsonl"
    with file.open("wb") as stream:
        feed = LiveFeed(os.getpid(), 0.1, Recorder(stream, 0.1))
        screen = MonitorScreen(feed)
        async with MonitorApp(screen).run_test(size=(120, 40)) as pilot:
            await until(lambda: len(screen.line.samples) >= 4 and listed(screen))
            await until(lambda: "RAM" in shown(pilot.app))
            assert str(os.getpid()) in {str(pid) for pid in listed(screen)}
        feed.join(5.0)
        assert not feed._thread.is_alive()
    assert len(read_recording(file).samples) >= 4


async def test_news_that_comes_while_the_screen_is_taken_down_is_no_fault():
    screen = playing()
    async with MonitorApp(screen).run_test(size=(80, 24)) as pilot:
        await fed(screen, pilot)
        await screen.query_one(Board).remove()
        await screen.query_one(ProcessList).remove()
        screen.post_message(Sampled(machine(11)))
        screen.post_message(Listed(ROWS))
        await pilot.pause()
        assert screen.app.is_running


async def test_a_disk_that_is_full_costs_the_recording_only():
    class Full:
        def add(self, sample):
            raise OSError(28, "No space left on device")

    screen = MonitorScreen(LiveFeed(interval=0.1, recorder=Full()))
    async with MonitorApp(screen).run_test(size=(80, 24), notifications=True) as pilot:
        # Said once, and gone by itself after some seconds; the words may be broken over two lines of the box.
        await until(lambda: len(pilot.app._notifications) > 0)
        assert ["No space left" in each.message for each in pilot.app._notifications] == [True]
        await until(lambda: len(screen.line.samples) >= 3)


async def test_processes_are_not_listed_while_nobody_looks():
    screen = playing()
    async with MonitorApp(screen).run_test(size=(80, 24)) as pilot:
        await fed(screen, pilot)
        await pilot.press("question_mark")
        assert isinstance(pilot.app.screen, HelpOverlay)
        assert "unknown, ?" in shown(pilot.app) or pilot.app.screen.query("#help")
        assert not screen.feed.lists
        await pilot.press("escape")
        await settled(pilot)
        assert screen.feed.lists
    assert screen.feed.closed


# ------------------------------------------------------------------------- a real terminal


@pytest.mark.skipif(shutil.which("tmux") is None, reason="no tmux here")
def test_in_a_real_terminal(home):
    server = ["tmux", "-L", f"sdoctor-monitor-{os.getpid()}", "-f", "/dev/null"]
    marked = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)", "find-me"])

    def press(*keys):
        subprocess.run([*server, "send-keys", *keys], check=True)

    def read_until(words, but=None):
        text = ""
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            text = subprocess.run([*server, "capture-pane", "-p"], capture_output=True, text=True).stdout
            if words in text and (but is None or but not in text):
                return text
            time.sleep(0.1)
        raise AssertionError(f"{words!r} did not come; the screen was\n{text}")

    start = f"{sys.executable} -P -c 'from tui.cli import main; main()' monitor --interval 0.5"
    # A plugin of pytest sets COLUMNS and LINES, which Textual takes for the size of the terminal.
    command = f"cd {home}; env -u COLUMNS -u LINES {start}; echo left with $?; sleep 60"
    subprocess.run([*server, "new-session", "-d", "-x", "80", "-y", "24", command], check=True)
    try:
        read_until("by CPU%")
        press(".")
        read_until("by MEM")
        press("/")
        press("find-me")
        read_until("1 of ")
        press("Enter")
        read_until("with 'find-me'", but="filter find-me")
        press("T")
        read_until("Send SIGTERM?")
        press("y")
        assert marked.wait(20) == -signal.SIGTERM
        read_until("was sent to")
        press("?")
        read_until("Esc closes")
        press("Escape")
        read_until("0 of ", but="Esc closes")
        press("q")
        read_until("left with 0")
    finally:
        subprocess.run([*server, "kill-server"], check=True)
        marked.kill()
        marked.wait()
