"""Starting the daemon in the background, stopping it, and what can be told of one that runs."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from doctor.daemon.install import command
from doctor.daemon.lock import holder
from doctor.daemon.runner import DRAIN_SECONDS
from doctor.errors import NotInOrder
from doctor.paths import state_dir

START_SECONDS = 20.0
_KILL_SECONDS = DRAIN_SECONDS + 3.0


def log_file() -> Path:
    """Where a daemon writes that was started with ``start``."""
    return state_dir() / "daemon.log"


def start() -> int:
    """Start a daemon that outlives this command, and wait until it is ready; its process id. Raises NotInOrder."""
    running = holder()
    if running is not None:
        raise NotInOrder(f"The daemon runs already (process {running}).")
    # The folder is private, and its name short: the path of a socket may have some hundred letters (unix(7)).
    folder = Path(tempfile.mkdtemp(prefix="sdoctor-"))
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
            ear.bind(str(folder / "n"))
            child = subprocess.Popen(
                [*command(), "--log", str(log_file())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                start_new_session=True,
                cwd="/",
                env={**os.environ, "NOTIFY_SOCKET": str(folder / "n")},
            )
            _wait_until_ready(ear, child)
            return child.pid
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wait_until_ready(ear: socket.socket, child: subprocess.Popen[bytes]) -> None:
    """The daemon says READY=1 as it would to systemd (``doctor.daemon.notify``)."""
    ear.settimeout(0.1)
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        try:
            if b"READY=1" in ear.recv(4096):
                return
        except TimeoutError:
            pass
        if child.poll() is not None:
            assert child.stderr is not None
            words = child.stderr.read().decode(errors="replace").strip().removeprefix("sdoctor: ")
            raise NotInOrder(f"The daemon did not start: {words or f'it ended with code {child.returncode}'}")
    child.kill()
    raise NotInOrder(f"The daemon was not ready within {START_SECONDS:g} s; {log_file()} may say why.")


def stop() -> int | None:
    """Stop the daemon, and wait for its end; its process id, None if none ran. Raises NotInOrder."""
    pid = holder()
    if pid is None:
        return None
    try:
        os.kill(pid, signal.SIGTERM)
        end = time.monotonic() + _KILL_SECONDS
        while holder() is not None:
            if time.monotonic() > end:
                raise NotInOrder(
                    f"The daemon (process {pid}) did not end within {_KILL_SECONDS:g} s; end it with 'kill -9 {pid}'."
                )
            time.sleep(0.02)
    except ProcessLookupError:
        pass
    except PermissionError:
        raise NotInOrder(f"The daemon (process {pid}) belongs to another user.") from None
    return pid


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What can be told of the daemon from outside, without asking it."""

    pid: int
    up_seconds: float | None
    memory: int | None
    """Resident bytes of it and its children."""
    cpu_percent: float | None
    """Of one core, since its start, with its children."""


def seen() -> Seen | None:
    """The daemon that runs; None if none does."""
    import psutil

    pid = holder()
    if pid is None:
        return None
    try:
        process = psutil.Process(pid)
        up = time.time() - process.create_time()
        family = [process, *process.children(recursive=True)]
        memory = sum(each.memory_info().rss for each in family)
        spent = sum(sum(each.cpu_times()[:2]) for each in family)
    except psutil.Error:
        return Seen(pid=pid, up_seconds=None, memory=None, cpu_percent=None)
    return Seen(pid=pid, up_seconds=up, memory=memory, cpu_percent=100 * spent / up if up > 0 else None)
