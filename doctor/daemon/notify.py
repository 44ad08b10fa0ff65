"""What the daemon tells whoever started it: datagrams to the socket in ``$NOTIFY_SOCKET`` (sd_notify(3)).

Without that variable nothing is sent. A socket that is gone or full is no error: the daemon's work does not depend
on being heard.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping


class Notifier:
    """Sends the few words that systemd knows."""

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        environ = os.environ if environ is None else environ
        address = environ.get("NOTIFY_SOCKET", "")
        # "@" stands for the zero byte of Linux's abstract sockets.
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._watchdog = _watchdog_seconds(environ)

    @property
    def watchdog_seconds(self) -> float | None:
        """Silence after which systemd kills the daemon; None if it does not watch."""
        return self._watchdog

    def ready(self) -> None:
        """Everything has been started, or reloaded."""
        self._send("READY=1")

    def alive(self, status: str) -> None:
        """The watchdog may go on sleeping; ``status`` is shown by ``systemctl status``."""
        self._send(f"WATCHDOG=1\nSTATUS={_line(status)}")

    def status(self, status: str) -> None:
        """Something is wrong: said, without calming the watchdog."""
        self._send(f"STATUS={_line(status)}")

    def reloading(self) -> None:
        """A reload begins. systemd 253 and later wait for ever without the time (sd_notify(3), RELOADING=1)."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """The end begins."""
        self._send("STOPPING=1")

    def _send(self, text: str) -> None:
        if not self._address or not hasattr(socket, "AF_UNIX"):
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as connection:
                connection.setblocking(False)
                connection.sendto(text.encode(), self._address)
        except OSError:
            pass  # nobody listens any more


def _watchdog_seconds(environ: Mapping[str, str]) -> float | None:
    """``$WATCHDOG_USEC``, if it is meant for this process (sd_watchdog_enabled(3))."""
    meant_for = environ.get("WATCHDOG_PID", "")
    if meant_for and meant_for != str(os.getpid()):
        return None
    try:
        seconds = int(environ.get("WATCHDOG_USEC", "")) / 1e6
    except ValueError:
        return None
    return seconds if seconds > 0 else None


def _line(text: str) -> str:
    return text.replace("\n", " ")
