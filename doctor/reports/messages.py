"""Error lines -> ``Message``: the table of what programs say, applied to the lines of a text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from doctor.facts import Message
from doctor.reports.anchors import anchors_of
from doctor.reports.out_of_memory import out_of_memory_in
from doctor.reports.patterns import ALL

LONGEST = 300
"""Characters of a line that are kept."""

_COMPILED = tuple(
    (
        row.kind,
        anchors_of(row.pattern),
        re.compile(row.pattern, re.I),
        re.compile(row.unless, re.I) if row.unless else None,
    )
    for row in ALL
)
_BROKEN = 30
"""Characters of a line below which it was not broken for want of room."""

_BUILT_FOR = re.compile(
    r"PyTorch (?P<built>[\w.+]+) with CUDA (?P<cuda>\w+) \(you have"
    r" (?P<here>[\w.+]+)\)"
)
_ALIAS = re.compile(r"(?<=[a-z])\d$")


def messages_in(lines: tuple[str, ...]) -> tuple[Message, ...]:
    """The first line of each kind, with what can be parsed out of it, in the order of the text."""
    found: dict[str, Message] = {}
    distinct = tuple(dict.fromkeys(lines))
    for line in distinct:
        for message in _of(line):
            _keep(found, message)
    # Terminals and mail programs break long lines: what only a pair of lines says is a message too.
    for first, second in pairwise(distinct):
        if (
            len(first) > _BROKEN
            and len(first) + len(second) < 2 * LONGEST
            and not first.endswith((".", ":", "!"))
        ):
            for message in _of(f"{first} {second}"):
                found.setdefault(message.kind, message)
    return (*found.values(), *out_of_memory_in(lines))


def _keep(found: dict[str, Message], message: Message) -> None:
    known = found.get(message.kind)
    if known is None or (message.values and not known.values):
        found[message.kind] = message


def _of(line: str) -> Iterator[Message]:
    lowered = line.lower()
    for kind, anchors, pattern, unless in _COMPILED:
        if anchors is not None and not any(anchor in lowered for anchor in anchors):
            continue
        match = pattern.search(line)
        if match and not (unless and unless.search(line)):
            yield Message(kind=kind, text=line[:LONGEST], values=_values(match))
    built = _BUILT_FOR.search(line)
    if built:
        yield Message(kind="xformers-pair", text=line[:LONGEST], values=built.groupdict())


def _values(match: re.Match[str]) -> dict[str, str]:
    """The groups that took part; "found2" is another place where "found" may stand."""
    return {_ALIAS.sub("", name): value for name, value in match.groupdict().items() if value}
