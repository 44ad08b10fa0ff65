"""Words that must stand in a line for a regular expression to match it: a cheap question before an expensive one.

A log has tens of thousands of lines and the table some hundred expressions; a word is looked for thirty times faster
than an expression is tried.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_SHORTEST = 3
_PLAIN = re.compile(r"[A-Za-z0-9 _'\":,;<>=%#@!~/&-]|[^\x00-\x7f]|\\[.()\[\]/+*?|{}\\'\"-]")
_GROUP = re.compile(r"\((?:\?:|\?P<\w+>|(?!\?))")
"""The beginning of a group that takes part in the match; what looks ahead or behind is none."""
_OPTIONAL = re.compile(r"\?|\*|\{0")


def anchors_of(pattern: str) -> tuple[str, ...] | None:
    """One lower-case word for each alternative of ``pattern``, of which a matching line holds at least one.

    None if some alternative has no plain word of three characters: then nothing can be ruled out.
    """
    words: dict[str, None] = {}
    for alternative in _alternatives(pattern):
        found = _words_of(alternative)
        if found is None:
            return None
        words.update(dict.fromkeys(found))
    return tuple(words)


def _words_of(alternative: str) -> tuple[str, ...] | None:
    """The longest plain word outside of groups; else those of the first group that has one in each alternative."""
    word = max(_runs(alternative), key=len, default="")
    if len(word) >= _SHORTEST:
        return (word.lower(),)
    return next((found for inner in _groups(alternative) if (found := anchors_of(inner)) is not None), None)


def _groups(alternative: str) -> Iterator[str]:
    """What stands in the groups at the top level that must be there."""
    start = 0
    for at, depth, in_class in _walk(alternative):
        if depth != 1 or in_class or alternative[at] not in "()":
            continue
        if alternative[at] == "(":
            start = at
            continue
        head = _GROUP.match(alternative, start)
        if head and not _OPTIONAL.match(alternative, at + 1):
            yield alternative[head.end() : at]


def _alternatives(pattern: str) -> list[str]:
    """Split at the bars that stand outside of every group and class."""
    parts, start = [], 0
    for at, depth, in_class in _walk(pattern):
        if pattern[at] == "|" and depth == 0 and not in_class:
            parts.append(pattern[start:at])
            start = at + 1
    return [*parts, pattern[start:]]


def _runs(alternative: str) -> list[str]:
    """The runs of plain characters at the top level, without those that may be left out."""
    runs, run = [], ""
    for at, depth, in_class in _walk(alternative):
        plain = _PLAIN.match(alternative, at) if depth == 0 and not in_class else None
        if plain is None or _OPTIONAL.match(alternative, plain.end()):
            runs.append(run)
            run = ""
            continue
        run += plain[0][-1]
        if alternative[plain.end() : plain.end() + 1] in ("+", "{"):
            runs.append(run)
            run = ""
    return [*runs, run]


def _walk(pattern: str) -> Iterator[tuple[int, int, bool]]:
    """Each element of a pattern with its place, the depth of groups around it, and whether it is part of a class."""
    at, depth, in_class = 0, 0, False
    while at < len(pattern):
        mark = pattern[at]
        if mark == "\\":
            yield at, depth, in_class
            at += 2
            continue
        if in_class:
            yield at, depth, True
            in_class = mark != "]"
        elif mark == "[":
            yield at, depth, True
            in_class = True
            at += pattern[at + 1 : at + 2] == "^"
            at += pattern[at + 1 : at + 2] == "]"  # right after its beginning it is one of the class
        elif mark == "{":
            yield at, depth, True
            at = max(at, pattern.find("}", at))
        else:
            depth += mark == "("
            yield at, depth, False
            depth -= mark == ")"
        at += 1
