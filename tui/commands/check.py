"""``sdoctor check``: what is wrong with this machine or this installation, and what mends it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from doctor.check import Check
    from doctor.facts import Facts


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
    from doctor.check import examine
    from doctor.finding import Severity

    if as_json and as_markdown:
        from doctor.errors import UsageError

        raise UsageError("--json and --markdown exclude each other; choose one.")
    chosen = _choose(_names(only), _names(skip))
    if show_list:
        _print_list(chosen, as_json=as_json)
        return
    facts = _facts(source)
    if _wants_live(live, source, chosen):
        from tui.probing import probed

        facts = probed(facts)
    if save_facts is not None:
        _save(facts, save_facts)
    report = examine(facts, chosen)
    if html is not None:
        from tui.render_html import render_html

        _write(html, render_html(report, facts).encode())
    if as_json:
        from tui.render import report_json

        _print_json(report_json(report, facts))
    elif as_markdown:
        from tui.render_markdown import render_markdown

        typer.echo(render_markdown(report, facts), nl=False)
    else:
        from tui.render import render_report

        color = _wants_color()
        typer.echo(render_report(report, facts, color=color, verbose=verbose), nl=False, color=color)
    if report.count(Severity.ERROR) or (strict and report.count(Severity.WARNING)):
        raise typer.Exit(1)


def _wants_live(live: bool | None, source: str | None, chosen: Sequence[Check]) -> bool:
    """Whether to measure: as asked; unasked on a terminal, if one of the chosen checks looks at measurements."""
    if source is not None:
        if live:
            from doctor.errors import UsageError

            raise UsageError("--live measures this machine, --from examines another; leave one of them out.")
        return False
    if live is not None:
        return live
    return sys.stdout.isatty() and any(check.name.startswith("live-") for check in chosen)


def _wants_color() -> bool:
    """Colours only on a terminal that has them, and unless NO_COLOR is set (no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _names(values: Sequence[str] | None) -> list[str]:
    return [name.strip() for value in values or () for name in value.split(",") if name.strip()]


def _choose(only: list[str], skip: list[str]) -> list[Check]:
    from doctor.check import choose
    from doctor.checks import CHECKS
    from doctor.errors import UsageError
    from doctor.pages import nearest

    try:
        return choose(CHECKS, only, skip)
    except KeyError as error:
        wrong = str(error.args[0])
        near = nearest(
            wrong, [*(check.name for check in CHECKS), *(cause for check in CHECKS for cause in check.causes)]
        )
        hint = f"did you mean {' or '.join(near)}?" if near else "'sdoctor check --list' shows all."
        raise UsageError(f"There is no check and no finding called '{wrong}'; {hint}") from None


def _facts(source: str | None) -> Facts:
    if source is None:
        from doctor.gather import gather

        return gather()
    from tui.source import facts_from

    return facts_from(source)


def _save(facts: Facts, path: Path) -> None:
    import msgspec

    _write(path, msgspec.json.format(facts.to_json(), indent=2) + b"\n")


def _write(path: Path, content: bytes) -> None:
    from doctor.errors import UsageError
    from doctor.paths import write_atomically

    try:
        write_atomically(path.expanduser(), content)
    except OSError as error:
        raise UsageError(
            f"'{path}' cannot be written ({error.strerror}); name a file in a folder of yours."
        ) from error


def _print_list(checks: list[Check], *, as_json: bool) -> None:
    if as_json:
        _print_json(
            {
                "schema": "sdoctor.checks/1",
                "checks": [{"name": one.name, "title": one.title, "findings": one.causes} for one in checks],
            }
        )
        return
    for one in checks:
        typer.echo(_wrapped(f"{one.name}: {one.title}", "    "))
        for cause, meaning in one.causes.items():
            typer.echo(_wrapped(f"    {cause:25} {meaning}", " " * 30))


def _wrapped(text: str, indent: str) -> str:
    """One line, folded to the terminal; as it is where the output goes elsewhere."""
    import shutil
    import textwrap

    if not sys.stdout.isatty():
        return text
    width = max(60, shutil.get_terminal_size().columns)
    return textwrap.fill(text, width, subsequent_indent=indent, break_on_hyphens=False)


def _print_json(document: dict[str, object]) -> None:
    import msgspec

    typer.echo(msgspec.json.format(msgspec.json.encode(document), indent=2).decode())
