"""One row of a table of messages."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """A kind of message, the regular expression that knows it, and one that tells a harmless look-alike."""

    kind: str
    pattern: str
    """Searched in a line without regard to case; its named groups become the message's values."""
    unless: str | None = None
    """A line in which this is found too is not a message of the kind."""
