"""The table of commands.

Nothing heavy is imported here: each command imports what it needs when it runs.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from doctor.errors import EXIT_USAGE
from tui.commands.check import check
from tui.commands.daemon import daemon
from tui.commands.explain import explain
from tui.commands.generate import generate
from tui.commands.incidents import incidents
from tui.commands.monitor import monitor
from tui.commands.plan import plan
from tui.commands.profile import profile
from tui.commands.tune import tune

_PARSER_INTERRUPTED = 130
"""What typer makes of Ctrl-C in a command (typer/core.py, _main); no command of sdoctor ends with it."""

app = typer.Typer(
    name="sdoctor",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Find out what is wrong with this machine for image generation, what fits on it, and what is fastest on it.",
)
app.command()(check)
app.command()(explain)
app.command()(plan)
app.command()(tune)
app.command()(generate)
app.add_typer(profile, name="profile")
app.command()(monitor)
app.add_typer(daemon, name="daemon")
app.command()(incidents)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"sdoctor {version('sdoctor')}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def options(
    context: typer.Context,
    version: Annotated[  # noqa: ARG001  (its callback answers)
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Without a command, on a terminal: the screens of sdoctor; elsewhere this help."""
    if context.invoked_subcommand is None:
        _open(context)


def _open(context: typer.Context) -> None:
    from tui.terminal import shows_screens

    if not shows_screens():
        typer.echo(context.get_help())
        # What typer itself does where a command is missing.
        raise typer.Exit(EXIT_USAGE)
    from tui.shell import run_shell

    run_shell()


def run() -> Any:
    """Run the command that was typed; its exit code. Raises KeyboardInterrupt, and what the command raises."""
    try:
        # Not standalone, so that every exit passes the caller and none prints a traceback.
        code = app(standalone_mode=False)
    except typer.Abort:
        raise KeyboardInterrupt from None
    if code == _PARSER_INTERRUPTED:
        raise KeyboardInterrupt
    return code
