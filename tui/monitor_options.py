"""The options of ``sdoctor monitor``, and how its usual calls are read without typer (``plain_options``).

A program that runs for days beside a generation should not hold 20 MiB for having read its options. A test reads the
same calls in both ways.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from doctor.errors import UsageError
from tui.plain_options import Grammar, name

LEAST_INTERVAL, MOST_INTERVAL = 0.1, 3600.0
"""Seconds between samples."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """As typed."""

    pid: int | None = None
    interval: float = 1.0
    once: bool = False
    plain: bool = False
    as_json: bool = False
    processes: bool = False
    record: str | None = None
    replay: str | None = None
    speed: float = 1.0


def begin(options: Options) -> None:
    """Run the command. Raises UsageError if the options do not go together."""
    from pathlib import Path

    from tui.monitoring import Asked, monitor
    from tui.terminal import shows_screens

    if options.plain and options.as_json:
        raise UsageError("--plain and --json exclude each other.")
    if options.replay is not None and (options.record is not None or options.pid is not None):
        raise UsageError("--replay plays what was recorded; it goes with neither --record nor --pid.")
    if options.processes and (options.replay is not None or not (options.as_json or options.once)):
        raise UsageError(
            "--processes lists those of this machine, with --json or --once; a recording does not hold them."
        )
    monitor(
        Asked(
            pid=options.pid,
            interval=options.interval,
            once=options.once,
            as_json=options.as_json,
            processes=options.processes,
            record=None if options.record is None else Path(options.record),
            replay=None if options.replay is None else Path(options.replay),
            speed=options.speed,
            on_screen=not (options.once or options.plain or options.as_json) and shows_screens(),
        )
    )


def _whole(text: str) -> int | None:
    return int(text) if re.fullmatch(r"[1-9][0-9]{0,9}", text, re.ASCII) else None


def _number(least: float, most: float) -> Callable[[str], float | None]:
    def read(text: str) -> float | None:
        if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text, re.ASCII):
            return None
        value = float(text)
        return value if least <= value <= most else None

    return read


GRAMMAR = Grammar(
    flags={
        "--once": ("once", True),
        "--plain": ("plain", True),
        "--json": ("as_json", True),
        "--processes": ("processes", True),
    },
    values={
        "--pid": ("pid", _whole),
        "--interval": ("interval", _number(LEAST_INTERVAL, MOST_INTERVAL)),
        "--record": ("record", name),
        "--replay": ("replay", name),
        "--speed": ("speed", _number(0.0, 1e9)),
    },
)


def read(arguments: Sequence[str]) -> Options | None:
    """What follows "monitor" on the command line; None where typer has to look at it."""
    found = GRAMMAR.read(arguments)
    return None if found is None else Options(**found)
