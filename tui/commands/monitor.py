"""``sdoctor monitor``: what the machine does now, and what limits it."""

from __future__ import annotations

from typing import Annotated

import typer


def monitor(
    pid: Annotated[
        int | None, typer.Option("--pid", min=1, help="Watch this process, its threads too.")
    ] = None,
    interval: Annotated[
        float, typer.Option("--interval", min=0.1, max=3600, help="Seconds between samples.")
    ] = 1.0,
    once: Annotated[bool, typer.Option("--once", help="Print one table and end.")] = False,
    plain: Annotated[
        bool, typer.Option("--plain", help="One line per sample instead of the screen.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document per sample.")] = False,
    record: Annotated[
        str | None, typer.Option("--record", metavar="FILE", help="Write the samples there too.")
    ] = None,
    replay: Annotated[
        str | None, typer.Option("--replay", metavar="FILE", help="Play a recording instead of this machine.")
    ] = None,
    speed: Annotated[
        float, typer.Option("--speed", min=0, help="How much faster to play it; 0 for without any pause.")
    ] = 1.0,
) -> None:
    """Show what the machine does, and what the work waits for: a screen on a terminal, lines elsewhere. Ctrl-C ends it."""
    import sys
    from pathlib import Path

    from doctor.errors import UsageError
    from tui.monitoring import Asked
    from tui.monitoring import monitor as run
    from tui.progress import is_fancy

    if plain and as_json:
        raise UsageError("--plain and --json exclude each other.")
    if replay is not None and (record is not None or pid is not None):
        raise UsageError("--replay plays what was recorded; it goes with neither --record nor --pid.")
    lines = once or plain or as_json or not (is_fancy(sys.stdout) and sys.stdin.isatty())
    run(
        Asked(
            pid=pid,
            interval=interval,
            once=once,
            as_json=as_json,
            record=None if record is None else Path(record),
            replay=None if replay is None else Path(replay),
            speed=speed,
            on_screen=not lines,
        )
    )
