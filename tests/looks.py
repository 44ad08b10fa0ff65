"""Compares what a screen shows with a picture in letters that is kept beside the tests.

SDOCTOR_RENEW_LOOKS=1 writes the kept ones anew: look at the difference before it is committed.
"""

import os
from pathlib import Path


def shown(app):
    """The screen as text."""
    return "\n".join(strip.text.rstrip() for strip in app.screen._compositor.render_strips())


def assert_looks_like(app, path: Path):
    text = shown(app) + "\n"
    if os.environ.get("SDOCTOR_RENEW_LOOKS"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")
