"""The table of commands, and the one place where errors become sentences and exit codes.

Nothing heavy is imported here: each command imports what it needs when it runs.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from doctor.errors import EXIT_DEFECT, EXIT_INTERRUPTED, EXIT_USAGE, SdoctorError
from tui.commands.check import check
from tui.commands.daemon import daemon
from tui.commands.explain import explain
from tui.commands.generate import generate
from tui.commands.incidents import incidents
from tui.commands.monitor import monitor
from tui.commands.plan import plan
from tui.commands.profile import profile
from tui.commands.tune import tune
from tui.say import say

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
    from tui.progress import is_fancy

    if not (is_fancy(sys.stdout) and sys.stdin.isatty()):
        typer.echo(context.get_help())
        # What typer itself does where a command is missing.
        raise typer.Exit(EXIT_USAGE)
    from tui.shell import run_shell

    run_shell()


def main() -> None:
    """Entry point of ``sdoctor``."""
    try:
        # Not standalone, so that every exit passes here and none prints a traceback.
        code = app(standalone_mode=False)
        if code == _PARSER_INTERRUPTED:
            raise KeyboardInterrupt
    except SdoctorError as error:
        say(str(error))
        code = error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        say("Interrupted.")
        code = EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader (a pager, head) went away; there is nobody to tell.
        sys.stderr.close()
        code = 0
    except Exception as error:  # noqa: BLE001  (the last resort: a defect is reported, not shown as a traceback)
        code = _unexpected(error)
    sys.exit(code if isinstance(code, int) else 0)


def _unexpected(error: Exception) -> int:
    """Usage errors of the command line parser, and defects of sdoctor."""
    show = getattr(error, "format_message", None)
    if show is not None:
        say(f"{show()} Try 'sdoctor --help'.")
        return int(getattr(error, "exit_code", EXIT_USAGE))
    import tempfile
    import traceback
    from pathlib import Path

    with tempfile.NamedTemporaryFile("w", prefix="sdoctor-defect-", suffix=".txt", delete=False) as file:
        traceback.print_exc(file=file)
    say(
        f"This is a defect of sdoctor: {type(error).__name__}: {error}. "
        f"The details are in {Path(file.name)}; please report them."
    )
    return EXIT_DEFECT
