"""Error lines -> ``Message``: the table of what programs say, applied to the lines of a text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from doctor.facts import Message
from doctor.reports.anchors import anchors_of
from doctor.reports.out_of_memory import out_of_memory_in
from doctor.reports.patterns import ALL
from doctor.reports.repeats import few_of_a_kind

LONGEST = 300
"""Characters of a line that are kept."""


@dataclass(frozen=True, slots=True)
class _Form:
    """One row of the tables, ready to be tried."""

    kind: str
    pattern: re.Pattern[str]
    unless: re.Pattern[str] | None


_FORMS = tuple(
    _Form(row.kind, re.compile(row.pattern, re.I), re.compile(row.unless, re.I) if row.unless else None)
    for row in ALL
)
_ANCHORS = tuple(anchors_of(row.pattern) for row in ALL)
_ALWAYS = tuple(at for at, anchors in enumerate(_ANCHORS) if anchors is None)
"""Forms of which no word is known that must stand in the line: they are tried on every line."""

_GRAM = 3
"""Characters of a word that are looked up first; no anchor is shorter (anchors.py)."""


def _by_gram() -> dict[str, list[tuple[str, int]]]:
    """The anchors and their forms, by the anchor's first characters."""
    table: dict[str, list[tuple[str, int]]] = {}
    for at, anchors in enumerate(_ANCHORS):
        for anchor in anchors or ():
            table.setdefault(anchor[:_GRAM], []).append((anchor, at))
    return table


_TABLE = _by_gram()
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
    distinct = few_of_a_kind(lines)
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
    for form in _worth_trying(line.lower()):
        match = form.pattern.search(line)
        if match and not (form.unless and form.unless.search(line)):
            yield Message(kind=form.kind, text=line[:LONGEST], values=_values(match))
    built = _BUILT_FOR.search(line)
    if built:
        yield Message(kind="xformers-pair", text=line[:LONGEST], values=built.groupdict())


def _worth_trying(lowered: str) -> Iterator[_Form]:
    """The forms of which a word stands in the line, in the order of the tables."""
    grams = {lowered[at : at + _GRAM] for at in range(len(lowered) - _GRAM + 1)}
    found = {at for gram in _TABLE.keys() & grams for anchor, at in _TABLE[gram] if anchor in lowered}
    return (_FORMS[at] for at in sorted(found.union(_ALWAYS)))


def _values(match: re.Match[str]) -> dict[str, str]:
    """The groups that took part; "found2" is another place where "found" may stand."""
    return {_ALIAS.sub("", name): value for name, value in match.groupdict().items() if value}
