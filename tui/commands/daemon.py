"""``sdoctor daemon``: the long-lived process that watches. Its services are put together here."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from doctor.daemon.service import Service
    from doctor.history import History

daemon = typer.Typer(
    no_args_is_help=True, help="Keep watching this machine and remember what went wrong: 'sdoctor incidents'."
)


def services(history: History, port: tuple[str, int] | None = None) -> Sequence[Service]:
    """What the daemon runs, in the order of its start."""
    from doctor.daemon.config import read_config
    from doctor.daemon.history_service import HistoryService
    from doctor.daemon.watch import WatchService
    from doctor.paths import state_dir
    from tui.daemon_api import api_service
    from tuner.service import KeepTunedService, default_commands

    keep = KeepTunedService(read_config, default_commands(read_config), state_dir() / "keep-tuned.log")
    watch = WatchService(
        history,
        interval=lambda: read_config().interval_seconds,
        watched=lambda _: keep.worker_pid,
    )
    watch.listeners.append(keep.take)
    kept = (HistoryService(history), watch, keep)
    # Last: when it can be asked, everything runs; and it is the first to end.
    return (*kept, api_service(kept, watch, keep, history.path, port))


@daemon.command()
def run(
    log: Annotated[
        str | None,
        typer.Option("--log", metavar="FILE", help="Write the log there instead of standard error."),
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(
            "--listen",
            metavar="127.0.0.1:PORT",
            help="Also answer on a loopback port, to whoever has the token.",
        ),
    ] = None,
) -> None:
    """Run in the foreground until SIGTERM or Ctrl-C. SIGHUP reads the configuration again."""
    import os
    from pathlib import Path

    from doctor.daemon.api.listen import parse_address
    from doctor.daemon.config import read_config
    from doctor.daemon.lock import single_instance
    from doctor.daemon.log import log_to
    from doctor.daemon.runner import Daemon
    from doctor.errors import NotInOrder
    from doctor.history import History, history_file

    address = address or read_config().listen
    port = None if address is None else parse_address(address)
    try:
        log_to(None if log is None else Path(log))
        with single_instance():
            running = Daemon(services(History(history_file()), port))
            running.run()
            if running.hung:
                # A thread that hangs would keep the interpreter from ending.
                os._exit(0)
    except OSError as error:
        raise NotInOrder(
            f"The daemon cannot start: {error}. Set SDOCTOR_HOME to a folder of yours."
        ) from error


@daemon.command()
def start() -> None:
    """Start it in the background, and wait until it is ready."""
    from tui.daemon_control import log_file
    from tui.daemon_control import start as begin

    _unix_only()
    pid = begin()
    typer.echo(f"The daemon runs (process {pid}); its log is {log_file()}.")


@daemon.command()
def stop() -> None:
    """Stop it, and wait for its end."""
    from tui.daemon_control import stop as end

    pid = end()
    typer.echo("No daemon runs." if pid is None else f"The daemon (process {pid}) has ended.")


@daemon.command()
def status(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False) -> None:
    """Whether it runs, what it costs, what it does, and what is wrong now. Exit code 1 if none runs."""
    from doctor.errors import EXIT_NOT_IN_ORDER
    from tui.daemon_status import as_document, as_lines, look

    found = look()
    typer.echo(as_document(found) if as_json else as_lines(found))
    if found.seen is None:
        raise typer.Exit(EXIT_NOT_IN_ORDER)


@daemon.command()
def add(model: Annotated[str, typer.Argument(help="builtin:NAME, a folder, a file, or a hub id.")]) -> None:
    """Keep a model tuned: a study runs when the machine is idle and there is no profile that holds here."""
    from tui.keeping import add as keep

    typer.echo(keep(model))
    _tell_daemon()


@daemon.command()
def remove(model: Annotated[str, typer.Argument(help="As it was added.")]) -> None:
    """Do not keep a model tuned any more."""
    from tui.keeping import remove as leave

    typer.echo(leave(model))
    _tell_daemon()


@daemon.command()
def due(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False) -> None:
    """Which models are kept tuned, and which of them have to be tuned, and why."""
    from tui.keeping import due_models

    found = due_models()
    if as_json:
        import msgspec

        typer.echo(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
    elif not found.models:
        typer.echo("No model is kept tuned; 'sdoctor daemon add MODEL' adds one.")
    else:
        for each in found.models:
            word = "due" if each.due else ("in order" if not each.reason else "cannot be tuned")
            typer.echo(f"{each.model}: {word}{': ' + each.reason if each.reason else ''}")


def _tell_daemon() -> None:
    """Have a daemon that runs read its list again."""
    import os
    import signal
    from contextlib import suppress

    from doctor.daemon.lock import holder

    pid = holder()
    if pid is not None and hasattr(signal, "SIGHUP"):
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGHUP)


@daemon.command()
def install(
    only_print: Annotated[bool, typer.Option("--print", help="Print it, and change nothing.")] = False,
    platform: Annotated[
        str | None, typer.Option("--platform", help="With --print: linux, darwin or win32.")
    ] = None,
) -> None:
    """Start it with your session: a systemd user unit. On macOS and Windows the equivalent is printed."""
    from doctor.daemon.install import PLATFORMS, UNIT, text_for, unit_file, unit_text
    from doctor.errors import NotInOrder, UsageError
    from doctor.paths import write_atomically

    if platform is not None and platform not in PLATFORMS:
        raise UsageError(f"'{platform}' is no platform; give {', '.join(PLATFORMS)}.")

    if only_print or platform is not None or sys.platform != "linux":
        typer.echo(text_for(platform or sys.platform), nl=False)
        return
    path = unit_file()
    try:
        write_atomically(path, unit_text().encode())
    except OSError as error:
        raise NotInOrder(f"The unit {path} cannot be written: {error.strerror}.") from error
    typer.echo(f"Wrote {path}.")
    _systemctl(path, "daemon-reload")
    _systemctl(path, "enable", "--now", UNIT)
    typer.echo(f"The daemon starts with your session; 'systemctl --user status {UNIT}' shows it.")


@daemon.command()
def uninstall() -> None:
    """Take the systemd user unit away again. History and profiles stay."""
    from doctor.daemon.install import UNIT, unit_file

    path = unit_file()
    if not path.exists():
        typer.echo(f"Nothing is installed: there is no {path}.")
        return
    _systemctl(path, "disable", "--now", UNIT, must=False)
    path.unlink()
    _systemctl(path, "daemon-reload", must=False)
    typer.echo(f"Took {path} away; the history and the profiles are still there.")


def _systemctl(path: Path, *words: str, must: bool = True) -> None:
    """Raises NotInOrder if it fails and ``must`` be."""
    import subprocess

    from doctor.errors import NotInOrder

    try:
        done = subprocess.run(
            ["systemctl", "--user", *words], capture_output=True, text=True, timeout=60, check=False
        )
        trouble = done.stderr.strip() if done.returncode else ""
    except (OSError, subprocess.TimeoutExpired) as error:
        trouble = str(error)
    if trouble and must:
        raise NotInOrder(
            f"The unit {path} is in place, but systemd did not take it ({trouble}); "
            "'sdoctor daemon start' works without systemd."
        )


def _unix_only() -> None:
    from doctor.errors import UsageError

    if sys.platform == "win32":
        raise UsageError(
            "On Windows use 'sdoctor daemon run', or the task that 'sdoctor daemon install' prints."
        )
