"""Somebody else's report -> ``Facts``: a saved snapshot, the JSON of an earlier check, or a pasted text."""

from __future__ import annotations

import codecs
import re

import msgspec

from doctor.facts import SCHEMA, Facts
from doctor.reports.read import read_text

CHECK_SCHEMA = "sdoctor.check/1"

_CONTROL = bytes({*range(32), 127} - set(b"\t\n\r\f\b\x1b"))
"""Bytes that no text has; logs hold tabs, line ends, escape sequences and backspaces (progress bars)."""

_CONTROL_SHARE = 0.02
"""Part of a file above which these bytes mean that it is no text. Compressed data have a tenth, programs more."""


class _Envelope(msgspec.Struct):
    schema: str
    facts: msgspec.Raw = msgspec.Raw()


def read_report(content: bytes) -> Facts:
    """Read the facts out of ``content``: saved facts, the JSON of a check, or any text.

    Raises ValueError, with the reason, if it is none of them, damaged, or tells nothing.
    """
    if not content.strip():
        raise ValueError("it is empty")
    if not _is_text(content):
        raise ValueError("it is not text")
    try:
        envelope = msgspec.json.decode(content, type=_Envelope)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        if b'"sdoctor.' in content[:200] and content.lstrip()[:1] == b"{":
            raise ValueError("it is damaged or cut off") from None
        return read_text(content)
    try:
        if envelope.schema == SCHEMA:
            return Facts.from_json(content)
        if envelope.schema == CHECK_SCHEMA:
            return Facts.from_json(bytes(envelope.facts))
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ValueError(str(error)) from error
    raise ValueError(f"its schema is {envelope.schema!r}")


def _is_text(content: bytes) -> bool:
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return True  # what PowerShell writes
    # A log that a crash cut off may end in a run of zeros.
    rest = re.sub(rb"\0{8,}", b"", content)
    control = len(rest) - len(rest.translate(None, _CONTROL))
    return bool(rest) and control <= _CONTROL_SHARE * len(rest)
