"""Compares what a screen shows with a picture, in letters or as SVG, that is kept beside the tests.

SDOCTOR_RENEW_LOOKS=1 writes the kept ones anew: look at the difference before it is committed.
"""

import os
import re
import time
from pathlib import Path


def shown(app):
    """The screen as text."""
    return "\n".join(strip.text.rstrip() for strip in app.screen._compositor.render_strips())


async def settled(pilot, seconds=10.0):
    """Until three looks in a row see the same letters; ``seconds`` at most, since a clock may go on."""
    end, same, last = time.monotonic() + seconds, 0, None
    while same < 3 and time.monotonic() < end:
        await pilot.pause(0.1)
        letters = shown(pilot.app)
        same, last = (same + 1 if letters == last else 1), letters


def assert_looks_like(app, path: Path):
    """The letters alone."""
    _assert_same(shown(app) + "\n", path)


def assert_drawn_as(app, path: Path):
    """Letters, colours and all."""
    # The numbers make ids differ between pictures on one page; they come from the content.
    drawn = re.sub(r"terminal-\d+", "terminal", app.export_screenshot())
    if not path.is_file() or drawn != path.read_text(encoding="utf-8"):
        # The letters tell in a few lines what an SVG tells in thousands.
        _assert_same(shown(app) + "\n", path.with_suffix(".txt"))
        _renew(drawn, path)
        assert drawn == path.read_text(encoding="utf-8"), (
            f"the letters are the same, the colours of {path} are not"
        )


def _assert_same(text: str, path: Path):
    _renew(text, path)
    assert text == path.read_text(encoding="utf-8")


def _renew(text: str, path: Path):
    if os.environ.get("SDOCTOR_RENEW_LOOKS"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
