"""``sdoctor explain``: the page of one finding."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from doctor.check import Check


def explain(
    cause: Annotated[str, typer.Argument(metavar="ID", help="The id of a finding, for example oom-too-big.")],
) -> None:
    """Explain a finding: what one sees, why it happens, what to do, and on what the judgement rests."""
    from doctor.checks import CHECKS
    from doctor.errors import UsageError
    from doctor.pages import asked_by, read_page
    from tui.folding import folded

    checks = asked_by(cause, CHECKS)
    page = read_page(cause)
    if not checks or page is None:
        raise UsageError(_unknown(cause, CHECKS))
    text = "\n".join((page.rstrip(), *_grounds(checks)))
    # A file or a pipe gets the page as it is, in Markdown; a terminal gets lines that fit.
    typer.echo(folded(text, shutil.get_terminal_size().columns) if sys.stdout.isatty() else text)


def _unknown(cause: str, checks: Sequence[Check]) -> str:
    """What is said of an id that no page has."""
    from doctor.pages import nearest

    named = next((check for check in checks if check.name == cause), None)
    if named:
        return f"'{cause}' is a check; explain one of its findings: {', '.join(named.causes)}."
    near = nearest(cause, (known for check in checks for known in check.causes))
    hint = f"Did you mean {' or '.join(near)}?" if near else "'sdoctor check --list' shows all."
    return f"There is no finding called '{cause}'. {hint}"


def _grounds(checks: Sequence[Check]) -> Iterator[str]:
    """How sdoctor comes to the finding, and the public pages it rests on."""
    yield "\n## How sdoctor tells\n"
    for check in checks:
        needs = f" It needs {', '.join(check.needs)}." if check.needs else ""
        yield f"- check `{check.name}`: {check.title}{needs}"
    sources = dict.fromkeys(source for check in checks for source in check.sources)
    if sources:
        yield "\n## Sources\n"
        yield from (f"- {source}" for source in sources)
