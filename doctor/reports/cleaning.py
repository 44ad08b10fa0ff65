"""Take away what pasting and logging add: indentation, quote marks, Markdown, HTML, JSON quotes, time stamps,
escape sequences, Windows line ends."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

LONGEST_TEXT = 4 * 2**20
"""Characters that are read; nobody pastes more, and a log that long repeats itself."""

LONGEST_LINE = 4000
"""Characters of a line that are read."""

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|[\x00\x08\ufeff\u200b]")
_TAGS = re.compile(r"</?(?:details|summary|pre|code|blockquote|p|br|b|i|em|strong|li|ul|ol|td|tr|h\d|sub|sup|span|div)"
                   r"(?:\s[^<>]{0,200})?/?>", re.I)  # fmt: skip
_PREFIX = re.compile(r"^(?:\s|>{1,3}(?=\s|\S)|[*+-]\s+(?=\S)|\d{1,3}[.)]\s+(?=\D)|#{1,6}\s+)+")
_STAMP = re.compile(
    r"\[?\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,6})?(?:Z|[+-]\d\d:?\d\d)?\]?:{0,2}\s*(?:- )?"
)
_SYSLOG = re.compile(r"^[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \S+ \S+?(?:\[\d+\])?: ")
_FRAME = re.compile(r"^[│┃║╎]\s?(?:❱?\s*\d+\s[│┃])?|\s*[│┃║]\s*$")
"""The borders of tracebacks as the library rich prints them."""
_CLOCK = re.compile(r"^\[?\d\d:\d\d:\d\d(?:[-.,]\d{1,6})?\]?\s+")
_LEVEL = re.compile(
    r"^(?:\[?(?:[\w.]+ - )?(?:DEBUG|INFO|WARNING|ERROR|CRITICAL)\]?(?::(?:root|[\w.]+):|\s*-+>?\s*|:\s+|\s{2,})"
    r"|\[InvokeAI\]::\w+ -->\s*|[a-z][\w.-]{0,40}[-_]\d+\s+\|\s|(?:std(?:out|err): )(?=\S))"
)
_SAYS_ERROR = re.compile(r"^(?:std(?:err|out): )?(?:\[?ERROR\]?:|ERROR:)", re.I)
_EMPHASIS = re.compile(r"\*\*|__(?=\S[^_]*__)|`")
_JSON_PAIR = re.compile(
    r"""^['"](?P<key>[\w .()?/-]{1,60})['"]\s*:\s*['"]?(?P<value>[^'"{}\[\]][^'"]{0,400})['"]?\s*,?$"""
)
_JSON_ITEM = re.compile(r"""^['"](?P<item>[^'"]{1,400})['"],?$""")
_IN_ONE_LINE = re.compile(r"""[{\[]\s*(?:"[^"{}\[\]]{1,60}"|'[^'{}\[\]]{1,60}')\s*[:,]""")
_TABLE_ROW = re.compile(r"^\|\s*(?P<key>[^|]{1,60}?)\s*\|\s*(?P<value>[^|]{1,300}?)\s*\|$")


def clean(content: bytes) -> tuple[str, ...]:
    """The lines of a pasted text without what pasting added. Never fails."""
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    text = content.decode(encoding, errors="replace")[:LONGEST_TEXT]
    if "&" in text and re.search(r"&(?:gt|lt|amp|quot|#39);", text):
        text = html.unescape(text)
    text = _TAGS.sub("\n", _ESCAPES.sub("", text))
    return tuple(line for raw in re.split(r"\r\n|\r|\n", text) for line in _lines(raw) if line)


def _lines(raw: str) -> Iterator[str]:
    if _IN_ONE_LINE.search(raw[:LONGEST_LINE]):
        # A dictionary printed in one line: each of its pairs is a line of its own.
        for piece in re.split(r"""[{}]|,\s*(?=['"])""", raw[: 16 * LONGEST_LINE]):
            yield _line(piece)
    yield _line(raw)


def _line(raw: str) -> str:
    line = _EMPHASIS.sub("", _PREFIX.sub("", raw[:LONGEST_LINE])).strip()
    if _STAMP.search(line):
        line = _STAMP.sub(" ", line).strip()
    line = _CLOCK.sub("", _SYSLOG.sub("", _FRAME.sub("", line).strip()))
    if not _SAYS_ERROR.match(line):
        line = _LEVEL.sub("", line)
    line = _PREFIX.sub("", line).strip()
    pair = _JSON_PAIR.match(line) or _TABLE_ROW.match(line)
    if pair:
        return f"{pair['key'].strip()}: {pair['value'].strip().rstrip(',')}"
    item = _JSON_ITEM.match(line)
    return item["item"] if item else line
