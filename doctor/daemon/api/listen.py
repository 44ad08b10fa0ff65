"""Where the daemon listens: a Unix socket for its user alone, and a loopback port with a token where that is asked for."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

from doctor.errors import NotInOrder, UsageError
from doctor.paths import runtime_dir, write_atomically

_LONGEST = 100
"""Bytes of a socket's path that every system takes (sun_path has 104 on macOS, 108 on Linux: unix(7))."""
_BACKLOG = 128


def socket_file() -> Path:
    """The daemon's socket. Raises OSError where there is no folder for it."""
    return runtime_dir() / "sdoctor.sock"


def token_file() -> Path:
    """The token for the loopback port; only the user can read it. Raises OSError."""
    return runtime_dir() / "token"


def listen_on_socket(path: Path) -> socket.socket:
    """A listening Unix socket (0600). Only whoever holds the daemon's lock may call it: one that is there is stale.

    Raises NotInOrder, OSError.
    """
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise NotInOrder(f"The daemon's socket cannot be {path}: something else is there. Move it away.")
        path.unlink()
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with short_name(path) as name:
            listening.bind(name)
        # Nobody can connect before it listens.
        path.chmod(0o600)
        listening.listen(_BACKLOG)
    except BaseException:
        listening.close()
        raise
    return listening


@contextlib.contextmanager
def short_name(path: Path) -> Iterator[str]:
    """A name of the socket that the system takes, to bind or to connect to inside. Raises NotInOrder where there is none.

    Linux has a short name for every folder that is open (proc(5), /proc/self/fd).
    """
    if len(os.fsencode(path)) <= _LONGEST:
        yield str(path)
    elif sys.platform == "linux":
        folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
        try:
            yield f"/proc/self/fd/{folder}/{path.name}"
        finally:
            os.close(folder)
    else:
        raise NotInOrder(
            f"The daemon's socket cannot be {path}: the path is longer than {_LONGEST} bytes. "
            "Set XDG_RUNTIME_DIR or SDOCTOR_HOME to a shorter folder."
        )


def parse_address(text: str) -> tuple[str, int]:
    """ "127.0.0.1:PORT" or "localhost:PORT" or "[::1]:PORT". Raises UsageError for anything that others can reach."""
    host, _, port = text.rpartition(":")
    host = {"localhost": "127.0.0.1", "[::1]": "::1"}.get(host, host)
    if host not in ("127.0.0.1", "::1") or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise UsageError(
            f"The daemon cannot listen on '{text}': give 127.0.0.1:PORT. It answers on this machine only; "
            "use an SSH tunnel to ask from elsewhere."
        )
    return host, int(port)


def listen_on_port(host: str, port: int) -> socket.socket:
    """A listening loopback port. Raises NotInOrder if it is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        raise NotInOrder(f"The daemon cannot listen on {host}:{port}: {error.strerror}.") from error
    return listening


def token() -> str:
    """The token of this installation; made at the first call. 256 bits. Raises OSError."""
    path = token_file()
    with contextlib.suppress(FileNotFoundError):
        found = path.read_text().strip()
        if len(found) >= 32:
            path.chmod(0o600)
            return found
    made = secrets.token_urlsafe(32)
    write_atomically(path, f"{made}\n".encode(), private=True)
    return made
