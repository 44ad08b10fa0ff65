"""What kind of terminal a stream is. Imports nothing of ours: every command asks it."""

from __future__ import annotations

import os
import sys
from typing import Any


def is_fancy(stream: Any) -> bool:
    """Whether a stream is a terminal that can redraw a line."""
    return bool(stream.isatty()) and os.environ.get("TERM", "") not in ("", "dumb")


def shows_screens() -> bool:
    """Whether a screen can be shown and steered here."""
    return is_fancy(sys.stdout) and sys.stdin.isatty()
