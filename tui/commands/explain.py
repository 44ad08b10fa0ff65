"""``sdoctor explain``: the page of one finding."""

from __future__ import annotations

from typing import Annotated

import typer


def explain(
    cause: Annotated[str, typer.Argument(metavar="ID", help="The id of a finding, for example oom-too-big.")],
) -> None:
    """Explain a finding: what one sees, why it happens, what to do, and on what the judgement rests."""
    from doctor.checks import CHECKS
    from doctor.errors import UsageError
    from doctor.pages import asked_by, nearest, read_page

    checks = asked_by(cause, CHECKS)
    page = read_page(cause)
    if not checks or page is None:
        near = nearest(cause, CHECKS)
        hint = f"Did you mean {' or '.join(near)}?" if near else "'sdoctor check --list' shows all."
        raise UsageError(f"There is no finding called '{cause}'. {hint}")
    typer.echo(page.rstrip())
    sources = dict.fromkeys(source for check in checks for source in check.sources)
    typer.echo("\n## How sdoctor tells\n")
    for check in checks:
        needs = f" It needs {', '.join(check.needs)}." if check.needs else ""
        typer.echo(f"- check `{check.name}`: {check.title}{needs}")
    if sources:
        typer.echo("\n## Sources\n")
        for source in sources:
            typer.echo(f"- {source}")
