"""Somebody else's report -> ``Facts``: a saved snapshot, or the JSON of an earlier check."""

from __future__ import annotations

import msgspec

from doctor.facts import SCHEMA, Facts

CHECK_SCHEMA = "sdoctor.check/1"

ACCEPTED = (
    f"a facts file ({SCHEMA}, from --save-facts) or the output of 'sdoctor check --json' ({CHECK_SCHEMA})"
)


class _Envelope(msgspec.Struct):
    schema: str
    facts: msgspec.Raw = msgspec.Raw()


def read_report(content: bytes) -> Facts:
    """Read the facts out of ``content``. Raises ValueError, with the reason, if it is neither of the two."""
    try:
        envelope = msgspec.json.decode(content, type=_Envelope)
        if envelope.schema == SCHEMA:
            return Facts.from_json(content)
        if envelope.schema == CHECK_SCHEMA:
            return Facts.from_json(bytes(envelope.facts))
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ValueError(str(error)) from error
    raise ValueError(f"its schema is {envelope.schema!r}")
