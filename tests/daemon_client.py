"""A daemon for tests, asked over its real socket, byte by byte where that is needed."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

_STATUS = re.compile(rb"HTTP/1\.1 (\d{3})")


@dataclass
class LiveDaemon:
    """``sdoctor daemon run`` that is ready."""

    process: subprocess.Popen
    home: Path
    port: int | None = None

    @property
    def socket_path(self) -> str:
        return str(self.home / "run" / "sdoctor.sock")

    @property
    def token(self) -> str:
        return (self.home / "run" / "token").read_text().strip()

    @property
    def memory(self) -> int:
        return psutil.Process(self.process.pid).memory_info().rss

    def connect(self, timeout: float = 10.0, tcp: bool = False) -> socket.socket:
        family, address = (
            (socket.AF_INET, ("127.0.0.1", self.port)) if tcp else (socket.AF_UNIX, self.socket_path)
        )
        connection = socket.socket(family, socket.SOCK_STREAM)
        connection.settimeout(timeout)
        connection.connect(address)
        return connection

    def send(self, content: bytes, timeout: float = 10.0, tcp: bool = False) -> bytes:
        """All that comes back until the other side closes, or says nothing for that long."""
        with self.connect(timeout, tcp) as connection:
            with suppress(BrokenPipeError, ConnectionResetError):
                connection.sendall(content)
            return read_all(connection)

    def ask(
        self,
        method: str,
        path: str,
        body=None,
        raw: bytes | None = None,
        headers: str = "",
        tcp: bool = False,
    ):
        """(status, document). ``raw`` goes out as it is."""
        content = raw if raw is not None else (b"" if body is None else json.dumps(body).encode())
        head = f"{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}"
        if content:
            head += f"content-type: application/json\r\ncontent-length: {len(content)}\r\n"
        answer = self.send(head.encode() + b"\r\n" + content, tcp=tcp)
        first, _, rest = answer.partition(b"\r\n\r\n")
        found = _STATUS.match(first)
        assert found, answer[:200]
        return int(found.group(1)), json.loads(rest) if rest[:1] in (b"{", b"[") else rest.decode()


def statuses(answer: bytes) -> list[int]:
    """Of every response in a stream of bytes."""
    return [int(each) for each in _STATUS.findall(answer)]


def read_all(connection: socket.socket) -> bytes:
    pieces = []
    with suppress(TimeoutError, ConnectionResetError):
        while piece := connection.recv(65536):
            pieces.append(piece)
    return b"".join(pieces)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


_REACHABLE = """\
set -e
if [ "${1#/root/}" != "$1" ]; then
    mkdir -p "$2"; mount --make-rprivate /; mount --bind "$1" "$2"
    mount -t tmpfs -o mode=755 tmpfs /root; mkdir -p "$1"; mount --bind "$2" "$1"
fi
user=$3; shift 3
exec setpriv --reuid="$user" --regid="$user" --clear-groups "$@"
"""
"""In a mount namespace of its own: an interpreter that lies in a folder of root's alone is put where others reach it."""


def as_user(user: int, folder: Path) -> list[str]:
    """What to put before a command that shall run as another user. Root only. ``folder``: an empty one that may be used."""
    return ["unshare", "--mount", "sh", "-c", _REACHABLE, "sh", sys.base_prefix, str(folder), str(user)]


@contextmanager
def live_daemon(home: Path, *, tcp: bool = False, before: Sequence[str] = (), **environment: str):
    """Start one, wait until it answers, and end it. ``before``: what stands before its command."""
    home.mkdir(parents=True, exist_ok=True)
    port = free_port() if tcp else None
    words = ["--listen", f"127.0.0.1:{port}"] if port else []
    process = subprocess.Popen(
        [*before, sys.executable, "-P", "-m", "tui", "daemon", "run", *words],
        stderr=subprocess.PIPE,
        env={**os.environ, "SDOCTOR_HOME": str(home), **environment},
    )
    daemon = LiveDaemon(process, home, port)
    try:
        end = time.monotonic() + 30
        while True:
            with suppress(OSError):
                daemon.connect().close()
                break
            assert process.poll() is None, process.stderr.read().decode()
            assert time.monotonic() < end, "not ready"
            time.sleep(0.05)
        yield daemon
    finally:
        process.terminate()
        try:
            process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise
