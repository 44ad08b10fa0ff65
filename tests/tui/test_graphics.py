import os
import subprocess
import sys
from pathlib import Path

import pytest
from fake_jobs import paint
from terminal import ASK_ATTRIBUTES, NO_SIXEL, SIXEL, Terminal

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


@pytest.fixture
def shown(tmp_path):
    """Starts the screen with a finished picture on a terminal of that kind."""
    png = paint(tmp_path / "picture.png")
    script = tmp_path / "show.py"
    script.write_text(SHOW.format(tests=str(Path(__file__).parents[1]), png=str(png)))
    terminals = []

    def start(answer=None, **environment):
        without = ("TMUX", "STY", "NO_COLOR", "KITTY_WINDOW_ID", "WT_SESSION", "TERM_PROGRAM")
        kept = {name: value for name, value in os.environ.items() if name not in without}
        terminal = Terminal([sys.executable, "-P", str(script)], kept | environment, answer=answer)
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
