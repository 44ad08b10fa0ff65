"""How a knob is told to other programs: lines of a diffusers script, and flags or settings of ready-made programs.

Flags as of A1111 modules/cmd_args.py, Forge backend/args.py (June 2025), ComfyUI comfy/cli_args.py and SD.Next's
settings (config.json), each read in its public repository.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

Value = str | int | None

PROGRAMS = ("comfyui", "a1111", "forge", "sdnext")


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What one value is in one program. Nothing at all: it is what that program does by itself."""

    flags: tuple[str, ...] = ()
    """Of its command line."""
    settings: Mapping[str, str | bool] = field(default_factory=dict)
    """Keys and values of its configuration file."""
    by_hand: str = ""
    """What the user has to do in its interface; a sentence without its full stop."""


Table = Mapping[tuple[str, Value], Told]


def flags(text: str) -> Told:
    """Flags of a command line, as they are typed."""
    return Told(flags=tuple(text.split()))


def setting(key: str, value: str | bool) -> Told:
    """One entry of a configuration file."""
    return Told(settings={key: value})


def by_hand(text: str) -> Told:
    """Something that no flag does."""
    return Told(by_hand=text)


ITS_OWN_WAY = Told()
"""The program does that unasked."""


def no_lines(_value: Value) -> tuple[str, ...]:
    """A knob that needs nothing in a script."""
    return ()


def nothing_told(_program: str, _value: Value) -> Told | None:
    """A knob that no other program has."""
    return None


def told_by(table: Table) -> Callable[[str, Value], Told | None]:
    """A look-up in a table."""
    return lambda program, value: table.get((program, value))


def lines_by(table: Mapping[Value, tuple[str, ...]]) -> Callable[[Value], tuple[str, ...]]:
    """Lines of a script by value; none for a value that is not in the table."""
    return lambda value: table.get(value, ())
