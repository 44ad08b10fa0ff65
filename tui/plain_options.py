"""Reads the usual calls of a command without any library; whatever is unusual is left to typer.

``typer`` brings pydantic as soon as it reads an option: a third of a second's work and 20 MiB. So flags and values that
are spelled out and right are read here; for help, wrong values and abbreviations ``read`` gives up, and typer answers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Reader = Callable[[str], Any]
"""The value that a text means; None for a text that typer has to look at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grammar:
    """The options of one command."""

    flags: Mapping[str, tuple[str, Any]]
    """As typed ("--once") -> the field that it sets, and to what."""
    values: Mapping[str, tuple[str, Reader]]
    """As typed ("--pid") -> the field, and how its text is read."""

    @property
    def names(self) -> set[str]:
        """Every option that it knows."""
        return {*self.flags, *self.values}

    def read(self, arguments: Sequence[str]) -> dict[str, Any] | None:
        """Field -> value of what was typed; None where typer has to look at it. Of what is given twice the last counts."""
        found: dict[str, Any] = {}
        waiting = list(reversed(arguments))
        while waiting:
            name, equals, value = waiting.pop().partition("=")
            if name in self.flags and not equals:
                field, known = self.flags[name]
            elif name in self.values and (equals or waiting):
                field, of = self.values[name]
                known = of(value if equals else waiting.pop())
            else:
                return None
            if known is None:
                return None
            found[field] = known
        return found


def name(text: str) -> str | None:
    """A file or a word that cannot be taken for an option."""
    return None if not text or text.startswith("-") else text
