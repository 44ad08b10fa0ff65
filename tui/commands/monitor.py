"""``sdoctor monitor``: what the machine does now, and what limits it."""

from __future__ import annotations

from typing import Annotated

import typer

from tui.monitor_options import LEAST_INTERVAL, MOST_INTERVAL


def monitor(
    pid: Annotated[
        int | None, typer.Option("--pid", min=1, help="Watch this process, its threads too.")
    ] = None,
    interval: Annotated[
        float,
        typer.Option("--interval", min=LEAST_INTERVAL, max=MOST_INTERVAL, help="Seconds between samples."),
    ] = 1.0,
    once: Annotated[bool, typer.Option("--once", help="Print one table and end.")] = False,
    plain: Annotated[
        bool, typer.Option("--plain", help="One line per sample instead of the screen.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document per sample.")] = False,
    processes: Annotated[
        bool, typer.Option("--processes", help="List every process too, with --json or --once.")
    ] = False,
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
    from tui.monitor_options import Options, begin

    begin(
        Options(
            pid=pid,
            interval=interval,
            once=once,
            plain=plain,
            as_json=as_json,
            processes=processes,
            record=record,
            replay=replay,
            speed=speed,
        )
    )
