"""``sdoctor check`` as it runs: facts, measurements where they are wanted, the report in the form that was asked for."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tui.check_options import Options

if TYPE_CHECKING:
    from doctor.check import Check
    from doctor.facts import Facts
    from doctor.finding import Report


def run_check(options: Options) -> int:
    """The exit code: 0 no error found, 1 errors found. Raises UsageError if the call was wrong."""
    from doctor.check import examine
    from doctor.finding import Severity

    if options.as_json and options.as_markdown:
        from doctor.errors import UsageError

        raise UsageError("--json and --markdown exclude each other; choose one.")
    chosen = _choose(_names(options.only), _names(options.skip))
    if options.show_list:
        _print_list(chosen, as_json=options.as_json)
        return 0
    facts = _facts(options.source)
    if _wants_live(options.live, options.source, chosen):
        from tui.probing import probed

        facts = probed(facts)
    if options.save_facts is not None:
        _save(facts, options.save_facts)
    report = examine(facts, chosen)
    if options.html is not None:
        from tui.render_html import render_html

        _write(options.html, render_html(report, facts).encode())
    _print(report, facts, options)
    wrong = report.count(Severity.ERROR) + (report.count(Severity.WARNING) if options.strict else 0)
    return 1 if wrong else 0


def _print(report: Report, facts: Facts, options: Options) -> None:
    if options.as_json:
        from tui.render import report_json

        _print_json(report_json(report, facts))
    elif options.as_markdown:
        from tui.render_markdown import render_markdown

        _echo(render_markdown(report, facts))
    else:
        from tui.render import render_report

        color = _wants_color()
        _echo(render_report(report, facts, color=color, verbose=options.verbose), color=color)


def _echo(text: str, *, color: bool = False) -> None:
    """Print at once, so that a reader who went away is noticed here."""
    if color and sys.platform == "win32":
        import typer  # its echo knows the consoles of Windows that do not know the escape sequences

        typer.echo(text, nl=False, color=True)
    else:
        sys.stdout.write(text)
        sys.stdout.flush()


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


def _names(values: Sequence[str]) -> list[str]:
    return [name.strip() for value in values for name in value.split(",") if name.strip()]


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
        _echo(_wrapped(f"{one.name}: {one.title}", "    ") + "\n")
        for cause, meaning in one.causes.items():
            _echo(_wrapped(f"    {cause:25} {meaning}", " " * 30) + "\n")


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

    _echo(msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n")
