"""One sentence to the person, on standard error, beside whatever the command prints."""

from __future__ import annotations

import shutil
import sys

import typer


def say(sentence: str) -> None:
    """Print "sdoctor: ..." on standard error; on a terminal folded, so that no word is torn apart."""
    text = f"sdoctor: {sentence}"
    if sys.stderr.isatty():
        from tui.folding import folded

        text = folded(text, shutil.get_terminal_size().columns - 1)
    typer.echo(text, err=True)
