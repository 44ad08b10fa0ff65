"""Real graphics: what is written to a terminal that says it has Sixel or Kitty's pictures, and to those that do not."""

import base64
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from fake_jobs import paint
from PIL import Image
from terminal import ASK_ATTRIBUTES, ASK_KITTY, KITTY, NO_KITTY, NO_SIXEL, SIXEL, Terminal

from tui.graphics import likely

SHOW = """
import sys
sys.path.insert(0, {tests!r})
from fake_jobs import Script, finishing, job_of
from tui.app import run_job
run_job(job_of(Script(finishing([{png!r}]), pause=0.02)))
"""
SIXEL_DATA = b"\x1bP"
HALF_BLOCK = "▀▀▀▀".encode()
KITTY_DATA = re.compile(rb"\x1b_G([^;\x1b]*\bf=100\b[^;\x1b]*);([A-Za-z0-9+/=]*)\x1b\\")
KITTY_PLACE = re.compile(rb"\x1b_Ga=p,[^\x1b]*U=1")
PLACEHOLDER = "\U0010eeee".encode()
"""The letter in whose cells Kitty draws a picture."""


@pytest.fixture
def shown(tmp_path):
    """Starts the screen with a finished picture on a terminal of that kind."""
    png = paint(tmp_path / "picture.png")
    script = tmp_path / "show.py"
    script.write_text(SHOW.format(tests=str(Path(__file__).parents[1]), png=str(png)))
    terminals = []

    def start(answer=None, kitty=None, **environment):
        without = ("TMUX", "STY", "NO_COLOR", "KITTY_WINDOW_ID", "WT_SESSION", "TERM_PROGRAM")
        kept = {name: value for name, value in os.environ.items() if name not in without}
        terminal = Terminal(
            [sys.executable, "-P", str(script)], kept | environment, answer=answer, kitty=kitty
        )
        terminals.append(terminal)
        return terminal

    yield start
    for terminal in terminals:
        terminal.close()


def test_a_terminal_with_sixel_gets_the_picture_in_sixel(shown):
    pytest.importorskip("textual_image")
    terminal = shown(SIXEL, TERM="foot")
    assert terminal.wait_for(SIXEL_DATA), terminal.written[-500:]
    assert HALF_BLOCK not in terminal.written


def test_the_sixel_data_are_whole(shown):
    pytest.importorskip("textual_image")
    terminal = shown(SIXEL, TERM="foot")
    assert terminal.wait_for(SIXEL_DATA)
    start = terminal.written.index(SIXEL_DATA)
    while b"\x1b\\" not in terminal.written[start:] and terminal._read():
        pass
    data = terminal.written[start : terminal.written.index(b"\x1b\\", start)]
    assert re.match(rb"\x1bP[0-9;]*q", data)
    assert re.search(rb"#[0-9]+;2;[0-9]+;[0-9]+;[0-9]+", data), "no colour is defined"
    assert re.search(rb"[?-~]{3,}", data), "no pixels"


def test_a_terminal_with_kittys_pictures_gets_the_picture_itself(shown, tmp_path):
    pytest.importorskip("textual_image")
    terminal = shown(NO_SIXEL, KITTY, TERM="xterm-kitty")
    assert terminal.wait_for(PLACEHOLDER), terminal.written[-500:]
    assert KITTY_PLACE.search(terminal.written)
    assert SIXEL_DATA not in terminal.written
    assert HALF_BLOCK not in terminal.written
    with (
        Image.open(io.BytesIO(first_picture(terminal.written))) as sent,
        Image.open(tmp_path / "picture.png") as made,
    ):
        assert sent.format == "PNG"
        assert sent.width / sent.height == pytest.approx(made.width / made.height, rel=0.1)
        corner = made.convert("RGB").getpixel((1, 1))
        assert sent.convert("RGB").getpixel((1, 1)) == pytest.approx(corner, abs=24)


def first_picture(written):
    """The bytes of the first picture that was sent in pieces (m=1: more follow)."""
    pieces = []
    for keys, piece in KITTY_DATA.findall(written):
        pieces.append(piece)
        if b"m=1" not in keys.split(b","):
            return base64.b64decode(b"".join(pieces))
    raise AssertionError(f"no whole picture in {written[-300:]!r}")


def test_a_terminal_that_refuses_kittys_pictures_gets_half_blocks(shown):
    pytest.importorskip("textual_image")
    terminal = shown(NO_SIXEL, NO_KITTY, TERM="xterm-kitty")
    assert terminal.wait_for(HALF_BLOCK), terminal.written[-500:]
    assert ASK_KITTY.search(terminal.written)
    assert not KITTY_DATA.search(terminal.written)


def test_a_terminal_that_says_no_gets_half_blocks(shown):
    terminal = shown(NO_SIXEL, TERM="foot")
    assert terminal.wait_for(HALF_BLOCK), terminal.written[-500:]
    assert SIXEL_DATA not in terminal.written


@pytest.mark.parametrize(
    "environment",
    [
        {"TERM": "xterm-256color"},
        {"TERM": "tmux-256color", "TMUX": "/tmp/tmux-0/default,1,0", "KITTY_WINDOW_ID": "1"},
        {"TERM": "xterm-kitty", "SDOCTOR_GRAPHICS": "blocks"},
    ],
)
def test_elsewhere_nothing_is_asked(shown, environment):
    terminal = shown(SIXEL, **environment)
    assert terminal.wait_for(HALF_BLOCK), terminal.written[-500:]
    assert ASK_ATTRIBUTES not in terminal.written
    assert SIXEL_DATA not in terminal.written


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({"TERM": "xterm-kitty"}, True),
        ({"TERM": "xterm-kitty", "NO_COLOR": "1"}, False),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "WezTerm"}, True),
        ({"TERM": "xterm-256color", "SDOCTOR_GRAPHICS": "ask"}, True),
        ({"TERM": "screen-256color", "SDOCTOR_GRAPHICS": "ask"}, False),
        ({"TERM": "dumb", "SDOCTOR_GRAPHICS": "ask"}, False),
        ({}, False),
    ],
)
def test_only_likely_terminals_are_asked(environment, wanted):
    assert likely(environment) is wanted


def test_the_library_is_not_loaded_before_it_is_needed():
    code = "import sys, tui.app, tui.widgets.frame; print('textual_image' in sys.modules)"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
