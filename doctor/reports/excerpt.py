"""The beginning and the end of a long file: a log starts with the versions and ends with the error."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

HEAD = 2**19
"""Bytes of the beginning that are kept. Versions stand in the first pages of a log."""

TAIL = 3 * 2**19
"""Bytes of the end that are kept: about ten thousand lines. With the beginning they are read in about 2 s."""

MOST = 2**30
"""Bytes after which a stream is given up: it may have no end (a device)."""

_CHUNK = 2**20


@dataclass(frozen=True, slots=True)
class Excerpt:
    """What was kept of a file."""

    content: bytes
    skipped: int
    """Bytes left out between its beginning and its end."""


def read_excerpt(stream: BinaryIO) -> Excerpt:
    """All of a short stream; of a long one the beginning and the end, cut at the ends of lines.

    Raises ValueError if it goes on for more than MOST bytes, and OSError if it cannot be read.
    """
    head = tail = b""
    size = 0
    for chunk in _pieces(stream):
        size += len(chunk)
        if size > MOST:
            raise ValueError("it is larger than 1 GiB; cut out the part around the error")
        room = HEAD - len(head)
        head, tail = head + chunk[:room], (tail + chunk[room:])[-TAIL:]
    skipped = size - len(head) - len(tail)
    if not skipped:
        return Excerpt(head + tail, 0)
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        # Two bytes a character: the end has to begin with the first of two.
        end = "\n".encode("utf-16-le" if head.startswith(codecs.BOM_UTF16_LE) else "utf-16-be")
        return Excerpt(head + end + tail[size % 2 :], skipped + size % 2)
    kept_head, kept_tail = head[: head.rfind(b"\n") + 1] or head, tail[tail.find(b"\n") + 1 :]
    return Excerpt(kept_head + b"\n" + kept_tail, size - len(kept_head) - len(kept_tail))


def _pieces(stream: BinaryIO) -> Iterator[bytes]:
    """What the stream gives until it ends once: a terminal goes on after an end, so it must not be asked again."""
    # A buffered stream's read() hides an end behind the bytes before it; read1() asks the system once.
    read: Callable[[int], bytes] = getattr(stream, "read1", stream.read)
    while piece := read(_CHUNK):
        yield piece
