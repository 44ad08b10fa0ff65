"""The options of ``sdoctor check``, and how its usual calls are read without typer (``plain_options``)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tui.plain_options import Grammar, name


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """As typed."""

    as_json: bool = False
    as_markdown: bool = False
    html: Path | None = None
    verbose: bool = False
    source: str | None = None
    save_facts: Path | None = None
    show_list: bool = False
    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    strict: bool = False
    live: bool | None = None
    """None: on a terminal."""


def _file(text: str) -> Path | None:
    return Path(text) if name(text) else None


GRAMMAR = Grammar(
    flags={
        "--json": ("as_json", True),
        "--markdown": ("as_markdown", True),
        "--verbose": ("verbose", True),
        "-v": ("verbose", True),
        "--list": ("show_list", True),
        "--strict": ("strict", True),
        "--live": ("live", True),
        "--no-live": ("live", False),
    },
    values={"--html": ("html", _file), "--from": ("source", name), "--save-facts": ("save_facts", _file)},
)
"""``--only`` and ``--skip``, which may be repeated, are left to typer."""


def read(arguments: Sequence[str]) -> Options | None:
    """What follows "check" on the command line; None where typer has to look at it."""
    found = GRAMMAR.read(arguments)
    return None if found is None else Options(**found)
