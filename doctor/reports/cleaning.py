"""Take away what pasting adds: indentation, quote marks, Markdown, escape sequences, Windows line ends."""

from __future__ import annotations

import re

LONGEST_TEXT = 4 * 2**20
"""Characters that are read; nobody pastes more, and a log that long repeats itself."""

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_PREFIX = re.compile(r"^(?:\s|>(?!>)|[*+-]\s+(?=\S))+")
_EMPHASIS = re.compile(r"\*\*|__(?=\S[^_]*__)|`")


def clean(content: bytes) -> tuple[str, ...]:
    """The lines of a pasted text without what pasting added. Never fails."""
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    text = content.decode(encoding, errors="replace")[:LONGEST_TEXT]
    lines = re.split(r"\r\n|\r|\n", _ESCAPES.sub("", text))
    cleaned = (_EMPHASIS.sub("", _PREFIX.sub("", line[:4000])).strip() for line in lines)
    return tuple(line for line in cleaned if line)
