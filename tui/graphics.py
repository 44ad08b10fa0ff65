"""Real graphics in the terminal (Kitty's protocol or Sixel), where there are any, by the library textual-image.

The library asks the terminal when it is imported, which is only possible before Textual reads the keyboard; and a
terminal that does not answer costs a third of a second and may swallow a key. So it is asked only where the
environment says that graphics are likely, never through tmux or screen, and never without a tty. Everywhere
else, and without the library, pictures are drawn with half blocks, which cost less than the library's own.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

VARIABLE = "SDOCTOR_GRAPHICS"
"""``blocks`` never asks; ``ask`` asks whatever the environment says."""

_TERMS = ("kitty", "ghostty", "foot", "wezterm", "contour", "mlterm", "rio")
_PROGRAMS = ("ghostty", "wezterm", "iterm.app", "kitty", "mintty", "rio", "contour", "konsole")
_MARKS = ("KITTY_WINDOW_ID", "WEZTERM_PANE", "GHOSTTY_RESOURCES_DIR", "WT_SESSION", "KONSOLE_VERSION")
"""Set by terminals that have one of the protocols in some version; whether it is there is asked."""

_found: list[Any] = []


def likely(environment: Mapping[str, str]) -> bool:
    """Whether the terminal may have graphics, by what the environment says."""
    wanted = environment.get(VARIABLE, "").lower()
    term = environment.get("TERM", "")
    if wanted == "blocks" or environment.get("NO_COLOR") or term in ("", "dumb"):
        return False
    if environment.get("TMUX") or environment.get("STY") or term.startswith(("screen", "tmux")):
        return False
    return (
        wanted == "ask"
        or any(name in term for name in _TERMS)
        or environment.get("TERM_PROGRAM", "").lower() in _PROGRAMS
        or any(environment.get(mark) for mark in _MARKS)
    )


def prepare() -> None:
    """Ask the terminal once, before a Textual app starts."""
    streams = (sys.__stdin__, sys.__stdout__)
    if _found or not likely(os.environ) or not all(stream and stream.isatty() for stream in streams):
        return
    try:
        from textual_image.renderable import Image, SixelImage, TGPImage
        from textual_image.widget import Image as ImageWidget
    except (ImportError, OSError):
        return
    if Image in (SixelImage, TGPImage):
        _found.append(ImageWidget)


def image_widget() -> Any | None:
    """The class of a widget that shows an image file with real graphics; None for half blocks."""
    return _found[0] if _found else None
