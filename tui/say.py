"""One sentence to the person, on standard error, beside whatever the command prints."""

from __future__ import annotations

import sys


def say(sentence: str) -> None:
    """Print "sdoctor: ..." on standard error; on a terminal folded, so that no word is torn apart."""
    text = f"sdoctor: {sentence}"
    if sys.stderr.isatty():
        import shutil

        from tui.folding import folded

        text = folded(text, shutil.get_terminal_size().columns - 1)
    print(text, file=sys.stderr, flush=True)  # noqa: T201
