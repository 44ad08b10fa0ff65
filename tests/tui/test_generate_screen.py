import asyncio
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from fake_jobs import (
    CARD,
    READY,
    Script,
    beginning,
    finishing,
    job_of,
    paint,
    running_out_of_memory,
    sampler,
    step,
)
from PIL import Image
from textual.geometry import Size
from textual.strip import Strip

from doctor.telemetry.sample import Sample
from doctor.trace import Outcome
from tui.app import GenerateApp, GenerateResult
from tui.screens.help import HelpOverlay
from tui.widgets.picture import Picture, half_blocks
from tuner.events import Pulse

SIZES = [(80, 24), (200, 50)]
NO_SAMPLES = 3600.0


@pytest.fixture
def png(tmp_path):
    return paint(tmp_path / "picture.png")


def app_of(script, gpus=(), **changes):
    return GenerateApp(job_of(script, **changes), read=sampler(gpus), every=0.05)


def shown(app):
    """The screen as text."""
    return "\n".join(strip.text for strip in app.screen._compositor.render_strips())


async def until(pilot, condition, seconds=30.0):
    """Wait for ``condition`` of the app, then until the screen has drawn what it knew by then."""
    screen = pilot.app.generate
    async with asyncio.timeout(seconds):
        while not condition(pilot.app):
            await asyncio.sleep(0.02)
        noticed = time.monotonic()
        while screen._next_drawing is not None and screen._drawn_at < noticed and not pilot.app._exit:
            await asyncio.sleep(0.02)
    await pilot.pause(0.1)


def over(app):
    return app.view.over


def steps_done(count):
    return lambda app: app.view.step >= count


def says(*words):
    """A condition: all of these are on the screen."""
    return lambda app: all(each in shown(app) for each in words)


async def picture_drawn(pilot):
    async with asyncio.timeout(30):
        while not pilot.app.screen.query_one(Picture)._strips:
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("size", SIZES)
async def test_a_generation_is_shown_while_it_runs(png, size):
    app = app_of(Script(finishing([png], steps=400), pause=0.01), gpus=(CARD,), steps=400)
    async with app.run_test(size=size) as pilot:
        await until(pilot, steps_done(3))
        text = shown(app)
        assert "a red circle on a wooden table" in text
        assert "builtin:tiny" in text
        assert "512x512 · 400 steps · seed 7 · bf16, vae tiling" in text
        assert "no profile for this model" in text
        assert re.search(r"\d+/400 steps  2\.00 it/s \(0\.50 s/step\)  about .+ left", text)
        assert "load 2.4 s" in text
        assert "memory beyond the bare worker" in text
        assert re.search(r"resident +1\.\d\d GiB peak +1\.\d\d GiB", text)
        assert "top: limit" in text
        assert re.search(r"worker +1\.2 of 2 cores", text)
        assert "6.00 GiB of 24.00 GiB" in text
        assert "GPU 0 NVIDIA Test 3060" in text
        assert "StableDiffusionPipeline loaded" in text
        assert re.search(r"q quit.*c cancel.*\? help", text)
        assert "picture/panels" not in text


@pytest.mark.parametrize("size", SIZES)
async def test_the_finished_picture_is_drawn_and_the_screen_stays(png, size):
    app = app_of(Script(finishing([png])))
    async with app.run_test(size=size) as pilot:
        await until(pilot, over)
        await picture_drawn(pilot)
        text = shown(app)
        assert "finished in 6.2 s" in text
        assert "picture.png" in "".join(text.split())
        assert text.count("▀") > 200
        assert "c cancel" not in text
        assert app.is_running
        await pilot.press("q")
    assert app.view.outcome is Outcome.FINISHED
    assert GenerateResult(app.view).images == (str(png),)


async def test_a_narrow_screen_changes_between_picture_and_panels(png):
    app = app_of(Script(finishing([png])))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, over)
        await picture_drawn(pilot)
        assert "memory beyond" not in shown(app)
        await pilot.press("p")
        await until(pilot, says("memory beyond"))
        assert "▀" not in shown(app)
        await pilot.resize_terminal(160, 40)
        await until(pilot, says("memory beyond", "▀"))


async def test_the_next_picture_of_a_batch(png, tmp_path):
    other = tmp_path / "other.png"
    Image.new("RGB", (64, 64), (0, 0, 255)).save(other)
    app = app_of(Script(finishing([png, other])), batch=2)
    async with app.run_test(size=(200, 50)) as pilot:
        await until(pilot, over)
        assert "batch 2" in shown(app)
        assert "(1 of 2)" in shown(app)
        await pilot.press("n")
        await picture_drawn(pilot)
        assert "(2 of 2)" in shown(app)
        middle = app.screen.query_one(Picture)._strips[4]
        assert {segment.style.color.triplet for segment in middle} == {(0, 0, 255)}


@pytest.mark.parametrize("size", SIZES)
async def test_out_of_memory_is_said_and_the_screen_stays(size):
    app = app_of(Script(running_out_of_memory()))
    async with app.run_test(size=size) as pilot:
        await until(pilot, over)
        words = " ".join(shown(app).split())
        assert "out of memory in decode: can't allocate memory" in words
        assert "Take a smaller size (o: options)" in words
        assert "decode ✗" in words
        assert app.is_running
        assert "limit 4.00 GiB" in words
    assert GenerateResult(app.view).outcome is Outcome.OUT_OF_MEMORY


async def test_a_picture_that_cannot_be_read_does_not_end_the_screen(tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\nnot a picture")
    app = app_of(Script(finishing([broken])))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, over)
        await app.workers.wait_for_complete()
        await pilot.pause()
        assert "could not be drawn" in shown(app)


async def test_cancel_stops_the_worker_and_keeps_the_screen(png):
    script = Script(finishing([png], steps=400), pause=0.02)
    app = app_of(script, steps=400)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, steps_done(1))
        await pilot.press("c")
        await until(pilot, over)
        assert app.is_running
        assert "interrupted" in shown(app)
        await pilot.press("c")
        assert script.interrupts == 1
    assert GenerateResult(app.view).outcome is Outcome.INTERRUPTED


@pytest.mark.parametrize("key", ["q", "ctrl+c", "ctrl+q"])
async def test_quit_while_running_stops_the_worker_first(png, key):
    script = Script(finishing([png], steps=400), pause=0.02)
    app = app_of(script, steps=400)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, steps_done(1))
        await pilot.press(key)
        async with asyncio.timeout(30):
            while app.is_running and not app._exit:
                await asyncio.sleep(0.02)
    assert script.interrupts == 1
    assert app.view.over
    assert app.view.outcome is Outcome.INTERRUPTED


async def test_quit_twice_leaves_a_worker_that_does_not_listen(png):
    script = Script(finishing([png], steps=400), pause=0.05)
    script.deaf = True
    app = app_of(script, steps=400)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, steps_done(1))
        await pilot.press("q")
        await until(pilot, says("again stops at once"))
        assert not app._exit
        await pilot.press("q")
        await until(pilot, lambda app: app._exit and script.interrupts == 2)
    assert GenerateResult(app.view).outcome is Outcome.INTERRUPTED


async def test_an_interrupt_that_blocks_does_not_block_the_screen(png):
    release = threading.Event()
    app = app_of(Script(finishing([png], steps=100), pause=0.02), steps=100, interrupt=release.wait)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, steps_done(1))
        await pilot.press("c")
        before = app.view.step
        await until(pilot, steps_done(before + 3))
    release.set()


async def test_a_silent_worker_leaves_the_screen_alive(png):
    silent = [READY, *beginning()[1:2], *(Pulse(allocated=number) for number in range(100))]
    app = app_of(Script(silent, pause=1.0))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda app: app.view.phase is not None)
        first = app.view.elapsed
        await pilot.press("question_mark")
        await pilot.pause()
        assert isinstance(app.screen, HelpOverlay)
        assert "command palette" in shown(app)
        await pilot.press("escape")
        await until(pilot, lambda app: app.view.elapsed > first and says("loading the model")(app))


async def test_no_sample_at_all(png):
    app = GenerateApp(job_of(Script(finishing([png]))), read=lambda _pid: time.sleep(NO_SAMPLES))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, over)
        await pilot.press("p")
        await pilot.pause()
        text = shown(app)
        assert app.view.samples == ()
        assert "machine unknown" in text
        assert "unknown of unknown" in text
        assert "GPU" not in text


async def test_no_gpu_leaves_no_gpu_panel_and_unknown_is_not_zero(png):
    app = GenerateApp(
        job_of(Script(finishing([png]))), read=lambda _pid: Sample(at=time.monotonic(), gpus=()), every=0.05
    )
    async with app.run_test(size=(200, 50)) as pilot:
        await until(pilot, over)
        text = shown(app)
        assert "GPU" not in text
        assert "machine unknown" in text
        assert " 0 %" not in text


async def test_auto_exit_leaves_by_itself(png):
    app = app_of(Script(finishing([png])), auto_exit=True)
    async with app.run_test(size=(80, 24)):
        async with asyncio.timeout(30):
            while not app._exit:
                await asyncio.sleep(0.02)
    assert app.view.outcome is Outcome.FINISHED


async def test_a_job_that_raises_ends_as_crashed_with_its_error():
    def start():
        raise ValueError("no such model")

    app = app_of(Script([]), start=start)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, over)
        assert "crashed: no such model" in shown(app)
    assert isinstance(app.feed.error, ValueError)


async def test_nothing_in_a_prompt_is_taken_as_markup_or_control(png):
    app = app_of(Script(finishing([png])), prompt="[b]bold[/b] [/nope] \x1b[2J\ntail", note="[red]note[/]")
    async with app.run_test(size=(200, 50)) as pilot:
        await until(pilot, over)
        text = shown(app)
        assert "[b]bold[/b] [/nope]  [2J tail" in text
        assert "[red]note[/]" in text
        assert "\x1b" not in text


@pytest.mark.parametrize("size", SIZES)
async def test_without_colour_only_greys_are_used(png, size, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    app = app_of(Script(finishing([png])), gpus=(CARD,))
    async with app.run_test(size=size) as pilot:
        await until(pilot, over)
        await picture_drawn(pilot)
        picture = app.export_screenshot()
    assert "▀" in picture
    drawing = picture.split('<g transform="translate(9, 41)"')[1]
    colours = re.findall(
        r"#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})", drawing + "".join(re.findall(r"-r\d+ \{.*?\}", picture))
    )
    assert len(colours) > 10
    # c5c8c6 is what the export takes for cells that have no colour of their own.
    assert {"".join(colour) for colour in colours if len(set(colour)) > 1} <= {"c5c8c6"}


@pytest.mark.parametrize("theme", ["textual-light", "ansi-dark"])
async def test_themes_can_be_changed(png, theme):
    app = app_of(Script(finishing([png])), gpus=(CARD,))
    async with app.run_test(size=(160, 45)) as pilot:
        app.theme = theme
        await until(pilot, over)
        assert "finished" in shown(app)


@pytest.mark.parametrize("size", [(20, 5), (40, 12), (119, 30)])
async def test_odd_sizes_do_no_harm(png, size):
    app = app_of(Script(finishing([png])), gpus=(CARD,))
    async with app.run_test(size=size) as pilot:
        await until(pilot, over)
        await pilot.press("p", "p", "n")
        await pilot.pause()
        assert "finished" in shown(app)


def queued():
    """Seconds that this thread stood in the queue for a core so far (Linux): that is the machine's doing, not ours."""
    try:
        return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError):
        return 0.0


async def longest_waits(app):
    """(longest time that the event loop was late by, events folded) while the job runs."""
    late = 0.0
    async with app.run_test(size=(200, 50)) as pilot:
        # Mounting and first layout are not what is measured.
        await until(pilot, steps_done(1))
        async with asyncio.timeout(30):
            while not app.view.over:
                before = time.perf_counter() - queued()
                await asyncio.sleep(0.005)
                late = max(late, time.perf_counter() - queued() - before - 0.005)
        return late, app.view.step


async def test_the_interface_is_never_blocked_by_200_events_a_second(png):
    """Five tries: other processes take the processor and its caches away; a blocking call of ours would block each."""
    lates = []
    for _ in range(5):
        events = [*beginning(), *(event for index in range(1, 301) for event in step(index, 300))]
        late, steps = await longest_waits(app_of(Script(events, pause=1 / 200), gpus=(CARD,), steps=300))
        assert steps == 300
        lates.append(round(late, 3))
        if late < 0.1:
            return
    pytest.fail(f"the event loop was late by {lates} s")


def test_half_blocks_keep_the_shape_and_the_colours():
    image = Image.new("RGB", (40, 20), (200, 0, 0))
    image.paste((0, 0, 200), (0, 10, 40, 20))
    strips = half_blocks(image, Size(20, 30))
    assert [strip.cell_length for strip in strips] == [20] * 5
    assert all(isinstance(strip, Strip) for strip in strips)
    top, bottom = strips[0]._segments[0].style, strips[-1]._segments[0].style
    assert (top.color.triplet, bottom.bgcolor.triplet) == ((200, 0, 0), (0, 0, 200))
    assert len(strips[0]._segments) == 1


LOOK = """
import os, sys
sys.path.insert(0, {tests!r})
from fake_jobs import Script, finishing, job_of
from tui.app import run_job
result = run_job(job_of(Script(finishing([{png!r}]), pause=0.05), pid=os.getpid))
print("RESULT", result.outcome, result.images)
"""


@pytest.mark.skipif(shutil.which("tmux") is None, reason="no tmux here")
@pytest.mark.parametrize(("columns", "rows"), SIZES)
def test_in_a_real_terminal(png, tmp_path, columns, rows):
    script = tmp_path / "look.py"
    script.write_text(LOOK.format(tests=str(Path(__file__).parents[1]), png=str(png)))
    server = ["tmux", "-L", f"sdoctor-{os.getpid()}-{columns}", "-f", "/dev/null"]

    def read_until(words):
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            text = subprocess.run([*server, "capture-pane", "-p"], capture_output=True, text=True).stdout
            if words in text:
                return text
            time.sleep(0.1)
        raise AssertionError(f"{words!r} did not come; the screen was\n{text}")

    # A plugin of pytest sets COLUMNS and LINES, which Textual takes for the size of the terminal.
    command = f"env -u COLUMNS -u LINES {sys.executable} -P {script}; sleep 60"
    subprocess.run([*server, "new-session", "-d", "-x", str(columns), "-y", str(rows), command], check=True)
    try:
        text = read_until("finished in")
        assert "red circle" in text
        read_until("▀▀▀▀▀▀▀▀▀▀")
        subprocess.run([*server, "send-keys", "q"], check=True)
        assert "finished" in read_until("RESULT")
    finally:
        subprocess.run([*server, "kill-server"], check=True)


def test_the_screen_is_quick_to_import():
    """No slow library is loaded. The time is not asserted: a shared machine's clock is no judge."""
    slow = ("torch", "diffusers", "transformers", "pynvml", "numpy")
    code = f"import sys, tui.app; print(*[name for name in {slow} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_the_state_needs_no_textual():
    code = (
        "import sys, tui.feed, tui.widgets.readings; print('textual' in sys.modules, 'rich' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
