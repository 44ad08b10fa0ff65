"""Markdown folded to the width of a terminal, so that no word and no command is torn apart."""

from __future__ import annotations

import re
import textwrap

NARROWEST, WIDEST = 40, 100
"""Columns; longer lines tire the eye."""

_CODE = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)")
_HARD = "\N{NO-BREAK SPACE}"


def folded(text: str, columns: int) -> str:
    """Each paragraph and list item of ``text`` in lines of at most ``columns``; a command longer than that stays whole."""
    width = max(NARROWEST, min(WIDEST, columns))
    return "\n".join(_folded(line, width) for line in text.splitlines())


def _folded(line: str, width: int) -> str:
    if line.startswith("#"):
        return line
    # textwrap breaks at plain spaces only: those inside of code are no places to break.
    kept = _CODE.sub(lambda code: code[0].replace(" ", _HARD), line)
    indent = "  " if line.startswith("- ") else ""
    lines = textwrap.wrap(
        kept, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
    return "\n".join(lines).replace(_HARD, " ")
