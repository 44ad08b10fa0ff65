"""Somebody else's report -> ``Facts``: a saved snapshot, the JSON of an earlier check, or a pasted text."""

from __future__ import annotations

import msgspec

from doctor.facts import SCHEMA, Facts
from doctor.reports.read import read_text

CHECK_SCHEMA = "sdoctor.check/1"

ACCEPTED = (
    f"a facts file ({SCHEMA}, from --save-facts), the output of 'sdoctor check --json' ({CHECK_SCHEMA}), "
    "or a pasted text: collect_env, diffusers-cli env, xformers.info, nvidia-smi, a start-up log, an error"
)


class _Envelope(msgspec.Struct):
    schema: str
    facts: msgspec.Raw = msgspec.Raw()


def read_report(content: bytes) -> Facts:
    """Read the facts out of ``content``. Raises ValueError, with the reason, if it is neither or damaged."""
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
