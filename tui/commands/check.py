"""``sdoctor check``: what is wrong with this machine or this installation, and what mends it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def check(
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document (sdoctor.check/1).")
    ] = False,
    as_markdown: Annotated[
        bool, typer.Option("--markdown", help="Print Markdown, to be pasted into an issue.")
    ] = False,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Also write the report as one self-contained HTML file."),
    ] = None,
    verbose: Annotated[
        bool,
        typer.Option(
            "--verbose", "-v", help="Show the evidence, what is in order, and what could not be read."
        ),
    ] = False,
    source: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="FILE",
            help="Examine somebody's report instead of this machine: an error, a log, collect_env, saved facts; "
            "'-' is standard input.",
        ),
    ] = None,
    save_facts: Annotated[
        Path | None,
        typer.Option(
            "--save-facts", metavar="FILE", help="Write the facts as JSON, to send with a bug report."
        ),
    ] = None,
    show_list: Annotated[
        bool, typer.Option("--list", help="List the checks and what each can find; run none.")
    ] = False,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="NAME", help="Only this check or finding (repeat, or use commas)."),
    ] = None,
    skip: Annotated[
        list[str] | None,
        typer.Option("--skip", metavar="NAME", help="Without this check or finding (repeat, or use commas)."),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Warnings count as errors for the exit code.")
    ] = False,
    live: Annotated[
        bool | None,
        typer.Option(
            "--live/--no-live",
            help="Also measure: imports, card, processor, memory, disk; some seconds. On by default on a terminal.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Find out what is wrong with this machine or installation, and which command mends it.

    Exit code: 0 no error found, 1 errors found (with --strict also warnings), 2 the call was wrong.
    """
    from tui.check_options import Options
    from tui.checking import run_check

    code = run_check(
        Options(
            as_json=as_json,
            as_markdown=as_markdown,
            html=html,
            verbose=verbose,
            source=source,
            save_facts=save_facts,
            show_list=show_list,
            only=tuple(only or ()),
            skip=tuple(skip or ()),
            strict=strict,
            live=live,
        )
    )
    if code:
        raise typer.Exit(code)
