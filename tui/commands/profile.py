"""``sdoctor profile``: what was tuned, shown, compared, and told to other programs."""

from __future__ import annotations

from typing import Annotated

import typer

profile = typer.Typer(
    no_args_is_help=True, help="List, show, compare and export what was tuned.", rich_markup_mode=None
)

_Which = Annotated[
    str, typer.Argument(metavar="PROFILE", help="A model, the name that `list` prints, or a .json file.")
]
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


@profile.command("list")
def list_(as_json: _Json = False) -> None:
    """List the saved profiles, and whether each holds on this machine."""
    from tui.profiles import listed

    typer.echo(listed(as_json=as_json))


@profile.command()
def show(which: _Which, as_json: _Json = False) -> None:
    """Show one profile: its settings, the ladder, what it was made on, and whether it holds here."""
    from tui.profiles import shown

    typer.echo(shown(which, as_json=as_json))


@profile.command()
def diff(first: _Which, second: _Which, as_json: _Json = False) -> None:
    """Show what differs between two profiles. The exit code is 0 either way."""
    from tui.profiles import compared

    typer.echo(compared(first, second, as_json=as_json))


@profile.command()
def export(
    which: _Which,
    to: Annotated[str, typer.Option("--to", help="diffusers, comfyui, a1111, forge or sdnext.")],
    size: Annotated[
        str | None, typer.Option("--size", help="For pictures of this size (default: the size tuned at).")
    ] = None,
    output: Annotated[
        str | None, typer.Option("--output", "-o", metavar="FILE", help="Write it there.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Take a profile of another machine all the same.")
    ] = False,
) -> None:
    """Tell a profile to another program: a runnable diffusers script, or flags and settings."""
    from tui.profiles import exported

    exported(which, to.lower(), size=size, output=output, force=force)
