"""``sdoctor incidents``: what went wrong on this machine, when, for how long, and what ran."""

from __future__ import annotations

from typing import Annotated

import typer


def incidents(
    which: Annotated[
        str | None,
        typer.Argument(metavar="ID", help="Explain this incident; the first letters of its id do."),
    ] = None,
    since: Annotated[
        str, typer.Option("--since", help="How far back: 90m, 12h, 7d, or a time such as 2026-11-23T18:00.")
    ] = "7d",
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="At most this many.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """List what went wrong, the newest first; with an id, explain one. Works without a daemon too."""
    from tui.render_incidents import as_document, as_page, as_table, find, known, since_time

    begin = 0.0 if which is not None else since_time(since)
    found = known(begin)
    if which is not None:
        one = find(found, which)
        typer.echo(as_document((one,)) if as_json else as_page(one))
        return
    typer.echo(as_document(found[:limit]) if as_json else as_table(found, limit))
